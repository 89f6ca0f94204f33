"""Placing: whatever is lost, doubled or reordered, at most one create call, and the true end."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.desk import Desk
from processors.errors import InvariantError
from processors.placement import (
    TERMINAL,
    CallKind,
    Context,
    Forget,
    Settings,
    VenueCall,
    Wake,
    decide,
    key,
)
from processors.records.state_placement import InFlight
from processors.records.trade import (
    ExecutionReport,
    ExecutionType,
    OrderEvent,
    OrderEventKind,
    Reason,
    Status,
)
from processors.reports import reports_from
from processors.venue import (
    CancelRefused,
    OrderDuplicate,
    OrderFound,
    OrderRefused,
    OrderUnclear,
)
from tests.property.placing import (
    NOW,
    ORDER,
    RULES,
    found,
    order,
    reports,
    run,
    submitted,
)
from tests.property.test_matching import rules


# ---------------------------------------------------------------------------- decisions
def test_a_reserved_order_is_recorded_and_sent_once() -> None:
    """SUBMITTED and the entry stand in one decision with the call; the same order again is nothing."""
    state, effects = run(None, ORDER)
    assert state is not None
    assert isinstance(effects[1], ExecutionReport)
    assert effects[1].status is Status.SUBMITTED
    assert isinstance(effects[2], VenueCall)
    assert (effects[2].kind, effects[2].order) == (CallKind.PLACE, ORDER)
    assert run(state, ORDER)[1] == []
    assert run(state, effects[1])[1] == []


@pytest.mark.parametrize(
    "changed",
    [
        {"step_size": Decimal("0.03")},
        {"tick_size": Decimal(7)},
        {"min_notional": Decimal(81)},
        {"status": "HALTED"},
    ],
)
def test_changed_rules_stop_the_send(changed: dict[str, Any]) -> None:
    """What would be refused now is not sent; new rules that still allow it are no obstacle."""
    from processors.records.market import SymbolStatus

    fields = changed | ({"status": SymbolStatus.HALTED} if "status" in changed else {})
    effects = decide(None, ORDER, Context(NOW, rules(version="2", **fields)))
    assert [type(e) for e in effects] == [ExecutionReport]
    assert isinstance(effects[0], ExecutionReport)
    assert (effects[0].status, effects[0].reason) == (Status.REJECTED, Reason.RULES_CHANGED)
    assert len(decide(None, ORDER, Context(NOW, rules(version="2")))) == 3
    missing = decide(None, ORDER, Context(NOW, None))[0]
    assert isinstance(missing, ExecutionReport)
    assert missing.reason is Reason.RULES_MISSING


def test_queries_follow_the_schedule_and_never_resend() -> None:
    """At the deadline, then after 1, 2, 4, 8, 15, 15 s; only queries, for ever."""
    state: InFlight | None = submitted()
    times, now = [], NOW
    for _ in range(700):
        now += timedelta(milliseconds=100)
        state, effects = run(state, Wake(), now)
        for effect in effects:
            if isinstance(effect, VenueCall):
                assert effect.kind is CallKind.QUERY
                times.append((now - NOW).total_seconds())
    assert times == [5, 6, 8, 12, 20, 35, 50, 65]


def test_an_open_order_is_asked_for_at_the_query_age() -> None:
    """News resets the age; a fill that is missing at the end is asked for soon."""
    state: InFlight | None = submitted()
    for report in reports(found(Status.NEW)):
        state, _ = run(state, report)
    assert state is not None
    assert state.next_query_time == NOW + timedelta(seconds=60)
    lost = reports(found(Status.EXPIRED, "0.06"))[-1]
    state, effects = run(state, lost)
    assert state is not None
    assert not any(isinstance(e, Forget) for e in effects)
    assert state.next_query_time == NOW + timedelta(seconds=1)
    state, effects = run(state, reports(found(Status.EXPIRED, "0.06"))[1])
    assert state is None


def test_a_cancel_is_asked_once_and_a_replace_is_refused() -> None:
    """The target's entry is the one that counts; an order that is gone needs nothing."""
    cancel = order(kind=OrderEventKind.CANCEL_ASKED, order_id="c", target_order_id=ORDER.order_id)
    state: InFlight | None = submitted()
    assert key(cancel) == key(ORDER)
    state, effects = run(state, cancel)
    assert [type(e) for e in effects] == [InFlight, ExecutionReport, VenueCall]
    assert run(state, cancel)[1] == []
    assert run(None, cancel)[1] == []
    refusal = reports_from(
        CancelRefused("-2011", "Unknown order sent.", unknown_order=True),
        ORDER,
        NOW,
        absence_after=1,
        status=Status.NEW,
    )
    state, _ = run(state, refusal[0])
    assert state is not None
    assert not state.cancel_asked
    swap = order(kind=OrderEventKind.REPLACE_ASKED, order_id="r", target_order_id=ORDER.order_id)
    effects = run(state, swap)[1]
    assert isinstance(effects[0], ExecutionReport)
    assert effects[0].execution_type is ExecutionType.CANCEL_REJECTED
    with pytest.raises(InvariantError):
        decide(state, order(order_id="other"), Context(NOW, RULES))


