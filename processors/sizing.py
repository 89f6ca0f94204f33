"""From an intent to an order of a definite size and hold.

A budget is never cut to what is left: one above what is available is denied. An explicit quantity
is never changed, only accepted or denied; the one bound that may shrink is that of an exit
(STOP_LOSS, TAKE_PROFIT, or a sell that names no size), which sells what is owned, floored to the step.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Final

from processors import funds, money, rules
from processors.effects import View
from processors.money import ZERO
from processors.records.account import AccountPolicy, Sizing, SizingKind
from processors.records.market import InstrumentRules, Side
from processors.records.state_account import PositionState
from processors.records.trade import IntentKind, OrderType, Reason, TimeInForce, TradeIntent
from processors.rules import Denial

EXITS: Final = frozenset({IntentKind.STOP_LOSS, IntentKind.TAKE_PROFIT})
"""Intents that close what a protection guards; no limit of the account stands in their way."""


@dataclass(frozen=True, slots=True)
class Sized:
    """An order as it is to be sent, and what it must hold."""

    order_type: OrderType
    time_in_force: TimeInForce
    quantity: Decimal
    """Base units; zero for an order by quote amount."""
    quote_quantity: Decimal | None
    expected_quantity: Decimal
    """Base units it is likely to bring."""
    price: Decimal | None
    notional: Decimal
    """Quote units: what limits on value are held against."""
    hold_asset: str
    hold_unit: Decimal
    """Held per base unit, or per quote unit of an order by quote amount."""
    hold_scale: int
    hold_amount: Decimal


def budget(sizing: Sizing, total: Decimal, available: Decimal) -> Decimal:
    """Return what a sizing policy lets an order spend.

    Args:
        sizing: the policy.
        total: of the asset spent, held or not.
        available: of the asset spent, not held.
    Returns:
        Units of the asset spent, exact to 18 places; NOTIONAL gives its fixed quote units.
    """
    if sizing.kind is SizingKind.NOTIONAL:
        return sizing.notional
    base = total if sizing.kind is SizingKind.TOTAL else available
    return money.floor_scale(money.multiply(sizing.fraction, max(base, ZERO)), money.SCALE)


def size(
    view: View,
    intent: TradeIntent,
    price: Decimal,
    limits: InstrumentRules,
    policy: AccountPolicy,
) -> Sized | Denial:
    """Turn an intent into an order, by the policy or by what the intent says itself.

    Args:
        view: the account and its position in the instrument.
        intent: what is asked for.
        price: the judged price, quote units per base unit.
        limits: the venue's rules of the symbol.
        policy: the account's.
    Returns:
        The order, not yet checked against lots and limits; or why there is none.
    """
    named = [intent.sizing, intent.quantity, intent.quote_quantity]
    if sum(item is not None for item in named) > 1:
        return Denial(Reason.OTHER, "more than one of sizing, quantity and quote_quantity")
    shape = _shape(intent, price, limits, policy)
    if isinstance(shape, Denial):
        return shape
    if intent.quote_quantity is not None:
        return _by_quote(intent, intent.quote_quantity, price, limits)
    if intent.side is Side.SELL:
        return _sell(view, intent, shape, limits)
    return _buy(view, intent, shape, limits, policy)


@dataclass(frozen=True, slots=True)
class _Shape:
    """How an order is sent: type, time in force, limit; and the price that bounds its cost."""

    order_type: OrderType
    time_in_force: TimeInForce
    limit: Decimal | None
    bound: Decimal


def _shape(
    intent: TradeIntent, price: Decimal, limits: InstrumentRules, policy: AccountPolicy
) -> _Shape | Denial:
    kind, asked = intent.order_type, intent.time_in_force
    if kind is OrderType.MARKET:
        cap = rules.capped_price(price, policy.slippage, intent.side, limits)
        if cap <= 0:
            return Denial(Reason.PRICE_OUT_OF_BAND, "no tick fits under the capped price")
        return _Shape(OrderType.LIMIT, TimeInForce.IOC, cap, cap)
    if kind is not OrderType.LIMIT and intent.stop_price is None:
        return Denial(Reason.OTHER, "a stop order without a stop_price")
    if kind is OrderType.STOP_MARKET:
        trigger = intent.stop_price or ZERO
        worst = money.multiply(trigger, money.add(Decimal(1), policy.slippage))
        bound = money.ceil_scale(worst, money.SCALE)
        return _Shape(kind, asked, None, bound if intent.side is Side.BUY else trigger)
    if intent.price is None:
        return Denial(Reason.OTHER, "a limit order without a price")
    return _Shape(kind, asked, intent.price, intent.price)


def _by_quote(
    intent: TradeIntent, amount: Decimal, price: Decimal, limits: InstrumentRules
) -> Sized | Denial:
    """Size a market buy by quote amount: the one market order whose hold is a hard bound."""
    if intent.side is Side.SELL or intent.order_type is not OrderType.MARKET:
        return Denial(Reason.OTHER, "quote_quantity is for market buys")
    factor = rules.fee_factor(limits, Side.BUY)
    sent = money.divide(amount, factor, limits.quote_scale, ROUND_FLOOR)
    if sent <= 0:
        return Denial(Reason.MIN_NOTIONAL, f"{money.text(amount)} is less than one quote unit")
    step = limits.market_step_size or limits.step_size
    return Sized(
        order_type=OrderType.MARKET,
        time_in_force=intent.time_in_force,
        quantity=ZERO,
        quote_quantity=sent,
        expected_quantity=money.floor_to(money.divide(sent, price, money.SCALE, ROUND_FLOOR), step),
        price=None,
        notional=sent,
        hold_asset=limits.quote_asset,
        hold_unit=factor,
        hold_scale=limits.quote_scale,
        hold_amount=money.ceil_scale(money.multiply(sent, factor), limits.quote_scale),
    )


def _buy(
    view: View, intent: TradeIntent, shape: _Shape, limits: InstrumentRules, policy: AccountPolicy
) -> Sized | Denial:
    unit = money.multiply(shape.bound, rules.fee_factor(limits, Side.BUY))
    unit = money.ceil_scale(unit, money.SCALE)
    if intent.quantity is not None:
        return _order(shape, intent.quantity, unit, limits.quote_asset, limits.quote_scale)
    asset = limits.quote_asset
    free = funds.available(view.account, asset)
    total = funds.balance_of(view.account, asset).total
    spend = budget(intent.sizing or policy.sizing, total, free)
    if spend > free or spend <= 0:
        return insufficient(asset, spend, free)
    quantity = money.floor_to(money.divide(spend, unit, money.SCALE, ROUND_FLOOR), limits.step_size)
    order = _order(shape, quantity, unit, asset, limits.quote_scale)
    while order.hold_amount > spend and limits.step_size and quantity >= limits.step_size:
        # The hold is rounded up to the asset's scale: one step less then fits into the budget.
        quantity = money.subtract(quantity, limits.step_size)
        order = _order(shape, quantity, unit, asset, limits.quote_scale)
    return order


def _sell(
    view: View, intent: TradeIntent, shape: _Shape, limits: InstrumentRules
) -> Sized | Denial:
    asset = limits.base_asset
    free = funds.available(view.account, asset)
    quantity = intent.quantity
    if quantity is None or intent.kind in EXITS:
        quantity = money.floor_to(_to_sell(view, intent, shape, free, asset), limits.step_size)
        if quantity <= 0 or quantity < max(limits.step_size, limits.min_quantity):
            detail = f"{money.text(quantity)} of {asset} is under one lot"
            return Denial(Reason.NOTHING_TO_SELL, detail)
    return _order(shape, quantity, Decimal(1), asset, limits.base_scale)


def _to_sell(view: View, intent: TradeIntent, shape: _Shape, free: Decimal, asset: str) -> Decimal:
    """Return the base units that a sell without an explicit quantity is to sell, before flooring."""
    owned = max(ZERO, min(free, view.position.quantity if view.position else ZERO))
    if intent.kind in EXITS:
        guarded = intent.quantity or _lot(view.position, intent.target_order_id)
        return owned if guarded is None else min(guarded, owned)
    if intent.sizing is None:
        return owned
    if intent.sizing.kind is SizingKind.NOTIONAL:
        price = shape.bound
        return money.divide(intent.sizing.notional, price, money.SCALE, ROUND_FLOOR)
    return budget(intent.sizing, funds.balance_of(view.account, asset).total, free)


def _lot(position: PositionState | None, order_id: str | None) -> Decimal | None:
    for lot in position.lots if position else ():
        if lot.order_id == order_id:
            return lot.quantity
    return None


def _order(shape: _Shape, quantity: Decimal, unit: Decimal, asset: str, scale: int) -> Sized:
    value = money.multiply(shape.limit or shape.bound, quantity)
    return Sized(
        order_type=shape.order_type,
        time_in_force=shape.time_in_force,
        quantity=quantity,
        quote_quantity=None,
        expected_quantity=quantity,
        price=shape.limit,
        notional=money.quantize(value, money.SCALE, ROUND_CEILING),
        hold_asset=asset,
        hold_unit=unit,
        hold_scale=scale,
        hold_amount=money.ceil_scale(money.multiply(quantity, unit), scale),
    )


def insufficient(asset: str, asked: Decimal, free: Decimal) -> Denial:
    """Return the denial of what is not there.

    Args:
        asset: what it is about.
        asked: units wanted.
        free: units available.
    Returns:
        INSUFFICIENT_AVAILABLE_BALANCE with both figures.
    """
    detail = f"{money.text(asked)} {asset} asked, {money.text(free)} available"
    return Denial(Reason.INSUFFICIENT_AVAILABLE_BALANCE, detail)
