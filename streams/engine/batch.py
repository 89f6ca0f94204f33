"""What one transaction collects for one partition: runs, digests, table writes, global reads."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from math import inf
from typing import Any

from streams.engine.digest import TOPIC, Digest, segments
from streams.engine.event import Message, from_micros
from streams.engine.store.port import EncodedRow

Output = tuple[str, int, bytes | None, bytes | None, list[tuple[str, bytes | None]], int]
"""One record sent: topic, partition (-1: that of its key), key, value, headers, time stamp in ms."""


class PartitionBatch:
    """One partition's share of a transaction."""

    def __init__(
        self,
        app_name: str,
        partition: int,
        sequence: int,
        now_micros: int,
        known: dict[tuple[str, bytes], int] | None = None,
        known_scans: dict[str, int] | None = None,
        overlay_limit: float = inf,
    ) -> None:
        self.app_name = app_name
        self.known = known or {}
        self.known_scans = known_scans or {}
        self.partition = partition
        self.sequence = sequence
        self.now_micros = now_micros
        self.now_millis = now_micros // 1000
        self.now: datetime = from_micros(now_micros)
        self.runs: list[list[Any]] = []
        self.mentions: list[tuple[str, bytes, bytes | None]] = []
        self.mentioned: dict[tuple[str, bytes], int] = {}
        self.scanned: dict[str, int] = {}
        self.writes: dict[str, dict[Any, Any]] = {}
        self.rows: dict[str, list[EncodedRow]] = {}
        self.below: dict[str, dict[Any, Any]] | None = None
        """Writes of the transaction before, while it is being committed."""
        self.overlay_bytes = 0
        self.overlay_limit = overlay_limit
        self.after_commit: list[tuple[str, Callable[[], Awaitable[Any]] | Awaitable[Any]]] = []
        self.sent: list[Output] = []
        self.taken: list[Message] = []
        self.changelog = Digest()
        self.prefixes: dict[str, str] = {}
        self.mutations = 0

    @property
    def leaves_a_trace(self) -> bool:
        """Whether there is anything to commit: a clock tick alone leaves none."""
        return bool(self.taken or self.sent or any(self.writes.values()))

    @property
    def full(self) -> bool:
        """Whether so much is staged that the batch is to end after the event in hand; never in a replay."""
        return self.overlay_bytes > self.overlay_limit

    @property
    def inputs(self) -> Digest:
        """Digest of all that was handed out or went to the dead letters, in order."""
        digest = Digest()
        digest.inputs(self.taken)
        return digest

    @property
    def outputs(self) -> Digest:
        """Digest of all that was sent, in the order of its cause."""
        digest = Digest()
        digest.outputs(self.sent)
        return digest

    def take(self, messages: Sequence[Message]) -> None:
        """Note records as inputs, in the order they are handed out: they continue the newest run, or begin one."""
        runs = self.runs
        for topic, group in segments(messages, TOPIC):
            if runs and runs[-1][0] == "records" and runs[-1][1] == topic:
                runs[-1][3] = group[-1].offset
            else:
                runs.append(["records", topic, group[0].offset, group[-1].offset])
        self.taken += messages

    def bury(self, message: Message, reason: str) -> None:
        """Note a record that goes to the dead letters: an input too, in a run of its own."""
        self.runs.append(["dead", message.topic, message.offset, reason])
        self.taken.append(message)

    def tick(self, every: float) -> None:
        """Note a clock tick; its time is the batch's `now`."""
        self.runs.append(["clock", every])

    def cause(self, message: Message, index: int) -> str:
        """Return what caused an output: processor, source topic, partition and offset, index of the effect."""
        return f"{self.prefix(message.topic)}{message.offset}|{index}"

    def prefix(self, topic: str) -> str:
        """Return how the causes begin that lie in a topic."""
        prefix = self.prefixes[topic] = f"{self.app_name}|{topic}|{self.partition}|"
        return prefix

    def table(self, name: str) -> dict[Any, Any]:
        """Return the overlay of one table: new value by key, DELETED for a tombstone."""
        self.mutations += 1
        writes = self.writes.get(name)
        if writes is None:
            writes = self.writes[name] = {}
        return writes
