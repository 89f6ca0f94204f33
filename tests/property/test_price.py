"""The judge of a price: nobody trades on a price that nobody vouches for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.price import PriceSource, PriceVerdict, judge
from processors.records.market import ReferencePrice
from processors.records.trade import Reason

NOW = datetime(2025, 1, 2, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
COLLAR = Decimal("0.05")
D = Decimal
HUNDRED = D(100)


def reference(
    price: Decimal = HUNDRED, age: timedelta = timedelta(0), source: str = "LIVE"
) -> ReferencePrice:
    return ReferencePrice(
        instrument="X:A/B", price=price, source=source, market_time=NOW - age, received_time=NOW
    )


def judged(
    expected: Decimal | None, known: ReferencePrice | None, configured: Decimal | None = None,
    *, max_age: timedelta = MINUTE, collar: Decimal = COLLAR, market_time: datetime = NOW,
) -> PriceVerdict | Reason:  # fmt: skip
    return judge(expected, known, market_time, max_age, collar, configured, now=NOW)


OLD = MINUTE + timedelta(milliseconds=1)


@pytest.mark.parametrize(
    ("expected", "known", "configured", "answer"),
    [
        # a fresh reference judges
        (D(105), reference(), None, PriceVerdict(D(105), PriceSource.LIVE, 0)),
        (D("105.01"), reference(), None, Reason.PRICE_OUT_OF_BAND),
        (D(95), reference(age=MINUTE), None, PriceVerdict(D(95), PriceSource.LIVE, 60_000)),
        (D("94.99"), reference(), D("94.99"), Reason.PRICE_OUT_OF_BAND),
        (None, reference(), None, PriceVerdict(D(100), PriceSource.LIVE, 0)),
        (None, reference(source="INFLUX"), None, PriceVerdict(D(100), PriceSource.INFLUX, 0)),
        (D(100), reference(source="CONFIGURED"), None, PriceVerdict(D(100), PriceSource.CONFIGURED, 0)),
        (D(100), reference(source="?"), None, PriceVerdict(D(100), PriceSource.LAST_GOOD, 0)),
        (D(100), reference(age=-MINUTE / 120), None, PriceVerdict(D(100), PriceSource.LIVE, -500)),
        # too old: the intent's price counts only inside the band of the last good one
        (D(105), reference(age=OLD), None, PriceVerdict(D(105), PriceSource.LAST_GOOD, 60_001)),
        (D("105.01"), reference(age=OLD), None, Reason.PRICE_UNAVAILABLE),
        (D("105.01"), reference(age=OLD), D("105.01"), Reason.PRICE_UNAVAILABLE),
        (None, reference(age=OLD), None, Reason.PRICE_STALE),
        (None, reference(age=OLD), D(99), PriceVerdict(D(99), PriceSource.CONFIGURED, 0)),
        # none: only what the operator configured
        (D(100), None, None, Reason.PRICE_UNAVAILABLE),
        (None, None, None, Reason.PRICE_UNAVAILABLE),
        (None, None, D(99), PriceVerdict(D(99), PriceSource.CONFIGURED, 0)),
        (D(100), None, D(99), PriceVerdict(D(100), PriceSource.CONFIGURED, 0)),
        (D(120), None, D(99), Reason.PRICE_OUT_OF_BAND),
        # more than one second ahead of the wall clock: no price
        (D(100), reference(age=timedelta(seconds=-1)), None, PriceVerdict(D(100), PriceSource.LIVE, -1000)),
        (D(100), reference(age=timedelta(seconds=-1.001)), None, Reason.PRICE_UNAVAILABLE),
    ],
)  # fmt: skip
def test_who_vouches_for_a_price(
    expected: Decimal | None, known: ReferencePrice | None, configured: Decimal | None,
    answer: PriceVerdict | Reason,
) -> None:  # fmt: skip
    """Each row of the rule: fresh, too old, none, configured, ahead of the clock."""
    assert judged(expected, known, configured) == answer


@pytest.mark.parametrize("bad", [D(0), D(-1), D("NaN"), D("Infinity"), D("-Infinity"), D("sNaN")])
def test_what_is_no_price_is_refused(bad: Decimal) -> None:
    """Zero, negative, NaN and infinite prices are refused, from the intent and from the operator."""
    assert judged(bad, reference()) is Reason.PRICE_UNAVAILABLE
    assert judged(None, None, bad) is Reason.PRICE_UNAVAILABLE
    broken = reference().model_copy(update={"price": bad})
    assert judged(D(100), broken) is Reason.PRICE_UNAVAILABLE
    assert judged(None, broken) is Reason.PRICE_UNAVAILABLE


def test_an_intent_ahead_of_the_clock_is_refused() -> None:
    """An intent whose market time is more than one second ahead has no price, whoever vouches."""
    ahead = NOW + timedelta(seconds=1)
    assert isinstance(judged(D(100), reference(), market_time=ahead), PriceVerdict)
    later = ahead + timedelta(microseconds=1)
    assert judged(D(100), reference(), D(100), market_time=later) is Reason.PRICE_UNAVAILABLE


def test_a_bound_of_zero_is_off() -> None:
    """Without a bound on age nothing is stale, without a collar nothing out of band; never both ways."""
    ancient = reference(age=timedelta(days=400))
    assert judged(D(100), ancient, max_age=timedelta(0)) == PriceVerdict(
        D(100), PriceSource.LIVE, 34_560_000_000
    )
    assert judged(D(900), reference(), collar=D(0)) == PriceVerdict(D(900), PriceSource.LIVE, 0)
    # No band to hold it to, and nothing fresh: refused.
    assert judged(D(100), ancient, collar=D(0)) is Reason.PRICE_STALE


@given(
    expected=st.none() | st.decimals(min_value=-10, max_value=300, places=2),
    price=st.decimals(min_value=D("0.01"), max_value=200, places=2),
    age=st.integers(-3_000, 200_000),
    known=st.booleans(),
    configured=st.none() | st.decimals(min_value=-1, max_value=200, places=2),
)
def test_no_price_is_made_up(
    expected: Decimal | None, price: Decimal, age: int, known: bool, configured: Decimal | None
) -> None:
    """A verdict's price is one that was given, above zero, inside the band of a judge that was given."""
    judge_of = reference(price, timedelta(milliseconds=age)) if known else None
    verdict = judged(expected, judge_of, configured)
    if isinstance(verdict, Reason):
        assert verdict in (Reason.PRICE_UNAVAILABLE, Reason.PRICE_STALE, Reason.PRICE_OUT_OF_BAND)
        return
    judges = [price] if known else []
    judges += [configured] if verdict.source is PriceSource.CONFIGURED and configured else []
    assert verdict.price > 0
    assert verdict.price == expected if expected is not None else verdict.price in judges
    assert any(abs(verdict.price - each) <= COLLAR * each for each in judges)
    assert (verdict.source is PriceSource.LIVE) <= (known and -1_000 <= age <= 60_000)
