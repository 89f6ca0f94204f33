"""Placing orders effectively once: what execution does with a decision, an answer, and the clock.

An order is sent at most one time, after the transaction that records the send. Whatever follows,
a restart, a lost answer, a server error, only asks: by client order id, at growing intervals, until
the venue's facts or a proof of absence end the order. No timer frees a hold, and nothing is resent.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from processors import limits, money
from processors import rules as filters
from processors.errors import InvariantError
from processors.records.market import InstrumentRules
from processors.records.state_placement import InFlight
from processors.records.trade import (
    ExecutionReport,
    ExecutionType,
    OrderEvent,
    OrderEventKind,
    OrderType,
    Reason,
    Status,
)
from processors.reports import own_report

TERMINAL: Final = frozenset({Status.FILLED, Status.CANCELED, Status.REJECTED, Status.EXPIRED})
_OURS: Final = frozenset({Status.SUBMITTED, Status.UNKNOWN, Status.PENDING_CANCEL})
"""Statuses that we state ourselves: no word of the venue."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Waits of the protocol, wall time."""

    request_deadline: timedelta = timedelta(seconds=5)
    """Longest wait for an answer of the venue."""
    venue_timeout: timedelta = timedelta(seconds=10)
    """Longest time for which the venue itself may work on a request (Binance: 10 s)."""
    skew: timedelta = timedelta(seconds=1)
    schedule: tuple[timedelta, ...] = tuple(timedelta(seconds=s) for s in (1, 2, 4, 8, 15))
    """Waits between queries about an order whose outcome is not known; the last one repeats."""
    query_age: timedelta = limits.HOLD_QUERY_AGE
    """Quiet time after which an open order is asked for."""

    @property
    def absence_after(self) -> int:
        """Milliseconds since the send from which absence may count as proof."""
        return (self.request_deadline + self.venue_timeout + self.skew) // timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class Context:
    """What a decision may look at besides state and event."""

    now: datetime
    """Journaled wall time."""
    rules: InstrumentRules | None = None
    """Of the order's instrument; looked at for a RESERVED order only."""
    settings: Settings = Settings()


@dataclass(frozen=True, slots=True)
class Wake:
    """The clock has moved: is a query due?"""


class CallKind(StrEnum):
    """What is asked of a venue."""

    PLACE = "PLACE"
    QUERY = "QUERY"
    CANCEL = "CANCEL"


@dataclass(frozen=True, slots=True)
class VenueCall:
    """A call to be made after the commit, at most once; `state` is the order as it was decided."""

    kind: CallKind
    state: InFlight

    @property
    def order(self) -> OrderEvent:
        """The frozen request."""
        return self.state.order


@dataclass(frozen=True, slots=True)
class Forget:
    """Nothing more can come of an order: its table entry goes."""

    account: str
    order_id: str


Event = OrderEvent | ExecutionReport | Wake
Effect = InFlight | Forget | ExecutionReport | VenueCall
"""A new table entry, its removal, a record to send, a call to make after the commit."""


def key(event: OrderEvent | ExecutionReport) -> str:
    """Name the table entry that an event is about: `account|order_id`, a cancel's by its target."""
    if isinstance(event, OrderEvent) and event.kind in (
        OrderEventKind.CANCEL_ASKED,
        OrderEventKind.REPLACE_ASKED,
    ):
        return f"{event.account}|{event.target_order_id}"
    return f"{event.account}|{event.order_id}"


def decide(state: InFlight | None, event: Event, context: Context) -> tuple[Effect, ...]:
    """Decide what follows from an event for one order.

    Args:
        state: the entry under `key(event)`, for Wake each entry of the partition; None without one.
        event: a decision of risk_manager, a report on any order, or the clock.
        context: journaled time, rules, settings.
    Returns:
        Effects in the order in which they are to be applied; none if nothing follows.
    Raises:
        InvariantError: state and event are of different orders. Always our defect.
    """
    if state is not None and not isinstance(event, Wake):
        expected = f"{state.order.account}|{state.order.order_id}"
        if key(event) != expected:
            raise InvariantError("event is of another order", event=key(event), state=expected)
    match event:
        case OrderEvent():
            return _on_decision(state, event, context)
        case ExecutionReport():
            return () if state is None else _on_report(state, event, context)
        case Wake():
            return () if state is None else _on_wake(state, context)


def evolve(state: InFlight | None, effect: Effect) -> InFlight | None:
    """Apply one effect to the table entry.

    Args:
        state: before it.
        effect: of `decide`.
    Returns:
        The entry after it; None where it is to be removed or does not exist.
    """
    match effect:
        case InFlight():
            return effect
        case Forget():
            return None
        case ExecutionReport() | VenueCall():
            return state


def _on_decision(state: InFlight | None, event: OrderEvent, context: Context) -> tuple[Effect, ...]:
    match event.kind:
        case OrderEventKind.RESERVED:
            return _submit(event, context) if state is None else ()
        case OrderEventKind.CANCEL_ASKED:
            return () if state is None else _cancel(state, context)
        case OrderEventKind.REPLACE_ASKED:
            return () if state is None else (_refuse_replace(state, context),)
        case OrderEventKind.DENIED:
            return ()


