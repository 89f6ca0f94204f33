"""Sends records for commands: idempotent, to the partition that every producer of the house picks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from confluent_kafka import Producer

from processors.errors import ConfigError, UnavailableError
from processors.records.base import Record
from schemas.codec import Codecs
from streams.cli.provision import admin_of, counts
from streams.engine.partitioner import first_part, partition_of
from streams.settings import Settings
from streams.topics import topic_of


@dataclass(frozen=True, slots=True)
class Sent:
    """Where a record stands now."""

    topic: str
    partition: int
    offset: int
    key: str


def send_all(settings: Settings, codecs: Codecs, records: Sequence[Record]) -> list[Sent]:
    """Send records to their topics, and return when the broker has them all.

    Args:
        settings: of the process.
        codecs: of the process.
        records: in the order in which they are to be sent.
    Returns:
        Where each stands, in the same order.
    Raises:
        ConfigError: a topic is not there.
        UnavailableError: the broker did not take one; what it took before stays.
    """
    if not records:
        return []
    partitions = counts(admin_of(settings))
    producer = Producer(
        {
            **settings.kafka_client,
            "bootstrap.servers": settings.kafka.bootstrap,
            "enable.idempotence": True,
            "message.timeout.ms": 15_000,
            "linger.ms": 5,
            "log_level": 0,
        }
    )
    sent: list[Any] = [None] * len(records)
    for index, record in enumerate(records):
        topic = topic_of(record)
        if topic.name not in partitions:
            raise ConfigError(
                "a topic is not there", topic=topic.name, hint="`fillonce topics apply` creates it"
            )
        key = topic.key_of(record)

        def note(error: Any, message: Any, index: int = index) -> None:
            sent[index] = error or message

        producer.produce(
            topic.name,
            codecs.codec(type(record)).encode(record),
            key.encode(),
            partition_of(first_part(key.encode()), partitions[topic.name]),
            on_delivery=note,
        )
        producer.poll(0)
    producer.flush(20.0)
    return [_place(answer) for answer in sent]


def _place(answer: Any) -> Sent:
    if answer is None or not hasattr(answer, "offset"):
        cause = "no answer in time" if answer is None else str(answer)
        raise UnavailableError("Kafka did not take a record", error=cause)
    return Sent(answer.topic(), answer.partition(), answer.offset(), answer.key().decode())
