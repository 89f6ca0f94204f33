"""The store in memory: committed rows by partition, decoded when they are first read."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from streams.engine.store.port import DELETED, Changes, EncodedRow, RowCodec, Standing


class MemoryTable:
    """Committed rows of one table, by partition.

    What was restored and not read yet is kept as bytes, apart: the collector of garbage looks at no
    bytes, and a restore of a million rows would be looked at again and again.
    """

    def __init__(self, codec: RowCodec) -> None:
        self.codec = codec
        self.partitions: dict[int, dict[Any, Any]] = {}
        self.delivered: dict[int, int] = {}
        self._encoded: dict[int, dict[Any, bytes]] = {}
        self._order: dict[int, list[tuple[bytes, Any]]] = {}

    def get(self, partition: int, key: Any) -> Any:
        """Return a committed value, or DELETED."""
        rows = self.partitions.get(partition)
        if rows is None:
            return DELETED
        value = rows.get(key, DELETED)
        if value is DELETED and self._encoded[partition]:
            data = self._encoded[partition].get(key)
            if data is not None:
                value = rows[key] = self.codec.load_value(data)
                del self._encoded[partition][key]
        return value

    def rows(self, partition: int, *, values: bool = True) -> Iterator[tuple[bytes, Any, Any]]:
        """Yield (key bytes, key, value) in the order of key bytes; the order is kept until keys come or go."""
        order = self._order.get(partition)
        if order is None:
            dump = self.codec.dump_key
            keys = [*self.partitions.get(partition, ()), *self._encoded.get(partition, ())]
            order = sorted(((dump(key), key) for key in keys), key=lambda row: row[0])
            self._order[partition] = order
        for data, key in order:
            yield data, key, self.get(partition, key) if values else None

    def count(self, partition: int) -> int:
        """Return the number of committed rows."""
        return len(self.partitions.get(partition, ())) + len(self._encoded.get(partition, ()))

    def committed(self, partition: int) -> dict[Any, Any]:
        """Return a copy of the committed rows; nothing is decoded in place, so any thread may ask."""
        load = self.codec.load_value
        encoded = self._encoded.get(partition, {}).copy()
        found = {key: load(data) for key, data in encoded.items()}
        found.update(self.partitions.get(partition, {}).copy())
        return found

    def _of(self, partition: int) -> tuple[dict[Any, Any], dict[Any, bytes]]:
        return self.partitions.setdefault(partition, {}), self._encoded.setdefault(partition, {})

    def commit(self, partition: int, writes: Mapping[Any, Any]) -> None:
        """Move a committed transaction's overlay in."""
        rows, encoded = self._of(partition)
        count = len(rows) + len(encoded)
        removed = False
        for key, value in writes.items():
            if value is DELETED:
                removed = rows.pop(key, DELETED) is not DELETED or removed
                removed = encoded.pop(key, None) is not None or removed
            else:
                rows[key] = value
        if encoded:
            for key in writes:
                encoded.pop(key, None)
        if removed or len(rows) + len(encoded) != count:
            self._order.pop(partition, None)

    def restore(self, partition: int, records: Iterable[EncodedRow]) -> None:
        """Take changelog records in, in their order."""
        rows, encoded = self._of(partition)
        load = self.codec.load_key
        for data, value in records:
            key = load(data)
            if rows:
                rows.pop(key, None)
            if value is None:
                encoded.pop(key, None)
            else:
                encoded[key] = value
        self._order.pop(partition, None)

    def wipe(self, partition: int) -> None:
        """Forget a partition."""
        self.partitions.pop(partition, None)
        self._encoded.pop(partition, None)
        self._order.pop(partition, None)


class MemoryState:
    """A worker's state in memory; a partition that went away is kept, and goes on by delta when it is back."""

    def __init__(self) -> None:
        self._tables: dict[str, MemoryTable] = {}
        self._standings: dict[tuple[str, int], Standing] = {}
        self._following: set[tuple[str, int]] = set()

    def open(self) -> None:
        """Do nothing: memory is one process's own."""

    def table(self, codec: RowCodec) -> MemoryTable:
        """Return the rows of one table."""
        return self._tables.setdefault(codec.name, MemoryTable(codec))

    def attach(self, partitions: Iterable[int]) -> None:
        """Stop counting on following anything: what is ours is restored next."""
        self._following.clear()

    def standing(self, table: str, partition: int) -> Standing | None:
        """Return where a table's partition stands."""
        return self._standings.get((table, partition))

    def wipe(self, table: str, partition: int) -> None:
        """Forget a table's partition."""
        self._following.discard((table, partition))
        self._standings.pop((table, partition), None)
        self._tables[table].wipe(partition)

    def restore(
        self, table: str, partition: int, rows: list[EncodedRow], position: int, topic_id: str
    ) -> None:
        """Take changelog records in, in their order, with the offset after them."""
        self._tables[table].restore(partition, rows)
        self._standings[table, partition] = Standing(position, topic_id, time.time())

    def follow(self, table: str, partition: int, position: int, topic_id: str) -> None:
        """The partition stands at the end of its changelog, and follows it from here."""
        self._standings[table, partition] = Standing(position, topic_id, time.time())
        self._following.add((table, partition))

    def commit(self, partition: int, changes: list[Changes]) -> None:
        """Take a committed transaction in."""
        for each in changes:
            self._tables[each.table].commit(partition, each.writes)
            standing = self._standings.get((each.table, partition))
            if standing is not None and each.position is not None:
                standing.position = each.position

    def check(self) -> None:
        """Do nothing: memory does not fail."""

    def touch(self) -> None:
        """Note that what follows its changelog does so still."""
        now = time.time()
        for place in self._following:
            self._standings[place].used = now

    def close(self) -> None:
        """Do nothing."""
