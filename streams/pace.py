"""How fast a recorded file is streamed, and what is told of it on the way."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime

from connectors.clock import to_micros
from processors.errors import ConfigError, UnavailableError

log = logging.getLogger(__name__)

Settle = Callable[[], Awaitable[None]]
"""Returns once everything that was sent has been worked off."""

Advance = Callable[[datetime], Awaitable[None]]
"""Tells a simulated venue how far the market is."""


@dataclass(frozen=True, slots=True)
class Pace:
    """One of `max`, `settled`, and N times real time."""

    speed: float | None = None
    """Seconds of market time in one second; None: as fast as may be."""
    settled: bool = False
    """Whether to wait after each tick that closes a bar."""

    @classmethod
    def parse(cls, text: str) -> Pace:
        """Read a pace.

        Args:
            text: max, settled, or a number with an x, such as 600x.
        Raises:
            ConfigError: it is none of these, or the speed is zero.
        """
        if text == "max":
            return cls()
        if text == "settled":
            return cls(settled=True)
        try:
            speed = float(text.removesuffix("x"))
        except ValueError:
            speed = 0.0
        if speed <= 0 or not text.endswith("x"):
            raise ConfigError("a pace is max, settled or Nx", pace=text)
        return cls(speed=speed)


class Pacer:
    """Decides after each tick whether what was read so far is to be sent, and when.

    Args:
        pace: how fast.
        interval: length of the bars after which `settled` waits, seconds.
        settle: what `settled` waits for.
        advance: told the market time of everything that is sent, before it is.
    Raises:
        ConfigError: the pace is settled, and there is nothing to wait for.
    """

    def __init__(
        self, pace: Pace, interval: int, settle: Settle | None, advance: Advance | None
    ) -> None:
        if pace.settled and settle is None:
            raise ConfigError(
                "the pace settled needs somebody who tells when all is worked off",
                hint="run it through `fillonce demo`, or choose --pace max",
            )
        self._pace = pace
        self._interval = interval * 1_000_000
        self._settle = settle
        self._advance = advance
        self._bar: int | None = None
        self._origin: tuple[float, int] | None = None

    def closes(self, moment: datetime) -> bool:
        """Tell whether a tick is the first of a new bar: it closes the one before.

        The first tick after a start counts as one: whether it is cannot be known, and waiting once
        too often changes nothing.

        Args:
            moment: its market time.
        """
        bar = to_micros(moment) // self._interval
        before, self._bar = self._bar, bar
        return before is None or bar != before

    def wait(self, moment: datetime) -> float:
        """Return the seconds until a tick is due.

        Args:
            moment: its market time.
        """
        if self._pace.speed is None:
            return 0.0
        now, micros = asyncio.get_running_loop().time(), to_micros(moment)
        if self._origin is None:
            self._origin = (now, micros)
        start, first = self._origin
        return max(start + (micros - first) / 1_000_000 / self._pace.speed - now, 0.0)

    async def before(self, moment: datetime | None) -> None:
        """Tell the venue how far the market is; a venue that is away is waited for.

        Args:
            moment: market time of the newest tick that is about to be sent.
        """
        if self._advance is None or moment is None:
            return
        delay = 0.1
        while True:
            try:
                await self._advance(moment)
            except UnavailableError as error:
                log.warning("the simulator's clock cannot be set: %s", error)
                await asyncio.sleep(delay)
                delay = min(delay * 2, 5.0)
            else:
                return

    async def after(self, *, closed: bool) -> None:
        """Wait for what was sent to be worked off, where the pace says so.

        Args:
            closed: whether it closed a bar.
        """
        if closed and self._pace.settled and self._settle is not None:
            await self._settle()
