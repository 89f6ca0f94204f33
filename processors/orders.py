"""Order status machine: facts are merged, status is derived from them, so arrival order cannot matter.

No report overwrites a status. Each adds facts (accepted, filled so much, ended by this cause), every
merge of two facts is commutative, and the status follows from all facts by the precedence of FIX 5.0
SP2 appendix D, with one local change: a terminal cause or a full fill ends a pending request or a
suspension.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

from processors import money
from processors.errors import RuleViolation
from processors.money import ZERO
from processors.records.market import Side
from processors.records.state_account import Exposure, OrderState
from processors.records.trade import ExecutionReport, ExecutionType, Fee, Reason, Status

TERMINAL = frozenset(
    {Status.DENIED, Status.FILLED, Status.CANCELED, Status.REJECTED, Status.EXPIRED}
)
"""Statuses that no later fact but a fill or a bust changes."""

TRADES = frozenset({ExecutionType.TRADE, ExecutionType.TRADE_CORRECT, ExecutionType.TRADE_CANCEL})
"""Reports about one fill."""

_ACCEPTED = frozenset(
    {
        Status.NEW,
        Status.SUSPENDED,
        Status.PARTIALLY_FILLED,
        Status.PENDING_CANCEL,
        Status.PENDING_REPLACE,
        Status.FILLED,
        Status.CANCELED,
        Status.EXPIRED,
    }
)
# Of two terminal causes the stronger stands, whichever came first: that is what makes reports commute.
_RANK: Mapping[Status, int] = {
    Status.REJECTED: 1,
    Status.EXPIRED: 2,
    Status.CANCELED: 3,
    Status.FILLED: 4,
    Status.DENIED: 5,
}


@dataclass(frozen=True, slots=True)
class Fill:
    """One trade of an order at the venue's exact figures."""

    trade_id: str
    quantity: Decimal
    """Base units."""
    value: Decimal
    """Quote units: quantity times price, 18 places."""
    fees: dict[str, Decimal]
    """Charges by asset; a negative one is a rebate."""


def is_terminal(status: Status) -> bool:
    """Say whether an order has ended."""
    return status in TERMINAL


def by_quote(order: OrderState) -> bool:
    """Say whether an order was placed by quote amount: its base quantity is then the venue's to say."""
    return order.quote_quantity is not None


def leaves(order: OrderState) -> Decimal:
    """Return the base units still open: zero once ended, and for an order by quote amount."""
    if is_terminal(order.status):
        return ZERO
    open_part = money.subtract(order.quantity, order.prevented_quantity, order.filled_quantity)
    return max(ZERO, open_part)


def gap(order: OrderState) -> Decimal:
    """Return the base units that the venue's terminal report counts and no fill has brought yet."""
    if order.ended is None:
        return ZERO
    known = money.add(order.filled_quantity, order.busted_quantity)
    return max(ZERO, money.subtract(order.ended_quantity, known))


def remaining(order: OrderState) -> Decimal:
    """Return what a hold must still answer for: base units, or quote units of an order by amount."""
    ended = is_terminal(order.status)
    if order.quote_quantity is None:
        return gap(order) if ended else leaves(order)
    bound = order.ended_value if ended else order.quote_quantity
    if ended:
        bound = money.subtract(bound, order.busted_value)
    return max(ZERO, money.subtract(bound, order.total_value))


def need(order: OrderState) -> Decimal:
    """Return what an order must still hold, given its facts.

    Args:
        order: its facts, status derived; `held` is what it holds before them.
    Returns:
        While it is open, what its open part can cost, rounded up to the asset's scale. Once it has
        ended: zero, or the part of the present hold that answers for fills which the venue has
        reported in sum and not yet one by one.
    """
    open_part = remaining(order)
    if not open_part:
        return ZERO
    amount = money.ceil_scale(money.multiply(open_part, order.hold_unit), order.hold_scale)
    return min(amount, order.held) if is_terminal(order.status) else amount


