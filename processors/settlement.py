"""What a report about an order does: facts merged, fills settled at actual cost, holds resized.

A report is never a balance: it is a fact about one order. Fills are booked once per order and
trade id, whatever the order of arrival; a terminal report releases what no fill can claim any more.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from processors import funds, money, orders, positions, risk
from processors.effects import Context, Effect, Settlement, View, alert
from processors.errors import RuleViolation
from processors.money import ZERO
from processors.orders import Fill
from processors.positions import Change
from processors.records.account import Protection
from processors.records.ledger import EntryKind
from processors.records.market import Side
from processors.records.ops import Alert, Severity
from processors.records.state_account import (
    AccountStatus,
    OrderState,
    PositionState,
    Seen,
    SeenKind,
    Standing,
)
from processors.records.trade import ExecutionReport, ExecutionType, Status


@dataclass(frozen=True, slots=True)
class _Fills:
    """What a report takes back and what it books; `seen` is the entry that remembers it."""

    taken: Fill | None = None
    booked: Fill | None = None
    seen: Seen | None = None


def decide(view: View, report: ExecutionReport, context: Context) -> tuple[Effect, ...]:
    """Apply one report to its order.

    Args:
        view: the account, the order, its position, and the trade if it was seen.
        report: the fact.
        context: the time.
    Returns:
        Entries, the order, the position, protections and alerts; nothing if it says nothing new.
    Raises:
        RuleViolation: the report contradicts its order or lacks what its kind must have.
    """
    order = view.order
    if order is None:
        return (_unknown(report, context),)
    orders.check(order, report)
    if order.status is Status.DENIED:
        return _on_denied(view, order, report, context)
    fills = _fills(view, order, report)
    after = orders.merge(order, report)
    if after is order and fills.seen is None:
        return ()
    if fills.taken is not None:
        after = orders.take_fill(after, fills.taken, busted=fills.booked is None)
    if fills.booked is not None:
        after = orders.add_fill(after, fills.booked)
    after = orders.stamp(after, context.now, report.market_time)
    book = _book(view, report, context)
    after = _entries(book, order, after, fills)
    position, protections, seen = _position(view, order, after, fills, report, context)
    effects: list[Effect] = [*book.entries, after]
    effects += [item for item in (seen, position) if item is not None]
    standing = risk.expose(
        view.account.standing, order.instrument, orders.exposure(order), orders.exposure(after)
    )
    alerts = _alerts(order, after, fills, report, context)
    standing, debts = overdraft(book, standing)
    if standing is not view.account.standing:
        effects.append(standing)
    effects += protections
    if fills.booked is not None:
        effects.append(_settlement(book, order, after, fills.booked))
    return (*effects, *alerts, *debts)


def overdraft(book: funds.Book, standing: Standing) -> tuple[Standing, tuple[Alert, ...]]:
    """Say so where an event has cost more than there was, and stop what would add to it.

    Args:
        book: the entries of the event.
        standing: the account's, before.
    Returns:
        REDUCING in place of ACTIVE, and one alert per asset; both unchanged without a debt.
    """
    short = book.overdrawn()
    if not short:
        return standing, ()
    if standing.status is AccountStatus.ACTIVE:
        standing = standing.but({"status": AccountStatus.REDUCING})
    return standing, tuple(
        alert(
            "overdraft",
            Severity.PAGE,
            "an event has cost more than was available",
            book.now,
            account=book.account.account,
            asset=asset,
            available=book.available(asset),
            cause=book.cause_id,
            order_id=book.order_id or "",
        )
        for asset in short
    )


def _unknown(report: ExecutionReport, context: Context) -> Alert:
    """An order that we never decided on: nothing of it is booked, and somebody has to look."""
    return alert(
        "order_unknown",
        Severity.PAGE,
        "a report names an order that was never decided here (EXTERNAL)",
        context.now,
        account=report.account,
        order_id=report.order_id,
        client_order_id=report.client_order_id,
        instrument=report.instrument,
        status=report.status.value,
        execution_id=report.execution_id,
        filled_quantity=report.filled_quantity,
    )


def _on_denied(
    view: View, order: OrderState, report: ExecutionReport, context: Context
) -> tuple[Effect, ...]:
    """A venue reports on an order that was denied: an operator has to rule; a fill halts."""
    raised = alert(
        "denied_order_reported",
        Severity.PAGE,
        "a report names an order that was denied",
        context.now,
        account=order.account,
        order_id=order.order_id,
        status=report.status.value,
        execution_type=report.execution_type.value,
        execution_id=report.execution_id,
    )
    standing = view.account.standing
    if report.execution_type not in orders.TRADES or standing.status is AccountStatus.HALTED:
        return (raised,)
    return (standing.but({"status": AccountStatus.HALTED}), raised)


def _fills(view: View, order: OrderState, report: ExecutionReport) -> _Fills:
    """Say what a report takes back and books, by what was seen of its trade."""
    kind, seen = report.execution_type, view.seen
    if kind not in orders.TRADES or (seen is not None and seen.busted):
        return _Fills()
    if kind is ExecutionType.TRADE_CANCEL:
        if report.trade_id is None:
            raise RuleViolation("bust without a trade_id", order_id=order.order_id)
        gone = Fill(trade_id=report.trade_id, quantity=ZERO, value=ZERO, fees={})
        old = _seen_fill(seen) if seen is not None else None
        return _Fills(old, None, _seen(order, gone, report, busted=True))
    fill = orders.fill_of(report)
    if seen is None:
        return _Fills(None, fill, _seen(order, fill, report))
    old = _seen_fill(seen)
    if kind is ExecutionType.TRADE or old == fill:
        return _Fills()
    return _Fills(old, fill, _seen(order, fill, report))


def _seen(order: OrderState, fill: Fill, report: ExecutionReport, *, busted: bool = False) -> Seen:
    return Seen(
        account=order.account,
        kind=SeenKind.TRADE,
        identity=fill.trade_id,
        order_id=order.order_id,
        quantity=fill.quantity,
        value=fill.value,
        fees=fill.fees,
        cost_change=ZERO,
        realised_change=ZERO,
        busted=busted,
        market_time=report.market_time,
    )


def _seen_fill(seen: Seen) -> Fill:
    return Fill(
        trade_id=seen.identity, quantity=seen.quantity, value=seen.value, fees=dict(seen.fees)
    )


def _book(view: View, report: ExecutionReport, context: Context) -> funds.Book:
    cause = report.execution_id
    if report.execution_type is ExecutionType.TRADE_CORRECT:
        # A second correction of one trade is the same fact to the venue, and other entries to us.
        cause = f"{cause}:{view.account.sequence}"
    return funds.Book(
        account=view.account,
        cause_id=cause,
        market_time=report.market_time,
        now=context.now,
        order_id=report.order_id,
        trade_id=report.trade_id,
    )


def _entries(book: funds.Book, before: OrderState, after: OrderState, fills: _Fills) -> OrderState:
    """Write the entries: what is taken back, the hold, then the legs of what is booked."""
    if fills.taken is not None:
        _legs(book, before, fills.taken, reverse=True)
    actual = _cost(before, fills.booked) if fills.booked is not None else ZERO
    after = funds.settle(book, after, orders.need(after), actual, after.status.value)
    if fills.booked is not None:
        _legs(book, before, fills.booked, reverse=False)
    return after


def _cost(order: OrderState, fill: Fill) -> Decimal:
    """Return what a fill took of the asset that its order holds, fees in that asset included."""
    spent = fill.value if order.side is Side.BUY else fill.quantity
    return money.add(spent, fill.fees.get(order.hold_asset, ZERO))


def _legs(book: funds.Book, order: OrderState, fill: Fill, *, reverse: bool) -> None:
    buys = order.side is Side.BUY
    paid, got = (fill.value, fill.quantity) if buys else (fill.quantity, fill.value)
    spent, received = (
        (order.quote_asset, order.base_asset) if buys else (order.base_asset, order.quote_asset)
    )
    legs = [(spent, paid.copy_negate()), (received, got)]
    charges = list(orders.negated(fill.fees).items())
    for kind, amounts in ((EntryKind.TRADE_LEG, legs), (EntryKind.FEE_LEG, charges)):
        for asset, amount in amounts:
            if reverse:
                book.post(EntryKind.REVERSAL, asset, amount.copy_negate(), kind.value)
            else:
                book.post(kind, asset, amount, order.side.value)


def _position(
    view: View,
    before: OrderState,
    after: OrderState,
    fills: _Fills,
    report: ExecutionReport,
    context: Context,
) -> tuple[PositionState | None, tuple[Protection, ...], Seen | None]:
    """Move the position and its protected lots; None where nothing changed."""
    times = (context.now, report.market_time)
    position = view.position or positions.empty(before, *times)
    start, moved, seen = position, ZERO, fills.seen
    if fills.taken is not None and view.seen is not None:
        quantity, _ = positions.moved(before, fills.taken)
        change = Change(
            quantity.copy_negate(),
            view.seen.cost_change.copy_negate(),
            view.seen.realised_change.copy_negate(),
        )
        position = positions.book(position, before, fills.taken, change, times, reverse=True)
        moved = change.quantity
    if fills.booked is not None and seen is not None:
        change = positions.change_of(position, before, fills.booked)
        position = positions.book(position, before, fills.booked, change, times)
        moved = money.add(moved, change.quantity)
        figures = {"cost_change": change.cost, "realised_change": change.realised}
        seen = seen.but(figures)
    ended = orders.is_terminal(after.status) and not orders.is_terminal(before.status)
    if position is start and not (ended and start.lots):
        return None, (), seen
    position, protections = positions.protect(position, after, moved, times)
    return (position if position is not start else None), protections, seen


def _settlement(book: funds.Book, before: OrderState, after: OrderState, fill: Fill) -> Settlement:
    asset = before.hold_asset
    return Settlement(
        account=before.account,
        order_id=before.order_id,
        trade_id=fill.trade_id,
        asset=asset,
        released_amount=max(ZERO, money.subtract(before.held, after.held)),
        actual_cost=_cost(before, fill),
        remaining_balance=book.available(asset),
        total_reserved=book.balance(asset).held,
    )


def _alerts(
    before: OrderState, after: OrderState, fills: _Fills, report: ExecutionReport, context: Context
) -> tuple[Alert, ...]:
    """Name what an operator should know of a report; money was booked all the same."""
    kinds: list[tuple[str, Severity, str]] = []
    fill, ended = fills.booked, orders.is_terminal(before.status)
    if fill is not None and before.status is Status.REJECTED:
        kinds.append(("venue_conflict", Severity.PAGE, "an order that was refused has traded"))
    elif before.ended is Status.REJECTED and after.accepted and not before.accepted:
        kinds.append(("venue_conflict", Severity.PAGE, "an order that was refused is accepted"))
    elif fill is not None and ended and fill.quantity > orders.gap(before):
        kinds.append(("late_fill", Severity.TICKET, "a fill came after its order had ended"))
    if fill is not None and after.quantity and after.filled_quantity > after.quantity:
        kinds.append(("overfill", Severity.PAGE, "more was filled than was ordered"))
    if orders.gap(after) > orders.gap(before):
        kinds.append(("fill_gap", Severity.TICKET, "an order has ended with fills still missing"))
    if fills.taken is not None:
        kinds.append(("trade_reversed", Severity.TICKET, "the venue took back or corrected a fill"))
    if report.execution_type is ExecutionType.REPLACED:
        kinds.append(("unexpected_report", Severity.PAGE, "an order was replaced that none asked"))
    return tuple(
        alert(
            kind,
            severity,
            message,
            context.now,
            account=after.account,
            order_id=after.order_id,
            instrument=after.instrument,
            status=after.status.value,
            filled_quantity=after.filled_quantity,
            gap=orders.gap(after),
            trade_id=report.trade_id or "",
            execution_id=report.execution_id,
        )
        for kind, severity, message in kinds
    )
