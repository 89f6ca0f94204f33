"""The store on disk: RocksDB for all rows, a bounded cache of decoded values for the hot ones."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from streams.engine.errors import StoreError
from streams.engine.store.cache import MISSING, Cache
from streams.engine.store.database import Database, Memory, prefix_of
from streams.engine.store.folder import StateFolder
from streams.engine.store.port import DELETED, Changes, EncodedRow, RowCodec, Standing


class RocksTable:
    """Committed rows of one table, by partition."""

    def __init__(self, codec: RowCodec, databases: dict[int, Database]) -> None:
        self.codec = codec
        self.prefix = prefix_of(codec.name)
        self.delivered: dict[int, int] = {}
        self.caches: dict[int, Cache] = {}
        self._databases = databases
        self._counts: dict[int, int] = {}

    def get(self, partition: int, key: Any) -> Any:
        """Return a committed value, or DELETED; absence is remembered too."""
        cache = self.caches.get(partition)
        if cache is None:
            return DELETED
        value = cache.get(key)
        if value is MISSING:
            data = self._databases[partition].get(self.prefix + self.codec.dump_key(key))
            value = DELETED if data is None else self.codec.load_value(data)
            cache.put(key, value)
        return value

    def rows(self, partition: int, *, values: bool = True) -> Iterator[tuple[bytes, Any, Any]]:
        """Yield (key bytes, key, value) in the order of key bytes, as they are now; a scan fills no cache."""
        database = self._databases.get(partition)
        if database is None:
            return
        load_key, load_value = self.codec.load_key, self.codec.load_value
        for data, value in database.rows(self.prefix, fill_cache=False):
            yield data, load_key(data), load_value(value) if values else None

    def count(self, partition: int) -> int:
        """Return the number of committed rows: counted once, then kept."""
        count = self._counts.get(partition)
        if count is None:
            database = self._databases.get(partition)
            if database is None:
                return 0
            count = sum(1 for _ in database.rows(self.prefix, fill_cache=False))
            self._counts[partition] = count
        return count

    def committed(self, partition: int) -> dict[Any, Any]:
        """Return a copy of the committed rows: a snapshot, whatever is committed meanwhile."""
        return {key: value for _, key, value in self.rows(partition)}

    def before(self, partition: int, changes: Changes) -> None:
        """Keep the count right, where it is known, before changes are written."""
        if partition in self._counts:
            for key, value in changes.writes.items():
                there = self.get(partition, key) is not DELETED
                self._counts[partition] += (value is not DELETED) - there

    def after(self, partition: int, changes: Changes) -> None:
        """Keep the values that were written: they are the next to be read."""
        put = self.caches[partition].put
        for key, value in changes.writes.items():
            put(key, value)

    def forget(self, partition: int) -> None:
        """Keep nothing of a partition that is restored."""
        self._counts.pop(partition, None)
        if partition in self.caches:
            self.caches[partition].clear()


class RocksState:
    """A worker's state on disk: one database a partition, in a folder that is its own.

    A partition that went away is kept, and goes on by delta when it is back.

    Args:
        folder: where it lies.
        memory: bytes for RocksDB's blocks and unflushed writes, together.
        cache_rows: decoded values kept, of all tables and partitions together.
    """

    def __init__(self, folder: StateFolder, memory: int, cache_rows: int) -> None:
        self.folder = folder
        self._memory = Memory(memory)
        self._cache_rows = cache_rows
        self._databases: dict[int, Database] = {}
        self._tables: dict[str, RocksTable] = {}
        self._following: set[tuple[str, int]] = set()
        self._failure: StoreError | None = None

    @property
    def path(self) -> Path:
        """Folder of it."""
        return self.folder.path

    def open(self) -> None:
        """Take hold of the folder."""
        self.folder.open()

    def table(self, codec: RowCodec) -> RocksTable:
        """Return the rows of one table."""
        return self._tables.setdefault(codec.name, RocksTable(codec, self._databases))

    def attach(self, partitions: Iterable[int]) -> None:
        """Open the databases of these partitions; those opened before stay open."""
        self._following.clear()
        for partition in partitions:
            if partition not in self._databases:
                self._databases[partition] = Database(
                    self.path, self.folder.app, partition, self._memory, self._failed
                )
        share = self._cache_rows // max(len(self._tables) * len(self._databases), 1)
        for table in self._tables.values():
            table.caches.update({p: Cache(share) for p in self._databases})

    def _failed(self, error: StoreError) -> None:
        self._failure = error

    def check(self) -> None:
        """Raise what has failed, even where an agent has caught it: nothing is committed on top of it."""
        if self._failure is not None:
            raise self._failure

    def standing(self, table: str, partition: int) -> Standing | None:
        """Return where a table's partition stands."""
        return self._databases[partition].standings.get(table)

    def wipe(self, table: str, partition: int) -> None:
        """Forget a table's partition."""
        self._following.discard((table, partition))
        self._databases[partition].forget(table)
        self._tables[table].forget(partition)

    def restore(
        self, table: str, partition: int, rows: list[EncodedRow], position: int, topic_id: str
    ) -> None:
        """Take changelog records in with the offset after them, in one write."""
        self._tables[table].forget(partition)
        database = self._databases[partition]
        database.standings[table] = Standing(position, topic_id, time.time())
        database.write([(table, rows)])

    def follow(self, table: str, partition: int, position: int, topic_id: str) -> None:
        """The partition stands at the end of its changelog, and follows it from here."""
        database = self._databases[partition]
        database.standings[table] = Standing(position, topic_id, time.time())
        database.write([(table, ())])
        self._following.add((table, partition))

    def commit(self, partition: int, changes: list[Changes]) -> None:
        """Write a committed transaction: all tables of the partition with their positions, or nothing."""
        database = self._databases[partition]
        now = time.time()
        for each in changes:
            self._tables[each.table].before(partition, each)
            standing = database.standings.get(each.table)
            if standing is not None and each.position is not None:
                standing.position, standing.used = each.position, now
        database.write((each.table, each.rows) for each in changes)
        for each in changes:
            self._tables[each.table].after(partition, each)

    def touch(self) -> None:
        """Write down that what follows its changelog does so still."""
        now = time.time()
        tables: dict[int, list[tuple[str, tuple[()]]]] = {}
        for table, partition in self._following:
            self._databases[partition].standings[table].used = now
            tables.setdefault(partition, []).append((table, ()))
        for partition, rows in tables.items():
            self._databases[partition].write(rows)

    def close(self) -> None:
        """Note the last use, close the databases, release the folder."""
        if self._failure is None:
            self.touch()
        for database in self._databases.values():
            database.close()
        self._databases.clear()
        self.folder.close()
