"""What an exception of ccxt says about an order: a definite no, there already, absent, or nothing.

Only what is on a list is a definite no. All else is unclear, because a hold that is released while
its order lives cannot be taken back, and one that is kept a little longer can. Two traps are met
here: "Duplicate order sent" arrives as a plain InvalidOrder, and the parent of NetworkError,
OperationFailed, means "may have happened".
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Final

from processors.records.trade import Reason
from processors.venue import OrderDuplicate, OrderRefused, OrderUnclear


class Verdict(StrEnum):
    """What a failed call means."""

    REFUSED = "REFUSED"
    DUPLICATE = "DUPLICATE"
    ABSENT = "ABSENT"
    UNCLEAR = "UNCLEAR"


_CODE: Final = re.compile(r'"(?:code|sCode|retCode)"\s*:\s*"?(-?\d{1,7})"?')
_DUPLICATE_TEXT: Final = re.compile(
    r"duplicate\s+(?:order|client)|order\s+sent\s+twice|clOrdI[dD].*duplicate"
    r"|OrderLinkedID is duplicate|duplicate.*clOrdI[dD]",
    re.IGNORECASE,
)
_DUPLICATE_CODES: Final = frozenset({"51016", "170141", "110072", "12141"})
_ABSENT_CODES: Final = frozenset({"-2013"})
_UNCLEAR_CODES: Final = frozenset({"-1000", "-1001", "-1006", "-1007"})
_REFUSED_CODES: Final = frozenset(
    {
        "-1002", "-1003", "-1013", "-1014", "-1015", "-1016", "-1020", "-1021", "-1022",
        *(str(code) for code in range(-1139, -1099)),
        "-2010", "-2014", "-2015",
    }
)  # fmt: skip
_REFUSED_CLASSES: Final = (
    "InsufficientFunds", "AuthenticationError", "RateLimitExceeded", "DDoSProtection",
    "InvalidNonce", "BadSymbol", "MarketClosed", "OrderImmediatelyFillable", "NotSupported",
    "ArgumentsRequired",
)  # fmt: skip
_FILTERS: Final = (
    (re.compile(r"MIN_NOTIONAL|NOTIONAL"), Reason.MIN_NOTIONAL),
    (re.compile(r"PRICE_FILTER|PERCENT_PRICE"), Reason.PRICE_TICK),
    (re.compile(r"LOT_SIZE|lot size"), Reason.STEP),
    (re.compile(r"MAX_NUM_ORDERS"), Reason.MAX_ORDERS),
    (re.compile(r"MAX_POSITION"), Reason.MAX_POSITION),
)
_REASONS: Final = {
    "InsufficientFunds": Reason.INSUFFICIENT_AVAILABLE_BALANCE,
    "MarketClosed": Reason.SYMBOL_NOT_TRADING,
    "RateLimitExceeded": Reason.RATE_LIMIT,
    "DDoSProtection": Reason.RATE_LIMIT,
}


def code_of(error: BaseException) -> str:
    """Find the venue's own code in an exception's text.

    Args:
        error: what ccxt raised; it quotes the venue's body.
    Returns:
        The code, or "" where there is none.
    """
    found = _CODE.search(str(error))
    return found.group(1) if found else ""


def verdict(error: BaseException) -> Verdict:
    """Judge an exception of a call about an order.

    Args:
        error: what ccxt raised.
    Returns:
        What it says; UNCLEAR for all that is not on a list.
    """
    code, text = code_of(error), str(error)
    if code in _DUPLICATE_CODES or _DUPLICATE_TEXT.search(text):
        return Verdict.DUPLICATE
    if code in _ABSENT_CODES:
        return Verdict.ABSENT
    if code in _UNCLEAR_CODES:
        return Verdict.UNCLEAR
    if code in _REFUSED_CODES or _is(error, *_REFUSED_CLASSES):
        return Verdict.REFUSED
    if _is(error, "OrderNotFound"):
        return Verdict.ABSENT
    if _is(error, "InvalidOrder", "BadRequest") and any(p.search(text) for p, _ in _FILTERS):
        return Verdict.REFUSED
    return Verdict.UNCLEAR


def placing(error: BaseException) -> OrderRefused | OrderDuplicate | OrderUnclear:
    """Turn an exception of a create call into an answer.

    Args:
        error: what ccxt raised.
    Returns:
        The answer; a create call that is told "no such order" is unclear.
    """
    match verdict(error):
        case Verdict.REFUSED:
            return OrderRefused(reason_of(error), code_of(error) or _name(error), message(error))
        case Verdict.DUPLICATE:
            return OrderDuplicate(message(error))
        case _:
            return OrderUnclear(message(error))


def reason_of(error: BaseException) -> Reason:
    """Name the reason of a definite no.

    Args:
        error: what ccxt raised.
    Returns:
        The reason; VENUE_REFUSED where no other says it better.
    """
    for name, reason in _REASONS.items():
        if _is(error, name):
            return reason
    text = str(error)
    return next((r for pattern, r in _FILTERS if pattern.search(text)), Reason.VENUE_REFUSED)


def message(error: BaseException) -> str:
    """Tell an exception in at most 200 characters; a query string, with its signature, is cut off.

    Args:
        error: what ccxt raised.
    Returns:
        Class and text.
    """
    text = re.sub(r"\?\S+", "?...", str(error))
    return f"{_name(error)}: {text}"[:200]


def _name(error: BaseException) -> str:
    return type(error).__name__


def _is(error: BaseException, *names: str) -> bool:
    """Ask by class name, so that ccxt is not imported before it is needed."""
    return any(parent.__name__ in names for parent in type(error).__mro__)
