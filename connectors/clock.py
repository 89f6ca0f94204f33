"""The clocks of the shell; the core is always given its times."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import Final

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class SystemClock:
    """Wall time for records, the boot clock for waits that a suspended machine must not shorten."""

    def now(self) -> datetime:
        """Return the wall time, UTC."""
        return datetime.now(UTC)

    def boottime(self) -> float:
        """Return seconds since boot, suspension included; never set by anybody."""
        return time.clock_gettime(time.CLOCK_BOOTTIME)

    async def sleep(self, seconds: float) -> None:
        """Wait.

        Args:
            seconds: how long.
        """
        await asyncio.sleep(seconds)


def to_micros(moment: datetime) -> int:
    """Count microseconds since 1970 exactly, without a float in between.

    Args:
        moment: an aware time.
    Returns:
        Whole microseconds.
    """
    return (moment - EPOCH) // timedelta(microseconds=1)


def from_micros(micros: int) -> datetime:
    """Turn microseconds since 1970 into a UTC time.

    Args:
        micros: whole microseconds.
    Returns:
        The time.
    Raises:
        OverflowError: it lies outside the years 1 to 9999.
    """
    return EPOCH + timedelta(microseconds=micros)


def from_millis(millis: int) -> datetime:
    """Turn milliseconds since 1970 into a UTC time.

    Args:
        millis: whole milliseconds, as venues send them.
    Returns:
        The time.
    Raises:
        OverflowError: it lies outside the years 1 to 9999.
    """
    return EPOCH + timedelta(milliseconds=millis)