def derive(order: OrderState) -> Status:
    """Return the status that follows from an order's facts.

    Args:
        order: its facts; its present status is not looked at.
    Returns:
        The status after them.
    Source: FIX 5.0 SP2 appendix D, precedence of order states.
    """
    filled, quantity = order.filled_quantity, order.quantity
    if order.ended is Status.DENIED:
        return Status.DENIED
    if quantity and filled >= quantity:
        return Status.FILLED
    if order.ended is not None:
        return _ended(order)
    if quantity and order.prevented_quantity >= money.subtract(quantity, filled):
        return Status.EXPIRED
    if order.cancel_asked:
        return Status.PENDING_CANCEL
    if filled:
        return Status.PARTIALLY_FILLED
    if order.suspended and not order.triggered:
        return Status.SUSPENDED
    if order.accepted:
        return Status.NEW
    if order.unknown:
        return Status.UNKNOWN
    return Status.SUBMITTED if order.submitted else Status.RESERVED


def _ended(order: OrderState) -> Status:
    if order.ended is Status.FILLED:
        bare = not order.filled_quantity and order.busted_quantity
        return Status.CANCELED if bare else Status.FILLED
    if order.ended is Status.REJECTED and order.filled_quantity:
        return Status.CANCELED  # a refused order that traded was never refused
    return order.ended or Status.CANCELED


def _reason(order: OrderState, status: Status) -> Reason | None:
    """Return why an order ended: the venue's reason, or ours where the status is our derivation."""
    if status is Status.EXPIRED and order.ended is None:
        return Reason.STP
    if order.ended is Status.FILLED:
        return Reason.BUSTED if status is Status.CANCELED else None
    return order.reason


def check(order: OrderState, report: ExecutionReport) -> None:
    """Refuse a report that contradicts the order it names.

    Args:
        order: the order.
        report: what was reported of it.
    Raises:
        RuleViolation: another side or instrument, or a fill without quantity or price.
    """
    if (report.side, report.instrument) != (order.side, order.instrument):
        raise RuleViolation(
            "report contradicts its order",
            order_id=order.order_id,
            side=report.side,
            instrument=report.instrument,
        )
    books = report.execution_type in {ExecutionType.TRADE, ExecutionType.TRADE_CORRECT}
    if books and (report.last_price is None or not report.last_quantity):
        raise RuleViolation("fill without quantity or price", order_id=order.order_id)


def fill_of(report: ExecutionReport) -> Fill:
    """Return the fill that a TRADE or TRADE_CORRECT reports.

    Args:
        report: checked by `check`.
    Returns:
        The fill; its value has 18 places, half even.
    """
    price = report.last_price or ZERO
    value = money.quantize(
        money.multiply(report.last_quantity, price), money.SCALE, ROUND_HALF_EVEN
    )
    return Fill(
        trade_id=report.trade_id or report.execution_id,
        quantity=report.last_quantity,
        value=value,
        fees=fees_by_asset(report.fees),
    )


def merge(order: OrderState, report: ExecutionReport) -> OrderState:
    """Merge what a report says beside its fill; `fill` books that.

    Args:
        order: the facts so far.
        report: what was reported.
    Returns:
        The facts after it, status not yet derived; the same object if it says nothing new.
    """
    facts: dict[str, Any] = {}
    kind, status = report.execution_type, report.status
    if status is Status.SUBMITTED:
        facts["submitted"] = True
    if status is Status.UNKNOWN:
        facts["unknown"] = True
    if status in _ACCEPTED or kind in TRADES:
        facts["accepted"] = True
    if status is Status.SUSPENDED:
        facts["suspended"] = True
    if kind is ExecutionType.TRIGGERED:
        facts["triggered"] = True
    if kind is ExecutionType.CANCEL_REJECTED:
        facts["cancel_asked"] = False
    if report.prevented_quantity > order.prevented_quantity:
        facts["prevented_quantity"] = report.prevented_quantity
    if report.venue_order_id is not None:
        facts["venue_order_id"] = report.venue_order_id
    if status in TERMINAL and status is not Status.DENIED:
        facts |= _end(order, report)
    return _changed(order, facts)


def _end(order: OrderState, report: ExecutionReport) -> dict[str, Any]:
    """Merge a terminal cause: the stronger of two, and the greatest fill that either has seen."""
    cause = report.status
    whole = money.subtract(order.quantity, order.prevented_quantity)
    short = report.filled_quantity < whole
    if cause is Status.FILLED and not by_quote(order) and short:
        # A venue's "closed" that is no full fill: the rest will not come any more.
        cause = Status.EXPIRED
    facts: dict[str, Any] = {
        "ended_quantity": max(order.ended_quantity, report.filled_quantity),
        "ended_value": max(order.ended_value, report.total_value),
    }
    present = _RANK[order.ended] if order.ended is not None else 0
    if _RANK[cause] > present:
        facts |= {"ended": cause, "reason": report.reason}
    elif _RANK[cause] == present and report.reason is not None:
        words = [word for word in (order.reason, report.reason) if word is not None]
        facts["reason"] = min(words, key=lambda word: word.value)
    return facts


