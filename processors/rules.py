"""A venue's filters: is this price, this quantity, this value one that the venue takes?

Steps and bounds come from `market.rule`, never from code; zero switches a bound off. Every check
answers with a denial or with nothing; nothing here rounds.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal

from processors import money
from processors.money import ZERO
from processors.records.market import FeeMode, InstrumentRules, Side, SymbolStatus
from processors.records.trade import Reason


@dataclass(frozen=True, slots=True)
class Denial:
    """Why an intent is not carried out: a code for machines and the figures for people."""

    reason: Reason
    detail: str = ""


def check_status(rules: InstrumentRules) -> Denial | None:
    """Deny on a symbol that takes no orders."""
    if rules.status is SymbolStatus.TRADING:
        return None
    return Denial(Reason.SYMBOL_NOT_TRADING, f"status {rules.status.value}")


def check_price(price: Decimal, rules: InstrumentRules) -> Denial | None:
    """Deny a limit or trigger that is off the tick or out of the venue's bounds.

    Args:
        price: quote units per base unit.
        rules: the symbol's.
    Returns:
        PRICE_TICK or PRICE_OUT_OF_BAND, or None.
    """
    if not money.is_multiple(price, rules.tick_size):
        return Denial(Reason.PRICE_TICK, _than(price, "is no multiple of", rules.tick_size))
    if rules.min_price and price < rules.min_price:
        return Denial(Reason.PRICE_OUT_OF_BAND, _than(price, "is under", rules.min_price))
    if rules.max_price and price > rules.max_price:
        return Denial(Reason.PRICE_OUT_OF_BAND, _than(price, "is over", rules.max_price))
    return None


def check_quantity(
    quantity: Decimal, rules: InstrumentRules, *, market: bool = False
) -> Denial | None:
    """Deny a quantity that is no whole lot, too small or too large.

    Args:
        quantity: base units.
        rules: the symbol's.
        market: whether the order is sent as a market order; its lot may differ, and a market step
            of zero means that the common one holds.
    Returns:
        STEP, MIN_QUANTITY or MAX_QUANTITY, or None.
    """
    step, least, most = rules.step_size, rules.min_quantity, rules.max_quantity
    if market:
        step = rules.market_step_size or step
        least = max(least, rules.market_min_quantity)
        most = min(most or rules.market_max_quantity, rules.market_max_quantity or most)
    if quantity <= 0 or quantity < least:
        return Denial(Reason.MIN_QUANTITY, _than(quantity, "is under", least or step))
    if not money.is_multiple(quantity, step):
        return Denial(Reason.STEP, _than(quantity, "is no multiple of", step))
    if most and quantity > most:
        return Denial(Reason.MAX_QUANTITY, _than(quantity, "is over", most))
    return None


def check_notional(
    notional: Decimal, rules: InstrumentRules, *, market: bool = False
) -> Denial | None:
    """Deny a value that is too small or too large; to be asked after all rounding.

    Args:
        notional: price times quantity, quote units.
        rules: the symbol's.
        market: whether the order is sent as a market order.
    Returns:
        MIN_NOTIONAL or MAX_NOTIONAL, or None.
    """
    if (not market or rules.min_notional_applies_to_market) and notional < rules.min_notional:
        return Denial(Reason.MIN_NOTIONAL, _than(notional, "is under", rules.min_notional))
    bound = rules.max_notional
    if bound and (not market or rules.max_notional_applies_to_market) and notional > bound:
        return Denial(Reason.MAX_NOTIONAL, _than(notional, "is over", bound))
    return None


def fee_factor(rules: InstrumentRules, side: Side) -> Decimal:
    """Return by what a hold in the spent asset is multiplied so that the fee fits into it.

    Args:
        rules: the symbol's; the worst of the maker's and the taker's fee counts.
        side: of the order.
    Returns:
        1 + fee where a buy's fee is taken in the quote asset, else 1. A fee in a third asset is
        taken from what is free of that asset.
    """
    if side is Side.BUY and rules.fee_mode is FeeMode.QUOTE:
        return money.add(Decimal(1), max(rules.maker_fee, rules.taker_fee))
    return Decimal(1)


def dust_bound(price: Decimal, rules: InstrumentRules) -> Decimal:
    """Return the least quantity that can be sold alone at a price.

    Args:
        price: quote units per base unit.
        rules: the symbol's.
    Returns:
        Base units: one step, the minimum lot or the minimum value, whichever is the most.
    """
    least = max(rules.step_size, rules.min_quantity)
    if not rules.min_notional or price <= 0:
        return least
    worth = money.divide(rules.min_notional, price, money.SCALE, ROUND_CEILING)
    return max(least, money.ceil_to(worth, rules.step_size))


def capped_price(price: Decimal, slippage: Decimal, side: Side, rules: InstrumentRules) -> Decimal:
    """Return the limit of a market order that is sent as a limit.

    Args:
        price: the judged price, quote units per base unit.
        slippage: fraction by which the limit may be worse.
        side: of the order.
        rules: the symbol's; without a tick the scale of the quote asset counts.
    Returns:
        A buy's limit rounded down to the tick, a sell's up: never worse than asked. It is zero
        where no tick fits under the price.
    """
    tick = rules.tick_size or Decimal(1).scaleb(-rules.quote_scale)
    if side is Side.BUY:
        worse = money.multiply(price, money.add(Decimal(1), slippage))
        return money.floor_to(worse, tick)
    worse = money.multiply(price, max(ZERO, money.subtract(Decimal(1), slippage)))
    return money.ceil_to(worse, tick)


def _than(found: Decimal, relation: str, bound: Decimal) -> str:
    return f"{money.text(found)} {relation} {money.text(bound)}"
