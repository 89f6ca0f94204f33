"""Faults 2 and 3: asked to stop in the middle of a batch; stopped and continued, a zombie."""

from __future__ import annotations

import signal
import time

from tests.chaos.processes import READY, Worker, eventually, pause
from tests.chaos.run import Run

STOP_BAR = 12.0
REJOIN_BAR = 30.0


def terminated(run: Run, times: int) -> None:
    """SIGTERM while a transaction is open: exit 0 in 12 s, and no record is processed again."""
    run.feed(2_000)
    for _ in range(times):
        run.feed(4_000)
        worker = run.started(CHAOS_BATCH="20")
        run.require(
            eventually(run.open_transaction, 20, 0.0), "no transaction was seen open before the end"
        )
        begin = time.monotonic()
        status = worker.terminate(40)
        seconds = time.monotonic() - begin
        run.require(run.behind() > 0, "there was nothing left to process when it was asked")
        run.hit(f"SIGTERM with a transaction open: exit {status} after {seconds:.1f} s")
        run.hold(status == 0 and seconds <= STOP_BAR, f"SIGTERM: exit {status}, {seconds:.1f} s")
        run.hold("aborted" not in worker.text, "SIGTERM: a transaction was aborted, so repeated")
        run.hold(not run.open_transaction(), "SIGTERM: a transaction was left open")


def stopped(run: Run, seconds: float, *, other: bool) -> None:
    """SIGSTOP with a transaction open where that is seen, then SIGCONT.

    Args:
        run: the run.
        seconds: how long the process stands still.
        other: whether another worker is there to take its partitions over.
    """
    run.feed_steadily(400)
    zombie = run.started(CHAOS_BATCH="20", CHAOS_INSTANCE="0")
    peer = None
    if other:
        peer = run.started(CHAOS_BATCH="20", CHAOS_INSTANCE="1")
        eventually(lambda: zombie.text.count(READY) > 1, 20)
    opened = eventually(run.open_transaction, 5, 0.0)
    zombie.send(signal.SIGSTOP)
    run.require(eventually(lambda: zombie.state == "T", 5), "it was not stopped")
    still = run.open_transaction()
    lines = 0 if peer is None else peer.text.count(READY)
    pause(seconds)
    run.require(zombie.state == "T", "it did not stand still to the end")
    if peer is not None:
        run.require(peer.text.count(READY) > lines, "nobody took its partitions over meanwhile")
    begin = time.monotonic()
    zombie.send(signal.SIGCONT)
    where = "with a transaction open" if opened and still else "between transactions"
    run.hit(f"state T for {seconds:g} s, stopped {where}")
    _came_back(run, zombie, zombie.text.count(READY), begin, fenced=other)
    if zombie.wait(0.1) in (70, 75):
        run.started(CHAOS_BATCH="20", CHAOS_INSTANCE="0")
    run.hold(run.moves(), "nothing is processed after SIGCONT")


def _came_back(run: Run, zombie: Worker, lines: int, begin: float, *, fenced: bool) -> None:
    def back() -> bool:
        if not zombie.alive:
            return True
        return zombie.text.count(READY) > lines if fenced else run.moves(2)

    came = eventually(back, REJOIN_BAR, 0.1)
    status = zombie.process.poll()
    seconds = time.monotonic() - begin
    run.hold(came, f"{seconds:.0f} s after SIGCONT it has neither ended nor come back")
    run.hold(status in (None, 70, 75), f"SIGCONT: exit {status}: {zombie.tail()}")
