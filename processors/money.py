"""Exact decimal arithmetic: a result is exact, or rounded where the caller names how, or refused.

Nothing here reads or changes the ambient decimal context: a library that alters it cannot alter
money.
"""

from __future__ import annotations

from decimal import (
    MAX_EMAX,
    MIN_EMIN,
    ROUND_05UP,
    ROUND_CEILING,
    ROUND_FLOOR,
    ROUND_HALF_EVEN,
    Context,
    Decimal,
    DecimalException,
    DivisionByZero,
    Inexact,
    InvalidOperation,
    Overflow,
    Underflow,
)
from typing import Final

from processors.errors import RuleViolation

SCALE: Final = 18
"""Decimal places that a stored amount keeps: Avro decimal(38, 18)."""

DIGITS: Final = 38
"""Significant digits that a stored amount keeps."""

PRECISION: Final = 80
"""Digits of a computation: the product of any two stored amounts has 76, so it is always exact."""

ZERO: Final = Decimal(0)

_REFUSED = (InvalidOperation, DivisionByZero, Overflow, Underflow)
_EXACT: Final = Context(
    prec=PRECISION, rounding=ROUND_HALF_EVEN, Emin=MIN_EMIN, Emax=MAX_EMAX,
    traps=[*_REFUSED, Inexact],
)  # fmt: skip
# ROUND_05UP keeps, in the last of 80 digits, whether anything was cut: rounding the result once
# more to fewer digits then gives what one single rounding of the true quotient gives.
_WIDE: Final = Context(
    prec=PRECISION, rounding=ROUND_05UP, Emin=MIN_EMIN, Emax=MAX_EMAX, traps=[*_REFUSED],
)  # fmt: skip
_QUANTA: Final = tuple(Decimal(1).scaleb(-scale) for scale in range(2 * SCALE + 1))
BOUND: Final = Decimal(f"1E{DIGITS - SCALE}")
"""The first number that is too large to be stored."""


def add(*amounts: Decimal) -> Decimal:
    """Sum amounts exactly.

    Args:
        amounts: finite numbers of one unit; none gives zero.
    Returns:
        The exact sum.
    Raises:
        RuleViolation: an amount is not finite, or the sum needs more than 80 digits.
    """
    total = ZERO
    try:
        for amount in amounts:
            total = _EXACT.add(total, amount)
    except DecimalException as e:
        raise _refusal("add", *amounts) from e
    return _finite(total, "add", *amounts)


def subtract(amount: Decimal, *others: Decimal) -> Decimal:
    """Take amounts from an amount exactly.

    Args:
        amount: what is taken from.
        others: what is taken, in the same unit.
    Returns:
        The exact difference; may be negative.
    Raises:
        RuleViolation: an amount is not finite, or the difference needs more than 80 digits.
    """
    total = amount
    try:
        for other in others:
            total = _EXACT.subtract(total, other)
    except DecimalException as e:
        raise _refusal("subtract", amount, *others) from e
    return _finite(total, "subtract", amount, *others)


def multiply(a: Decimal, b: Decimal) -> Decimal:
    """Multiply two amounts exactly: base units by quote units per base unit gives quote units.

    Args:
        a: one factor.
        b: the other factor.
    Returns:
        The exact product, with up to 36 places; round it by name before it is stored.
    Raises:
        RuleViolation: a factor is not finite, or the product needs more than 80 digits.
    """
    try:
        product = _EXACT.multiply(a, b)
    except DecimalException as e:
        raise _refusal("multiply", a, b) from e
    return _finite(product, "multiply", a, b)


def divide(a: Decimal, b: Decimal, scale: int, rounding: str) -> Decimal:
    """Divide and round once.

    Args:
        a: dividend.
        b: divisor, not zero.
        scale: decimal places of the result, 0 to 36.
        rounding: a rounding of `decimal`, such as ROUND_FLOOR.
    Returns:
        The true quotient, rounded one single time.
    Raises:
        RuleViolation: the divisor is zero, a number is not finite, or the result is too long.
    """
    try:
        quotient = _round(_WIDE.divide(a, b), scale, rounding)
    except DecimalException as e:
        raise _refusal("divide", a, b) from e
    return _finite(quotient, "divide", a, b)


def quantize(amount: Decimal, scale: int, rounding: str) -> Decimal:
    """Round to a number of decimal places.

    Args:
        amount: what is rounded.
        scale: decimal places, 0 to 36.
        rounding: a rounding of `decimal`, such as ROUND_HALF_EVEN.
    Returns:
        The amount with exactly `scale` places.
    Raises:
        RuleViolation: the amount is not finite, or the result is too long.
    """
    try:
        rounded = _round(amount, scale, rounding)
    except DecimalException as e:
        raise _refusal("quantize", amount) from e
    return _finite(rounded, "quantize", amount)


