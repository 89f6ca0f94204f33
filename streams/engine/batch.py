"""What one transaction collects for one partition: runs, digests, table writes, global reads."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from datetime import datetime
from struct import pack
from typing import Any

from streams.engine.event import Message, from_micros

TRACE_HEADERS = frozenset({"traceparent", "tracestate"})
"""Headers left out of digests and comparison, by name: they differ at each run."""


def record_bytes(
    place: bytes,
    key: bytes | None,
    value: bytes | None,
    headers: list[tuple[str, bytes | None]] | None,
) -> bytes:
    """Return one unambiguous byte string of a record: each part with its length, -1 for null."""
    parts = [pack(">i", len(place)), place]
    for part in (key, value):
        if part is None:
            parts.append(b"\xff\xff\xff\xff")
        else:
            parts += (pack(">i", len(part)), part)
    for name, content in headers or ():
        if name in TRACE_HEADERS:
            continue
        named = name.encode()
        parts += (pack(">i", len(named)), named)
        if content is None:
            parts.append(b"\xff\xff\xff\xff")
        else:
            parts += (pack(">i", len(content)), content)
    return b"".join(parts)


class Output:
    """One record to be sent: the bytes, and where to."""

    __slots__ = ("cause", "headers", "key", "partition", "timestamp_ms", "topic", "value")

    def __init__(
        self,
        topic: str,
        partition: int,
        key: bytes | None,
        value: bytes | None,
        headers: list[tuple[str, bytes | None]],
        timestamp_ms: int,
        cause: str,
    ) -> None:
        self.topic = topic
        self.partition = partition
        self.key = key
        self.value = value
        self.headers = headers
        self.timestamp_ms = timestamp_ms
        self.cause = cause

    def digest_bytes(self) -> bytes:
        """Return what the outputs' digest takes of it."""
        return record_bytes(
            f"{self.topic}[{self.partition}]{self.timestamp_ms}".encode(),
            self.key,
            self.value,
            self.headers,
        )


class PartitionBatch:
    """One partition's share of a transaction."""

    def __init__(
        self,
        app_name: str,
        partition: int,
        sequence: int,
        now_micros: int,
        known: dict[tuple[str, bytes], int] | None = None,
        known_scans: dict[str, int] | None = None,
    ) -> None:
        self.app_name = app_name
        self.known = known or {}
        self.known_scans = known_scans or {}
        self.partition = partition
        self.sequence = sequence
        self.now_micros = now_micros
        self.now: datetime = from_micros(now_micros)
        self.runs: list[list[Any]] = []
        self.mentions: list[tuple[str, bytes, bytes | None]] = []
        self.mentioned: dict[tuple[str, bytes], int] = {}
        self.scanned: dict[str, int] = {}
        self.writes: dict[str, dict[Any, Any]] = {}
        self.after_commit: list[tuple[str, Callable[[], Awaitable[Any]] | Awaitable[Any]]] = []
        self.inputs = hashlib.sha256()
        self.outputs = hashlib.sha256()
        self.changelog = hashlib.sha256()
        self.input_count = 0
        self.output_count = 0
        self.change_count = 0
        self.mutations = 0

    @property
    def leaves_a_trace(self) -> bool:
        """Whether there is anything to commit: a clock tick alone leaves none."""
        return bool(self.input_count or self.output_count or any(self.writes.values()))

    def take(self, message: Message, kind: str, reason: str = "") -> None:
        """Note one input: it continues the newest run, or begins another."""
        runs = self.runs
        if kind == "records":
            if runs and runs[-1][0] == "records" and runs[-1][1] == message.topic:
                runs[-1][3] = message.offset
            else:
                runs.append(["records", message.topic, message.offset, message.offset])
        else:
            runs.append([kind, message.topic, message.offset, reason])
        self.input_count += 1
        self.inputs.update(
            record_bytes(
                f"{message.topic}@{message.offset}@{message.timestamp_ms}".encode(),
                message.key,
                message.value,
                message.headers,
            )
        )

    def tick(self, every: float) -> None:
        """Note a clock tick; its time is the batch's `now`."""
        self.runs.append(["clock", every])

    def sent(self, output: Output) -> None:
        """Note one output, in the order of its cause."""
        self.output_count += 1
        self.outputs.update(output.digest_bytes())

    def changed(self, topic: str, key: bytes, value: bytes | None) -> None:
        """Note one changelog record; they are written in the order of table and key bytes."""
        self.change_count += 1
        self.changelog.update(record_bytes(topic.encode(), key, value, None))

    def table(self, name: str) -> dict[Any, Any]:
        """Return the overlay of one table: new value by key, DELETED for a tombstone."""
        self.mutations += 1
        writes = self.writes.get(name)
        if writes is None:
            writes = self.writes[name] = {}
        return writes
