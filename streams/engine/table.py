"""Tables: what an agent sees of the partition of the event in its hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from types import MappingProxyType
from typing import Any, Final
from uuid import UUID

from faust.tables.table import Table as FaustTable

from streams.engine.errors import ConfigError
from streams.engine.event import Event, current, current_event
from streams.engine.store.memory import MemoryTable
from streams.engine.store.merge import merged
from streams.engine.store.port import DELETED, Encoded, EncodedRow, TableStore

_SCALARS = (
    str,
    bytes,
    int,
    float,
    bool,
    Decimal,
    datetime,
    date,
    timedelta,
    Enum,
    UUID,
    type(None),
)
_checked: set[type] = set()
_PLAIN = frozenset(
    {str, bytes, int, float, bool, Decimal, datetime, date, timedelta, UUID, type(None)}
)
"""The types of most values, asked first: a look into a set costs a third of `isinstance`."""


def require_immutable(value: Any) -> None:
    """Raise TypeError unless nothing can change `value` behind the table's back."""
    kind = type(value)
    if kind in _checked or isinstance(value, _SCALARS):
        return
    if kind in (tuple, frozenset):
        for item in value:
            require_immutable(item)
        return
    frozen = (is_dataclass(value) and kind.__dataclass_params__.frozen) or bool(
        getattr(kind, "model_config", {}).get("frozen")
    )
    if not frozen:
        raise TypeError(
            f"a table keeps immutable values (scalars, tuples, frozen records), not {kind.__name__}: "
            "a change in place would escape the transaction"
        )
    if is_dataclass(value):
        for item in fields(value):
            require_immutable(getattr(value, item.name))
    else:
        _checked.add(kind)


def _event_of(table: str) -> Event:
    """Return the event in hand: a table belongs to its partition.

    Raises:
        DeadEvent: that event is over.
        RuntimeError: there is none.
    """
    event = current.get()
    if event is not None and event.alive:
        return event
    event = current_event()
    if event is None:
        raise RuntimeError(
            f"table {table} belongs to the partition of the event in hand, and there is none here; "
            "outside reads go through table.committed(partition)"
        )
    return event


ROW_BYTES = 256
"""What a staged record is taken to weigh before the first ones were encoded."""
_SIZED = frozenset({bytes, str})
_UNWRITTEN: Final = object()
_NOTHING: Mapping[Any, Any] = MappingProxyType({})


class Rows:
    """Keys, values or items of a table: each iteration sees them as they are when it begins."""

    __slots__ = ("_read", "_table")

    def __init__(self, table: Table, read: Callable[[], Iterator[Any]]) -> None:
        self._table = table
        self._read = read

    def __iter__(self) -> Iterator[Any]:
        return self._read()

    def __len__(self) -> int:
        return len(self._table)

    def __repr__(self) -> str:
        return f"<rows of table {self._table.name}>"


