"""Committed history as it stands in the topics: whole topics, single records, group offsets.

Everything is read committed and up to the last stable offset, which is asked for first: a topic
that still grows is read as it was at that moment. Reading joins no group and commits nothing.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NoReturn, Self

from confluent_kafka import (
    Consumer,
    ConsumerGroupTopicPartitions,
    IsolationLevel,
    KafkaError,
    KafkaException,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, OffsetSpec

from processors.errors import ConfigError, UnavailableError

Place = tuple[str, int]
"""Topic and partition."""

CAUSE: Final = "cause"
_BATCH: Final = 10_000


@dataclass(frozen=True, slots=True)
class Cause:
    """What a record says that it follows from."""

    processor: str
    topic: str
    partition: int
    offset: int
    index: int
    """Which of that record's effects it is."""

    @classmethod
    def parse(cls, text: bytes | None) -> Cause | None:
        """Read the header `processor|topic|partition|offset|index`; None where it is not one."""
        parts = (text or b"").decode("utf-8", "replace").split("|")
        if len(parts) != 5 or not all(part.lstrip("-").isdigit() for part in parts[2:]):
            return None
        return cls(parts[0], parts[1], int(parts[2]), int(parts[3]), int(parts[4]))


@dataclass(frozen=True, slots=True)
class Row:
    """One committed record as it stands in its topic."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...] = ()

    def header(self, name: str) -> str | None:
        """Return the text of the last header of a name."""
        for found, value in reversed(self.headers):
            if found == name and value is not None:
                return value.decode("utf-8", "replace")
        return None

    @property
    def cause(self) -> Cause | None:
        """What it follows from; None for what came from outside."""
        text = self.header(CAUSE)
        return None if text is None else Cause.parse(text.encode())

    @property
    def place(self) -> str:
        """Its position for people."""
        return f"{self.topic}[{self.partition}]@{self.offset}"


class Reader:
    """Reads topics of one broker; a context manager.

    Args:
        bootstrap: host:port of the broker.
        patience: seconds without any progress after which the broker counts as out of reach.
        options: further settings of librdkafka, such as TLS.
    """

    def __init__(
        self, bootstrap: str, *, patience: float = 15.0, options: Mapping[str, Any] | None = None
    ) -> None:
        # What librdkafka tells of lost connections ends in our one error.
        silent = logging.getLogger("fillonce.reading")
        silent.setLevel(logging.CRITICAL)
        common = {**(options or {}), "bootstrap.servers": bootstrap}
        self._bootstrap = bootstrap
        self._patience = patience
        try:
            self._admin = AdminClient(dict(common), logger=silent)
            self._consumer = Consumer(
                {
                    **common,
                    "group.id": "fillonce.reading-unused",
                    "enable.auto.commit": False,
                    "enable.auto.offset.store": False,
                    "isolation.level": "read_committed",
                    "auto.offset.reset": "earliest",
                    "enable.partition.eof": True,
                    "fetch.wait.max.ms": 20,
                    "queued.min.messages": 100_000,
                },
                logger=silent,
            )
        except (KafkaException, ValueError) as error:
            raise ConfigError(
                "the Kafka client refuses its settings", bootstrap=bootstrap, reason=str(error)
            ) from error
        self._partitions: dict[str, tuple[int, ...]] | None = None

    def __enter__(self) -> Self:
        """Return the reader."""
        return self

    def __exit__(self, *_error: object) -> None:
        """Close the connections."""
        self._consumer.close()

    def topics(self) -> dict[str, tuple[int, ...]]:
        """Return every topic of the broker with its partitions.

        Raises:
            UnavailableError: the broker does not answer.
        """
        if self._partitions is None:
            try:
                # By the consumer, which then knows the leader of every partition that it is
                # assigned: a topic that it hears of only then costs it a second.
                found = self._consumer.list_topics(timeout=self._patience).topics
            except KafkaException as error:
                self._unavailable(error)
            self._partitions = {
                name: tuple(sorted(topic.partitions))
                for name, topic in sorted(found.items())
                if topic.error is None
            }
        return self._partitions

    def ends(self, topics: Iterable[str]) -> dict[Place, int]:
        """Return the last stable offset of every partition of some topics.

        Raises:
            ConfigError: a topic is not there.
            UnavailableError: the broker does not answer.
        """
        asked = {
            TopicPartition(topic, partition): OffsetSpec.latest()
            for topic in topics
            for partition in self._partitions_of(topic)
        }
        if not asked:
            return {}
        try:
            answers = self._admin.list_offsets(
                asked,
                isolation_level=IsolationLevel.READ_COMMITTED,
                request_timeout=self._patience,
            )
            return {(tp.topic, tp.partition): f.result().offset for tp, f in answers.items()}
        except KafkaException as error:
            self._unavailable(error)

    def committed(self, group: str, topics: Iterable[str]) -> dict[Place, int]:
        """Return the committed offset of a group by partition; 0 where it has none.

        Raises:
            ConfigError: a topic is not there.
            UnavailableError: the broker does not answer.
        """
        asked = [
            TopicPartition(topic, partition)
            for topic in topics
            for partition in self._partitions_of(topic)
        ]
        try:
            answer = self._admin.list_consumer_group_offsets(
                [ConsumerGroupTopicPartitions(group, asked)],
                require_stable=True,
                request_timeout=self._patience,
            )[group].result()
        except KafkaException as error:
            self._unavailable(error)
        found = answer.topic_partitions or []
        return {(tp.topic, tp.partition): max(tp.offset, 0) for tp in found}

    def each(self, topics: Iterable[str], take: Callable[[Row], object]) -> None:
        """Hand over every committed record of some topics, in the order of each partition.

        Args:
            topics: their names; partitions are read side by side.
            take: called once a record.
        Raises:
            ConfigError: a topic is not there.
            UnavailableError: the broker does not answer, or a partition does not go on.
        """
        ends = {place: end for place, end in self.ends(topics).items() if end > 0}

        def go_on(row: Row) -> bool:
            take(row)
            return False

        self._read(dict.fromkeys(ends, 0), ends, go_on)

    def rows(self, topic: str, partition: int | None = None) -> list[Row]:
        """Return every committed record of a topic, or of one of its partitions.

        Raises:
            As `each`.
        """
        found: list[Row] = []
        ends = {
            place: end
            for place, end in self.ends([topic]).items()
            if end > 0 and partition in (None, place[1])
        }

        def take(row: Row) -> bool:
            found.append(row)
            return False

        self._read(dict.fromkeys(ends, 0), ends, take)
        return found

    def at(self, topic: str, partition: int, offset: int) -> Row | None:
        """Return the record at one position; None if it is no record, or is not kept any more.

        Raises:
            As `each`.
        """
        return self.first(topic, partition, offset, lambda row: row.offset == offset, offset)

    def first(
        self,
        topic: str,
        partition: int,
        start: int,
        wanted: Callable[[Row], bool],
        last: int | None = None,
    ) -> Row | None:
        """Return the first record from a position on that is wanted.

        Args:
            topic: its name.
            partition: of the topic.
            start: offset to begin at.
            wanted: says whether a record is the one.
            last: highest offset to look at; the end of the topic if not given.
        Raises:
            As `each`.
        """
        end = self.ends([topic]).get((topic, partition), 0)
        end = end if last is None else min(end, last + 1)
        found: list[Row] = []

        def take(row: Row) -> bool:
            if wanted(row):
                found.append(row)
            return bool(found)

        if start < end:
            self._read({(topic, partition): start}, {(topic, partition): end}, take)
        return found[0] if found else None

    def offset_at(self, topic: str, partition: int, timestamp_ms: int) -> int:
        """Return where to begin to look for records that are not older than a record time.

        The broker's index counts markers and aborted records too: the offset may stand before the
        first such record, never behind it.

        Raises:
            UnavailableError: the broker does not answer.
        """
        asked = TopicPartition(topic, partition, timestamp_ms)
        try:
            (found,) = self._consumer.offsets_for_times([asked], timeout=self._patience)
        except KafkaException as error:
            self._unavailable(error)
        return max(found.offset, 0) if found.offset >= 0 else self.ends([topic])[topic, partition]

    def _partitions_of(self, topic: str) -> tuple[int, ...]:
        partitions = self.topics().get(topic)
        if not partitions:
            raise ConfigError("a topic is not there", topic=topic, bootstrap=self._bootstrap)
        return partitions

    def _read(
        self, starts: Mapping[Place, int], ends: Mapping[Place, int], take: Callable[[Row], bool]
    ) -> None:
        """Read until each position reaches its end, or `take` has what it wants.

        The end is told by the client's position and by its end-of-partition events: commit markers
        and what compaction took are no records.
        """
        missing = {place for place, end in ends.items() if starts[place] < end}
        if not missing:
            return
        self._consumer.assign([TopicPartition(t, p, starts[t, p]) for t, p in sorted(missing)])
        progress = time.monotonic()
        try:
            while missing:
                for message in self._few():
                    place, at_end = self._place_of(message)
                    if place not in missing:
                        continue
                    progress = time.monotonic()
                    row = None if at_end else _row(message)
                    reached = message.offset() if row is None else row.offset + 1
                    if row is not None and row.offset < ends[place] and take(row):
                        return
                    if reached >= ends[place]:
                        missing.discard(place)
                if time.monotonic() - progress > self._patience:
                    topic, partition = min(missing)
                    raise UnavailableError(
                        "a topic could not be read to its end",
                        bootstrap=self._bootstrap,
                        topic=topic,
                        partition=partition,
                        seconds=self._patience,
                    )
        except KafkaException as error:
            self._unavailable(error)
        finally:
            self._consumer.unassign()

    def _few(self) -> list[Any]:
        """Return what is there at once: `consume` waits for its whole time-out."""
        first = self._consumer.poll(0.1)
        return [] if first is None else [first, *self._consumer.consume(_BATCH, 0)]

    def _place_of(self, message: Any) -> tuple[Place, bool]:
        """Return where a message stands, and whether it is the end of its partition."""
        error = message.error()
        at_end = error is not None and error.code() == KafkaError._PARTITION_EOF  # noqa: SLF001
        if error is not None and not at_end:
            if error.retriable() or not error.fatal():
                return ("", -1), True  # the client goes on by itself; patience bounds it
            raise KafkaException(error)
        return (message.topic(), message.partition()), at_end

    def _unavailable(self, error: KafkaException) -> NoReturn:
        told = error.args[0]
        reason = told.str() if isinstance(told, KafkaError) else str(told)
        raise UnavailableError(
            "Kafka did not answer", bootstrap=self._bootstrap, reason=reason
        ) from error


def _row(message: Any) -> Row:
    return Row(
        message.topic(),
        message.partition(),
        message.offset(),
        message.timestamp()[1],
        message.key(),
        message.value(),
        tuple(message.headers() or ()),
    )
