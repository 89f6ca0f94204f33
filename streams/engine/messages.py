"""Records as the client hands them out, made into the engine's own."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from streams.engine.errors import EngineError
from streams.engine.event import Message

Headers = list[tuple[str, bytes | None]]

UNREADABLE: Headers = [("headers.unreadable", None)]
"""In place of headers that the client cannot give out, because a name of theirs is no UTF-8."""


def place_of(m: Any) -> tuple[str, int, int]:
    """Return topic, partition and offset of what the client handed out: a record or an end.

    Raises:
        EngineError: it has none, which librdkafka gives for no record and no end.
    """
    topic, partition, offset = m.topic(), m.partition(), m.offset()
    if topic is None or partition is None or offset is None:
        raise EngineError(f"the client handed out a record without a position: {m!r}")
    return topic, partition, offset


def record_of(m: Any) -> Message:
    """Return a client's record as the engine's message."""
    topic, partition, offset = place_of(m)
    headers = headers_of(m)
    return Message(
        topic,
        partition,
        offset,
        m.timestamp()[1],
        m.key(),
        m.value(),
        headers,
    )


def headers_of(m: Any) -> Headers | None:
    """Return a client's record's headers, UNREADABLE itself where it cannot give them out."""
    try:
        found: Iterable[tuple[str, bytes | None]] | None = m.headers()
        return None if found is None else list(found)
    except (SystemError, UnicodeDecodeError):
        return UNREADABLE


def client_headers(headers: Headers) -> Any:
    """Return headers as `produce` takes them: its type is invariant in what a value may be."""
    return headers or None
