"""One partition's log: records, commit markers, aborted transactions, the last stable offset."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from tests.simulation.errors import FENCED_EPOCH, Refused

Headers = list[tuple[str, bytes | None]]


@dataclass(slots=True)
class Payload:
    """What a producer sends."""

    key: bytes | None
    value: bytes | None
    headers: Headers
    timestamp_ms: int


@dataclass(slots=True)
class Entry:
    """One offset of the log: a record, or a marker that only moves positions."""

    offset: int
    payload: Payload | None
    pid: int
    epoch: int
    transactional: bool
    aborted: bool = False

    @property
    def marker(self) -> bool:
        """Whether it is a commit or abort marker."""
        return self.payload is None


@dataclass(slots=True)
class _Writer:
    epoch: int
    next_sequence: int = 0
    recent: tuple[int, int] = (-1, -1)


class OutOfOrder(Refused):
    """A batch came before its predecessor."""


class Partition:
    """The log of one partition on its leader."""

    def __init__(self, topic: str, number: int) -> None:
        self.topic = topic
        self.number = number
        self.start = 0
        self.entries: list[Entry] = []
        self.open: dict[int, int] = {}
        self._writers: dict[int, _Writer] = {}
        self._waiters: list[asyncio.Future[None]] = []

    @property
    def place(self) -> tuple[str, int]:
        """Topic and number."""
        return (self.topic, self.number)

    @property
    def end(self) -> int:
        """The log end offset."""
        return len(self.entries)

    @property
    def stable(self) -> int:
        """The last stable offset: everything before it is decided."""
        return min(self.open.values(), default=len(self.entries))

    def append(
        self,
        payloads: list[Payload],
        pid: int = -1,
        epoch: int = -1,
        sequence: int = -1,
        *,
        transactional: bool = False,
    ) -> int:
        """Append a batch and return the offset of its first record.

        A batch with a sequence that was appended already is acknowledged and not appended again.

        Raises:
            Refused: an epoch that was fenced here, or a gap in the sequence.
        """
        if pid >= 0:
            base = self._known(pid, epoch, sequence, len(payloads))
            if base is not None:
                return base
        base = len(self.entries)
        for payload in payloads:
            self.entries.append(Entry(len(self.entries), payload, pid, epoch, transactional))
        if pid >= 0:
            writer = self._writers[pid]
            writer.next_sequence = sequence + len(payloads)
            writer.recent = (sequence, base)
        if transactional:
            self.open.setdefault(pid, base)
        else:
            self._wake()
        return base

    def _known(self, pid: int, epoch: int, sequence: int, count: int) -> int | None:
        writer = self._writers.get(pid)
        if writer is None or writer.epoch < epoch:
            self._writers[pid] = writer = _Writer(epoch)
            if sequence != 0:
                # A broker without state of a producer takes its first batch as it is.
                writer.next_sequence = sequence
        if writer.epoch > epoch:
            raise Refused(FENCED_EPOCH)
        if sequence == writer.recent[0]:
            return writer.recent[1]
        if sequence < writer.next_sequence:
            return max(writer.recent[1], 0)
        if sequence > writer.next_sequence:
            raise OutOfOrder(45)
        return None

    def mark(self, pid: int, epoch: int, *, commit: bool) -> None:
        """Write the marker that decides a producer's open transaction."""
        first = self.open.pop(pid, None)
        if first is not None and not commit:
            for entry in self.entries[first:]:
                if entry.pid == pid and entry.transactional:
                    entry.aborted = True
        writer = self._writers.get(pid)
        if writer is None or epoch > writer.epoch:
            self._writers[pid] = _Writer(epoch)
        self.entries.append(Entry(len(self.entries), None, pid, epoch, True, not commit))
        self._wake()

    def undecided(self, pid: int) -> list[Entry]:
        """Return the records of a producer's open transaction."""
        first = self.open.get(pid)
        if first is None:
            return []
        return [e for e in self.entries[first:] if e.pid == pid and not e.marker]

    def read(self, position: int, limit: int, end: int | None = None) -> tuple[list[Entry], int]:
        """Return committed records from a position on, and the position after what was looked at."""
        stop = self.stable if end is None else end
        found: list[Entry] = []
        if stop - position <= limit:
            part = self.entries[position:stop]
            return [e for e in part if e.payload is not None and not e.aborted], max(stop, position)
        while position < stop and len(found) < limit:
            entry = self.entries[position]
            position += 1
            if entry.payload is not None and not entry.aborted:
                found.append(entry)
        return found, position

    def wait(self, waiter: asyncio.Future[None]) -> None:
        """Wake a fetch when the last stable offset moves."""
        if len(self._waiters) > 20:
            self._waiters = [w for w in self._waiters if not w.done()]
        self._waiters.append(waiter)

    def _wake(self) -> None:
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)
