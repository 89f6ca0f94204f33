"""ExecutionReports from what a venue answered: the same facts give the same reports, however told.

A create reply, a later query and a stream each bring the whole order, so the cumulative figures are
built from its fills in order of time, and the identities from the facts alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any, Final, assert_never

from processors import ids, money
from processors.records.trade import (
    ExecutionReport,
    ExecutionType,
    Fee,
    OrderEvent,
    Reason,
    Status,
)
from processors.venue import (
    Answer,
    CancelRefused,
    OrderAbsent,
    OrderDuplicate,
    OrderFound,
    OrderRefused,
    OrderUnclear,
    VenueFill,
)

SOURCE: Final = "execution"
ZERO: Final = money.ZERO
LOOKS: Final = 2
"""How often in a row an order must be absent everywhere before it counts as not placed."""
_ENDS: Final = {
    Status.CANCELED: ExecutionType.CANCELED,
    Status.EXPIRED: ExecutionType.EXPIRED,
    Status.REJECTED: ExecutionType.REJECTED,
}


def reports_from(
    answer: Answer,
    order: OrderEvent,
    now: datetime,
    *,
    absence_after: int,
    known: bool = False,
    status: Status = Status.SUBMITTED,
) -> tuple[ExecutionReport, ...]:
    """Turn an answer into reports.

    Args:
        answer: what a venue call came to.
        order: the frozen request.
        now: when the answer reached us.
        absence_after: milliseconds since the send from which absence may count as proof.
        known: whether the venue has ever stated that it has the order; then it can't be absent.
        status: newest status known, which a refused cancel leaves as it is.
    Returns:
        The reports in order. Reports that were sent before come again, with the same execution_id.
        A terminal report is left out while fills that it counts are missing: the next query asks
        again, and until then the hold stays.
    """
    match answer:
        case OrderFound():
            return _found(answer, order, now)
        case OrderRefused():
            word = f"{answer.code} {answer.message}"[:200]
            return (_rejected(order, now, answer.reason, word),)
        case OrderAbsent():
            proven = answer.looks >= LOOKS and answer.waited >= absence_after and not known
            word = f"absent in {answer.looks} looks"
            if proven:
                return (_rejected(order, now, Reason.NOT_PLACED, word, waited=answer.waited),)
            return (unknown(order, now, word, waited=answer.waited),)
        case OrderUnclear() | OrderDuplicate():
            return (unknown(order, now, answer.message),)
        case CancelRefused():
            word = f"{answer.code} {answer.message}"[:200]
            kind = ExecutionType.CANCEL_REJECTED
            return (own_report(order, kind, status, now, word=word),)
        case _:
            assert_never(answer)


def own_report(
    order: OrderEvent,
    execution_type: ExecutionType,
    status: Status,
    now: datetime,
    *,
    reason: Reason | None = None,
    word: str | None = None,
    waited: int = 0,
) -> ExecutionReport:
    """Write a report of a fact that carries no fill and no venue time.

    Args:
        order: the frozen request.
        execution_type: what is reported.
        status: after it.
        now: when it is written.
        reason: why it ended.
        word: the venue's own, if it said something.
        waited: milliseconds since the send, where absence is reported.
    Returns:
        The report; its market time is the order's.
    """
    return _report(
        order,
        now,
        execution_type=execution_type,
        status=status,
        reason=reason,
        venue_raw_status=word,
        waited=waited,
        execution_time=now,
        market_time=order.market_time,
        leaves_quantity=ZERO if status is Status.REJECTED else order.quantity,
    )


def unknown(order: OrderEvent, now: datetime, word: str, *, waited: int = 0) -> ExecutionReport:
    """Report that the outcome is not known; every such report of an order is one fact."""
    kind = ExecutionType.ORDER_STATUS
    return own_report(order, kind, Status.UNKNOWN, now, word=word[:200], waited=waited)


def _rejected(
    order: OrderEvent, now: datetime, reason: Reason, word: str, *, waited: int = 0
) -> ExecutionReport:
    kind = ExecutionType.REJECTED
    return own_report(order, kind, Status.REJECTED, now, reason=reason, word=word, waited=waited)


def _found(found: OrderFound, order: OrderEvent, now: datetime) -> tuple[ExecutionReport, ...]:
    fills = sorted(_distinct(found.fills), key=lambda f: (f.time, len(f.trade_id), f.trade_id))
    filled = money.add(*(fill.quantity for fill in fills))
    whole = filled >= found.filled_quantity  # trades outrank the order endpoint
    quantity = order.quantity or (found.quantity if found.status is Status.FILLED else ZERO)
    full = whole and (found.status is Status.FILLED or 0 < quantity <= filled)
    made: list[ExecutionReport] = []
    if found.status is not Status.REJECTED:
        made.append(_acknowledged(found, order, now))
    done: list[VenueFill] = []
    for fill in fills:
        done.append(fill)
        last = full and len(done) == len(fills)
        made.append(_traded(found, order, now, done, quantity, last=last))
    if found.status is None:
        made.append(unknown(order, now, found.raw_status))
    elif found.status in _ENDS and whole and not full:
        made.append(_ended(found, order, now, done))
    return tuple(made)


def _distinct(fills: Iterable[VenueFill]) -> Iterable[VenueFill]:
    return {fill.trade_id: fill for fill in fills}.values()


def _acknowledged(found: OrderFound, order: OrderEvent, now: datetime) -> ExecutionReport:
    return _report(
        order,
        now,
        execution_type=ExecutionType.NEW,
        status=Status.NEW,
        venue_order_id=found.venue_order_id,
        venue_raw_status="NEW",
        leaves_quantity=order.quantity,
        execution_time=found.accepted_time,
        market_time=found.accepted_time,
    )


def _traded(
    found: OrderFound,
    order: OrderEvent,
    now: datetime,
    done: list[VenueFill],
    quantity: Decimal,
    *,
    last: bool,
) -> ExecutionReport:
    fill, sums = done[-1], _sums(order, done)
    open_part = money.subtract(quantity, sums["filled_quantity"])
    return _report(
        order,
        now,
        execution_type=ExecutionType.TRADE,
        status=Status.FILLED if last else Status.PARTIALLY_FILLED,
        venue_order_id=found.venue_order_id,
        venue_raw_status="FILLED" if last else "PARTIALLY_FILLED",
        trade_id=fill.trade_id,
        last_quantity=fill.quantity,
        last_price=fill.price,
        fees=fill.fees,
        leaves_quantity=ZERO if last else max(ZERO, open_part),
        execution_time=fill.time,
        market_time=fill.time,
        **sums,
    )


def _ended(
    found: OrderFound, order: OrderEvent, now: datetime, done: list[VenueFill]
) -> ExecutionReport:
    status = found.status
    if status is None or status not in _ENDS:
        return unknown(order, now, found.raw_status)
    refused = Reason.VENUE_REFUSED if status is Status.REJECTED else None
    return _report(
        order,
        now,
        execution_type=_ENDS[status],
        status=status,
        venue_order_id=found.venue_order_id,
        venue_raw_status=found.raw_status,
        reason=found.reason or refused,
        prevented_quantity=found.prevented_quantity,
        leaves_quantity=ZERO,
        execution_time=found.updated_time,
        market_time=found.updated_time,
        **_sums(order, done),
    )


def _sums(order: OrderEvent, fills: list[VenueFill]) -> dict[str, Any]:
    """Cumulative figures after the last of some fills."""
    filled = money.add(*(fill.quantity for fill in fills))
    exact = money.add(*(money.multiply(fill.price, fill.quantity) for fill in fills))
    value = money.quantize(exact, money.SCALE, ROUND_HALF_EVEN)
    average = money.divide(exact, filled, money.SCALE, ROUND_HALF_EVEN) if filled else ZERO
    fee, currency = _fee(order, fills)
    return {
        "filled_quantity": filled,
        "total_value": value,
        "average_price": average,
        "fee": fee,
        "fee_currency": currency,
    }


def _fee(order: OrderEvent, fills: list[VenueFill]) -> tuple[Decimal, str]:
    """Charged so far, in the one asset charged; of several, what can be valued, in quote units."""
    base, _, quote = order.symbol.partition("/")
    charges: list[tuple[VenueFill, Fee]] = [(fill, fee) for fill in fills for fee in fill.fees]
    assets = {fee.asset for _, fee in charges}
    if not assets:
        return ZERO, quote
    if len(assets) == 1:
        return money.add(*(fee.amount for _, fee in charges)), assets.pop()
    worth = money.add(
        *(
            money.multiply(fee.amount, fill.price) if fee.asset == base else fee.amount
            for fill, fee in charges
            if fee.asset in (base, quote)
        )
    )
    return money.quantize(worth, money.SCALE, ROUND_HALF_EVEN), quote


def _report(order: OrderEvent, now: datetime, **facts: Any) -> ExecutionReport:
    fields: dict[str, Any] = {
        "source_agent": SOURCE,
        "account": order.account,
        "order_id": order.order_id,
        "client_order_id": order.client_order_id,
        "exchange": order.exchange,
        "symbol": order.symbol,
        "instrument": order.instrument,
        "side": order.side,
        "filled_quantity": ZERO,
        "average_price": ZERO,
        "total_value": ZERO,
        "last_quantity": ZERO,
        "fee": ZERO,
        "fee_currency": order.symbol.partition("/")[2],
        "fees": (),
        "created_time": now,
        "received_time": now,
    } | facts
    fields["execution_id"] = ids.execution_id(
        order.client_order_id,
        fields["execution_type"],
        fields.get("trade_id"),
        fields["status"],
        fields["filled_quantity"],
    )
    return ExecutionReport(**fields)
