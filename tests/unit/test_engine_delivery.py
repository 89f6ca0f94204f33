"""Streams, the barrier, and what an agent's failure tells."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from streams.engine.delivery import Delivery
from streams.engine.errors import AgentFailed, DeadEvent
from streams.engine.event import Event, current_event
from tests.unit.engine_tools import RAW, make_app, make_batch, make_event, message


class Engine:
    """What a failing agent reports to."""

    def __init__(self) -> None:
        self.failures: list[BaseException] = []

    def agent_failed(self, agent: Any, error: BaseException) -> None:
        self.failures.append(error)


class Rig:
    """Agents of an app, and their delivery, without a broker."""

    def __init__(self) -> None:
        self.app = make_app()
        self.app.engine = self.engine = Engine()
        self.seen: list[tuple[str, int]] = []
        self.batch = make_batch()
        self.delivery: Any = None

    def agent(self, name: str, *topics: str, bad: int = -1) -> None:
        """Declare an agent that notes what it sees, and fails at one offset."""

        async def read(stream: Any) -> None:
            async for event in stream.events():
                self.seen.append((name, event.message.offset))
                if event.message.offset == bad:
                    raise ValueError("this one")

        self.app.agent(self.app.topic(*topics, **RAW), name=name)(read)

    async def start(self) -> None:
        """Begin all agents."""
        self.delivery = Delivery(list(self.app.agents.values()))
        await self.delivery.restart()

    def events(self, topic: str, *offsets: int) -> list[Event]:
        """Make events of a topic."""
        return [make_event(self.app, self.batch, message(topic, 0, o)) for o in offsets]

    async def stop(self) -> None:
        """End all agents."""
        for agent in self.delivery.agents:
            await agent.end()


async def test_a_run_ends_when_the_agent_has_asked_for_more() -> None:
    """After the barrier every event was seen, in order, and none is in hand or alive."""
    rig = Rig()
    rig.agent("a", "in")
    await rig.start()
    events = rig.events("in", 0, 1, 2)
    await rig.delivery.run(events)
    assert rig.seen == [("a", 0), ("a", 1), ("a", 2)]
    assert not any(event.alive for event in events)
    await rig.delivery.run(rig.events("in", 3))
    assert rig.seen[-1] == ("a", 3)
    assert rig.delivery.agents[0].engine_stream.current_event is None
    await rig.stop()


async def test_several_readers_take_turns_by_name_event_by_event() -> None:
    """Each event is finished by one agent before the next agent, and the next event, starts."""
    rig = Rig()
    rig.agent("b", "in")
    rig.agent("a", "in")
    rig.agent("c", "other")
    await rig.start()
    await rig.delivery.run([*rig.events("in", 0, 1), *rig.events("other", 5)])
    assert rig.seen == [("a", 0), ("b", 0), ("a", 1), ("b", 1), ("c", 5)]
    await rig.stop()


async def test_a_failure_names_the_event_in_hand() -> None:
    """The culprit is known; those after it were not handed out."""
    rig = Rig()
    rig.agent("a", "in", bad=1)
    await rig.start()
    with pytest.raises(AgentFailed, match="this one") as caught:
        await rig.delivery.run(rig.events("in", 0, 1, 2))
    assert caught.value.event.message.offset == 1
    assert isinstance(rig.engine.failures[0], ValueError)
    await rig.delivery.restart()
    rig.seen.clear()
    await rig.delivery.run(rig.events("in", 7))
    assert rig.seen == [("a", 7)]
    await rig.stop()


async def test_a_later_agent_s_failure_has_its_own_culprit() -> None:
    """With several readers the event in the failing one's hand is named."""
    rig = Rig()
    rig.agent("a", "in")
    rig.agent("b", "in", bad=1)
    await rig.start()
    with pytest.raises(AgentFailed) as caught:
        await rig.delivery.run(rig.events("in", 0, 1, 2))
    assert caught.value.agent == "b"
    assert caught.value.event.message.offset == 1
    await rig.stop()


