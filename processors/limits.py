"""Every bound of the core, with its unit; the relations between them are checked at import."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from processors import money
from processors.errors import InvariantError

# Amounts
AMOUNT_DIGITS: Final = money.DIGITS
"""Significant digits of a stored amount."""
AMOUNT_SCALE: Final = money.SCALE
"""Decimal places of a stored amount."""

# Bars
INTERVAL_MIN: Final = 1
"""Shortest bar, seconds."""
INTERVAL_MAX: Final = 86_400
"""Longest bar, seconds: one UTC day."""
INTERVALS_MAX: Final = 16
"""Most intervals kept for one instrument."""
SEEN_TRADES: Final = 256
"""Newest trade ids kept for one instrument, to drop what a feed sends twice after it reconnects."""
SEEN_TRADES_MAX: Final = 4_096
"""Most trade ids that may be configured: they lie in the table value of the instrument."""

# Indicators and strategies
PERIOD_MAX: Final = 1_000
"""Longest period of an indicator, bars."""
INDICATORS_MAX: Final = 64
"""Most indicators kept for one instrument."""
STRATEGIES_MAX: Final = 32
"""Most strategies on one instrument."""
SUBSCRIBERS_MAX: Final = 1_000
"""Most accounts that one signal fans out to; more is refused."""
PROTECTIONS_MAX: Final = 4_000
"""Most protections kept for one instrument: as one table value they stay well under 1 MB."""

# Clocks
MARKET_LEAD_MAX: Final = timedelta(seconds=1)
"""Farthest that a price's market time may be ahead of the wall clock, else it is refused."""
MARKET_DELAY_MAX: Final = timedelta(seconds=5)
"""Default of the most that market time may be behind the wall clock at a live processor."""
CLOSE_GRACE: Final = timedelta(seconds=2)
"""Default wait after a bar's end, market time, before a clock closes it without a tick."""

# Orders
IDENTITY_MAX: Final = 64
"""Longest intent_id, characters."""
CLIENT_ORDER_ID_LENGTH: Final = 32
"""Characters of a client order id: the shortest limit of the venues."""
HOLD_QUERY_AGE: Final = timedelta(seconds=60)
"""Default age of a hold, wall time, after which execution asks the venue about its order again."""
TERMINAL_ORDER_KEPT: Final = timedelta(days=7)
"""How long a terminal order stays in the table, market time."""
ORDER_STUB_KEPT: Final = timedelta(days=90)
"""How long its stub stays, so that a late fill is still booked, market time."""


def check() -> None:
    """Check the relations between the bounds.

    Raises:
        InvariantError: two bounds contradict each other.
    """
    relations = {
        "an amount has places before the point": AMOUNT_DIGITS > AMOUNT_SCALE,
        "a product of two amounts is exact": money.PRECISION >= 2 * AMOUNT_DIGITS,
        "bars have a range of lengths": 0 < INTERVAL_MIN < INTERVAL_MAX,
        "the default of seen trades is allowed": 0 < SEEN_TRADES <= SEEN_TRADES_MAX,
        "the clock waits no longer for a tick than a tick may be late":
            CLOSE_GRACE <= MARKET_DELAY_MAX,
        "a lead is less than a delay": timedelta(0) < MARKET_LEAD_MAX < MARKET_DELAY_MAX,
        "a stub outlives its order": TERMINAL_ORDER_KEPT < ORDER_STUB_KEPT,
        "an order may be asked for before it is dropped": HOLD_QUERY_AGE < TERMINAL_ORDER_KEPT,
        "a client order id is an identity": CLIENT_ORDER_ID_LENGTH <= IDENTITY_MAX,
    }  # fmt: skip
    for relation, holds in relations.items():
        if not holds:
            raise InvariantError("bounds contradict each other", relation=relation)


check()