def add_fill(order: OrderState, fill: Fill) -> OrderState:
    """Book a fill that was not booked before.

    Args:
        order: the facts so far.
        fill: the fill.
    Returns:
        The facts with it, status not yet derived.
    """
    return _changed(
        order,
        {
            "filled_quantity": money.add(order.filled_quantity, fill.quantity),
            "total_value": money.add(order.total_value, fill.value),
            "fees": _plus(order.fees, fill.fees),
            "trades": order.trades + 1,
        },
    )


def take_fill(order: OrderState, fill: Fill, *, busted: bool) -> OrderState:
    """Take a booked fill back: the venue busted it, or a correction follows.

    Args:
        order: the facts so far.
        fill: the fill as it was booked.
        busted: whether it is gone for good.
    Returns:
        The facts without it, status not yet derived.
    """
    facts: dict[str, Any] = {
        "filled_quantity": money.subtract(order.filled_quantity, fill.quantity),
        "total_value": money.subtract(order.total_value, fill.value),
        "fees": _plus(order.fees, negated(fill.fees)),
        "trades": order.trades - 1,
    }
    if busted:
        facts["busted_quantity"] = money.add(order.busted_quantity, fill.quantity)
        facts["busted_value"] = money.add(order.busted_value, fill.value)
    return _changed(order, facts)


def stamp(order: OrderState, now: datetime, market_time: datetime) -> OrderState:
    """Derive the status and stamp the times of a change.

    Args:
        order: merged facts.
        now: journaled time.
        market_time: that of the event; an older one does not turn the order's back.
    Returns:
        The order as it is to be kept.
    """
    status = derive(order)
    facts = {
        "status": status,
        "reason": _reason(order, status),
        "updated_time": now,
        "aged": False,
    }
    return order.but(facts | {"market_time": max(order.market_time, market_time)})


def exposure(order: OrderState | None) -> Exposure:
    """Return what an order counts for in the limits of its account.

    Args:
        order: the order; None counts for nothing.
    Returns:
        One open order and what it may still bring, or zeros once it has ended.
    """
    if order is None or is_terminal(order.status):
        return Exposure(orders=0, buying=ZERO)
    if order.side is Side.SELL:
        return Exposure(orders=1, buying=ZERO)
    open_part = money.subtract(
        order.expected_quantity, order.prevented_quantity, order.filled_quantity
    )
    return Exposure(orders=1, buying=max(ZERO, open_part))


def average_price(order: OrderState) -> Decimal:
    """Return the average price of the fills, quote units per base unit; zero when none."""
    if not order.filled_quantity:
        return ZERO
    return money.divide(order.total_value, order.filled_quantity, money.SCALE, ROUND_HALF_EVEN)


def fees_by_asset(fees: tuple[Fee, ...]) -> dict[str, Decimal]:
    """Sum the charges of a fill by asset, names in order; what sums to zero is left out."""
    sums: dict[str, Decimal] = {}
    for fee in fees:
        sums[fee.asset] = money.add(sums.get(fee.asset, ZERO), fee.amount)
    return {asset: sums[asset] for asset in sorted(sums) if sums[asset]}


def negated(fees: dict[str, Decimal]) -> dict[str, Decimal]:
    """Return charges with their signs turned round."""
    # A unary minus would round to the ambient context's digits.
    return {asset: amount.copy_negate() for asset, amount in fees.items()}


def _plus(fees: dict[str, Decimal], more: dict[str, Decimal]) -> dict[str, Decimal]:
    sums = dict(fees)
    for asset, amount in more.items():
        sums[asset] = money.add(sums.get(asset, ZERO), amount)
    return {asset: sums[asset] for asset in sorted(sums) if sums[asset]}


def _changed(order: OrderState, facts: dict[str, Any]) -> OrderState:
    new = {name: value for name, value in facts.items() if getattr(order, name) != value}
    return order.but(new) if new else order
