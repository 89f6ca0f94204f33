"""The transaction coordinator, transaction version 1: the epoch rises with init only, never with an end.

So a request of one transaction that is delayed past its end can land in the next one of the same
epoch. What KIP-890 part 1 gives is modelled: the first record of a transaction in a partition, and its
offsets, are taken only while the coordinator has that partition in an ongoing transaction.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from tests.simulation.errors import BAD_STATE, CONCURRENT, FENCED_EPOCH, Refused

if TYPE_CHECKING:
    from tests.simulation.world import World

Place = tuple[str, int]

CLEAN_UP_SECONDS = 10.0
"""transaction.abort.timed.out.transaction.cleanup.interval.ms: how often old transactions are looked for."""


class Phase(StrEnum):
    """States of a transactional id at the coordinator."""

    EMPTY = "Empty"
    ONGOING = "Ongoing"
    PREPARE_COMMIT = "PrepareCommit"
    PREPARE_ABORT = "PrepareAbort"
    COMPLETE_COMMIT = "CompleteCommit"
    COMPLETE_ABORT = "CompleteAbort"


_PREPARED = (Phase.PREPARE_COMMIT, Phase.PREPARE_ABORT)


@dataclass(slots=True)
class Transaction:
    """What the coordinator knows of one transactional id."""

    name: str
    pid: int
    timeout: float
    epoch: int = -1
    phase: Phase = Phase.EMPTY
    places: dict[Place, None] = field(default_factory=dict)
    groups: dict[str, None] = field(default_factory=dict)
    since: float = 0.0
    missing: int = 0
    ends: dict[int, int] = field(default_factory=dict)


class Coordinator:
    """All transactional ids of the simulated cluster."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.known: dict[str, Transaction] = {}
        self._next_pid = 1000
        self.on_commit: list[Callable[[Transaction], None]] = []

    def start(self) -> None:
        """Look for transactions past their time-out, now and then."""
        self._world.loop.call_later(CLEAN_UP_SECONDS, self._clean_up)

    def _clean_up(self) -> None:
        now = self._world.loop.time()
        for txn in self.known.values():
            if txn.phase is Phase.ONGOING and now - txn.since > txn.timeout:
                self._world.count("transaction timed out")
                txn.epoch += 1
                self._decide(txn, commit=False)
        self._world.loop.call_later(CLEAN_UP_SECONDS, self._clean_up)

    # -- requests

    def init(self, name: str, timeout: float) -> tuple[int, int]:
        """Give out a producer id and a new epoch; abort what the predecessor left."""
        txn = self.known.get(name)
        if txn is None:
            txn = self.known[name] = Transaction(name, self._next_pid, timeout)
            self._next_pid += 1
        if txn.phase is Phase.ONGOING:
            txn.epoch += 1  # fenced from here on
            self._decide(txn, commit=False)
        if txn.phase in _PREPARED:
            raise Refused(CONCURRENT)
        txn.epoch += 1
        txn.phase = Phase.EMPTY
        self._world.trace("init", name, txn.pid, txn.epoch)
        return txn.pid, txn.epoch

    def _own(self, name: str, pid: int, epoch: int) -> Transaction:
        txn = self.known.get(name)
        if txn is None or txn.pid != pid or txn.epoch != epoch:
            raise Refused(FENCED_EPOCH)
        return txn

    def _ongoing(self, name: str, pid: int, epoch: int) -> Transaction:
        txn = self._own(name, pid, epoch)
        if txn.phase in _PREPARED:
            raise Refused(CONCURRENT)
        if txn.phase is not Phase.ONGOING:
            txn.phase = Phase.ONGOING
            txn.since = self._world.loop.time()
        return txn

    def add_places(self, name: str, pid: int, epoch: int, places: list[Place]) -> None:
        """Take partitions into the transaction."""
        self._ongoing(name, pid, epoch).places.update(dict.fromkeys(places))

    def add_group(self, name: str, pid: int, epoch: int, group: str) -> None:
        """Take a group's offsets into the transaction."""
        self._ongoing(name, pid, epoch).groups[group] = None

    def end(self, name: str, pid: int, epoch: int, *, commit: bool) -> None:
        """Decide the transaction; the markers follow one by one."""
        txn = self._own(name, pid, epoch)
        wanted = (Phase.PREPARE_COMMIT, Phase.COMPLETE_COMMIT)
        if not commit:
            wanted = (Phase.PREPARE_ABORT, Phase.COMPLETE_ABORT)
        if txn.phase is Phase.ONGOING:
            self._decide(txn, commit=commit)
        elif txn.phase is wanted[0]:
            raise Refused(CONCURRENT)
        elif txn.phase is not wanted[1]:
            raise Refused(BAD_STATE)

    def verify(self, pid: int, epoch: int, place: Place | None, group: str | None) -> None:
        """Refuse a write whose transaction the coordinator does not have (KIP-890 part 1)."""
        for txn in self.known.values():
            if txn.pid == pid:
                if txn.epoch != epoch:
                    raise Refused(FENCED_EPOCH)
                if txn.phase is Phase.ONGOING and (place in txn.places or group in txn.groups):
                    return
        raise Refused(BAD_STATE)

    # -- the end

    def _decide(self, txn: Transaction, *, commit: bool) -> None:
        world = self._world
        txn.phase = Phase.PREPARE_COMMIT if commit else Phase.PREPARE_ABORT
        world.trace("decided", txn.name, txn.epoch, "commit" if commit else "abort")
        if commit:
            txn.ends[txn.epoch] = txn.ends.get(txn.epoch, 0) + 1
            for tell in self.on_commit:
                tell(txn)
        txn.missing = len(txn.places) + len(txn.groups)
        for place in txn.places:
            world.loop.call_later(world.faults.marker_delay(), self._mark, txn, place, commit)
        for group in txn.groups:
            world.loop.call_later(world.faults.marker_delay(), self._settle, txn, group, commit)
        if not txn.missing:
            self._complete(txn, commit)

    def _mark(self, txn: Transaction, place: Place, commit: bool) -> None:
        self._world.broker.partition(place).mark(txn.pid, txn.epoch, commit=commit)
        self._complete(txn, commit)

    def _settle(self, txn: Transaction, group: str, commit: bool) -> None:
        self._world.broker.group(group).settle(txn.pid, txn.epoch, commit=commit)
        self._complete(txn, commit)

    def _complete(self, txn: Transaction, commit: bool) -> None:
        txn.missing -= 1
        if txn.missing <= 0:
            txn.phase = Phase.COMPLETE_COMMIT if commit else Phase.COMPLETE_ABORT
            txn.places, txn.groups = {}, {}
            self._world.trace("complete", txn.name, txn.epoch)
