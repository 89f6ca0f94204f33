"""Pre-trade checks: an intent becomes an order of a definite size, or a denial with its reason.

The order of the checks is fixed, so that one intent always has one reason: account, symbol, policy,
price, size, venue filters, limits of the account, balance. Exits of a protection pass the account's
own limits (they only make the risk smaller), never the venue's filters.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from processors import funds, money, rules, sizing
from processors.effects import Context, View
from processors.money import ZERO
from processors.price import PriceVerdict, judge
from processors.records.account import AccountPolicy, Limits
from processors.records.market import InstrumentRules, Side
from processors.records.state_account import AccountStatus, Exposure, Standing
from processors.records.trade import OrderType, Reason, TradeIntent
from processors.rules import Denial
from processors.sizing import EXITS, Sized

PROTECTED_LOTS_MAX: Final = 64
"""Most protected lots of one position, open buys counted: they lie in one table value."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the checks came to, and what they stood on; a denial keeps what was known by then."""

    order: Sized | None
    denial: Denial | None
    price: PriceVerdict | None = None


def check(view: View, intent: TradeIntent, context: Context) -> Verdict:
    """Size an intent and check it.

    Args:
        view: the account and its position in the instrument.
        intent: a NEW order or an exit.
        context: time, rules, price and policy.
    Returns:
        The order to hold for, or the denial.
    """
    limits, policy = context.rules, context.policy
    denial = _account(view.account.standing.status, intent.side)
    if denial is not None:
        return Verdict(None, denial)
    if limits is None:
        return Verdict(None, Denial(Reason.RULES_MISSING, "no rules of the instrument"))
    denial = rules.check_status(limits)
    if denial is not None:
        return Verdict(None, denial)
    if policy is None:
        return Verdict(None, Denial(Reason.OTHER, "the account has no policy"))
    if policy.stop_loss >= 1:
        return Verdict(None, Denial(Reason.OTHER, "the policy's stop_loss is no fraction under 1"))
    found = judge(
        intent.expected_price,
        context.price,
        intent.market_time,
        timedelta(seconds=policy.limits.max_price_age),
        policy.limits.price_collar,
        context.configured_price,
        now=context.now,
    )
    if isinstance(found, Reason):
        return Verdict(None, Denial(found, _price_detail(intent, context)))
    order = sizing.size(view, intent, found.price, limits, policy)
    if isinstance(order, Denial):
        return Verdict(None, order, found)
    denial = (
        _filters(order, intent, limits)
        or _limits(view, intent, order, found.price, limits, policy)
        or _balance(view, order)
    )
    return Verdict(None, denial, found) if denial is not None else Verdict(order, None, found)


def count(standing: Standing, intent: TradeIntent, notional: Decimal) -> Standing:
    """Count an accepted order into the market minute it belongs to.

    Args:
        standing: before the order.
        intent: accepted; an older market time than the newest counts into the newest minute.
        notional: quote units.
    Returns:
        The standing with the minute's sum.
    """
    minute, spent = _minute(standing, intent.market_time)
    return standing.but({"minute": minute, "minute_notional": money.add(spent, notional)})


def expose(standing: Standing, instrument: str, before: Exposure, after: Exposure) -> Standing:
    """Move the counters of open orders from what an order counted for to what it counts for now.

    Args:
        standing: before the event.
        instrument: of the order.
        before: what the order counted for.
        after: what it counts for now.
    Returns:
        The standing, the same object if nothing changed; an instrument without open orders has
        no entry.
    """
    if before == after:
        return standing
    now = standing.exposures.get(instrument, Exposure(orders=0, buying=ZERO))
    exposure = Exposure(
        orders=now.orders + after.orders - before.orders,
        buying=money.add(money.subtract(now.buying, before.buying), after.buying),
    )
    others = {name: item for name, item in standing.exposures.items() if name != instrument}
    if exposure.orders or exposure.buying:
        others = dict(sorted({**others, instrument: exposure}.items()))
    return standing.but(
        {
            "open_orders": standing.open_orders + after.orders - before.orders,
            "exposures": others,
        }
    )


def _account(status: AccountStatus, side: Side) -> Denial | None:
    if status is AccountStatus.HALTED:
        return Denial(Reason.ACCOUNT_HALTED, "the account is halted")
    if status is AccountStatus.REDUCING and side is Side.BUY:
        return Denial(Reason.ACCOUNT_REDUCING, "the account may only sell")
    return None


