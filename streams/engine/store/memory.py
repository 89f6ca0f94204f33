"""The store in memory: committed rows by partition, decoded when they are first read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final


class _Deleted:
    """The absence of a row: a tombstone in an overlay."""

    def __repr__(self) -> str:
        return "DELETED"


DELETED: Final = _Deleted()


class Encoded:
    """Bytes of a row not decoded yet; also what a schema is handed to decode them."""

    __slots__ = ("headers", "key", "value")

    def __init__(self, value: bytes) -> None:
        self.value = value
        self.key = value
        self.headers: None = None


class MemoryStore:
    """Committed rows of one table, and up to which changelog offset they stand, by partition."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.rows: dict[int, dict[Any, Any]] = {}
        self.positions: dict[int, int] = {}
        self.delivered: dict[int, int] = {}

    def get(self, partition: int, key: Any, load: Callable[[bytes], Any]) -> Any:
        """Return a committed value, or DELETED."""
        rows = self.rows.get(partition)
        if rows is None:
            return DELETED
        value = rows.get(key, DELETED)
        if type(value) is Encoded:
            value = rows[key] = load(value.value)
        return value

    def items(self, partition: int, load: Callable[[bytes], Any]) -> Iterator[tuple[Any, Any]]:
        """Yield committed rows of a partition."""
        for key in list(self.rows.get(partition, ())):
            yield key, self.get(partition, key, load)

    def restore(self, partition: int, key: Any, value: bytes | None) -> None:
        """Take one changelog record in; null removes the row."""
        rows = self.rows.setdefault(partition, {})
        if value is None:
            rows.pop(key, None)
        else:
            rows[key] = Encoded(value)

    def commit(self, partition: int, writes: dict[Any, Any], position: int | None) -> None:
        """Move a committed transaction's overlay in, with the changelog offset after it."""
        rows = self.rows.setdefault(partition, {})
        for key, value in writes.items():
            if value is DELETED:
                rows.pop(key, None)
            else:
                rows[key] = value
        if position is not None:
            self.positions[partition] = position

    def wipe(self, partition: int) -> None:
        """Forget a partition: it is restored from the start of its changelog."""
        self.rows.pop(partition, None)
        self.positions.pop(partition, None)
