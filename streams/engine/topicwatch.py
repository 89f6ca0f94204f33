"""Looks now and then whether the topics are still those that the worker started on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient

from streams.engine.errors import ConfigError, UnreachableError


@dataclass(frozen=True, slots=True)
class TopicFacts:
    """What makes a topic the same topic: its id, and how many partitions its keys are spread over."""

    topic_id: str
    partitions: int


def facts_of(admin: AdminClient, topics: Iterable[str]) -> dict[str, TopicFacts]:
    """Return id and partition count of the topics that are there.

    Raises:
        UnreachableError: the broker does not tell.
    """
    found = {}
    for topic, answer in admin.describe_topics(
        TopicCollection(sorted(topics)), request_timeout=15.0
    ).items():
        try:
            described = answer.result()
        except KafkaException as error:
            if error.args[0].code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
                continue
            raise UnreachableError(
                f"what topic {topic} is, is not to be had: {error.args[0].str()}"
            ) from error
        key = described.topic_id
        most, least = key.get_most_significant_bits(), key.get_least_significant_bits()
        found[topic] = TopicFacts(
            f"{most % 2**64:016x}{least % 2**64:016x}", len(described.partitions)
        )
    return found


class TopicWatch:
    """The topics of one processor, as they were when its worker started."""

    def __init__(self, admin: AdminClient, topics: Iterable[str]) -> None:
        self._admin = admin
        self._known = facts_of(admin, topics)

    def look(self) -> None:
        """Compare the topics with what they were.

        Raises:
            ConfigError: a topic has other partitions, was deleted, or is another one of the same name.
            UnreachableError: the broker does not tell; the next look may.
        """
        now = facts_of(self._admin, self._known)
        for topic, was in self._known.items():
            is_now = now.get(topic)
            if is_now is None:
                raise ConfigError(
                    f"topic {topic} was deleted while this worker ran: what it held is lost to the processor; "
                    "bring it back from a copy, or start anew with another app id"
                )
            if is_now.topic_id != was.topic_id:
                raise ConfigError(
                    f"topic {topic} was deleted and made again while this worker ran: its committed offsets "
                    "mean nothing there; reset the group, or start anew with another app id"
                )
            if is_now.partitions != was.partitions:
                raise ConfigError(
                    f"topic {topic} has {is_now.partitions} partitions now, and had {was.partitions} when this worker "
                    "started: keys move to partitions whose tables know nothing of them; a new app id with a "
                    "replay of the history is the way to another count"
                )