def _submit(order: OrderEvent, context: Context) -> tuple[Effect, ...]:
    now = context.now
    reason = _recheck(order, context.rules)
    if reason is not None:
        kind = ExecutionType.REJECTED
        return (own_report(order, kind, Status.REJECTED, now, reason=reason),)
    entry = InFlight(
        order=order,
        status=Status.SUBMITTED,
        acknowledged=False,
        ended=False,
        cancel_asked=False,
        filled_quantity=money.ZERO,
        traded_quantity=money.ZERO,
        seen=(),
        queries=0,
        sent_time=now,
        next_query_time=now + context.settings.request_deadline,
        updated_time=now,
    )
    report = own_report(order, ExecutionType.PENDING_NEW, Status.SUBMITTED, now)
    return entry, report, VenueCall(CallKind.PLACE, entry)


def _recheck(order: OrderEvent, rules: InstrumentRules | None) -> Reason | None:
    """Judge again what was judged under other rules; under the same ones nothing can differ."""
    if rules is None:
        return Reason.RULES_MISSING
    if rules.version == order.rules_version:
        return None
    market = order.order_type in (OrderType.MARKET, OrderType.STOP_MARKET)
    checks = [filters.check_status(rules)]
    checks += [
        filters.check_price(price, rules)
        for price in (order.price, order.stop_price)
        if price is not None
    ]
    notional = order.quote_quantity
    if notional is None:
        checks.append(filters.check_quantity(order.quantity, rules, market=market))
        price = order.price or order.expected_price
        notional = money.multiply(order.quantity, price)
    checks.append(filters.check_notional(notional, rules, market=market))
    return Reason.RULES_CHANGED if any(checks) else None


def _cancel(state: InFlight, context: Context) -> tuple[Effect, ...]:
    if state.cancel_asked or state.ended:
        return ()
    after = state.model_copy(update={"cancel_asked": True, "updated_time": context.now})
    status = Status.PENDING_CANCEL
    report = own_report(state.order, ExecutionType.PENDING_CANCEL, status, context.now)
    return after, report, VenueCall(CallKind.CANCEL, after)


def _refuse_replace(state: InFlight, context: Context) -> ExecutionReport:
    """Refuse: an order is replaced by a cancel and a new intent."""
    kind, reason = ExecutionType.CANCEL_REJECTED, Reason.VENUE_REFUSED
    return own_report(state.order, kind, state.status, context.now, reason=reason)


def _on_report(state: InFlight, report: ExecutionReport, context: Context) -> tuple[Effect, ...]:
    ours = report.execution_type in (ExecutionType.PENDING_NEW, ExecutionType.PENDING_CANCEL)
    if ours or report.execution_id in state.seen:
        return ()
    now, settings = context.now, context.settings
    traded = state.traded_quantity
    if report.execution_type is ExecutionType.TRADE:
        traded = money.add(traded, report.last_quantity)
    refused = report.execution_type is ExecutionType.CANCEL_REJECTED
    venues = report.status not in _OURS and not refused
    after = state.model_copy(
        update={
            "seen": (*state.seen, report.execution_id),
            "venue_order_id": report.venue_order_id or state.venue_order_id,
            "filled_quantity": max(state.filled_quantity, report.filled_quantity),
            "traded_quantity": traded,
            "acknowledged": state.acknowledged or venues,
            "ended": state.ended or report.status in TERMINAL,
            "cancel_asked": state.cancel_asked and not refused,
            "status": _newer(state, report),
            "queries": 0 if venues else state.queries,
            "updated_time": now,
        }
    )
    if after.ended and after.traded_quantity >= after.filled_quantity:
        return (Forget(state.order.account, state.order.order_id),)
    if after.acknowledged and not after.ended and not after.cancel_asked:
        due = now + settings.query_age
    else:
        # Not known yet, or fills are missing: soon, and never later than it was due.
        due = min(state.next_query_time, now + settings.schedule[0])
    return (after.model_copy(update={"next_query_time": due}),)


def _newer(state: InFlight, report: ExecutionReport) -> Status:
    """Keep a terminal status, and any word of the venue over our UNKNOWN."""
    if state.ended or (report.status in _OURS and state.acknowledged):
        return state.status
    return report.status


def _on_wake(state: InFlight, context: Context) -> tuple[Effect, ...]:
    now, settings = context.now, context.settings
    if now < state.next_query_time:
        return ()
    step = settings.schedule[min(state.queries, len(settings.schedule) - 1)]
    if state.acknowledged and not state.ended and not state.cancel_asked:
        step = settings.query_age
    after = state.model_copy(
        update={"queries": state.queries + 1, "next_query_time": now + step, "updated_time": now}
    )
    return after, VenueCall(CallKind.QUERY, after)
