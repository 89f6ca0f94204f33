"""What the engine can be told, what is pinned, and the relations between its time bounds."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from streams.engine.clock import Clock, SystemClock
from streams.engine.errors import ConfigError
from streams.engine.journal import JournalCodec, JsonCodec
from streams.engine.partitioner import PartitionKey, whole_key
from streams.engine.poison import BACKOFF_MAX_SECONDS
from streams.engine.rates import WINDOW_MAX
from streams.engine.runtime import Runtime, SystemRuntime

BATCH_SECONDS = 5.0
"""From the begin of a batch to the barrier."""
COMMIT_SECONDS = 4.0
"""For flush, offsets and commit together."""
TRANSACTION_SECONDS = 10.0
"""transaction.timeout.ms: the broker aborts a transaction older than this."""
SESSION_SECONDS = 20.0
"""session.timeout.ms: a silent worker's partitions go to others after this."""
SOCKET_SECONDS = 3.0
"""socket.timeout.ms: `send_offsets_to_transaction` comes back after this, whatever time-out it is given."""
POLL_SECONDS = 45.0
"""max.poll.interval.ms: also how long the client waits for a JoinGroup that nobody answers."""

if not (
    BATCH_SECONDS + max(COMMIT_SECONDS, SOCKET_SECONDS + 0.5)
    < TRANSACTION_SECONDS
    < SESSION_SECONDS
    < POLL_SECONDS
):
    raise ConfigError("batch + commit < transaction < session < poll interval does not hold")

PINNED_COMMON: Mapping[str, Any] = MappingProxyType(
    {
        "metadata.recovery.strategy": "none",
        "log.connection.close": True,
        # A broker that is back is found at once; the default backs off up to 10 s, half of a session.
        "reconnect.backoff.max.ms": 1_000,
        # A fetch that nobody answers on a half-open connection stalls its reader for this long.
        "socket.timeout.ms": 10_000,
    }
)
PINNED_CONSUMER: Mapping[str, Any] = MappingProxyType(
    {
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "isolation.level": "read_committed",
        "auto.offset.reset": "error",
        "enable.partition.eof": True,
        "check.crcs": True,
        "partition.assignment.strategy": "range",
        "max.poll.interval.ms": int(POLL_SECONDS * 1000),
        "session.timeout.ms": int(SESSION_SECONDS * 1000),
        "heartbeat.interval.ms": 3_000,
    }
)
PINNED_PRODUCER: Mapping[str, Any] = MappingProxyType(
    {
        "enable.idempotence": True,
        "acks": "all",
        "max.in.flight.requests.per.connection": 5,
        "transaction.timeout.ms": int(TRANSACTION_SECONDS * 1000),
        "partitioner": "murmur2",
        "queue.buffering.max.messages": 1_000_000,
        "message.timeout.ms": 8_000,
        "socket.timeout.ms": int(SOCKET_SECONDS * 1000),
        "linger.ms": 5,
    }
)
_OURS = frozenset(
    {"bootstrap.servers", "group.id", "group.instance.id", "transactional.id", "logger", "error_cb"}
)


_LEAST: Mapping[str, int] = MappingProxyType(
    {
        "batch_max": 1,
        "batch_bytes": 1,
        "effects_max": 1,
        "overlay_bytes": 1,
        "store_memory": 1024 * 1024,
        "cache_rows": 0,
    }
)
_NAME = re.compile(r"[A-Za-z0-9._-]{1,200}")


