"""One partition's RocksDB: the rows of all its tables and where they stand, written together."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from rocksdict import (
    BlockBasedOptions,
    Cache,
    DBCompressionType,
    DBRecoveryMode,
    Options,
    Rdict,
    ReadOptions,
    WriteBatch,
    WriteBufferManager,
)

from streams.engine.errors import StoreError
from streams.engine.store.folder import FORMAT
from streams.engine.store.framing import strange_frame
from streams.engine.store.port import EncodedRow, Standing

log = logging.getLogger(__name__)

# Keys are bytes as they are. What describes sorts before what is kept; no prefix begins another.
_MANIFEST: Final = b"\x00manifest"
_STANDING: Final = b"\x00standing\x00"
_ROWS: Final = b"\x01"

_DISK = ("No space left", "Input/output error", "Too many open files", "Permission denied", "lock")
"""In words of RocksDB: the disk's or the system's trouble, which wiping would not cure."""


def prefix_of(table: str) -> bytes:
    """Return what the keys of a table's rows begin with; names of topics have no NUL."""
    return _ROWS + table.encode() + b"\x00"


class Memory:
    """What the databases of one process share: their block cache and the bound on unflushed writes."""

    def __init__(self, size: int) -> None:
        self.blocks = Cache(size // 2)
        self.writes = WriteBufferManager(size // 2, allow_stall=False)

    def options(self) -> Options:
        """Return how a database is opened."""
        options = Options(raw_mode=True)
        options.create_if_missing(True)
        options.set_paranoid_checks(True)
        options.set_wal_recovery_mode(DBRecoveryMode.point_in_time())
        options.set_compression_type(DBCompressionType.lz4())
        options.set_write_buffer_manager(self.writes)
        options.set_write_buffer_size(32 * 1024 * 1024)
        options.set_max_total_wal_size(64 * 1024 * 1024)
        options.set_max_background_jobs(2)
        options.set_keep_log_file_num(2)
        options.set_max_log_file_size(1024 * 1024)
        options.set_stats_dump_period_sec(0)
        blocks = BlockBasedOptions()
        blocks.set_block_cache(self.blocks)
        blocks.set_bloom_filter(10, False)
        options.set_block_based_table_factory(blocks)
        return options


class Database:
    """Opens, wipes, reads and writes one partition.

    One WriteBatch holds the changes of all tables and their changelog positions, so a crash leaves
    all of a transaction or nothing: never rows of one table that a row of another contradicts.

    Args:
        folder: of the worker's state.
        app: the app's name; a database of another is wiped.
        partition: its number.
        memory: what it shares with the others.
        failed: told of every error before it is raised.
    Raises:
        StoreError: the disk fails, or RocksDB cannot even make a new database.
    """

    def __init__(
        self,
        folder: Path,
        app: str,
        partition: int,
        memory: Memory,
        failed: Callable[[StoreError], None],
    ) -> None:
        self.path = folder / str(partition)
        self.standings: dict[str, Standing] = {}
        self._suspect = folder / f"{partition}.suspect"
        self._memory = memory
        self._failed = failed
        self._db = self._open({"format": FORMAT, "app": app, "partition": partition})

    # -- open

    def _open(self, manifest: dict[str, Any]) -> Rdict:
        with suppress(FileNotFoundError):
            self._destroy(self._suspect.read_text().strip())
            self._suspect.unlink()
        strange = strange_frame(self.path)
        if strange:
            self._destroy(strange)
        fresh = not self.path.exists()
        try:
            db = Rdict(str(self.path), self._memory.options())
        except Exception as error:  # rocksdict raises nothing narrower, here and below
            text = str(error)
            if fresh or (text.startswith("IO error") and any(word in text for word in _DISK)):
                raise self._error(error) from error
            self._destroy(f"RocksDB does not open it: {text}")
            return self._open(manifest)
        try:
            if fresh:
                db.put(_MANIFEST, json.dumps(manifest).encode())
            unfit = self._look(db, manifest)
        except Exception as error:
            if fresh or str(error).startswith("IO error"):
                raise self._error(error) from error
            unfit = f"it cannot be read: {error}"
        if unfit:
            db.close()
            self._destroy(unfit)
            return self._open(manifest)
        return db

    def _look(self, db: Rdict, manifest: dict[str, Any]) -> str:
        """Read where the tables stand; return why this is no state of this partition, if so."""
        found = db.get(_MANIFEST)
        known = None if found is None else json.loads(found)
        if known != manifest:
            return f"it is no state of this partition, but {known}"
        rows = db.iter()
        rows.seek(_STANDING)
        self.standings = {}
        while rows.valid() and rows.key().startswith(_STANDING):
            table = rows.key()[len(_STANDING) :].decode()
            self.standings[table] = Standing(*json.loads(rows.value()))
            rows.next()
        rows.status()  # a damaged block ends an iteration early, and says so only here
        return ""

    def _destroy(self, reason: str) -> None:
        log.warning("%s: %s: wiped, and restored from the changelog", self.path, reason)
        shutil.rmtree(self.path, ignore_errors=True)

    def _error(self, error: Exception) -> StoreError:
        """Return what an exception out of RocksDB means; what is damaged is marked, and wiped at the next start."""
        text = str(error)
        found = StoreError(f"the state in {self.path} cannot be used: {text}")
        if text.startswith("Corruption"):
            with suppress(OSError):
                self._suspect.write_text(text)
        self._failed(found)
        return found

    # -- read

    def get(self, key: bytes) -> bytes | None:
        """Return the bytes of one row."""
        try:
            found: bytes | None = self._db.get(key)
        except Exception as error:
            raise self._error(error) from error
        return found

    def rows(self, prefix: bytes, *, fill_cache: bool = True) -> Iterator[tuple[bytes, bytes]]:
        """Yield key and value bytes of a table as they were when the iteration began, in key order."""
        options = ReadOptions()
        # A prefix ends with NUL.
        options.set_iterate_upper_bound(prefix[:-1] + b"\x01")
        options.fill_cache(fill_cache)  # type: ignore[call-arg] # the stub lacks the argument
        length = len(prefix)
        try:
            rows = self._db.iter(options)
            rows.seek(prefix)
            while rows.valid():
                yield rows.key()[length:], rows.value()
                rows.next()
            rows.status()
        except Exception as error:
            raise self._error(error) from error

    # -- write

    def write(self, tables: Iterable[tuple[str, Iterable[EncodedRow]]]) -> None:
        """Write rows of tables, and the standings of these tables as they are now, all or nothing."""
        try:
            batch = WriteBatch(raw_mode=True)
            put, delete = batch.put, batch.delete
            for table, rows in tables:
                prefix = prefix_of(table)
                for key, value in rows:
                    if value is None:
                        delete(prefix + key)
                    else:
                        put(prefix + key, value)
                standing = self.standings.get(table)
                if standing is not None:
                    state = [standing.position, standing.topic_id, standing.used]
                    put(_STANDING + table.encode(), json.dumps(state).encode())
            self._db.write(batch)
        except Exception as error:
            raise self._error(error) from error

    def forget(self, table: str) -> None:
        """Remove all rows of a table and its standing, at once."""
        self.standings.pop(table, None)
        prefix = prefix_of(table)
        try:
            batch = WriteBatch(raw_mode=True)
            batch.delete_range(prefix, prefix[:-1] + b"\x01")
            batch.delete(_STANDING + table.encode())
            self._db.write(batch)
        except Exception as error:
            raise self._error(error) from error

    def close(self) -> None:
        """Close it; what is in its log is there at the next start."""
        try:
            self._db.close()
        except Exception as error:
            raise self._error(error) from error
