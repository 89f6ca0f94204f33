"""Fault 7: workers join and leave every two seconds."""

from __future__ import annotations

import signal
import time

from tests.chaos.processes import READY, Worker, pause
from tests.chaos.run import Run

EVERY = 2.0
STALL_BAR = 30.0
DRAIN = "chaos: revoked inside a drain of"


def storm(run: Run, seconds: float, most: int = 3, rate: float = 600.0) -> None:
    """Two to `most` workers; each two seconds one joins, or one leaves, politely or not.

    Membership is dynamic, so that a worker which leaves gives its partitions away at once. At least
    one revocation falls inside a drain, which the observing consumer says.
    """
    run.environment["CHAOS_MEMBERSHIP"] = "dynamic"
    run.environment["CHAOS_BATCH"] = "200"
    run.environment["CHAOS_OBSERVE"] = "0.3"
    run.feed_steadily(rate)
    slots: dict[str, Worker] = {}
    leaving: set[str] = set()
    for slot in ("0", "1"):
        slots[slot] = run.started(CHAOS_INSTANCE=slot)
    begin = moved = time.monotonic()
    best, changes, longest = run.progress(), 0, 0.0
    while time.monotonic() - begin < seconds:
        _change(run, slots, leaving, most)
        changes += 1
        until = time.monotonic() + EVERY
        while time.monotonic() < until:
            now = run.progress()
            if now > best:
                best, moved = now, time.monotonic()
            longest = max(longest, time.monotonic() - moved)
            pause(0.1)
    lines = sum(worker.text.count(READY) for worker in run.workers)
    drains = sum(worker.text.count(DRAIN) for worker in run.workers)
    run.require(lines > max(4, changes // 3), f"{changes} changes led to {lines} assignments only")
    run.require(drains, "no revocation fell inside a drain")
    run.hit(f"{changes} joins and leaves, {lines} assignments, {drains} revocations in a drain")
    run.hold(longest <= STALL_BAR, f"nothing was committed for {longest:.0f} s")


def in_drains(run: Run, times: int) -> None:
    """A second worker joins and leaves while the first one drains: its records in hand are not its own any more.

    Its drains take a second, so that each revocation falls inside of one.
    """
    run.environment["CHAOS_MEMBERSHIP"] = "dynamic"
    run.environment["CHAOS_OBSERVE"] = "1.0"
    run.environment["CHAOS_BATCH"] = "500"
    run.feed_steadily(250)
    first = run.started(CHAOS_INSTANCE="0")
    for number in range(times):
        run.require(run.moves(), f"the worker does not get on: {first.tail()}")
        lines = first.text.count(READY)
        second = run.start(CHAOS_INSTANCE="1")
        run.require(first.says(READY, 40, times=lines + 1), "a join moved nothing")
        run.require(second.ready(), f"no second worker: {second.tail()}")
        second.terminate()
        run.require(first.says(READY, 40, times=lines + 2), "a leave moved nothing")
        drains = first.text.count(DRAIN)
        run.require(drains > number, "no revocation fell inside a drain")
        run.hit(f"join and leave {number + 1}, {drains} revocations inside a drain so far")


def _change(run: Run, slots: dict[str, Worker], leaving: set[str], most: int) -> None:
    for slot in [s for s, worker in slots.items() if not worker.alive]:
        worker = slots.pop(slot)
        leaving.discard(slot)
        # -15: it was told to end before it had come to listen for that.
        run.hold(
            worker.process.poll() in (0, -9, -15, 75),
            f"a worker ended with {worker.process.poll()}: {worker.tail()}",
        )
    free = [str(n) for n in range(most) if str(n) not in slots]
    staying = sorted(set(slots) - leaving)
    if free and (len(staying) < 2 or run.chance.random() < 0.6):
        slot = run.chance.choice(free)
        slots[slot] = run.start(CHAOS_INSTANCE=slot)
    elif len(staying) > 1:
        slot = run.chance.choice(staying)
        leaving.add(slot)  # a second signal would end it by force
        slots[slot].send(signal.SIGKILL if run.chance.random() < 0.2 else signal.SIGTERM)