class Table(FaustTable):
    """A partitioned table: reads see the partition's own writes, all else sees committed data only."""

    store: TableStore

    def __init__(self, app: Any, **options: Any) -> None:
        super().__init__(app, **options)
        self.store = MemoryTable(self)
        self._row_bytes = ROW_BYTES

    # -- bytes

    def dump_key(self, key: Any) -> bytes:
        """Return the key's bytes: they order iteration and key the changelog."""
        if isinstance(key, str):
            return key.encode()
        if isinstance(key, bytes):
            return key
        data: bytes = self._topic.encode(key, None)[0]
        return data

    def dump_value(self, value: Any) -> bytes:
        """Return the value's bytes, by the table's schema."""
        data: bytes = self._topic.dump_value(value)
        return data

    def load_value(self, data: bytes) -> Any:
        """Return the value of changelog bytes."""
        return self._topic.schema.loads_value(
            self.app, Encoded(data), serializer=self._topic.value_serializer
        )

    def load_key(self, data: bytes) -> Any:
        """Return the key of changelog bytes."""
        if self.key_type is bytes:
            return data
        if self.key_type in (None, str):
            return data.decode()
        return self._topic.schema.loads_key(
            self.app, Encoded(data), serializer=self._topic.key_serializer
        )

    @property
    def _topic(self) -> Any:
        return self.changelog_topic

    # -- inside an event

    def _find(self, event: Event, key: Any) -> Any:
        writes = event.batch.writes.get(self.name)
        if writes is not None:
            value = writes.get(key, _UNWRITTEN)
            if value is not _UNWRITTEN:
                return value
        return self._beneath(event, key)

    def _beneath(self, event: Event, key: Any) -> Any:
        """Return what a key had before the batch: in the transaction before, if it is not in the store yet."""
        below = event.batch.below
        if below is not None:
            value = below.get(self.name, _NOTHING).get(key, _UNWRITTEN)
            if value is not _UNWRITTEN:
                return value
        return self.store.get(event.message.partition, key)

    def _staged(self, event: Event) -> Mapping[Any, Any]:
        """Return all writes that are not in the store yet."""
        writes = event.batch.writes.get(self.name, _NOTHING)
        below = event.batch.below
        return writes if below is None else {**below.get(self.name, _NOTHING), **writes}

    def __getitem__(self, key: Any) -> Any:
        value = self._find(_event_of(self.name), key)
        if value is DELETED:
            return self.__missing__(key)
        return value

    def get(self, key: Any, default: Any = None) -> Any:
        """Return the partition's value of a key, or `default`."""
        # What `_find` does, once more: two calls less on the path of nearly every record.
        event = current.get()
        if event is None or not event.alive:
            event = _event_of(self.name)
        writes = event.batch.writes.get(self.name)
        value = _UNWRITTEN if writes is None else writes.get(key, _UNWRITTEN)
        if value is _UNWRITTEN:
            value = self._beneath(event, key)
        return default if value is DELETED else value

    def __contains__(self, key: Any) -> bool:
        return self._find(_event_of(self.name), key) is not DELETED

    def __setitem__(self, key: Any, value: Any) -> None:
        kind = type(value)
        if kind not in _PLAIN:
            require_immutable(value)
        event = current.get()
        if event is None or not event.alive:
            event = _event_of(self.name)
        batch = event.batch
        batch.table(self.name)[key] = value
        batch.overlay_bytes += len(value) if kind in _SIZED else self._row_bytes

    def __delitem__(self, key: Any) -> None:
        if key not in self:
            raise KeyError(key)
        _event_of(self.name).batch.table(self.name)[key] = DELETED

    def pop(self, key: Any, *default: Any) -> Any:
        """Remove a key and return its value, or `default` where it is absent."""
        value = self._find(_event_of(self.name), key)
        if value is DELETED:
            if default:
                return default[0]
            raise KeyError(key)
        del self[key]
        return value

    def weigh(self, rows: list[EncodedRow]) -> None:
        """Note how large rows are, some of them, for the estimate of what later batches stage."""
        some = rows[:64]
        self._row_bytes = sum(len(k) + len(v or b"") for k, v in some) // max(len(some), 1)

    def scan(self, *, values: bool = True) -> Iterator[tuple[bytes, Any, Any]]:
        """Return the partition's rows as they are now: (key bytes, key, value) in the order of key bytes.

        Rows of the store are read one at a time; what is written meanwhile is not seen.
        """
        event = _event_of(self.name)
        base = self.store.rows(event.message.partition, values=values)
        writes = self._staged(event)
        if not writes:
            return base
        overlay = [(self.dump_key(key), key, value) for key, value in writes.items()]
        overlay.sort(key=lambda row: row[0])
        return merged(base, overlay)

    def __iter__(self) -> Iterator[Any]:
        return (key for _, key, _ in self.scan(values=False))

    def __len__(self) -> int:
        event = _event_of(self.name)
        partition = event.message.partition
        count = self.store.count(partition)
        for key, value in self._staged(event).items():
            count += (value is not DELETED) - (self.store.get(partition, key) is not DELETED)
        return count

    def keys(self) -> Any:
        """Return a view of the partition's keys, in the order of their bytes."""
        return Rows(self, lambda: iter(self))

    def values(self) -> Any:
        """Return a view of the partition's values, in the order of their keys' bytes."""
        return Rows(self, lambda: (value for _, _, value in self.scan()))

    def items(self) -> Any:
        """Return a view of the partition's rows, in the order of their keys' bytes."""
        return Rows(self, lambda: ((key, value) for _, key, value in self.scan()))

    def clear(self) -> None:
        """Remove every key of the partition."""
        for key in self:
            del self[key]

    def update(self, *args: Any, **rows: Any) -> None:
        """Set several keys."""
        for key, value in dict(*args, **rows).items():
            self[key] = value

    def setdefault(self, key: Any, default: Any = None) -> Any:
        """Return the value of a key, set to `default` first where it is absent."""
        if key not in self:
            self[key] = default
        return self[key]

    # -- outside

    def committed(self, partition: int) -> dict[Any, Any]:
        """Return a copy of one partition's committed rows, for web views and tools."""
        return self.store.committed(partition)

    def using_window(self, *_: Any, **__: Any) -> Any:
        """Refuse: Faust's windows close by record stamp, not exactly once by event time."""
        raise ConfigError(
            f"table {self.name}: windowed tables are not offered; keep windows in your values"
        )

    hopping = tumbling = using_window


