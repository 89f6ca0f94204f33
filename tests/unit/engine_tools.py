"""An app of the engine without a broker, and events made by hand."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from streams.engine import App, Event, Message
from streams.engine.batch import Output, PartitionBatch
from streams.engine.event import current

RAW: dict[str, Any] = {
    "key_type": str,
    "value_type": bytes,
    "key_serializer": "raw",
    "value_serializer": "raw",
}


def make_app(**options: Any) -> App:
    """An app that never connects."""
    return App("unit", broker="kafka://127.0.0.1:1", **options)


def message(
    topic: str = "in",
    partition: int = 0,
    offset: int = 0,
    stamp: int = 0,
    key: bytes | None = b"k",
    value: bytes | None = b"v",
    headers: list[tuple[str, bytes | None]] | None = None,
) -> Message:
    """A record as it was read."""
    return Message(topic, partition, offset, stamp, key, value, headers)


def as_read(output: Output, offset: int = 0, stamp: int | None = None) -> Message:
    """An output as it is read from its topic."""
    topic, partition, key, value, headers, sent = output
    return message(topic, partition, offset, sent if stamp is None else stamp, key, value, headers)


def make_batch(partition: int = 0, now: int = 1_000_000, **known: Any) -> PartitionBatch:
    """One partition's share of a transaction."""
    return PartitionBatch("unit", partition, 1, now, **known)


def make_event(
    app: Any = None, batch: PartitionBatch | None = None, at: Message | None = None
) -> Event:
    """An event of a record."""
    batch = batch or make_batch()
    at = at or message(partition=batch.partition)
    return Event(app, at.key.decode() if at.key else None, at.value, at, batch)


@contextmanager
def in_hand(event: Event | None) -> Iterator[Event | None]:
    """Put an event into the hand of the running context, as a stream does."""
    token = current.set(event)
    try:
        yield event
    finally:
        current.reset(token)
