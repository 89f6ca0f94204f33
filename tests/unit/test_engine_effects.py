"""Work after a commit: once, in order per key, bounded, and gone with an abort."""

from __future__ import annotations

import asyncio

import pytest

from streams.engine.effects import AfterCommit, discard
from streams.engine.errors import DeadEvent
from streams.engine.event import current, current_event
from tests.unit.engine_tools import in_hand, make_event


async def test_effects_of_one_key_run_in_order_and_others_beside_them() -> None:
    """A slow first effect holds back its own key only."""
    done: list[str] = []
    gate = asyncio.Event()
    finished = asyncio.Event()

    async def slow() -> None:
        await gate.wait()
        done.append("a1")

    async def quick(name: str) -> None:
        done.append(name)
        if name == "a2":
            finished.set()
        if name == "b1":
            gate.set()

    effects = AfterCommit(4)
    effects.start([("a", slow), ("a", lambda: quick("a2")), ("b", quick("b1"))])
    await asyncio.wait_for(finished.wait(), 5)
    assert done == ["b1", "a1", "a2"]


async def test_no_more_than_so_many_run_at_once() -> None:
    """The bound holds, and all get their turn."""
    running = most = count = 0
    finished = asyncio.Event()

    async def work() -> None:
        nonlocal running, most, count
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1
        count += 1
        if count == 20:
            finished.set()

    effects = AfterCommit(3)
    effects.start([(str(i), work) for i in range(20)])
    await asyncio.wait_for(finished.wait(), 5)
    assert most == 3


async def test_a_failed_effect_harms_no_other(caplog: pytest.LogCaptureFixture) -> None:
    """Its error is logged; the next of the same key runs."""
    finished = asyncio.Event()

    async def bad() -> None:
        raise ValueError("venue away")

    async def good() -> None:
        finished.set()

    AfterCommit(2).start([("a", bad), ("a", good)])
    await asyncio.wait_for(finished.wait(), 5)
    assert "venue away" in caplog.text


async def test_an_effect_has_no_event_in_hand() -> None:
    """What it sends is no part of any batch."""
    seen: list[object] = []
    finished = asyncio.Event()

    async def look() -> None:
        seen.append(current_event())
        finished.set()

    with in_hand(make_event()):
        AfterCommit(1).start([("a", look)])
        await asyncio.wait_for(finished.wait(), 5)
        assert current.get() is not None
    assert seen == [None]


async def test_cancel_ends_every_effect_even_those_that_wait_their_turn() -> None:
    """Revoked partitions and a stop leave nothing running, in no key's queue."""
    started: list[str] = []

    async def forever(name: str) -> None:
        started.append(name)
        await asyncio.Event().wait()

    effects = AfterCommit(8)
    effects.start([("a", lambda: forever("a1")), ("a", lambda: forever("a2"))])
    await asyncio.sleep(0.01)
    await effects.cancel()
    await asyncio.sleep(0.01)
    assert started == ["a1"]
    assert effects.running == 0


async def test_discarded_coroutines_are_closed_and_never_run() -> None:
    """An aborted transaction's effects do not happen, and warn of nothing."""
    ran: list[int] = []

    async def effect() -> None:
        ran.append(1)

    effects = [("a", effect()), ("b", effect)]
    discard(effects)  # type: ignore[arg-type]
    assert effects == []
    assert ran == []


def test_a_dead_event_takes_no_effect() -> None:
    """Registered after the agent moved on, it would belong to another transaction."""
    event = make_event()
    event.alive = False
    with pytest.raises(DeadEvent):
        event.after_commit(lambda: asyncio.sleep(0))
