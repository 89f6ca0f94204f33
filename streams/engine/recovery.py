"""Brings tables up to the log end of their changelogs, read committed, in a thread of its own."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any, Final

from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType

from streams.engine.clientlog import admin_client
from streams.engine.errors import UnreachableError
from streams.engine.event import Message
from streams.engine.failpoints import failpoint
from streams.engine.messages import record_of
from streams.engine.reader import log_ends, plain_consumer, read_chunks, read_until
from streams.engine.settings import TRANSACTION_SECONDS, EngineSettings
from streams.engine.store.port import Standing, StateStore
from streams.engine.topicwatch import facts_of

log = logging.getLogger(__name__)

PATIENCE_SECONDS = TRANSACTION_SECONDS + 10.0 + 30.0
"""Transaction time-out, the broker's clean-up interval, and a margin."""
DELETE_RETENTION: Final = "delete.retention.ms"
DEFAULT_RETENTION_SECONDS = 86_400.0
"""Kafka's default, taken where the broker does not tell."""

Place = tuple[str, int]


def restore(
    stores: StateStore,
    tables: list[Any],
    partitions: list[int],
    settings: EngineSettings,
    stopped: Callable[[], bool] = bool,
) -> int:
    """Restore every table's partitions from where its store stands.

    The caller has seen stable committed offsets of the partitions' sources first: only then does the
    log end cover whatever the old owner's last transaction wrote.

    Args:
        stores: the worker's state.
        tables: all of the app's.
        partitions: those that are ours now; no other is followed any longer.
        settings: where Kafka is.
        stopped: whether the partitions are gone again, or the worker ends: what was read stays, and the
            rest is for the next time.
    Returns:
        Number of changelog records read.
    Raises:
        StoreError: the disk fails.
        UnreachableError: a changelog does not come to its end.
    """
    stores.attach(partitions)
    if not tables or not partitions:
        return 0
    names = {table.changelog_topic.get_topic_name(): table.name for table in tables}
    wanted = [(topic, partition) for topic in names for partition in partitions]
    count = 0

    def take(place: Place, messages: list[Any]) -> None:
        nonlocal count
        topic, partition = place
        rows = [(key, m.value()) for m in messages if (key := m.key()) is not None]
        after = messages[-1].offset() + 1
        stores.restore(names[topic], partition, rows, after, topic_ids[topic])
        count += len(messages)
        for _ in messages:
            failpoint("during_restore")

    admin = admin_client(settings)
    consumer = plain_consumer(settings, "recovery")
    try:
        ends = log_ends(admin, wanted, runtime=settings.runtime)
        topic_ids = _topic_ids(admin, list(names))
        retention = _Retention(admin)
        starts: dict[Place, int] = {}
        for topic, partition in wanted:
            low, _ = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=10.0)
            standing = stores.standing(names[topic], partition)
            if standing is not None:
                reason = reason_to_wipe(
                    standing,
                    (low, ends[topic, partition]),
                    topic_ids[topic],
                    time.time(),
                    retention.of(topic),
                )
                if reason:
                    log.warning("%s[%d]: %s: restored anew", topic, partition, reason)
                    stores.wipe(names[topic], partition)
                    standing = None
            starts[topic, partition] = max(0 if standing is None else standing.position, low)
        reached = read_chunks(
            consumer, starts, ends, take, PATIENCE_SECONDS, settings.runtime, stopped
        )
        if stopped():
            return count
        for (topic, partition), position in reached.items():
            stores.follow(names[topic], partition, position, topic_ids[topic])
    finally:
        consumer.close()
    return count


def reason_to_wipe(
    standing: Standing, bounds: tuple[int, int], topic_id: str, now: float, retention: float
) -> str:
    """Return in words why a store cannot go on from where it stands; empty where it can.

    Args:
        standing: of one table's partition.
        bounds: first offset of the changelog, and its end.
        topic_id: the changelog's, as it is now.
        now: wall time, seconds.
        retention: how long the changelog keeps tombstones, seconds.
    """
    low, end = bounds
    if standing.topic_id != topic_id:
        return f"the changelog is another topic of the same name ({standing.topic_id} is now {topic_id})"
    if standing.position > end:
        return f"the store stands at {standing.position}, behind the log's end {end}"
    if 0 < standing.position < low:
        return f"the store stands at {standing.position}, before the log's start {low}"
    # Clocks jump: neither the last use nor the present is known better than this.
    margin = min(3_600.0, retention / 2)
    age = now - standing.used
    if age > retention - margin:
        return f"it was last used {age:.0f} s ago, and tombstones are kept for {retention:.0f} s"
    if age < -margin:
        return f"it was last used {-age:.0f} s in the future, so its age is not known"
    return ""


def _topic_ids(admin: AdminClient, topics: list[str]) -> dict[str, str]:
    """Return the id of each changelog: one that was deleted and made again has another."""
    facts = facts_of(admin, topics)
    missing = sorted(set(topics) - set(facts))
    if missing:
        raise UnreachableError(f"changelog {missing[0]} is not there")
    return {topic: fact.topic_id for topic, fact in facts.items()}


class _Retention:
    """How long topics keep tombstones; asked for once each."""

    def __init__(self, admin: AdminClient) -> None:
        self._admin = admin
        self._known: dict[str, float] = {}

    def of(self, topic: str) -> float:
        """Return the seconds; Kafka's default where we may not ask."""
        if topic not in self._known:
            asked = ConfigResource(ResourceType.TOPIC, topic)
            answer = self._admin.describe_configs([asked], request_timeout=15.0)[asked]
            try:
                self._known[topic] = float(answer.result()[DELETE_RETENTION].value) / 1000
            except KafkaException as error:
                log.info("%s: %s is not told: %s", topic, DELETE_RETENTION, error.args[0].str())
                self._known[topic] = DEFAULT_RETENTION_SECONDS
        return self._known[topic]


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
