"""One system under test as a process: started, watched from outside, ended."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from confluent_kafka import Consumer, KafkaException, TopicPartition

from streams.local.processes import ProcessRef, kill, spawn

ROOT = Path(__file__).parents[2]
START_SECONDS = 90.0
_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


class SystemEndedError(Exception):
    """A system did not start, or ended on its own; what it said last is with it."""


class Running:
    """A running system: its processor time and memory, all threads together, and its last words."""

    def __init__(self, name: str, process: ProcessRef, log: Path) -> None:
        self.name = name
        self.process = process
        self.log = log

    @property
    def _folder(self) -> Path:
        return Path("/proc", str(self.process.pid))

    def cpu_seconds(self) -> float:
        """User and system time of all of its threads so far."""
        fields = (self._folder / "stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def resident_bytes(self) -> int:
        """Memory that it has in RAM."""
        return int((self._folder / "statm").read_text().split()[1]) * _PAGE

    def files(self) -> int:
        """Count of its open file handles, RocksDB's table files apart: compaction makes and drops those."""
        count = 0
        for handle in (self._folder / "fd").iterdir():
            with suppress(FileNotFoundError):  # closed since it was listed
                count += handle.readlink().suffix != ".sst"
        return count

    def threads(self) -> int:
        """Count of its threads."""
        return len(list((self._folder / "task").iterdir()))

    def require_alive(self) -> None:
        """Raise if it has ended."""
        if not self.process.alive():
            said = self.log.read_text(errors="replace")[-3000:]
            raise SystemEndedError(f"{self.name} ended:\n{said}")

    def wait_for(
        self, what: str, condition: Callable[[], bool], seconds: float = START_SECONDS
    ) -> None:
        """Wait until a condition holds, while the system runs."""
        deadline = time.monotonic() + seconds
        while not condition():
            self.require_alive()
            if time.monotonic() > deadline:
                said = self.log.read_text(errors="replace")[-3000:]
                raise SystemEndedError(f"{self.name}: {what} took over {seconds:g} s:\n{said}")
            time.sleep(0.02)


@contextmanager
def running(
    name: str, command: Sequence[str], environment: Mapping[str, str], folder: Path
) -> Iterator[Running]:
    """Run a system for the length of a block; it is killed at its end, and dies with us."""
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "log"
    process = spawn(
        command,
        log=log,
        cwd=folder,
        die_with_parent=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
    )
    try:
        yield Running(name, process, log)
    finally:
        kill(process)


class Position:
    """How far a group has come on its topics: the sum of its committed offsets, asked without joining."""

    def __init__(self, bootstrap: str, group: str, topics: Sequence[str], partitions: int) -> None:
        self._asked = [TopicPartition(name, n) for name in topics for n in range(partitions)]
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap,
                "group.id": group,
                "enable.auto.commit": False,
                "isolation.level": "read_uncommitted",
                "log_level": 0,
            }
        )

    def committed(self) -> int:
        """Return the sum; 0 while nobody knows."""
        try:
            found = self._consumer.committed(self._asked, timeout=10)
        except KafkaException:  # the group's coordinator is not found yet
            return 0
        return sum(max(tp.offset, 0) for tp in found)

    def close(self) -> None:
        """End the client."""
        self._consumer.close()
