"""What the topics say, read by a program that imports nothing of the engine."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Iterable
from typing import Any, NamedTuple

from confluent_kafka import (
    Consumer,
    IsolationLevel,
    KafkaError,
    KafkaException,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, NewTopic, OffsetSpec


class Row(NamedTuple):
    """One record."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes | None]]


class Oracle:
    """Reads topics, ends and committed offsets of one broker."""

    def __init__(self, bootstrap: str) -> None:
        self.bootstrap = bootstrap
        self.admin = AdminClient({"bootstrap.servers": bootstrap})
        self._groups: dict[str, Consumer] = {}

    def create(self, topic: str, partitions: int = 1, *, compact: bool = False) -> str:
        """Create a topic and return its name."""
        policy = {"cleanup.policy": "compact" if compact else "delete"}
        new = NewTopic(topic, partitions, 1, config=policy)
        self.admin.create_topics([new])[topic].result(20)
        return topic

    def producer(self, **options: Any) -> Producer:
        """A producer that places keys as the Java client does."""
        return Producer(
            {
                "bootstrap.servers": self.bootstrap,
                "enable.idempotence": True,
                "partitioner": "murmur2_random",
                "linger.ms": 2,
                "log_level": 0,
                **options,
            }
        )

    def write(self, topic: str, rows: Iterable[tuple[Any, Any]], **options: Any) -> None:
        """Write (key, value) pairs and wait for the broker's word."""
        producer = self.producer()
        for key, value in rows:
            producer.produce(topic, value, key, **options)
        assert producer.flush(20) == 0

    def partitions(self, topic: str) -> list[TopicPartition]:
        """The partitions of a topic; none where it is not there."""
        known = self.admin.list_topics(timeout=10).topics.get(topic)
        return [TopicPartition(topic, p) for p in sorted(known.partitions)] if known else []

    def ends(self, topics: Iterable[str], *, stable: bool) -> dict[tuple[str, int], int]:
        """Last stable offset, or log end, of each partition."""
        level = IsolationLevel.READ_COMMITTED if stable else IsolationLevel.READ_UNCOMMITTED
        asked = {tp: OffsetSpec.latest() for topic in topics for tp in self.partitions(topic)}
        if not asked:
            return {}
        for pause in (0.05, 0.1, 0.2, 0.4, 0.8, 1.6):
            found = self.admin.list_offsets(asked, isolation_level=level, request_timeout=20)
            try:
                return {(tp.topic, tp.partition): f.result().offset for tp, f in found.items()}
            except KafkaException:  # a topic of a moment ago has no leader yet
                threading.Event().wait(pause)
        raise AssertionError(f"the ends of {sorted(topics)} are not to be had")

    def hanging(self, topics: Iterable[str]) -> bool:
        """Whether a transaction is open on any of the topics: LSO before the log's end."""
        topics = list(topics)
        return self.ends(topics, stable=True) != self.ends(topics, stable=False)

    def committed(self, group: str, topics: Iterable[str]) -> dict[tuple[str, int], int]:
        """Committed offsets of a group, by a consumer that never joins it; none while nobody knows.

        The admin client's call for it ended the process once while the coordinator was loading.
        """
        consumer = self._groups.get(group)
        if consumer is None:
            consumer = self._groups[group] = Consumer(
                {
                    "bootstrap.servers": self.bootstrap,
                    "group.id": group,
                    "enable.auto.commit": False,
                    "isolation.level": "read_uncommitted",
                    "log_level": 0,
                }
            )
        asked = [tp for topic in topics for tp in self.partitions(topic)]
        try:
            found = consumer.committed(asked, timeout=10)
        except KafkaException as error:
            passing = (KafkaError._TIMED_OUT, KafkaError.NOT_COORDINATOR, KafkaError.COORDINATOR_NOT_AVAILABLE, KafkaError.COORDINATOR_LOAD_IN_PROGRESS)  # fmt: skip
            if error.args[0].retriable() or error.args[0].code() in passing:
                return {}  # the group's coordinator is not found yet: nobody knows
            raise
        return {(tp.topic, tp.partition): tp.offset for tp in found if tp.offset >= 0}

    def read(self, topic: str, *, uncommitted: bool = False) -> list[Row]:
        """Every record of a topic, partition by partition, in offset order."""
        consumer = Consumer(
            {
                "bootstrap.servers": self.bootstrap,
                "group.id": "oracle-unused",
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
                "isolation.level": "read_uncommitted" if uncommitted else "read_committed",
                "enable.partition.eof": True,
                "log_level": 0,
            }
        )
        rows: list[Row] = []
        try:
            open_ones = {tp.partition for tp in self.partitions(topic)}
            consumer.assign([TopicPartition(topic, p, 0) for p in sorted(open_ones)])
            deadline = time.monotonic() + 60
            while open_ones:
                assert time.monotonic() < deadline, f"{topic} does not end"
                for m in consumer.consume(5000, 0.2):
                    error = m.error()
                    if error is None:
                        rows.append(_row(m))
                    elif error.code() == KafkaError._PARTITION_EOF:
                        open_ones.discard(m.partition() or 0)
                    else:
                        raise AssertionError(error.str())
        finally:
            consumer.close()
        return sorted(rows, key=lambda row: (row.partition, row.offset))

    def fold(self, topic: str) -> dict[int, dict[bytes, bytes]]:
        """A changelog folded from its start: last value by key, by partition."""
        tables: dict[int, dict[bytes, bytes]] = defaultdict(dict)
        for row in self.read(topic):
            assert row.key is not None
            if row.value is None:
                tables[row.partition].pop(row.key, None)
            else:
                tables[row.partition][row.key] = row.value
        return dict(tables)

    def settled(self, group: str, inputs: list[str], outputs: list[str]) -> bool:
        """Whether nothing is open, and the group stands at the last stable offset of its inputs."""
        stable = self.ends([*inputs, *outputs], stable=True)
        if stable != self.ends([*inputs, *outputs], stable=False):
            return False
        committed = self.committed(group, inputs)
        return all(
            committed.get(tp) == end or (end == 0 and committed.get(tp, 0) <= 0)
            for tp, end in stable.items()
            if tp[0] in inputs
        )


def _row(m: Any) -> Row:
    return Row(m.topic(), m.partition(), m.offset(), m.key(), m.value(), list(m.headers() or ()))
