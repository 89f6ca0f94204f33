"""Reads history for a replay: journals whole, inputs forward, outputs by their cause."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from confluent_kafka import Consumer, TopicPartition

from streams.engine.clientlog import admin_client
from streams.engine.errors import EngineError
from streams.engine.event import Message
from streams.engine.messages import record_of
from streams.engine.reader import log_ends, partitions_of, plain_consumer, read_all, read_until
from streams.engine.settings import EngineSettings

PATIENCE_SECONDS = 30.0


class HistoryCutError(EngineError):
    """Records that the journal names are not in the log any more: retention has taken them."""


class ForwardLog:
    """One partition of an input topic, read forward as the journal's runs go on."""

    def __init__(self, settings: EngineSettings, topic: str, partition: int) -> None:
        self.topic = topic
        self.partition = partition
        self._consumer: Consumer = plain_consumer(settings, "replay")
        self._assigned = False
        self._ahead: list[Message] = []
        self._index = 0

    def take(self, first: int, last: int) -> list[Message]:
        """Return the committed records from offset `first` to `last`, both inclusive.

        Raises:
            HistoryCutError: the log does not hold them any more.
        """
        if not self._assigned:
            self._consumer.assign([TopicPartition(self.topic, self.partition, first)])
            self._assigned = True
        taken: list[Message] = []
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            while self._index < len(self._ahead):
                message = self._ahead[self._index]
                if message.offset > last:
                    return self._checked(taken, first, last)
                self._index += 1
                if message.offset >= first:
                    taken.append(message)
                if message.offset == last:
                    return taken
            self._ahead, self._index = self._more(), 0
            if self._ahead:
                deadline = time.monotonic() + PATIENCE_SECONDS
            elif time.monotonic() > deadline:
                return self._checked(taken, first, last)

    def _more(self) -> list[Message]:
        return [record_of(m) for m in self._consumer.consume(5_000, 0.2) if m.error() is None]

    def _checked(self, taken: list[Message], first: int, last: int) -> list[Message]:
        if not taken or taken[-1].offset != last:
            raise HistoryCutError(
                f"{self.topic}[{self.partition}]: offsets {first} to {last} stand in the journal, but the log "
                "does not hold them all any more: what rests on them can no longer be proven"
            )
        return taken

    def close(self) -> None:
        """Close the consumer."""
        self._consumer.close()


@dataclass(frozen=True, slots=True)
class Committed:
    """A committed output as it stands in its topic."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]
    timestamp_ms: int


class Outputs:
    """Committed outputs of one processor by cause; a topic is read when it is first asked for."""

    def __init__(self, settings: EngineSettings, app_name: str) -> None:
        self._settings = settings
        self._prefix = f"{app_name}|".encode()
        self._by_topic: dict[str, dict[str, Committed]] = {}
        self.twins: list[tuple[str, Committed]] = []

    def of(self, topic: str) -> dict[str, Committed]:
        """Return the processor's committed outputs of a topic by cause."""
        found = self._by_topic.get(topic)
        if found is None:
            found = self._by_topic[topic] = {}
            for m in read_all(self._settings, [topic], "replay"):
                cause = next((v for n, v in m.headers or () if n == "cause"), None)
                if cause is not None and cause.startswith(self._prefix):
                    output = Committed(
                        topic,
                        m.partition,
                        m.offset,
                        m.key,
                        m.value,
                        tuple(m.headers or ()),
                        m.timestamp_ms,
                    )
                    if cause.decode() in found:
                        self.twins.append((cause.decode(), output))
                    found[cause.decode()] = output
        return found

    def topics(self) -> list[str]:
        """Return the topics read so far."""
        return sorted(self._by_topic)


def read_journal(settings: EngineSettings, topic: str, partition: int) -> list[dict[str, Any]]:
    """Return a partition's journal up to its last stable offset.

    Raises:
        ValueError: a record cannot be read.
    """
    admin = admin_client(settings)
    consumer = plain_consumer(settings, "journal")
    tp = (topic, partition)
    records: list[dict[str, Any]] = []

    def take(message: Message) -> None:
        records.append(settings.journal_codec.decode(message.value or b""))

    try:
        low, _ = consumer.get_watermark_offsets(TopicPartition(*tp), timeout=10.0)
        read_until(
            consumer, {tp: low}, log_ends(admin, [tp], committed=True), take, PATIENCE_SECONDS
        )
    finally:
        consumer.close()
    return records


def journal_partitions(settings: EngineSettings, topic: str) -> list[int]:
    """Return the partitions of a journal; none where there is no journal."""
    return partitions_of(admin_client(settings), topic)
