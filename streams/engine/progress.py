"""How far groups are behind the last stable offsets of what they read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache

from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from streams.engine.clientlog import admin_client, client_logger
from streams.engine.declare import partition_counts
from streams.engine.errors import UnreachableError
from streams.engine.event import Message
from streams.engine.messages import record_of
from streams.engine.reader import log_ends, plain_consumer
from streams.engine.settings import EngineSettings

Place = tuple[str, int]


class Progress:
    """Compares committed offsets with last stable ones; joins no group.

    Args:
        settings: where Kafka is.
        inputs: the topics that each group reads.
    """

    def __init__(self, settings: EngineSettings, inputs: Mapping[str, Iterable[str]]) -> None:
        self._admin = admin_client(settings)
        self._inputs = {group: sorted(topics) for group, topics in inputs.items()}
        names = {topic for topics in self._inputs.values() for topic in topics}
        counts = partition_counts(self._admin, names)
        missing = sorted(names - set(counts))
        if missing:
            raise UnreachableError(f"topic {missing[0]} is not there")
        self._members = {
            group: Consumer(
                {
                    **settings.common(),
                    "group.id": group,
                    "enable.auto.commit": False,
                    "isolation.level": "read_committed",
                },
                logger=client_logger(f"progress {group}"),
            )
            for group in self._inputs
        }
        self._places = [(topic, p) for topic in sorted(counts) for p in range(counts[topic])]

    def ends(self) -> dict[Place, int]:
        """Return the last stable offset of every partition that a group reads."""
        return log_ends(self._admin, self._places, committed=True)

    def committed(self) -> dict[tuple[str, str, int], int]:
        """Return committed offsets by group, topic and partition; -1 where they are not stable.

        A consumer of each group is asked, one that never joins it: the admin client's call for this
        was seen to fail while the group's coordinator loads.
        """
        found: dict[tuple[str, str, int], int] = {}
        for group, consumer in self._members.items():
            places = [TopicPartition(t, p) for t, p in self._places if t in self._inputs[group]]
            try:
                answers = consumer.committed(places, timeout=10.0)
            except KafkaException:
                found.update({(group, tp.topic, tp.partition): -1 for tp in places})
                continue
            for tp in answers:
                stable = tp.error is None
                found[group, tp.topic, tp.partition] = max(tp.offset, 0) if stable else -1
        return found

    def lag(self) -> tuple[int, dict[Place, int]]:
        """Return how many offsets all groups together are behind, and the ends it was measured at."""
        committed = self.committed()
        ends = self.ends()
        behind = sum(
            max(ends[topic, partition] - committed.get((group, topic, partition), -1), 0)
            for group, topics in self._inputs.items()
            for topic, partition in self._places
            if topic in topics
        )
        return behind, ends


class Tail:
    """Reads topics forward, read committed, as they grow."""

    def __init__(
        self, settings: EngineSettings, places: list[Place], starts: Mapping[Place, int]
    ) -> None:
        self._consumer: Consumer = plain_consumer(settings, "tail")
        self._consumer.assign([TopicPartition(t, p, starts.get((t, p), 0)) for t, p in places])
        self._positions = {place: starts.get(place, 0) for place in places}

    def read_to(self, ends: Mapping[Place, int], seconds: float = 5.0) -> list[Message]:
        """Return what came, up to the given ends; markers are passed over."""
        found: list[Message] = []
        turns = int(seconds / 0.05) + 1
        while turns and any(at < ends.get(place, 0) for place, at in self._positions.items()):
            turns -= 1
            first = self._consumer.poll(0.05)
            if first is None:
                continue
            for m in [first, *self._consumer.consume(5_000, 0)]:
                if m.error() is None:
                    message = record_of(m)
                    found.append(message)
                    self._positions[message.topic, message.partition] = message.offset + 1
                elif m.topic() is not None and m.partition() is not None and m.offset() is not None:
                    place = (str(m.topic()), int(m.partition() or 0))
                    if place in self._positions:
                        self._positions[place] = max(self._positions[place], int(m.offset() or 0))
        return found

    def close(self) -> None:
        """Close the consumer."""
        self._consumer.close()


@cache
def _admin_of(bootstrap: str) -> AdminClient:
    return admin_client(EngineSettings(bootstrap=bootstrap))


def open_transactions(settings: EngineSettings, topics: list[str]) -> list[str]:
    """Return in words the partitions whose last stable offset lies before the log's end."""
    admin = _admin_of(settings.bootstrap)
    counts = partition_counts(admin, set(topics))
    places = [(topic, p) for topic in sorted(counts) for p in range(counts[topic])]
    stable = log_ends(admin, places, committed=True)
    ends = log_ends(admin, places)
    return [
        f"{topic}[{p}] {stable[topic, p]} < {ends[topic, p]}"
        for topic, p in places
        if stable[topic, p] < ends[topic, p]
    ]
