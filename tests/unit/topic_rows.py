"""Records as rows of topics, encoded as a worker would, for the programs that read history."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from processors.records.base import Record
from schemas.codec import Codecs
from schemas.registry import MemoryRegistry
from streams.checks.decoding import Decoder
from streams.checks.names import RECORDS
from streams.checks.reading import Row

TOPIC_OF = {model: topic for topic, model in RECORDS.items()}


@dataclass
class Topics:
    """One partition of every topic, in memory, behind the reader's methods."""

    registry: MemoryRegistry = field(default_factory=MemoryRegistry)
    log: dict[str, list[Row]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        subjects = {model: f"{topic}-value" for topic, model in RECORDS.items()}
        self.codecs = Codecs(self.registry, subjects)

    @property
    def decoder(self) -> Decoder:
        """Of the same registry."""
        return Decoder(self.registry)

    def add(self, record: Record, at: int = 0, cause: Row | None = None, index: int = 0) -> Row:
        """Append a record with a record time and what it follows from."""
        topic = TOPIC_OF[type(record)]
        value = self.codecs.codec(type(record)).encode(record)
        return self.put(topic, value, at, cause, index)

    def put(
        self,
        topic: str,
        value: bytes,
        at: int = 0,
        cause: Row | None = None,
        index: int = 0,
        headers: tuple[tuple[str, bytes | None], ...] = (),
    ) -> Row:
        """Append bytes."""
        rows = self.log.setdefault(topic, [])
        if cause is not None:
            text = f"fillonce.some|{cause.topic}|{cause.partition}|{cause.offset}|{index}"
            headers = (*headers, ("cause", text.encode()))
        row = Row(topic, 0, len(rows), at, b"key", value, headers)
        rows.append(row)
        return row

    def rows(self, topic: str, partition: int | None = None) -> list[Row]:
        return list(self.log.get(topic, []))

    def at(self, topic: str, partition: int, offset: int) -> Row | None:
        return next((row for row in self.rows(topic) if row.offset == offset), None)

    def first(
        self,
        topic: str,
        partition: int,
        start: int,
        wanted: Callable[[Row], bool],
        last: int | None = None,
    ) -> Row | None:
        rows = [row for row in self.rows(topic) if row.offset >= start]
        return next((row for row in rows if wanted(row)), None)

    def offset_at(self, topic: str, partition: int, timestamp_ms: int) -> int:
        rows = self.rows(topic)
        return next((row.offset for row in rows if row.timestamp_ms >= timestamp_ms), len(rows))