def require_name(what: str, name: str) -> None:
    """Raise ConfigError unless a name can be part of a topic's and a folder's."""
    if _NAME.fullmatch(name) is None or name.strip(".") == "":
        raise ConfigError(
            f"{what} is at most 200 of A-Z a-z 0-9 . _ - and not only dots, because topics and folders are "
            f"named after it; not {name[:220]!r}"
        )


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """Settings of the engine; Faust's own stay with the application.

    `client` holds librdkafka settings such as TLS; a pinned one is refused by name. `fetch_wait_ms` is
    how long the broker holds an empty fetch: a partition's end is told only when one comes back, so
    a commit marker behind the last record is passed after that time and `idle_commit_ms`. The topics'
    ids and partition counts are looked at every `topic_check_seconds`; 0 looks at the start only.

    `store` is memory:// or rocksdb://, the latter in `state_dir`/<app>/<instance>, with `store_memory`
    bytes for its blocks and unflushed writes and `cache_rows` decoded values above it. A batch is
    closed when its staged writes pass `overlay_bytes`. With `overlap` an app of one input topic begins the
    next batch while the last one commits.

    `poison_backoff` is the pause before a failed record is tried again, in seconds, longer each time.
    More dead letters than `dead_letter_rate` of the last `dead_letter_window` records of a partition,
    or `dead_letter_run` in a row, stop the worker; 0 switches a bound off.
    """

    bootstrap: str
    instance_id: str = "0"
    batch_max: int = 5_000
    batch_bytes: int = 16 * 1024 * 1024
    overlay_bytes: int = 64 * 1024 * 1024
    store: str = "memory://"
    state_dir: str | Path = Path(".fillonce/state")
    store_memory: int = 128 * 1024 * 1024
    cache_rows: int = 200_000
    overlap: bool = True
    idle_commit_ms: float = 50.0
    fetch_wait_ms: int = 100
    start_from: str = "earliest"
    membership: str = "static"
    poison: str = "continue"
    poison_retries: int = 2
    poison_backoff: float = 0.1
    dead_letter_rate: float = 0.01
    dead_letter_window: int = 1_000
    dead_letter_run: int = 50
    effects_max: int = 32
    declare_topics: bool = True
    replication_factor: int = 1
    topic_wait_seconds: float = 30.0
    topic_check_seconds: float = 10.0
    partition_key: PartitionKey = whole_key
    clock: Clock = field(default_factory=SystemClock)
    runtime: Runtime = field(default_factory=SystemRuntime)
    journal_codec: JournalCodec = field(default_factory=JsonCodec)
    describe: Mapping[str, Any] = field(default_factory=dict)
    client: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        pinned = PINNED_COMMON.keys() | PINNED_CONSUMER.keys() | PINNED_PRODUCER.keys() | _OURS
        refused = sorted(pinned & set(self.client))
        if refused:
            raise ConfigError(
                f"{', '.join(refused)}: pinned by the engine, because the promise rests on it; remove the override"
            )
        for name, allowed in (
            ("start_from", ("earliest", "latest")),
            ("membership", ("static", "dynamic")),
            ("poison", ("continue", "stop")),
            ("store", ("memory://", "rocksdb://")),
        ):
            if getattr(self, name) not in allowed:
                raise ConfigError(
                    f"{name} is one of {', '.join(allowed)}, not {getattr(self, name)!r}"
                )
        for name, least in _LEAST.items():
            if getattr(self, name) < least:
                raise ConfigError(f"{name} is at least {least}, not {getattr(self, name)}")
        require_name("instance_id", self.instance_id)
        if self.poison_retries < 0 or not 0 <= self.poison_backoff <= BACKOFF_MAX_SECONDS:
            raise ConfigError(
                f"poison_retries is not below 0, poison_backoff is 0 to {BACKOFF_MAX_SECONDS:g} seconds"
            )
        if not 0 <= self.dead_letter_rate <= 1 or self.dead_letter_run < 0:
            raise ConfigError("dead_letter_rate is 0 to 1, dead_letter_run is not below 0")
        if not 1 <= self.dead_letter_window <= WINDOW_MAX:
            raise ConfigError(f"dead_letter_window is 1 to {WINDOW_MAX} records")

    def common(self) -> dict[str, Any]:
        """Return what every client of the engine is made with."""
        return {**self.client, **PINNED_COMMON, "bootstrap.servers": self.bootstrap}
