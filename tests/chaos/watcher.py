"""A reader that reads along while the faults happen: what it saw must be the beginning of the end."""

from __future__ import annotations

import hashlib
import threading
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from confluent_kafka import Consumer, KafkaException, TopicPartition

from tests.integration.oracle import Row


def mark_of(key: bytes | None, value: bytes | None, headers: list[tuple[str, bytes | None]]) -> str:
    """Return a digest of a record's bytes."""
    return hashlib.sha256(repr((key, value, headers)).encode()).hexdigest()[:24]


def view(rows: Iterable[Row]) -> dict[tuple[str, int], list[tuple[int, str]]]:
    """Return (offset, digest) of records, by topic and partition."""
    found: dict[tuple[str, int], list[tuple[int, str]]] = defaultdict(list)
    for row in rows:
        found[row.topic, row.partition].append(
            (row.offset, mark_of(row.key, row.value, row.headers))
        )
    return dict(found)


class Watcher:
    """A read_committed consumer in a thread, outside of any group; it starts before the first worker."""

    def __init__(self, bootstrap: str, partitions: list[TopicPartition]) -> None:
        self.seen: dict[tuple[str, int], list[tuple[int, str]]] = defaultdict(list)
        self.failure = ""
        self._stop = threading.Event()
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap,
                "group.id": "watcher-unused",
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "auto.offset.reset": "error",
                "fetch.wait.max.ms": 100,
                "log_level": 0,
            }
        )
        self._consumer.assign(partitions)
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        while not self._stop.is_set():
            try:
                messages = self._consumer.consume(500, 0.1)
            except KafkaException as error:
                self.failure = str(error)
                return
            for m in messages:
                if m.error() is None:  # a broker that is away is no end of the reading
                    self._note(m)

    def _note(self, m: Any) -> None:
        mark = mark_of(m.key(), m.value(), list(m.headers() or ()))
        self.seen[m.topic(), m.partition()].append((m.offset(), mark))

    def close(self) -> dict[tuple[str, int], list[tuple[int, str]]]:
        """Stop, and return what was seen."""
        self._stop.set()
        self._thread.join(10)
        self._consumer.close()
        return dict(self.seen)
