"""How an agent's records are decoded: by the topic's schema, or, for raw bytes and text, without asking it."""

from __future__ import annotations

from typing import Any

import faust

from streams.engine.errors import ConfigError
from streams.engine.event import Event, Message


def serializer_of(channel: Any, part: str) -> Any:
    """Return by which serializer Faust reads or writes a part of a topic's records.

    Args:
        channel: a topic.
        part: `key` or `value`.
    """
    name = f"{part}_serializer"
    kind = getattr(channel.schema, f"{part}_type")
    asked = getattr(channel, name) or getattr(channel.schema, name)
    if asked:
        return asked
    default = getattr(channel.app.serializers, name)
    return default or ("raw" if kind in (str, bytes) else None)


class Decoder:
    """Key and value of one topic's messages.

    Faust's own way to a raw value costs some microseconds; it is taken where the schema is the
    application's, the serializer is another than `raw`, or something about the bytes is odd.
    """

    def __init__(self, channel: Any) -> None:
        self._app = channel.app
        self._channel = channel
        plain = type(channel.schema) is faust.Schema
        self._raw_key = plain and serializer_of(channel, "key") == "raw"
        self._raw_value = plain and serializer_of(channel, "value") == "raw"
        self._key_type = channel.schema.key_type if self._raw_key else None
        self._value_type = channel.schema.value_type if self._raw_value else None

    def key(self, message: Message) -> Any:
        """Return the key; whatever the schema raises tells that it is none."""
        data = message.key
        if data is not None:
            if self._key_type is bytes:
                return data
            if self._key_type is str and data.isascii():
                return data.decode()
        return self._channel.schema.loads_key(
            self._app, message, serializer=self._channel.key_serializer
        )

    def value(self, message: Message) -> Any:
        """Return the value; whatever the schema raises tells that it is none."""
        if self._value_type is bytes and message.value is not None:
            return message.value
        return self._channel.schema.loads_value(
            self._app, message, serializer=self._channel.value_serializer
        )

    def plain(self, messages: list[Message], batch: Any) -> list[Event] | None:
        """Return events whose keys and values are the bytes themselves; None where one is to be decoded."""
        if self._value_type is not bytes or self._key_type not in (bytes, str):
            return None
        keys: list[Any] = [m.key for m in messages]
        if None in keys or not all([m.value is not None for m in messages]):  # noqa: C419 - a list is quicker here
            return None
        if self._key_type is str:
            if not b"".join(keys).isascii():
                return None
            keys = [key.decode() for key in keys]
        app = self._app
        return [Event(app, key, m.value, m, batch) for key, m in zip(keys, messages, strict=True)]

    def event(self, message: Message, batch: Any) -> Event:
        """Return a message as the event of a batch."""
        value = self.value(message)
        return Event(self._app, self.key(message), value, message, batch)


def decoders_of(app: Any) -> dict[str, Decoder]:
    """Return by topic how its records are decoded.

    Raises:
        ConfigError: two agents read one topic with different schemas.
    """
    found: dict[str, Any] = {}
    for agent in app.agents.values():
        if agent.clock is not None:
            continue
        for topic in agent.input_topics:
            channel = agent.channel
            if topic in found and type(found[topic].schema) is not type(channel.schema):
                raise ConfigError(f"{topic} is read with two schemas by the agents of one app")
            found[topic] = channel
    return {topic: Decoder(channel) for topic, channel in found.items()}
