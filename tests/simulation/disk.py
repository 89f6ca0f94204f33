"""A disk that forgets what was not synced, tears the last write and flips bits; and a store on it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from streams.engine.store.memory import MemoryState, MemoryTable
from streams.engine.store.port import Changes, EncodedRow, RowCodec

if TYPE_CHECKING:
    from tests.simulation.process import Process
    from tests.simulation.world import World

Write = tuple[bytes, bytes]
"""One write: its checksum and its content."""


class Disk:
    """What one machine keeps of a slot's state: whole writes, in order."""

    def __init__(self, world: World, name: str) -> None:
        self._world = world
        self._chance = world.chance(f"disk {name}")
        self.writes: list[Write] = []
        self._synced = 0
        self.holder: Process | None = None

    def take(self, process: Process) -> None:
        """Let a process hold the disk until its end."""
        self.holder = process
        process.on_end.append(self._let_go)

    def append(self, content: bytes) -> None:
        """Write; the write is safe from a power cut only when it is synced, some time later."""
        self.writes.append((hashlib.sha256(content).digest(), content))
        if self._chance.random() < 0.2:
            self._synced = len(self.writes)

    def _let_go(self) -> None:
        process, self.holder = self.holder, None
        if process is None or process.exit_code is not None or not self._world.faults.active:
            return
        draw = self._chance.random()
        if draw < 0.3:
            self._cut_power()
        elif draw < 0.4 and self.writes:
            self._world.count("disk flipped a bit")
            self._spoil(self._chance.randrange(len(self.writes)))

    def _cut_power(self) -> None:
        kept = self._chance.randint(self._synced, len(self.writes))
        self._world.count("disk lost writes" if kept < len(self.writes) else "disk lost nothing")
        torn = kept < len(self.writes)
        del self.writes[kept + torn :]
        if torn:
            checksum, content = self.writes[-1]
            self.writes[-1] = (checksum, content[: len(content) // 2])

    def _spoil(self, at: int) -> None:
        checksum, content = self.writes[at]
        bit = self._chance.randrange(len(content) * 8)
        spoilt = bytearray(content)
        spoilt[bit // 8] ^= 1 << bit % 8
        self.writes[at] = (checksum, bytes(spoilt))

    def read(self) -> list[dict[str, Any]]:
        """Return the writes that are whole: a torn end is cut off, damage before it takes all."""
        good = [hashlib.sha256(content).digest() == checksum for checksum, content in self.writes]
        if not all(good[:-1]):
            self._world.count("store wiped")
            self._world.trace("store wiped")
            self.writes = []
        elif good and not good[-1]:
            self._world.count("torn write dropped")
            self.writes.pop()
        self._synced = min(self._synced, len(self.writes))
        return [json.loads(content) for _, content in self.writes]


class DiskState(MemoryState):
    """The engine's state in memory, every change of it written to a disk as one whole."""

    def __init__(self, disk: Disk, process: Process) -> None:
        super().__init__()
        self._disk = disk
        self._process = process
        disk.take(process)
        self._found = disk.read()
        self._replaying = False

    def table(self, codec: RowCodec) -> MemoryTable:
        """Return the rows of one table, as the disk has them."""
        table = super().table(codec)
        self._replaying = True
        for write in self._found:
            name, partition = write["table"], write["partition"]
            if name != codec.name:
                continue
            if write["wipe"]:
                super().wipe(name, partition)
                continue
            rows = [
                (bytes.fromhex(k), None if v is None else bytes.fromhex(v))
                for k, v in write["rows"]
            ]
            table.restore(partition, rows)
            if write["position"] is not None:
                super().restore(name, partition, [], write["position"], write["topic"])
        self._replaying = False
        return table

    def _write(self, table: str, partition: int, rows: Iterable[EncodedRow], **facts: Any) -> None:
        if self._replaying:
            return
        self._process.effect("store write")
        content = {
            "table": table,
            "partition": partition,
            "wipe": False,
            "position": None,
            "rows": [(k.hex(), None if v is None else v.hex()) for k, v in rows],
        }
        self._disk.append(json.dumps(content | facts).encode())

    def wipe(self, table: str, partition: int) -> None:
        """Forget a table's partition."""
        super().wipe(table, partition)
        self._write(table, partition, [], wipe=True)

    def restore(
        self, table: str, partition: int, rows: list[EncodedRow], position: int, topic_id: str
    ) -> None:
        """Take records of a changelog in, with the offset after them."""
        super().restore(table, partition, rows, position, topic_id)
        self._write(table, partition, rows, position=position, topic=topic_id)

    def follow(self, table: str, partition: int, position: int, topic_id: str) -> None:
        """The partition stands at the end of its changelog."""
        super().follow(table, partition, position, topic_id)
        self._write(table, partition, [], position=position, topic=topic_id)

    def commit(self, partition: int, changes: list[Changes]) -> None:
        """Take a committed transaction in."""
        super().commit(partition, changes)
        for each in changes:
            standing = self.standing(each.table, partition)
            facts: dict[str, Any] = {}
            if each.position is not None and standing is not None:
                facts = {"position": each.position, "topic": standing.topic_id}
            self._write(each.table, partition, each.rows, **facts)
