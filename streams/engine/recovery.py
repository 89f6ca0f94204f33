"""Brings tables up to the log end of their changelogs, read committed, in a thread of its own."""

from __future__ import annotations

import logging
from typing import Any

from confluent_kafka import TopicPartition

from streams.engine.client import admin_client
from streams.engine.event import Message
from streams.engine.failpoints import failpoint
from streams.engine.messages import record_of
from streams.engine.reader import log_ends, plain_consumer, read_until
from streams.engine.settings import TRANSACTION_SECONDS, EngineSettings

log = logging.getLogger(__name__)

PATIENCE_SECONDS = TRANSACTION_SECONDS + 10.0 + 30.0
"""Transaction time-out, the broker's clean-up interval, and a margin."""


def restore(tables: list[Any], partitions: list[int], settings: EngineSettings) -> int:
    """Restore every table's partitions from where its store stands.

    The caller has seen stable committed offsets of the partitions' sources first: only then does the
    log end cover whatever the old owner's last transaction wrote.

    Returns:
        Number of changelog records read.
    """
    if not tables or not partitions:
        return 0
    admin = admin_client(settings)
    consumer = plain_consumer(settings, "recovery")
    by_topic = {table.changelog_topic.get_topic_name(): table for table in tables}
    wanted = [(topic, partition) for topic in by_topic for partition in partitions]
    count = 0

    def take(message: Message) -> None:
        nonlocal count
        table = by_topic[message.topic]
        table.store.restore(message.partition, table.load_key(message.key), message.value)
        count += 1
        failpoint("during_restore")

    try:
        ends = log_ends(admin, wanted, runtime=settings.runtime)
        starts: dict[tuple[str, int], int] = {}
        for topic, partition in wanted:
            store = by_topic[topic].store
            low, _ = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=10.0)
            start = store.positions.get(partition, 0)
            if start > ends[topic, partition] or (start and start < low):
                log.warning(
                    "%s[%d]: the store stands at %d, outside of the log: restored anew",
                    topic,
                    partition,
                    start,
                )
                store.wipe(partition)
                start = 0
            starts[topic, partition] = max(start, low)
        for (topic, partition), position in read_until(
            consumer, starts, ends, take, PATIENCE_SECONDS, settings.runtime
        ).items():
            by_topic[topic].store.positions[partition] = position
    finally:
        consumer.close()
    return count


class GlobalReader:
    """Keeps global tables at the end of their topics; applied only between batches."""

    def __init__(self, tables: list[Any], settings: EngineSettings) -> None:
        self._settings = settings
        self._by_topic = {table.topic.get_topic_name(): table for table in tables}
        self._consumer = plain_consumer(settings, "globals") if tables else None

    def _take(self, message: Message) -> None:
        if message.key is not None:
            self._by_topic[message.topic].apply(message.key, message.value)

    def load(self) -> None:
        """Read every global table to its end, then go on from there."""
        if self._consumer is None:
            return
        admin = admin_client(self._settings)
        partitions = [
            (topic, partition)
            for topic in self._by_topic
            for partition in admin.list_topics(topic, timeout=10.0).topics[topic].partitions
        ]
        ends = log_ends(admin, partitions, runtime=self._settings.runtime)
        starts = dict.fromkeys(partitions, 0)
        for tp in partitions:
            starts[tp] = self._consumer.get_watermark_offsets(TopicPartition(*tp), timeout=10.0)[0]
        positions = read_until(
            self._consumer, starts, ends, self._take, PATIENCE_SECONDS, self._settings.runtime
        )
        self._consumer.assign([TopicPartition(t, p, o) for (t, p), o in positions.items()])

    def advance(self) -> None:
        """Take in what has come; does not wait."""
        if self._consumer is None:
            return
        for m in self._consumer.consume(10_000, 0):
            if m.error() is None:
                self._take(record_of(m))

    def close(self) -> None:
        """Close the consumer."""
        if self._consumer is not None:
            self._consumer.close()
