"""Topics: a send goes into the open transaction, or, outside an event, through a producer of its own."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import faust

from streams.engine.decoding import serializer_of
from streams.engine.event import current, current_event


class Sent:
    """What `await topic.send(...)` gives inside an event: the record is part of the transaction."""

    __slots__ = ()

    def __await__(self) -> Generator[Any, None, None]:
        raise RuntimeError(
            "an agent may not wait for the delivery of its own send: "
            "it is delivered when the transaction commits, after the agent has moved on"
        )


_SENT = Sent()


def header_list(headers: Any) -> list[tuple[str, bytes | None]]:
    """Return headers, given as a mapping or as pairs, as a new list of pairs."""
    if not headers:
        return []
    pairs = headers.items() if hasattr(headers, "items") else headers
    return [(n, v.encode() if isinstance(v, str) else v) for n, v in pairs]


class Topic(faust.Topic):
    """A Faust topic whose sends belong to the transaction of the event in hand."""

    _sent_to: str = ""
    _bytes_pass: bool = False
    _raw_key: bool = False

    async def send(
        self,
        *,
        key: Any = None,
        value: Any = None,
        partition: int | None = None,
        timestamp: float | None = None,
        headers: Any = None,
        schema: Any = None,
        key_serializer: Any = None,
        value_serializer: Any = None,
        callback: Any = None,
        force: bool = False,
    ) -> Any:
        """Send one record.

        Inside an event it joins the transaction at once and nothing can be awaited; outside of one it
        goes through a separate idempotent producer, and this returns when the broker has it.

        Args:
            key: by the topic's schema; None only with `partition`.
            value: by the topic's schema.
            partition: by default murmur2 of the key, as every producer of the system does it.
            timestamp: seconds since the epoch; by default the batch's `now`.
            headers: mapping or pairs; `cause` is added inside an event.
        Raises:
            DeadEvent: the event in hand is over.
            ValueError: neither key nor partition is given.
        """
        event = current.get()
        if event is None or not event.alive:
            event = current_event()
        engine: Any = self.app.engine  # type: ignore[attr-defined]
        name = self._sent_to or self._name_it()
        if (
            headers is None
            and schema is None
            and value_serializer is None
            and key_serializer is None
        ):
            data_key, data_value = self.dump_key(key), self.dump_value(value)
            pairs: list[tuple[str, bytes | None]] = []
        else:
            data_key, data_value, pairs = self.encode(
                key, value, headers, schema, key_serializer, value_serializer
            )
        stamp = None if timestamp is None else round(timestamp * 1000)
        if event is None:
            return await engine.send_outside(name, data_key, data_value, partition, pairs, stamp)
        engine.send_inside(event, name, data_key, data_value, partition, pairs, stamp)
        return _SENT

    def _name_it(self) -> str:
        self._sent_to = name = self.get_topic_name()
        plain = type(self.schema) is faust.Schema
        self._bytes_pass = plain  # Faust leaves bytes as they are, whatever the serializer
        self._raw_key = plain and serializer_of(self, "key") == "raw"
        return name

    def dump_key(self, key: Any) -> bytes | None:
        """Return a key's bytes, by the topic's schema."""
        if key is None or type(key) is bytes:
            return key
        if self._raw_key and type(key) is str:
            return key.encode()
        return self.encode(key, None)[0]

    def dump_value(self, value: Any) -> bytes | None:
        """Return a value's bytes, by the topic's schema."""
        if not self._sent_to:
            self._name_it()
        if value is None or (self._bytes_pass and type(value) is bytes):
            return value
        return self.encode(None, value)[1]

    def encode(
        self,
        key: Any,
        value: Any,
        headers: Any = None,
        schema: Any = None,
        key_serializer: Any = None,
        value_serializer: Any = None,
    ) -> tuple[bytes | None, bytes | None, list[tuple[str, bytes | None]]]:
        """Return key, value and headers as bytes, by the topic's schema."""
        schema = schema or self.schema
        pairs: Any = header_list(headers)
        data_key = data_value = None
        if key is not None:
            if isinstance(key, bytes):
                data_key = key
            else:
                data_key, pairs = schema.dumps_key(
                    self.app, key, serializer=key_serializer or self.key_serializer, headers=pairs
                )
        if value is not None:
            data_value, pairs = schema.dumps_value(
                self.app, value, serializer=value_serializer or self.value_serializer, headers=pairs
            )
        return data_key, data_value, header_list(pairs)

    def send_soon(self, **options: Any) -> Any:
        """Refuse: `await topic.send(...)` inside an event costs nothing and keeps the order."""
        raise RuntimeError("send_soon has no place in a transaction: use `await topic.send(...)`")

    async def maybe_declare(self) -> None:
        """Do nothing: the engine checks and declares topics before it starts."""
