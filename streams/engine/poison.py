"""Poison records: the culprit alone, a few times, then to the dead letters."""

from __future__ import annotations

from streams.engine.event import Event, Message

Position = tuple[str, int, int]


class Poison:
    """Which records have failed how often, and what became of them."""

    def __init__(self, retries: int) -> None:
        self._retries = retries
        self.failures: dict[Position, int] = {}
        self.condemned: dict[Position, str] = {}

    def blame(self, event: Event, reason: str, *, at_once: bool) -> bool:
        """Note a failure of an event; true when it is to be dead-lettered.

        Args:
            event: what the agent had in hand.
            reason: class and text of the error.
            at_once: the error says that the record itself is wrong.
        """
        place = position_of(event.message)
        self.failures[place] = self.failures.get(place, 0) + 1
        if at_once or self.failures[place] > self._retries:
            self.condemned[place] = reason[:500]
            return True
        return False

    def suspect(self, message: Message) -> bool:
        """Whether a record failed before and is to be handed out alone."""
        return position_of(message) in self.failures

    def verdict(self, message: Message) -> str | None:
        """Return the reason a record goes to the dead letters, if it does."""
        return self.condemned.get(position_of(message))

    def settle(self, message: Message) -> None:
        """Forget a record: its transaction has committed."""
        self.failures.pop(position_of(message), None)
        self.condemned.pop(position_of(message), None)

    def __bool__(self) -> bool:
        return bool(self.failures or self.condemned)


def position_of(message: Message) -> Position:
    """Return topic, partition and offset."""
    return (message.topic, message.partition, message.offset)


def dead_letter_headers(app: str, message: Message, reason: str) -> list[tuple[str, bytes | None]]:
    """Return the original headers with the facts of the failure after them."""
    kind, _, text = reason.partition(": ")
    facts = {
        "dlq.app": app,
        "dlq.topic": message.topic,
        "dlq.partition": str(message.partition),
        "dlq.offset": str(message.offset),
        "dlq.timestamp": str(message.timestamp_ms),
        "dlq.error": kind,
        "dlq.reason": text,
    }
    return [*(message.headers or []), *((name, fact.encode()) for name, fact in facts.items())]
