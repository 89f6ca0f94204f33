"""Reads whole partitions, read committed, outside of any group."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from confluent_kafka import Consumer, IsolationLevel, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from streams.engine.clientlog import admin_client, client_logger
from streams.engine.errors import UnreachableError
from streams.engine.event import Message
from streams.engine.messages import place_of, record_of
from streams.engine.runtime import Runtime, SystemRuntime
from streams.engine.settings import EngineSettings


def plain_consumer(settings: EngineSettings, name: str) -> Consumer:
    """Return a consumer that joins no group and commits nothing."""
    consumer: Consumer = settings.runtime.consumer(
        {
            **settings.common(),
            "group.id": f"{name}-unused",
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "isolation.level": "read_committed",
            "auto.offset.reset": "earliest",
            "enable.partition.eof": True,
            "fetch.wait.max.ms": 50,
            "queued.min.messages": 100_000,
        },
        client_logger(name),
    )
    return consumer


SYSTEM = SystemRuntime()

_NO_LEADER = frozenset(
    {
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.UNKNOWN_TOPIC_OR_PART,
    }
)


def log_ends(
    admin: AdminClient,
    partitions: list[tuple[str, int]],
    *,
    committed: bool = False,
    timeout: float = 15.0,
    runtime: Runtime = SYSTEM,
) -> dict[tuple[str, int], int]:
    """Return the end of each partition: of the log, or the last stable offset where `committed`."""
    asked = {TopicPartition(t, p): OffsetSpec.latest() for t, p in partitions}
    if not asked:
        return {}
    level = IsolationLevel.READ_COMMITTED if committed else IsolationLevel.READ_UNCOMMITTED
    deadline = runtime.monotonic() + timeout
    while True:
        try:
            answers = admin.list_offsets(asked, isolation_level=level, request_timeout=timeout)
            return {(tp.topic, tp.partition): f.result().offset for tp, f in answers.items()}
        except KafkaException as error:
            cause = error.args[0]
            # A topic that was created a moment ago has no leader yet.
            passing = cause.code() in _NO_LEADER or cause.retriable()
            if not passing or runtime.monotonic() > deadline:
                raise UnreachableError(
                    f"the ends of the logs are not to be had: {cause.str()}"
                ) from error
            runtime.sleep(0.05)


def read_until(
    consumer: Consumer,
    starts: dict[tuple[str, int], int],
    ends: dict[tuple[str, int], int],
    take: Callable[[Message], Any],
    patience: float,
    runtime: Runtime = SYSTEM,
) -> dict[tuple[str, int], int]:
    """Hand over the records of partitions from `starts` until the position reaches `ends`.

    Returns:
        The position reached, by partition.
    Raises:
        UnreachableError: nothing came for `patience` seconds; the error names the partition.
    """

    def take_all(_: tuple[str, int], messages: list[Any]) -> None:
        for m in messages:
            take(record_of(m))

    return read_chunks(consumer, starts, ends, take_all, patience, runtime)


def read_chunks(
    consumer: Consumer,
    starts: dict[tuple[str, int], int],
    ends: dict[tuple[str, int], int],
    take: Callable[[tuple[str, int], list[Any]], Any],
    patience: float,
    runtime: Runtime = SYSTEM,
    stopped: Callable[[], bool] = bool,
) -> dict[tuple[str, int], int]:
    """Read partitions from `starts` until the position reaches `ends`: markers are no records.

    Args:
        consumer: of its own; its assignment is replaced.
        starts: first offset, by partition.
        ends: what the position must reach.
        take: given a partition and some of its records in order, as the client hands them out.
        patience: seconds without any progress.
        runtime: its clock.
        stopped: whether nobody waits for it any more.
    Returns:
        The position reached, by partition; short of the ends where it was stopped.
    Raises:
        UnreachableError: nothing came for `patience` seconds; the error names the partition.
    """
    positions = {tp: max(start, 0) for tp, start in starts.items()}
    missing = {tp for tp, start in positions.items() if start < ends.get(tp, 0)}
    if not missing:
        return positions
    consumer.assign([TopicPartition(t, p, positions[t, p]) for t, p in sorted(missing)])
    progress = runtime.monotonic()
    while missing and not stopped():
        records, reached = _next_chunk(consumer)
        for tp, messages in records.items():
            take(tp, messages)
            positions[tp] = place_of(messages[-1])[2] + 1
        for tp, offset in reached.items():
            if offset > positions[tp] or positions[tp] >= ends[tp]:
                positions[tp] = max(positions[tp], offset)
                records.setdefault(tp, [])
        if records:
            progress = runtime.monotonic()
            missing.difference_update(tp for tp in records if positions[tp] >= ends[tp])
        if runtime.monotonic() - progress > patience:
            topic, partition = min(missing)
            raise UnreachableError(
                f"{topic}[{partition}] stands at {positions[topic, partition]} of {ends[topic, partition]} for "
                f"{patience:g} s: a transaction may hang there; `kafka-transactions.sh find-hanging` names it"
            )
    consumer.unassign()
    return positions


def _next_chunk(
    consumer: Consumer,
) -> tuple[dict[tuple[str, int], list[Any]], dict[tuple[str, int], int]]:
    """Return what has come, by partition: records in their order, and the ends that were reached."""
    records: dict[tuple[str, int], list[Any]] = {}
    reached: dict[tuple[str, int], int] = {}
    # One with patience, then what is there: `consume` waits its whole time-out for a full chunk.
    first = consumer.poll(0.1)
    came: list[Any] = [] if first is None else [first, *consumer.consume(5_000, 0)]
    for m in came:
        error = m.error()
        if error is None:
            tp = (m.topic(), m.partition())
            found = records.get(tp)
            if found is None:
                records[tp] = [m]
            else:
                found.append(m)
        elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001
            topic, partition, offset = place_of(m)
            reached[topic, partition] = offset
    return records, reached


def read_all(
    settings: EngineSettings, topics: list[str], name: str = "reader", patience: float = 30.0
) -> Iterator[Message]:
    """Yield every committed record of topics up to their last stable offset, partition by partition."""
    admin = admin_client(settings)
    consumer = plain_consumer(settings, name)
    try:
        for topic in topics:
            for partition in partitions_of(admin, topic):
                found: list[Message] = []
                tp = (topic, partition)
                low, _ = consumer.get_watermark_offsets(TopicPartition(*tp), timeout=10.0)
                read_until(
                    consumer,
                    {tp: low},
                    log_ends(admin, [tp], committed=True),
                    found.append,
                    patience,
                )
                yield from found
    finally:
        consumer.close()


def partitions_of(admin: AdminClient, topic: str) -> list[int]:
    """Return the partitions of a topic; none where it is not there."""
    known = admin.list_topics(topic, timeout=10.0).topics.get(topic)
    return sorted(known.partitions) if known is not None and known.error is None else []
