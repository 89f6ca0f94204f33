"""What tables and engine ask of a store: committed rows, and how far along the changelog they stand."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol


class _Deleted:
    """The absence of a row: a tombstone in an overlay."""

    def __repr__(self) -> str:
        return "DELETED"


DELETED: Final = _Deleted()

EncodedRow = tuple[bytes, bytes | None]
"""A row as the changelog has it: key bytes, and value bytes or None for a tombstone."""


class Encoded:
    """What a schema is handed to decode the bytes of a key or a value."""

    __slots__ = ("headers", "key", "value")

    def __init__(self, value: bytes) -> None:
        self.value = value
        self.key = value
        self.headers: None = None


class RowCodec(Protocol):
    """How a table's keys and values become bytes and objects again."""

    name: str

    def dump_key(self, key: Any) -> bytes:
        """Return the key's bytes: they order iteration."""
        ...

    def load_key(self, data: bytes) -> Any:
        """Return the key of its bytes."""
        ...

    def load_value(self, data: bytes) -> Any:
        """Return the value of its bytes."""
        ...


@dataclass(slots=True)
class Standing:
    """Where a partition of a table stands in its changelog.

    `position` is the offset of the next change, `topic_id` the changelog's own (names are used
    again), `used` when it followed the changelog last, seconds of wall time.
    """

    position: int
    topic_id: str
    used: float


@dataclass(frozen=True, slots=True)
class Changes:
    """One table's part of a committed transaction, in one partition.

    `writes` has objects by key, `rows` the same as bytes; `position` is the changelog offset after
    them, None where it is not known: the rows are then read again at the next restore.
    """

    table: str
    writes: Mapping[Any, Any]
    rows: Iterable[EncodedRow]
    position: int | None


class TableStore(Protocol):
    """The committed rows of one table, by partition."""

    delivered: dict[int, int]
    """By partition: the offset after the last changelog record that the broker has taken."""

    def get(self, partition: int, key: Any) -> Any:
        """Return a committed value, or DELETED."""
        ...

    def rows(self, partition: int, *, values: bool = True) -> Iterator[tuple[bytes, Any, Any]]:
        """Yield (key bytes, key, value) in the order of key bytes; None for values not asked for."""
        ...

    def count(self, partition: int) -> int:
        """Return the number of committed rows."""
        ...

    def committed(self, partition: int) -> dict[Any, Any]:
        """Return a copy of the committed rows as they are at one time; for readers outside of events."""
        ...


class StateStore(Protocol):
    """The committed state of one worker: its tables' rows and standings, by partition."""

    def open(self) -> None:
        """Take hold of the state, or refuse with a ConfigError."""
        ...

    def table(self, codec: RowCodec) -> TableStore:
        """Return the rows of one table."""
        ...

    def attach(self, partitions: Iterable[int]) -> None:
        """Make ready to restore these partitions, and no longer count on following others."""
        ...

    def standing(self, table: str, partition: int) -> Standing | None:
        """Return where a table's partition stands; None where there is nothing of it."""
        ...

    def wipe(self, table: str, partition: int) -> None:
        """Forget a table's partition: it is restored from the start of its changelog."""
        ...

    def restore(
        self, table: str, partition: int, rows: list[EncodedRow], position: int, topic_id: str
    ) -> None:
        """Take records of a changelog in, in their order, with the offset after them, at once."""
        ...

    def follow(self, table: str, partition: int, position: int, topic_id: str) -> None:
        """The partition has been restored to the end of its changelog, and follows it from here."""
        ...

    def commit(self, partition: int, changes: list[Changes]) -> None:
        """Take a committed transaction in: all tables of the partition with their positions, or nothing."""
        ...

    def check(self) -> None:
        """Raise what has failed, even where an agent has caught it: nothing is committed on top of it."""
        ...

    def touch(self) -> None:
        """Note that the partitions still follow their changelogs."""
        ...

    def close(self) -> None:
        """Let go of the state."""
        ...
