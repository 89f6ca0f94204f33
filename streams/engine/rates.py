"""How many dead letters are too many: a bad deploy must stop, not set everything aside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

WINDOW_MAX = 100_000
"""Longest window, records."""


@dataclass(frozen=True, slots=True)
class Tally:
    """Records and dead letters of one partition, counted up to its last commit.

    `run` counts the dead letters since the last record that was processed, `seen` all records,
    `dead` has the numbers of those dead letters that stand in the window.
    """

    run: int = 0
    seen: int = 0
    dead: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Rates:
    """The bounds on dead letters; 0 switches one off.

    `rate` is a part of the last `window` records of a partition, judged once there were so many;
    `run` is how many in a row stop the worker.
    """

    rate: float
    window: int
    run: int

    @property
    def on(self) -> bool:
        """Whether anything is judged."""
        return bool(self.rate or self.run)

    def count(self, tally: Tally, runs: Sequence[Sequence[Any]], inputs: int) -> Tally:
        """Return the tally after a batch.

        Args:
            tally: before it.
            runs: the batch's, as the journal has them.
            inputs: its records, dead letters among them.
        """
        if not self.on or not inputs:
            return tally
        run, letters = tally.run, 0
        for each in runs:
            if each[0] == "dead":
                run += 1
                letters += 1
            elif each[0] == "records":
                run = 0
        seen = tally.seen + inputs
        dead = (*tally.dead, *range(seen - letters + 1, seen + 1))
        return Tally(run, seen, tuple(at for at in dead if at > seen - self.window))

    def exceeded(self, tally: Tally) -> str | None:
        """Return in words which bound a tally is over, None if it is within both."""
        if self.run and tally.run >= self.run:
            return f"{tally.run} dead letters in a row (dead_letter_run = {self.run})"
        if self.rate and tally.seen >= self.window and len(tally.dead) > self.rate * self.window:
            return (
                f"{len(tally.dead)} dead letters among the last {self.window} records "
                f"(dead_letter_rate = {self.rate:g})"
            )
        return None

    def text(self, tally: Tally) -> str:
        """Return a tally as the offsets' metadata keep it, for the worker that comes after."""
        return f"{tally.run}.{min(tally.seen, self.window)}.{len(tally.dead)}"

    def parse(self, text: str) -> Tally:
        """Return the tally of a text: its dead letters spread evenly over what was seen."""
        parts = text.split(".")
        if len(parts) != 3 or not all(part.isdecimal() for part in parts):
            return Tally()
        run, seen, count = map(int, parts)
        if count > seen:
            return Tally(run, seen)
        return Tally(run, seen, tuple(seen - (count - 1 - n) * seen // count for n in range(count)))
