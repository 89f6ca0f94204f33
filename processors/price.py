"""Which price an order is sized by, and who vouches for it.

The size rests on the price that the intent expects, else on the reference price. The reference
judges: its age, and how far the intent's price is from it. Where it is too old, the intent's
price counts only inside the band around it (LAST_GOOD). Where there is none, only a price that
the operator configured may stand in for it. Otherwise the order is refused; no constant is made up.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Final

from processors import limits, money
from processors.records.market import ReferencePrice
from processors.records.trade import Reason

_MILLISECOND: Final = timedelta(milliseconds=1)


class PriceSource(StrEnum):
    """Who vouches for a price."""

    LIVE = "LIVE"
    INFLUX = "INFLUX"
    LAST_GOOD = "LAST_GOOD"
    CONFIGURED = "CONFIGURED"


@dataclass(frozen=True, slots=True)
class PriceVerdict:
    """A price to size by: quote units per base unit; `age_ms` is its judge's, market time."""

    price: Decimal
    source: PriceSource
    age_ms: int


def judge(
    expected_price: Decimal | None,
    reference: ReferencePrice | None,
    market_time: datetime,
    max_age: timedelta,
    collar: Decimal,
    configured: Decimal | None,
    *,
    now: datetime,
) -> PriceVerdict | Reason:
    """Judge the price of an intent.

    Args:
        expected_price: what the sender saw, quote units per base unit; None asks for the reference.
        reference: the last good price of the instrument.
        market_time: market time of the intent.
        max_age: oldest reference that is still fresh, market time; zero switches the bound off.
        collar: widest distance from the judge's price, as a fraction of it; zero switches it off.
        configured: the operator's constant; None where there is none.
        now: journaled wall time: what is more than 1 s ahead of it is no price.
    Returns:
        The price to size by. Or PRICE_UNAVAILABLE: nobody vouches, or the price is no price, or it
        is outside the band of a last good price that is too old. PRICE_STALE: only the reference
        could give a price, or no band is set to hold the intent's to it, and it is too old.
        PRICE_OUT_OF_BAND: the intent's price is outside the band of a judge in force.
    """
    latest = now + limits.MARKET_LEAD_MAX
    if market_time > latest or not (expected_price is None or _is_price(expected_price)):
        return Reason.PRICE_UNAVAILABLE
    if reference is None or not _is_price(reference.price) or reference.market_time > latest:
        return _by_configured(expected_price, collar, configured)
    age = market_time - reference.market_time
    age_ms = age // _MILLISECOND
    if not max_age or age <= max_age:
        if expected_price is None:
            return PriceVerdict(reference.price, _source(reference), age_ms)
        if not _inside(expected_price, reference.price, collar):
            return Reason.PRICE_OUT_OF_BAND
        return PriceVerdict(expected_price, _source(reference), age_ms)
    if expected_price is None or not collar:
        verdict = _by_configured(expected_price, collar, configured)
        return Reason.PRICE_STALE if verdict is Reason.PRICE_UNAVAILABLE else verdict
    if not _inside(expected_price, reference.price, collar):
        return Reason.PRICE_UNAVAILABLE
    return PriceVerdict(expected_price, PriceSource.LAST_GOOD, age_ms)


def _by_configured(
    expected: Decimal | None, collar: Decimal, configured: Decimal | None
) -> PriceVerdict | Reason:
    if configured is None or not _is_price(configured):
        return Reason.PRICE_UNAVAILABLE
    if expected is not None and not _inside(expected, configured, collar):
        return Reason.PRICE_OUT_OF_BAND
    price = configured if expected is None else expected
    return PriceVerdict(price, PriceSource.CONFIGURED, 0)


def _is_price(price: Decimal) -> bool:
    return price.is_finite() and price > 0


def _inside(price: Decimal, judge_price: Decimal, collar: Decimal) -> bool:
    if not collar:
        return True
    return money.subtract(price, judge_price).copy_abs() <= money.multiply(collar, judge_price)


def _source(reference: ReferencePrice) -> PriceSource:
    # A word that this version does not know vouches for nothing more than "it was good once".
    known = {each.value: each for each in PriceSource}
    return known.get(reference.source, PriceSource.LAST_GOOD)
