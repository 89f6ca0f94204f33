"""The engine's clock: injected, so that tests and replays hold it in their hand."""

from __future__ import annotations

import time
from typing import Any, Protocol

from streams.engine.event import CLOCK


class Clock(Protocol):
    """What the engine asks the time of."""

    def now_micros(self) -> int:
        """Return wall time in microseconds since the epoch."""
        ...


class SystemClock:
    """The machine's wall clock."""

    def now_micros(self) -> int:
        """Return wall time in microseconds since the epoch."""
        return time.time_ns() // 1000


class ManualClock:
    """A clock that moves only when it is told to."""

    def __init__(self, micros: int = 0) -> None:
        self.micros = micros

    def now_micros(self) -> int:
        """Return the time it was set to."""
        return self.micros

    def advance(self, micros: int) -> None:
        """Move on by so many microseconds."""
        self.micros += micros


class ClockInput:
    """`app.clock(every=...)`: an agent input of one ClockTick per owned partition when due."""

    def __init__(self, app: Any, every: float) -> None:
        if not every > 0:
            raise ValueError("a clock needs a period above zero seconds")
        self.app = app
        self.every = every
        self.topics = [f"{CLOCK}/{every:g}"]

    def __str__(self) -> str:
        return self.topics[0]