# ----------------------------------------------------------------- the whole, with faults
@dataclass
class FakeClock:
    time: float = 0.0

    def now(self) -> datetime:
        return NOW + timedelta(seconds=self.time)

    def boottime(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        self.time += seconds


@dataclass
class FakeVenue:
    """Does what its script says: of the create call, and of each query in turn."""

    create: str
    queries: Iterator[str]
    result: OrderFound
    creates: int = 0
    has: bool = False
    arrives_late: bool = field(default=False)

    async def place(self, _: OrderEvent) -> Any:
        self.creates += 1
        self.has = self.create in ("accept", "lost_after", "duplicate")
        if self.create == "accept":
            return self.result
        if self.create == "refuse":
            return OrderRefused(Reason.VENUE_REFUSED, "-2010", "no")
        return (
            OrderDuplicate("Duplicate order sent.")
            if self.create == "duplicate"
            else OrderUnclear("503")
        )

    async def query(self, *_: str) -> Any:
        word = next(self.queries, "answer")
        if word == "fail":
            return OrderUnclear("timeout")
        return self.result if self.has and word == "answer" else None

    async def cancel(self, *_: str) -> Any:
        return OrderUnclear("not scripted")

    async def open_orders(self, _: str) -> Any:
        return OrderUnclear("timeout") if next(self.queries, "answer") == "fail" else ()

    async def trades(self, *_: Any) -> Any:
        return tuple(("77", one) for one in self.result.fills) if self.has else ()

    async def owner(self, *_: str) -> Any:
        return ORDER.client_order_id

    async def close(self) -> None:
        self.has = False


words = st.lists(st.sampled_from(["answer", "fail", "absent"]), max_size=12)


@given(
    create=st.sampled_from(
        ["accept", "lost_before", "lost_after", "duplicate", "refuse", "never_called"]
    ),
    script=words,
    loses=st.lists(st.booleans(), max_size=20),
    doubles=st.booleans(),
    restarts=st.integers(0, 3),
    filled=st.booleans(),
    random=st.randoms(),
)
def test_every_order_ends_truly_whatever_is_lost(
    create: str,
    script: list[str],
    loses: list[bool],
    doubles: bool,
    restarts: int,
    filled: bool,
    random: Any,
) -> None:
    """At most one create; the end is what the venue has; NOT_PLACED only where it has nothing."""
    result = found(Status.FILLED, "0.06", "0.04") if filled else found(Status.EXPIRED, "0.06")
    clock = FakeClock()
    venue = FakeVenue(create, iter(script), result)
    ended = asyncio.run(_live(venue, clock, iter(loses), doubles, restarts, random))
    assert venue.creates <= 1
    assert (venue.creates == 0) == (create == "never_called")
    terminal = {report.status for report in ended if report.status in TERMINAL}
    if venue.has:
        assert terminal == {result.status}
        sums = {r.trade_id: r.last_quantity for r in ended if r.trade_id}
        assert sum(sums.values()) == result.filled_quantity
    else:
        assert terminal == {Status.REJECTED}
        reason = Reason.VENUE_REFUSED if create == "refuse" else Reason.NOT_PLACED
        reasons = {r.reason for r in ended if r.status in TERMINAL}
        # A refusal whose report is lost ends as NOT_PLACED: true as well.
        assert reasons == {reason} or (create == "refuse" and Reason.NOT_PLACED in reasons)


async def _live(
    venue: FakeVenue,
    clock: FakeClock,
    loses: Iterator[bool],
    doubles: bool,
    restarts: int,
    random: Any,
) -> list[ExecutionReport]:
    """Run one order to its end: reports are lost, doubled and shuffled, the process is restarted."""
    desk = Desk(lambda *_: venue, clock, Settings())
    state, effects = run(None, ORDER)
    taken: list[ExecutionReport] = []
    calls = [e for e in effects if isinstance(e, VenueCall)]
    if venue.create == "never_called":
        calls = []  # killed after the commit, before the call
    for _ in range(1_000):  # each failed query of an accepted order is asked again after a minute
        arrived: list[ExecutionReport] = []
        for call in calls:
            arrived += [r for r in await desk.run(call) if not next(loses, False)]
        arrived += arrived if doubles else []
        random.shuffle(arrived)
        for report in arrived:
            if state is not None:
                taken.append(report)
            state, _ = run(state, report, clock.now())
        if state is None:
            return taken
        if restarts and random.random() < 0.2:
            restarts -= 1
            desk = Desk(lambda *_: venue, clock, Settings())
        clock.time += 1
        state, effects = run(state, Wake(), clock.now())
        calls = [e for e in effects if isinstance(e, VenueCall)]
    raise AssertionError("the order never ended")


@pytest.mark.parametrize("trace", ["trade", "open", "none"])
def test_any_trace_at_the_venue_outranks_a_query_that_finds_nothing(trace: str) -> None:
    """An order query that knows nothing is no proof while a trade or the book shows the order."""
    venue = FakeVenue("lost_after", iter(["absent"] * 8), found(Status.FILLED, "0.1"))
    venue.has = trace == "trade"

    async def resting(_: str) -> tuple[str, ...]:
        return (ORDER.client_order_id,) if trace == "open" else ()

    venue.open_orders = resting  # type: ignore[method-assign]
    clock = FakeClock()
    desk = Desk(lambda *_: venue, clock, Settings())

    async def go() -> tuple[ExecutionReport, ...]:
        call = VenueCall(CallKind.QUERY, submitted())
        await desk.run(call)
        clock.time += 60
        return await desk.run(call)

    made = asyncio.run(go())
    expected = Status.REJECTED if trace == "none" else Status.UNKNOWN
    assert [r.status for r in made] == [expected]


def test_an_order_that_was_asked_for_is_not_sent_late() -> None:
    """A send that waited behind others while its absence was being proved must not happen any more."""
    venue = FakeVenue("accept", iter(()), found(Status.FILLED, "0.1"))
    clock = FakeClock()
    desk = Desk(lambda *_: venue, clock, Settings())
    state = submitted()

    async def go() -> tuple[ExecutionReport, ...]:
        await desk.run(VenueCall(CallKind.QUERY, state))
        return await desk.run(VenueCall(CallKind.PLACE, state))

    assert [r.status for r in asyncio.run(go())] == [Status.UNKNOWN]
    assert venue.creates == 0


def test_a_worker_without_its_lease_sends_nothing() -> None:
    """The partitions may have a new owner: the send is left to the query, and so to the proof."""
    venue = FakeVenue("accept", iter(()), found(Status.FILLED, "0.1"))

    async def lost() -> bool:
        return False

    desk = Desk(lambda *_: venue, FakeClock(), Settings(), lease=lost)
    assert asyncio.run(desk.run(VenueCall(CallKind.PLACE, submitted()))) == ()
    assert venue.creates == 0