class GlobalTable:
    """A compacted topic read whole by every worker; it moves only between batches.

    Each read inside an event is noted in the journal, so that a replay sees the same value.
    """

    def __init__(self, app: Any, name: str, topic: Any) -> None:
        self.app = app
        self.name = name
        self.topic = topic
        self.rows: dict[bytes, tuple[int, bytes, Any]] = {}
        self.gone: dict[bytes, int] = {}
        self.version = 0
        self._sorted: tuple[int, list[bytes]] = (-1, [])

    def apply(self, key: bytes, value: bytes | None) -> None:
        """Take one record of the topic in; only between batches."""
        self.version += 1
        if value is None:
            self.rows.pop(key, None)
            self.gone[key] = self.version
        else:
            self.rows[key] = (
                self.version,
                value,
                self.topic.schema.loads_value(self.app, Encoded(value)),
            )
            self.gone.pop(key, None)

    def _mention(self, event: Event, key: bytes) -> Any:
        row = self.rows.get(key)
        version = row[0] if row else self.gone.get(key, 0)
        mark = (self.name, key)
        batch = event.batch
        if batch.mentioned.get(mark, batch.known.get(mark, -1)) != version:
            batch.mentioned[mark] = version
            batch.mentions.append((self.name, key, row[1] if row else None))
        return row[2] if row else DELETED

    def get(self, key: str | bytes, default: Any = None) -> Any:
        """Return the value of a key as it stood when the batch began, or `default`."""
        event = current_event()
        data = key.encode() if isinstance(key, str) else key
        if event is None:
            row = self.rows.get(data)
            return row[2] if row else default
        value = self._mention(event, data)
        return default if value is DELETED else value

    def __getitem__(self, key: str | bytes) -> Any:
        value = self.get(key, DELETED)
        if value is DELETED:
            raise KeyError(key)
        return value

    def __contains__(self, key: str | bytes) -> bool:
        return self.get(key, DELETED) is not DELETED

    def _keys(self) -> list[bytes]:
        if self._sorted[0] != self.version:
            self._sorted = (self.version, sorted(self.rows))
        return self._sorted[1]

    def items(self) -> list[tuple[str, Any]]:
        """Return every row in the order of key bytes; the journal notes what changed since the last scan."""
        event = current_event()
        batch = None if event is None else event.batch
        if (
            event is not None
            and batch is not None
            and self.version != batch.scanned.get(self.name, batch.known_scans.get(self.name))
        ):
            batch.scanned[self.name] = self.version
            for key in [*self._keys(), *sorted(self.gone)]:
                self._mention(event, key)
        return [(key.decode(), self.rows[key][2]) for key in self._keys()]

    def values(self) -> list[Any]:
        """Return every value in the order of key bytes."""
        return [value for _, value in self.items()]

    def __iter__(self) -> Iterator[str]:
        return iter([key for key, _ in self.items()])

    def __len__(self) -> int:
        return len(self.items())

    def __setitem__(self, key: Any, value: Any) -> None:
        raise TypeError(f"global table {self.name} is read only: send to {self.topic} instead")
