"""Reads topics for commands: committed records only, in no group, up to the end as it stands."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any, TypeVar

from processors.errors import DecodeError, UnavailableError
from processors.records.base import Record
from schemas.codec import Codecs
from streams.engine.errors import UnreachableError
from streams.engine.event import Message
from streams.engine.reader import read_all
from streams.engine.settings import EngineSettings
from streams.settings import Settings
from streams.topics import Topic

R = TypeVar("R", bound=Record)
log = logging.getLogger(__name__)


def engine_settings(settings: Settings) -> EngineSettings:
    """Return what the engine's readers are made with.

    Args:
        settings: of the process.
    """
    return EngineSettings(bootstrap=settings.kafka.bootstrap, client=settings.kafka_client)


def messages(settings: Settings, names: list[str]) -> Iterator[Message]:
    """Yield every committed record of topics, partition by partition.

    Args:
        settings: of the process.
        names: of topics; one that is not there has no record.
    Raises:
        UnavailableError: Kafka does not answer.
    """
    try:
        yield from read_all(engine_settings(settings), names, "fillonce")
    except UnreachableError as error:
        raise UnavailableError("Kafka does not answer", error=str(error)) from error


def records(settings: Settings, codecs: Codecs, topic: Topic) -> Iterator[tuple[Message, Any]]:
    """Yield every record of a topic with the message that carried it; None for a tombstone.

    What cannot be read is left out: it is the processors' to dead-letter, not a command's.

    Args:
        settings: of the process.
        codecs: of the process.
        topic: of the catalogue.
    """
    if topic.record is None:
        return
    codec = codecs.codec(topic.record)
    for message in messages(settings, [topic.name]):
        if message.value is None:
            yield message, None
            continue
        try:
            yield message, codec.decode(message.value, trusted=topic.name.endswith("-changelog"))
        except DecodeError as error:
            log.warning(
                "%s[%d]@%d is left out: %s", topic.name, message.partition, message.offset, error
            )


def newest(settings: Settings, codecs: Codecs, topic: Topic) -> dict[str, Any]:
    """Return the newest record of each key of a compacted topic, keys in order.

    Args:
        settings: of the process.
        codecs: of the process.
        topic: of the catalogue.
    """
    found: dict[str, Any] = {}
    for message, record in records(settings, codecs, topic):
        key = (message.key or b"").decode(errors="replace")
        if record is None:
            found.pop(key, None)
        else:
            found[key] = record
    return {key: found[key] for key in sorted(found)}
