"""Positions at average cost, net of base fees: the same fills as the ledger, never a second book.

A position is signed and so is its cost; a fill that goes with it adds to both, one that goes
against it closes at average cost and realises the difference. Fees in quote are part of cost and
proceeds, fees in base of the quantity; a third asset's fee stays apart until it is valued.

Each entry order that asks for protection has a lot: what is left of its fills. A sell takes from
the lot it names, then from the oldest; what is too little to be sold alone is dust, its protection
is removed and the next full exit takes it along.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal

from processors import money, orders, protection
from processors.money import ZERO
from processors.orders import Fill
from processors.records.account import Protection
from processors.records.ledger import Position
from processors.records.market import Side
from processors.records.state_account import OrderState, PositionState, ProtectedLot


@dataclass(frozen=True, slots=True)
class Change:
    """What a fill does to a position; its opposite reverses it exactly."""

    quantity: Decimal
    """Base units, signed, net of base fees."""
    cost: Decimal
    """Quote units, signed."""
    realised: Decimal
    """Quote units, signed."""


def empty(order: OrderState, now: datetime, market_time: datetime) -> PositionState:
    """Return the position of an order's account and instrument before its first fill."""
    return PositionState(
        account=order.account,
        instrument=order.instrument,
        quantity=ZERO,
        cost=ZERO,
        realised=ZERO,
        bought=ZERO,
        sold=ZERO,
        trades=0,
        unvalued_fees={},
        lots=(),
        market_time=market_time,
        updated_time=now,
    )


def change_of(position: PositionState, order: OrderState, fill: Fill) -> Change:
    """Return what a fill does to a position.

    Args:
        position: before the fill.
        order: the order filled.
        fill: at the venue's figures.
    Returns:
        The change; the cost of a part of a position is rounded to 18 places, half even, and a
        position that becomes flat leaves no cost behind.
    """
    quantity, cost = moved(order, fill)
    owned = position.quantity
    if not owned or not quantity or (owned > 0) == (quantity > 0):
        return Change(quantity, cost, ZERO)
    closing, whole = owned.copy_abs(), quantity.copy_abs()
    if whole <= closing:
        given, opening = cost, ZERO
        taken = _part(position.cost, whole, closing)
    else:
        given = _part(cost, closing, whole)
        opening, taken = money.subtract(cost, given), position.cost
    realised = money.add(given, taken).copy_negate()
    return Change(quantity, money.subtract(opening, taken), realised)


def moved(order: OrderState, fill: Fill) -> tuple[Decimal, Decimal]:
    """Return what a fill moves: base units net of base fees, and quote units with quote fees.

    Args:
        order: the order filled.
        fill: at the venue's figures.
    Returns:
        Both positive for a buy, negative for a sell.
    """
    base = fill.fees.get(order.base_asset, ZERO)
    quote = fill.fees.get(order.quote_asset, ZERO)
    if order.side is Side.BUY:
        return money.subtract(fill.quantity, base), money.add(fill.value, quote)
    sold = money.add(fill.quantity, base)
    return sold.copy_negate(), money.subtract(quote, fill.value)


def book(
    position: PositionState,
    order: OrderState,
    fill: Fill,
    change: Change,
    times: tuple[datetime, datetime],
    *,
    reverse: bool = False,
) -> PositionState:
    """Apply a fill's change to the figures of a position; `protect` keeps its lots.

    Args:
        position: before the fill.
        order: the order filled.
        fill: at the venue's figures.
        change: by `change_of`; of a reversal, the opposite of what was booked.
        times: journaled time and market time.
        reverse: whether the fill is taken back.
    Returns:
        The position after it; when flat, a cost that a reversal left is realised.
    """
    now, market_time = times
    sign = -1 if reverse else 1
    gross = fill.quantity.copy_negate() if reverse else fill.quantity
    bought = gross if order.side is Side.BUY else ZERO
    sold = gross if order.side is Side.SELL else ZERO
    quantity = money.add(position.quantity, change.quantity)
    cost = money.add(position.cost, change.cost)
    realised = money.add(position.realised, change.realised)
    if not quantity and cost:
        realised, cost = money.subtract(realised, cost), ZERO
    return position.but(
        {
            "quantity": quantity,
            "cost": cost,
            "realised": realised,
            "bought": money.add(position.bought, bought),
            "sold": money.add(position.sold, sold),
            "trades": position.trades + sign,
            "unvalued_fees": _third_fees(position, order, fill, reverse=reverse),
            "market_time": max(position.market_time, market_time),
            "updated_time": now,
        }
    )


