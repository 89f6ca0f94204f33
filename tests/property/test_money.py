"""Exact money: every result against rational numbers, and under a hostile ambient context."""

from __future__ import annotations

import decimal
import math
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors import money
from processors.errors import RuleViolation

amounts = st.decimals(
    min_value=-(10**20) + 1, max_value=10**20 - 1, places=18, allow_nan=False, allow_infinity=False
)
positives = st.decimals(min_value=Decimal("1e-18"), max_value=10**20 - 1, places=18)
scales = st.integers(min_value=0, max_value=18)


def half_even(x: Fraction) -> int:
    """Round a rational as Python rounds it: half to even."""
    return round(x)


def away(x: Fraction) -> int:
    """Round a rational half away from zero."""
    return int(math.copysign(1, x)) * math.floor(abs(x) + Fraction(1, 2))


ROUNDINGS: dict[str, Callable[[Fraction], int]] = {
    decimal.ROUND_FLOOR: math.floor,
    decimal.ROUND_CEILING: math.ceil,
    decimal.ROUND_DOWN: math.trunc,
    decimal.ROUND_HALF_EVEN: half_even,
    decimal.ROUND_HALF_UP: away,
}


@given(xs=st.lists(amounts, max_size=8))
def test_a_sum_is_the_rational_sum(xs: list[Decimal]) -> None:
    """Adding amounts gives their exact sum, whatever their order."""
    assert Fraction(money.add(*xs)) == sum(map(Fraction, xs))
    assert money.add(*xs) == money.add(*reversed(xs))


@given(a=amounts, xs=st.lists(amounts, max_size=4))
def test_a_difference_undoes_a_sum(a: Decimal, xs: list[Decimal]) -> None:
    """What is added and then subtracted leaves the amount as it was."""
    assert money.subtract(money.add(a, *xs), *xs) == a


@given(a=amounts, b=amounts)
def test_a_product_is_exact(a: Decimal, b: Decimal) -> None:
    """The product of any two stored amounts is exact: none is ever refused."""
    assert Fraction(money.multiply(a, b)) == Fraction(a) * Fraction(b)


@given(a=amounts, b=positives, scale=scales, rounding=st.sampled_from(sorted(ROUNDINGS)))
def test_a_quotient_is_rounded_once(a: Decimal, b: Decimal, scale: int, rounding: str) -> None:
    """A division gives what one rounding of the true quotient gives, for every rounding."""
    quotient = Fraction(a) / Fraction(b) * 10**scale
    result = money.divide(a, b, scale, rounding)
    assert Fraction(result) == Fraction(ROUNDINGS[rounding](quotient), 10**scale)
    assert result.as_tuple().exponent == -scale


def test_a_quotient_just_over_a_tie_is_not_taken_for_the_tie() -> None:
    """A quotient whose first difference from a tie lies past 80 digits is still not a tie."""
    divisor = Decimal("1" + "0" * 90)
    half = Decimal("5" + "0" * 89)
    above = Decimal("5" + "0" * 88 + "1")
    assert money.divide(half, divisor, 0, decimal.ROUND_HALF_EVEN) == 0
    assert money.divide(above, divisor, 0, decimal.ROUND_HALF_EVEN) == 1


@given(x=amounts, scale=scales)
def test_scales_bracket_the_amount(x: Decimal, scale: int) -> None:
    """Floor and ceiling lie within one quantum around the amount, and agree only on it."""
    low, high = money.floor_scale(x, scale), money.ceil_scale(x, scale)
    assert low <= x <= high
    assert high - low in (0, Decimal(1).scaleb(-scale))
    assert (low == high) == (low == x)


@given(x=amounts, step=positives)
def test_steps_bracket_the_amount(x: Decimal, step: Decimal) -> None:
    """Floor and ceiling to a step are multiples of it, within one step around the amount."""
    low, high = money.floor_to(x, step), money.ceil_to(x, step)
    assert low <= x <= high
    assert Fraction(low) % Fraction(step) == 0
    assert Fraction(high) % Fraction(step) == 0
    assert Fraction(high) - Fraction(low) in (0, Fraction(step))
    assert money.is_multiple(x, step) == (low == x)


@given(x=amounts)
def test_no_step_leaves_the_amount(x: Decimal) -> None:
    """A step of zero is no step."""
    assert money.floor_to(x, Decimal(0)) == money.ceil_to(x, Decimal(0)) == x
    assert money.is_multiple(x, Decimal(0))


@given(x=amounts, zeros=st.integers(min_value=0, max_value=12))
def test_text_is_one_per_value(x: Decimal, zeros: int) -> None:
    """Equal amounts have equal text, and the text gives the amount back."""
    longer = Decimal(format(x, "f") + "0" * zeros)
    assert money.text(longer) == money.text(x)
    assert Decimal(money.text(x)) == x
    assert "E" not in money.text(x)


@given(x=amounts)
def test_a_stored_amount_is_storable(x: Decimal) -> None:
    """Every amount of 20 and 18 places is storable; half a last place more is not."""
    assert money.storable(x)
    assert not money.storable(money.add(x, Decimal("5e-19")))


@pytest.mark.parametrize("bad", [Decimal(x) for x in ("NaN", "Infinity", "-Infinity", "sNaN")])
def test_what_is_no_number_is_refused(bad: Decimal) -> None:
    """NaN and infinities come out of nothing here."""
    one = Decimal(1)
    for attempt in (
        lambda: money.add(one, bad),
        lambda: money.subtract(one, bad),
        lambda: money.multiply(one, bad),
        lambda: money.divide(bad, one, 2, decimal.ROUND_FLOOR),
        lambda: money.quantize(bad, 2, decimal.ROUND_FLOOR),
        lambda: money.floor_to(bad, one),
        lambda: money.ceil_to(bad, Decimal(0)),
        lambda: money.text(bad),
    ):
        with pytest.raises(RuleViolation):
            attempt()
    assert not money.storable(bad)


def test_what_cannot_be_computed_is_refused() -> None:
    """A zero divisor, a negative step, and a sum or product past 80 digits are refused, never cut."""
    huge = Decimal("1" + "0" * 59 + "1")
    attempts: tuple[Callable[[], Decimal], ...] = (
        lambda: money.divide(Decimal(1), Decimal(0), 2, decimal.ROUND_FLOOR),
        lambda: money.floor_to(Decimal(1), Decimal(-1)),
        lambda: money.add(huge, Decimal("1e-40")),
        lambda: money.multiply(huge, Decimal("1.0000000000000000000000001")),
    )
    for attempt in attempts:
        with pytest.raises(RuleViolation):
            attempt()
    assert not money.storable(Decimal(10) ** 20)


def test_the_ambient_context_does_not_count() -> None:
    """A library that sets three digits and another rounding changes no result."""
    a, b = Decimal("121556.65"), Decimal("0.00055641")
    with decimal.localcontext(decimal.Context(prec=3, rounding=decimal.ROUND_UP, traps=[])):
        product = money.multiply(a, b)
        total = money.add(a, b)
        floor = money.floor_to(b, Decimal("0.00001"))
        ceiling = money.ceil_to(Decimal("115478.8175"), Decimal("0.01"))
        quotient = money.divide(Decimal(1), Decimal(3), 18, decimal.ROUND_HALF_EVEN)
        unstepped = money.floor_to(a, Decimal(0))
        assert money.storable(Decimal("99999999999999999999.9"))
    assert product == Decimal("67.6353356265")
    assert total == Decimal("121556.65055641")
    assert floor == Decimal("0.00055")
    assert ceiling == Decimal("115478.82")
    assert quotient == Decimal("0.333333333333333333")
    assert unstepped == a