def floor_scale(amount: Decimal, scale: int) -> Decimal:
    """Round down to a number of decimal places: what is sent is never more than what is owned.

    Args:
        amount: what is rounded; a negative amount goes away from zero.
        scale: decimal places, 0 to 36.
    Returns:
        The greatest amount of that scale that is not above it.
    Raises:
        RuleViolation: the amount is not finite, or the result is too long.
    """
    return quantize(amount, scale, ROUND_FLOOR)


def ceil_scale(amount: Decimal, scale: int) -> Decimal:
    """Round up to a number of decimal places: what is held is never less than what is owed.

    Args:
        amount: what is rounded; a negative amount goes toward zero.
        scale: decimal places, 0 to 36.
    Returns:
        The smallest amount of that scale that is not below it.
    Raises:
        RuleViolation: the amount is not finite, or the result is too long.
    """
    return quantize(amount, scale, ROUND_CEILING)


def floor_to(amount: Decimal, step: Decimal) -> Decimal:
    """Round down to a multiple of a step.

    Args:
        amount: what is rounded.
        step: lot or tick, in the unit of the amount; zero means that there is none.
    Returns:
        The greatest multiple of the step that is not above the amount.
    Raises:
        RuleViolation: a number is not finite, the step is negative, or the result is too long.
    """
    rest = _rest(amount, step)
    return subtract(amount, rest) if rest >= 0 else subtract(amount, rest, step)


def ceil_to(amount: Decimal, step: Decimal) -> Decimal:
    """Round up to a multiple of a step.

    Args:
        amount: what is rounded.
        step: lot or tick, in the unit of the amount; zero means that there is none.
    Returns:
        The smallest multiple of the step that is not below the amount.
    Raises:
        RuleViolation: a number is not finite, the step is negative, or the result is too long.
    """
    rest = _rest(amount, step)
    return subtract(amount, rest) if rest <= 0 else add(subtract(amount, rest), step)


def is_multiple(amount: Decimal, step: Decimal) -> bool:
    """Say whether an amount lies on a grid.

    Args:
        amount: quantity or price.
        step: lot or tick, in the unit of the amount; zero means that there is none.
    Returns:
        True on the grid, or without one.
    Raises:
        RuleViolation: a number is not finite or the step is negative.
    """
    return _rest(amount, step) == 0


def storable(amount: Decimal) -> bool:
    """Say whether an amount fits a record without loss: 20 digits before the point, 18 after.

    Args:
        amount: any decimal, NaN included.
    Returns:
        True if encoding and decoding give it back.
    """
    if not amount.is_finite() or amount.copy_abs() >= BOUND:
        return False
    try:
        return _round(amount, SCALE, ROUND_FLOOR) == amount
    except DecimalException:
        return False


def text(amount: Decimal) -> str:
    """Write an amount in its one plain form: equal amounts give equal text and equal hashes.

    Args:
        amount: a finite number.
    Returns:
        No exponent, no trailing zeros after the point, no negative zero: `1.20` gives `1.2`.
    Raises:
        RuleViolation: the amount is not finite.
    """
    if not amount.is_finite():
        raise _refusal("text", amount)
    if amount == 0:
        return "0"
    plain = format(amount, "f")
    return plain.rstrip("0").rstrip(".") if "." in plain else plain


def _round(amount: Decimal, scale: int, rounding: str) -> Decimal:
    return amount.quantize(_QUANTA[scale], rounding=rounding, context=_WIDE)


def _rest(amount: Decimal, step: Decimal) -> Decimal:
    """Remainder with the sign of the amount; zero without a step."""
    if not (amount.is_finite() and step.is_finite()) or step < 0:
        raise _refusal("step", amount, step)
    if step == 0:
        return ZERO
    try:
        return _EXACT.remainder(amount, step)
    except DecimalException as e:
        raise _refusal("step", amount, step) from e


def _finite(result: Decimal, operation: str, *amounts: Decimal) -> Decimal:
    # A quiet NaN or an infinity passes through arithmetic without a signal.
    if not result.is_finite():
        raise _refusal(operation, *amounts)
    return result


def _refusal(operation: str, *amounts: Decimal) -> RuleViolation:
    return RuleViolation(
        "amount cannot be computed exactly",
        operation=operation,
        amounts=tuple(str(amount) for amount in amounts),
    )