async def test_an_agent_that_ends_is_a_failure() -> None:
    """It is to iterate for ever: its function returning cannot pass for a barrier."""
    rig = Rig()

    async def once(stream: Any) -> None:
        async for _ in stream.events():
            return

    rig.app.agent(rig.app.topic("in", **RAW), name="once")(once)
    await rig.start()
    with pytest.raises(AgentFailed, match="returned"):
        await rig.delivery.run(rig.events("in", 0))
    await rig.stop()


async def test_a_filter_skips_and_the_barrier_still_comes() -> None:
    """`stream.filter` drops events before the agent sees them."""
    rig = Rig()
    seen = []

    async def read(stream: Any) -> None:
        async for value in stream.filter(lambda value: value != b"skip"):
            seen.append(value)  # noqa: PERF401 - an agent's loop

    rig.app.agent(rig.app.topic("in", **RAW), name="f")(read)
    await rig.start()
    rows = [
        make_event(rig.app, rig.batch, message("in", 0, i, value=v))
        for i, v in enumerate([b"skip", b"x", b"skip"])
    ]
    await rig.delivery.run(rows)
    assert seen == [b"x"]
    await rig.stop()


async def test_what_outlives_an_event_finds_it_dead() -> None:
    """A task started inside an event cannot send or write once the agent has moved on."""
    rig = Rig()
    gate = asyncio.Event()
    outcome: list[object] = []

    async def late() -> None:
        await gate.wait()
        try:
            outcome.append(current_event())
        except DeadEvent as error:
            outcome.append(error)

    tasks: list[asyncio.Task[None]] = []

    async def read(stream: Any) -> None:
        async for _ in stream.events():
            tasks.append(asyncio.create_task(late()))  # noqa: PERF401 - an agent's loop

    rig.app.agent(rig.app.topic("in", **RAW), name="t")(read)
    await rig.start()
    await rig.delivery.run(rig.events("in", 0))
    gate.set()
    await tasks[0]
    assert isinstance(outcome[0], DeadEvent)
    await rig.stop()


@pytest.mark.parametrize("readers", [1, 2])
async def test_a_full_batch_ends_after_the_event_in_hand(readers: int) -> None:
    """What is staged passes the limit inside the third event: the rest is not handed over, and is next time."""
    rig = Rig()
    for number in range(readers):

        async def weigh(stream: Any, number: int = number) -> None:
            async for event in stream.events():
                rig.seen.append((str(number), event.message.offset))
                event.batch.overlay_bytes += 10

        rig.app.agent(rig.app.topic("in", **RAW), name=f"agent {number}")(weigh)
    rig.batch.overlay_limit = 25 * readers
    await rig.start()
    try:
        assert await rig.delivery.run(rig.events("in", 0, 1, 2, 3, 4)) == 3
        assert [offset for _, offset in rig.seen] == [0] * readers + [1] * readers + [2] * readers
        rig.batch = make_batch()
        assert await rig.delivery.run(rig.events("in", 3, 4)) == 2
        assert {offset for _, offset in rig.seen} == {0, 1, 2, 3, 4}
    finally:
        await rig.stop()


async def test_an_agent_that_wakes_up_after_an_abort_has_a_dead_event() -> None:
    """It hung through the batch's deadline; what it sends then would open a transaction of its own."""
    rig, began, go, died = Rig(), asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def hang(stream: Any) -> None:
        async for event in stream.events():
            rig.seen.append(("hung", event.message.offset))
            began.set()
            await go.wait()
            try:
                current_event()
            except DeadEvent:
                died.set()

    rig.app.agent(rig.app.topic("in", **RAW), name="hung")(hang)
    await rig.start()
    try:
        waiting = asyncio.ensure_future(rig.delivery.run(rig.events("in", 0, 1)))
        await asyncio.wait_for(began.wait(), 5)
        rig.delivery.bury()
        go.set()
        await asyncio.wait_for(died.wait(), 5)
        assert await asyncio.wait_for(waiting, 5) == 1
        assert rig.seen == [("hung", 0)], "an event behind the dead one was handed over"
    finally:
        await rig.stop()
