"""The placement core, the desk, the unmodified ccxt and the simulator's process, with faults between."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from connectors.clock import SystemClock
from connectors.desk import Desk
from processors.placement import CallKind, Context, Settings, VenueCall, Wake, decide, evolve
from processors.records.market import InstrumentRules
from processors.records.state_placement import InFlight
from processors.records.trade import ExecutionReport, OrderEvent, Reason, Status
from tests.integration.venue import Simulator, gateway, order, running

pytestmark = pytest.mark.asyncio

FAST = Settings(
    request_deadline=timedelta(milliseconds=300),
    venue_timeout=timedelta(milliseconds=300),
    skew=timedelta(milliseconds=100),
    schedule=(timedelta(milliseconds=100),),
)


@pytest.fixture
def venue(tmp_path: Path) -> Iterator[Simulator]:
    with running(tmp_path, ["alice"]) as simulator:
        simulator.clock(1.5)
        yield simulator


class Agent:
    """What the execution agent does with the core, without Kafka."""

    def __init__(self, venue: Simulator, rules: InstrumentRules) -> None:
        self.clock = SystemClock()
        self.rules = rules
        self.gateway = gateway(venue, timeout_ms=300)
        self.state: InFlight | None = None
        self.reports: list[ExecutionReport] = []
        self.restart()

    def restart(self) -> None:
        self.desk = Desk(lambda *_: self.gateway, self.clock, FAST, pause=0.05)

    def decide(self, event: OrderEvent | ExecutionReport | Wake) -> list[VenueCall]:
        effects = decide(self.state, event, Context(self.clock.now(), self.rules, FAST))
        for effect in effects:
            self.state = evolve(self.state, effect)
        self.reports += [e for e in effects if isinstance(e, ExecutionReport)]
        return [e for e in effects if isinstance(e, VenueCall)]

    async def make(self, calls: list[VenueCall]) -> None:
        for call in calls:
            for report in await self.desk.run(call):
                self.reports.append(report)
                self.decide(report)

    async def live(self, calls: list[VenueCall]) -> list[ExecutionReport]:
        await self.make(calls)
        end = self.clock.boottime() + 10
        while self.state is not None:
            assert self.clock.boottime() < end, "the order never ended"
            await self.make(self.decide(Wake()))
            await self.clock.sleep(0.02)
        await self.gateway.close()
        return self.reports


async def started(venue: Simulator) -> Agent:
    one = gateway(venue)
    rules = await one.rules("BTC/USD")
    await one.close()
    return Agent(venue, rules)


async def test_an_order_from_its_decision_to_its_end(venue: Simulator) -> None:
    """SUBMITTED, NEW, the fills, FILLED; nothing stays in the table."""
    agent = await started(venue)
    made = await agent.live(agent.decide(order("1")))
    assert [r.status for r in made] == [
        Status.SUBMITTED, Status.NEW, Status.PARTIALLY_FILLED, Status.PARTIALLY_FILLED, Status.FILLED,
    ]  # fmt: skip
    assert made[-1].filled_quantity == Decimal("0.1")


@pytest.mark.parametrize("kind", ["hold_after_accept", "error_after"])
async def test_a_lost_answer_is_asked_for(venue: Simulator, kind: str) -> None:
    """The order is at the venue though no answer came: UNKNOWN, then its fills, one create."""
    venue.faults({"kind": kind})
    agent = await started(venue)
    made = await agent.live(agent.decide(order("1")))
    assert [r.status for r in made][:3] == [Status.SUBMITTED, Status.UNKNOWN, Status.NEW]
    assert made[-1].status is Status.FILLED
    assert len(venue.ledger()["creates"]) == 1


async def test_a_request_that_never_arrived_is_proved_absent(venue: Simulator) -> None:
    """NOT_PLACED only after the waits, with the wait on the report, and nothing at the venue."""
    venue.faults({"kind": "error_before"})
    agent = await started(venue)
    made = await agent.live(agent.decide(order("1")))
    assert (made[-1].status, made[-1].reason) == (Status.REJECTED, Reason.NOT_PLACED)
    assert made[-1].waited >= FAST.absence_after
    assert venue.ledger()["orders"] == []


async def test_a_killed_worker_asks_and_never_resends(venue: Simulator) -> None:
    """Killed after the commit, before or after the send: the next process only asks."""
    agent = await started(venue)
    calls = agent.decide(order("1"))
    assert [call.kind for call in calls] == [CallKind.PLACE]
    await agent.desk.run(calls[0])  # its answer dies with the process
    agent.restart()
    made = await agent.live([])
    assert made[-1].status is Status.FILLED
    assert len(venue.ledger()["creates"]) == 1


async def test_an_unmoved_order_of_another_session_is_not_mistaken(venue: Simulator) -> None:
    """Trades of the account's other orders are no trace of the one that is absent."""
    agent = await started(venue)
    await agent.make(agent.decide(order("1", quantity="0.01")))
    assert agent.state is None
    venue.faults({"kind": "error_before"})
    made = await agent.live(agent.decide(order("2", quantity="0.01")))
    assert made[-1].reason is Reason.NOT_PLACED
