"""Poison records: which of a batch is at fault, how often it is tried again, when it is given up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from streams.engine.event import Message

Position = tuple[str, int, int]

BACKOFF_FACTOR = 5.0
"""By how much each pause before another try is longer than the one before."""
BACKOFF_MAX_SECONDS = 5.0
"""The longest pause: nothing is polled meanwhile."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Why a record goes to the dead letters.

    `reason` begins with the class of the error. `bare`: its letter goes without the value, because
    Kafka does not take one of that size.
    """

    reason: str
    attempts: int = 1
    bare: bool = False


class Poison:
    """Which records have failed how often, and how small a batch must be to find one at fault.

    Args:
        retries: tries of a record alone after its first failure.
        backoff: seconds before the first of them.
    """

    def __init__(self, retries: int, backoff: float = 0.1) -> None:
        self._retries = retries
        self._backoff = backoff
        self.failures: dict[Position, int] = {}
        self.condemned: dict[Position, Verdict] = {}
        self.limit: int | None = None
        self.ticks_apart = False

    def blame(self, message: Message, reason: str, *, at_once: bool) -> bool:
        """Note a failure of a record; true when it is to be dead-lettered.

        Args:
            message: what the agent had in hand, or what was alone in its batch.
            reason: class and text of the error.
            at_once: the error says that the record itself is wrong.
        """
        place = position_of(message)
        count = self.failures[place] = self.failures.get(place, 0) + 1
        if at_once or count > self._retries:
            self.condemned[place] = Verdict(reason, count)
            return True
        return False

    def strip(self, message: Message) -> bool:
        """Let a condemned record's letter go without its value; false if it goes so already."""
        place = position_of(message)
        verdict = self.condemned[place]
        self.condemned[place] = replace(verdict, bare=True)
        return not verdict.bare

    def pause(self, message: Message) -> float:
        """Return the seconds before a record is tried again: longer each time, up to a bound."""
        before = max(self.failures.get(position_of(message), 1) - 1, 0)
        return min(self._backoff * BACKOFF_FACTOR ** min(before, 10), BACKOFF_MAX_SECONDS)

    def suspect(self, message: Message) -> bool:
        """Whether a record failed before and is to be handed out alone."""
        return bool(self.failures) and position_of(message) in self.failures

    def verdict(self, message: Message) -> Verdict | None:
        """Return why a record goes to the dead letters, if it does."""
        return self.condemned.get(position_of(message)) if self.condemned else None

    def narrow(self, taken: Sequence[Message], *, ticks: bool) -> Message | None:
        """Halve the next batch, for one that failed names no record.

        Args:
            taken: the records of the batch that failed.
            ticks: whether it held clock ticks too; they get batches of their own from here on.
        Returns:
            The record, when it was alone: it is the culprit then.
        """
        if ticks:
            self.ticks_apart = True
        elif len(taken) == 1:
            return taken[0]
        self.limit = max(len(taken) // 2, 1)
        return None

    def widen(self, most: int) -> None:
        """Let batches grow again after a commit, twofold each time, up to `most` records."""
        if self.limit is not None:
            self.limit = None if self.limit * 2 >= most else self.limit * 2

    def settle(self, message: Message) -> None:
        """Forget a record: its transaction has committed."""
        self.failures.pop(position_of(message), None)
        self.condemned.pop(position_of(message), None)

    def __bool__(self) -> bool:
        return bool(self.failures or self.condemned)


def position_of(message: Message) -> Position:
    """Return topic, partition and offset."""
    return (message.topic, message.partition, message.offset)
