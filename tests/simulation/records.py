"""What the simulated clients hand out: the message interface of confluent_kafka."""

from __future__ import annotations

from confluent_kafka import KafkaError

from tests.simulation.partition import Headers, Payload


class SimMessage:
    """A record, an end of a partition, or an error among the records."""

    __slots__ = ("_error", "_offset", "_partition", "_payload", "_topic")

    def __init__(
        self,
        topic: str | None,
        partition: int | None,
        offset: int | None,
        payload: Payload | None,
        error: KafkaError | None,
    ) -> None:
        self._topic = topic
        self._partition = partition
        self._offset = offset
        self._payload = payload
        self._error = error

    def topic(self) -> str | None:
        """Return the topic's name."""
        return self._topic

    def partition(self) -> int | None:
        """Return the partition's number."""
        return self._partition

    def offset(self) -> int | None:
        """Return the offset."""
        return self._offset

    def error(self) -> KafkaError | None:
        """Return what is wrong, or None for a record."""
        return self._error

    def key(self) -> bytes | None:
        """Return the key."""
        return None if self._payload is None else self._payload.key

    def value(self) -> bytes | None:
        """Return the value."""
        return None if self._payload is None else self._payload.value

    def headers(self) -> Headers | None:
        """Return the headers, None where there are none."""
        return None if self._payload is None else self._payload.headers or None

    def timestamp(self) -> tuple[int, int]:
        """Return type and milliseconds of the stamp."""
        return (1, 0 if self._payload is None else self._payload.timestamp_ms)
