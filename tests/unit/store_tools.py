"""Stores of two tables without an app, and images of a store's folder as a crash leaves it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from streams.engine.store.folder import StateFolder
from streams.engine.store.memory import MemoryState
from streams.engine.store.port import DELETED, Changes, StateStore
from streams.engine.store.rocks import RocksState

ID = "a" * 32
TABLES = ("left", "right")


class Codec:
    """Text keys, whole numbers as values."""

    def __init__(self, name: str) -> None:
        self.name = name

    def dump_key(self, key: str) -> bytes:
        return key.encode()

    def load_key(self, data: bytes) -> str:
        return data.decode()

    def load_value(self, data: bytes) -> int:
        return int(data)


def rocks(folder: Path, app: str = "unit", instance: str = "0", cache: int = 64) -> RocksState:
    """A state on disk, with little memory."""
    return RocksState(StateFolder(folder, app, instance), 1024 * 1024, cache)


def opened(state: StateStore, partitions: tuple[int, ...] = (0,)) -> StateStore:
    """Open a state with both tables, following their changelogs from where they stand."""
    state.open()
    for name in TABLES:
        state.table(Codec(name))
    state.attach(partitions)
    for name in TABLES:
        for partition in partitions:
            standing = state.standing(name, partition)
            state.follow(name, partition, 0 if standing is None else standing.position, ID)
    return state


@contextmanager
def running(
    folder: Path, make: Callable[[Path], StateStore] = rocks, partitions: tuple[int, ...] = (0,)
) -> Iterator[StateStore]:
    """A state that is closed at the end."""
    state = opened(make(folder), partitions)
    try:
        yield state
    finally:
        state.close()


def in_memory(_: Path) -> MemoryState:
    """A state in memory, made as one on disk is."""
    return MemoryState()


def table_of(state: Any, name: str) -> Any:
    """The rows of a table of it."""
    return state.table(Codec(name))


def commit(
    state: StateStore, position: int | None, partition: int = 0, **tables: dict[str, Any]
) -> None:
    """Commit writes by table."""
    state.commit(
        partition,
        [
            Changes(
                name,
                writes,
                sorted(
                    (k.encode(), None if v is DELETED else str(v).encode())
                    for k, v in writes.items()
                ),
                position,
            )
            for name, writes in tables.items()
        ],
    )


def image(source: Path, target: Path) -> Path:
    """Copy a state's folder as it lies on disk now: what a kill -9 leaves.

    RocksDB may remove a file it needs no more while we copy: then it is done again.
    """
    for _ in range(20):
        try:
            return Path(shutil.copytree(source, target))
        except shutil.Error:
            shutil.rmtree(target)
    raise AssertionError(f"{source} never stood still")


def contents(state: StateStore, partition: int = 0) -> dict[str, dict[str, int]]:
    """All committed rows by table."""
    return {name: table_of(state, name).committed(partition) for name in TABLES}