def _price_detail(intent: TradeIntent, context: Context) -> str:
    """Say which prices there were, for the person who reads the denial."""
    expected = money.text(intent.expected_price) if intent.expected_price else "none"
    if context.price is None:
        return f"expected {expected}, no reference"
    age = intent.market_time - context.price.market_time
    reference = money.text(context.price.price)
    return f"expected {expected}, reference {reference} of {age.total_seconds():.3f} s before"


def _filters(order: Sized, intent: TradeIntent, limits: InstrumentRules) -> Denial | None:
    """The venue's filters, after all rounding."""
    market = order.order_type in {OrderType.MARKET, OrderType.STOP_MARKET}
    for price in (order.price, intent.stop_price):
        denial = rules.check_price(price, limits) if price is not None else None
        if denial is not None:
            return denial
    return rules.check_quantity(
        order.expected_quantity, limits, market=market
    ) or rules.check_notional(order.notional, limits, market=market)


def _limits(
    view: View,
    intent: TradeIntent,
    order: Sized,
    price: Decimal,
    limits: InstrumentRules,
    policy: AccountPolicy,
) -> Denial | None:
    """The venue's order count, then the account's own limits; exits pass the latter."""
    standing = view.account.standing
    mine = standing.exposures.get(intent.instrument, Exposure(orders=0, buying=ZERO))
    if limits.max_orders and mine.orders >= limits.max_orders:
        return Denial(Reason.MAX_ORDERS, f"{mine.orders} open on the symbol")
    if intent.kind in EXITS:
        return None
    bounds = policy.limits
    if bounds.max_open_orders and standing.open_orders >= bounds.max_open_orders:
        return Denial(Reason.MAX_ORDERS, f"{standing.open_orders} open")
    return (
        _collar(intent, order, price, bounds)
        or _notional(standing, intent, order, bounds)
        or _position(view, intent, order, mine, policy)
    )


def _collar(intent: TradeIntent, order: Sized, price: Decimal, bounds: Limits) -> Denial | None:
    """A limit that was asked for stays near the judged price: a slip of the finger is no order."""
    if intent.order_type is not OrderType.LIMIT or order.price is None or not bounds.price_collar:
        return None
    distance = money.subtract(order.price, price).copy_abs()
    if distance <= money.multiply(price, bounds.price_collar):
        return None
    detail = f"{money.text(order.price)} is too far from {money.text(price)}"
    return Denial(Reason.PRICE_OUT_OF_BAND, detail)


def _notional(
    standing: Standing, intent: TradeIntent, order: Sized, bounds: Limits
) -> Denial | None:
    most = bounds.max_order_notional
    if most and order.notional > most:
        detail = f"{money.text(order.notional)} is over the account's {money.text(most)}"
        return Denial(Reason.MAX_NOTIONAL, detail)
    most = bounds.max_notional_per_minute
    if most:
        _, spent = _minute(standing, intent.market_time)
        after = money.add(spent, order.notional)
        if after > most:
            detail = f"{money.text(after)} in the market minute is over {money.text(most)}"
            return Denial(Reason.RATE_LIMIT, detail)
    return None


def _position(
    view: View, intent: TradeIntent, order: Sized, mine: Exposure, policy: AccountPolicy
) -> Denial | None:
    if intent.side is Side.SELL:
        return None
    position = view.position
    lots = len(position.lots) if position else 0
    if (policy.stop_loss or policy.take_profit) and lots + mine.orders >= PROTECTED_LOTS_MAX:
        return Denial(Reason.MAX_POSITION, f"{lots} protected lots and {mine.orders} open orders")
    most = policy.limits.max_position
    owned = position.quantity if position else ZERO
    after = money.add(owned, mine.buying, order.expected_quantity)
    if not most or after <= most:
        return None
    return Denial(Reason.MAX_POSITION, f"{money.text(after)} would be over {money.text(most)}")


def _balance(view: View, order: Sized) -> Denial | None:
    free = funds.available(view.account, order.hold_asset)
    if order.hold_amount <= free:
        return None
    return sizing.insufficient(order.hold_asset, order.hold_amount, free)


def _minute(standing: Standing, market_time: datetime) -> tuple[datetime, Decimal]:
    """Return the market minute that an order counts into, and what was spent in it so far."""
    minute = market_time.replace(second=0, microsecond=0)
    if standing.minute is not None and minute <= standing.minute:
        return standing.minute, standing.minute_notional
    return minute, ZERO