def protect(
    position: PositionState, order: OrderState, quantity: Decimal, times: tuple[datetime, datetime]
) -> tuple[PositionState, tuple[Protection, ...]]:
    """Bring the protected lots to what a fill, or its reversal, has left.

    Args:
        position: after the fill.
        order: the order filled, facts after the fill.
        quantity: base units that the fill moved, signed, net of base fees.
        times: journaled time and market time.
    Returns:
        The position with its new lots, and a Protection for each lot that changed; quantity zero
        removes one. The sum of the lots never exceeds the position.
    """
    before = {lot.order_id: lot for lot in position.lots}
    lots = dict(before)
    if order.side is Side.BUY:
        _grow(lots, order, quantity)
    surplus = money.subtract(money.add(*(lot.quantity for lot in lots.values())), position.quantity)
    if order.side is Side.SELL and quantity < 0:
        surplus = max(surplus, quantity.copy_negate())
    for order_id in sorted(lots, key=lambda name: name != order.target_order_id):
        if surplus <= 0:
            break
        taken = min(surplus, lots[order_id].quantity)
        surplus = money.subtract(surplus, taken)
        left = money.subtract(lots[order_id].quantity, taken)
        lots[order_id] = lots[order_id].but({"quantity": left})
    growing = order.order_id if not orders.is_terminal(order.status) else None
    kept = tuple(
        lot
        for lot in lots.values()
        if lot.quantity >= lot.dust or (lot.order_id == growing and lot.quantity > 0)
    )
    after = {lot.order_id: lot for lot in kept}
    if after == before:
        return position, ()
    protections = tuple(
        _record(position, after.get(order_id), order_id, times)
        for order_id in {**before, **after}
        if after.get(order_id) != before.get(order_id)
    )
    return position.but({"lots": kept}), protections


def snapshot(position: PositionState) -> Position:
    """Return the record for ledger.position."""
    average = ZERO
    if position.quantity:
        average = max(
            ZERO, money.divide(position.cost, position.quantity, money.SCALE, ROUND_HALF_EVEN)
        )
    return Position(
        account=position.account,
        instrument=position.instrument,
        quantity=position.quantity,
        cost=position.cost,
        average_price=average,
        realised=position.realised,
        bought=position.bought,
        sold=position.sold,
        trades=position.trades,
        market_time=position.market_time,
        updated_time=position.updated_time,
    )


def _grow(lots: dict[str, ProtectedLot], order: OrderState, quantity: Decimal) -> None:
    """Add a buy's fill to the lot of its order, at the order's average price so far."""
    if not (order.stop_loss or order.take_profit):
        return
    lot = lots.get(order.order_id)
    entry = orders.average_price(order)
    grown = money.add(lot.quantity if lot else ZERO, quantity)
    if grown <= 0 or not entry:
        lots.pop(order.order_id, None)
        return
    stop, target = ZERO, ZERO
    if order.stop_loss:
        stop = protection.stop_loss_price(entry, order.stop_loss, order.tick_size)
    if order.take_profit:
        target = protection.take_profit_price(entry, order.take_profit, order.tick_size)
    lots[order.order_id] = ProtectedLot(
        order_id=order.order_id,
        quantity=grown,
        dust=order.dust,
        stop_price=stop,
        take_profit_price=target,
    )


def _record(
    position: PositionState,
    lot: ProtectedLot | None,
    order_id: str,
    times: tuple[datetime, datetime],
) -> Protection:
    now, market_time = times
    return Protection(
        instrument=position.instrument,
        account=position.account,
        order_id=order_id,
        side=Side.SELL,
        quantity=lot.quantity if lot else ZERO,
        stop_price=lot.stop_price if lot else ZERO,
        take_profit_price=lot.take_profit_price if lot else ZERO,
        market_time=market_time,
        updated_time=now,
    )


def _third_fees(
    position: PositionState, order: OrderState, fill: Fill, *, reverse: bool
) -> dict[str, Decimal]:
    third = {
        asset: amount.copy_negate() if reverse else amount
        for asset, amount in fill.fees.items()
        if asset not in {order.base_asset, order.quote_asset}
    }
    if not third:
        return position.unvalued_fees
    sums = dict(position.unvalued_fees)
    for asset, amount in third.items():
        sums[asset] = money.add(sums.get(asset, ZERO), amount)
    return {asset: sums[asset] for asset in sorted(sums) if sums[asset]}


def _part(whole: Decimal, part: Decimal, of: Decimal) -> Decimal:
    """Return whole * part / of, 18 places half even; exactly the whole if the part is all."""
    if part == of:
        return whole
    return money.divide(money.multiply(whole, part), of, money.SCALE, ROUND_HALF_EVEN)
