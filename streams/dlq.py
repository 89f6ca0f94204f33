"""Dead letters as records with facts: which there are, which were replayed, and how one goes back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from streams.engine.deadletters import PREFIX, SUFFIX, schema_id_of
from streams.engine.event import Message
from streams.engine.messages import UNREADABLE
from streams.engine.partitioner import first_part, partition_of

Headers = tuple[tuple[str, bytes | None], ...]

REPLAY: Final = "replay."
"""What the names of the headers of a replay begin with."""
FROM: Final = "replay.from"
"""On a replayed record: topic, partition and offset of its dead letter, joined by `|`."""
CAUSE: Final = "replay.cause"
"""On a replayed record: what its header `cause` said; under its own name it would be a doubled output."""
OF: Final = "replay.of"
"""On the mark that a replay leaves among the dead letters: which one was replayed."""
TO: Final = "replay.to"
"""On such a mark: topic and partition that it was sent to."""

Place = tuple[int, int]
"""Partition and offset of a dead letter in its topic."""


@dataclass(frozen=True, slots=True)
class Letter:
    """One dead letter: the record as it was, and the facts of its failure."""

    topic: str
    partition: int
    offset: int
    time: datetime
    key: bytes | None
    value: bytes | None
    headers: Headers
    """The record's own."""
    facts: Mapping[str, str]
    """By name, without `dlq.`."""

    @property
    def place(self) -> str:
        """Where it stands, as headers name it."""
        return f"{self.topic}|{self.partition}|{self.offset}"

    @property
    def source(self) -> str:
        """The topic that it came from."""
        return self.facts.get("topic") or self.topic.removesuffix(SUFFIX)

    @property
    def error(self) -> str:
        """Class of the error."""
        return self.facts.get("error", "")

    @property
    def schema_id(self) -> int | None:
        """Schema id of the value's frame."""
        return schema_id_of(self.value)


@dataclass(frozen=True, slots=True)
class Mark:
    """That a dead letter was replayed, as it stands in the topic of the dead letters."""

    of: Place
    to: str
    time: datetime


@dataclass(slots=True)
class Letters:
    """The dead letters of one topic, in the order of partition and offset."""

    topic: str
    letters: list[Letter] = field(default_factory=list)
    marks: dict[Place, list[Mark]] = field(default_factory=dict)

    def replays(self, letter: Letter) -> list[Mark]:
        """Return how a letter was replayed, oldest first."""
        return self.marks.get((letter.partition, letter.offset), [])


def read(topic: str, messages: Iterable[Message]) -> Letters:
    """Return the letters and marks of a topic.

    Args:
        topic: of dead letters.
        messages: its records.
    """
    found = Letters(topic)
    for message in messages:
        mark = _mark(message)
        if mark is None:
            found.letters.append(letter_of(message))
        else:
            found.marks.setdefault(mark.of, []).append(mark)
    found.letters.sort(key=lambda letter: (letter.partition, letter.offset))
    return found


def letter_of(message: Message) -> Letter:
    """Return a record of a dead letters' topic with its facts apart.

    The facts are written last, so what stands before the last `dlq.app` is the record's own, whatever
    its name.
    """
    headers = list(message.headers or ())
    begins = max((n for n, (name, _) in enumerate(headers) if name == f"{PREFIX}app"), default=None)
    own = headers if begins is None else headers[:begins]
    facts = {} if begins is None else dict(headers[begins:])
    return Letter(
        message.topic,
        message.partition,
        message.offset,
        _time(message),
        message.key,
        message.value,
        tuple(own),
        {
            name.removeprefix(PREFIX): (value or b"").decode(errors="replace")
            for name, value in facts.items()
            if name.startswith(PREFIX)
        },
    )


def _mark(message: Message) -> Mark | None:
    headers = dict(message.headers or ())
    of = headers.get(OF)
    if of is None or message.value is not None or f"{PREFIX}app" in headers:
        return None
    topic, _, rest = of.decode(errors="replace").partition("|")
    partition, _, offset = rest.partition("|")
    if topic != message.topic or not (partition.isdecimal() and offset.isdecimal()):
        return None
    to = (headers.get(TO) or b"").decode(errors="replace")
    return Mark((int(partition), int(offset)), to, _time(message))


def _time(message: Message) -> datetime:
    return datetime.fromtimestamp(message.timestamp_ms / 1000, UTC)


@dataclass(frozen=True, slots=True)
class Choice:
    """Which letters are meant; None does not ask."""

    partition: int | None = None
    first: int | None = None
    last: int | None = None
    error: str | None = None
    key: bytes | None = None

    def takes(self, letter: Letter) -> bool:
        """Whether a letter is meant."""
        return (
            self.partition in {None, letter.partition}
            and (self.first is None or letter.offset >= self.first)
            and (self.last is None or letter.offset <= self.last)
            and self.error in {None, letter.error}
            and (self.key is None or letter.key == self.key)
        )

    @property
    def anything(self) -> bool:
        """Whether nothing is asked, so that all are meant."""
        return self == Choice()


@dataclass(frozen=True, slots=True)
class Resend:
    """What a replay would do with one letter."""

    letter: Letter
    topic: str
    partition: int
    value: bytes | None
    repaired: bool
    refused: str = ""
    """Why it is not sent; empty where it is."""
    again: bool = False
    """Refused only because it was replayed before."""

    @property
    def headers(self) -> list[tuple[str, bytes | None]]:
        """The record's own headers without those of failures and replays, then where it comes from."""
        kept: list[tuple[str, bytes | None]] = []
        cause: list[tuple[str, bytes | None]] = []
        for name, value in self.letter.headers:
            if name == "cause":
                cause = [(CAUSE, value)]
            elif not name.startswith((PREFIX, REPLAY)) and (name, value) not in UNREADABLE:
                kept.append((name, value))
        return [*kept, (FROM, self.letter.place.encode()), *cause]

    @property
    def mark(self) -> list[tuple[str, bytes | None]]:
        """Headers of the mark that it leaves among the dead letters."""
        return [(OF, self.letter.place.encode()), (TO, f"{self.topic}|{self.partition}".encode())]


def plan(
    letters: Letters,
    choice: Choice,
    counts: Mapping[str, int],
    *,
    to: str | None = None,
    again: bool = False,
    by_first_part: Callable[[str], bool] = lambda _: False,
    repair: Callable[[Letter], bytes | None] | None = None,
) -> list[Resend]:
    """Return what a replay would do, letter by letter.

    Args:
        letters: of one topic.
        choice: which of them.
        counts: partitions of every topic that is there.
        to: another topic than the one they came from.
        again: send those too that were replayed before.
        by_first_part: whether a topic's partition is that of the first part of the key.
        repair: gives the value in place of the letter's; raises ValueError where it cannot.
    """
    return [
        _resend(letters, letter, counts, to, again, by_first_part, repair)
        for letter in letters.letters
        if choice.takes(letter)
    ]


def _resend(
    letters: Letters,
    letter: Letter,
    counts: Mapping[str, int],
    to: str | None,
    again: bool,
    by_first_part: Callable[[str], bool],
    repair: Callable[[Letter], bytes | None] | None,
) -> Resend:
    topic = to or letter.source
    count = counts.get(topic)
    before = letters.replays(letter)
    value, refused, done = letter.value, "", False
    if repair is not None:
        try:
            value = repair(letter)
        except ValueError as error:
            refused = f"it cannot be repaired: {error}"
    elif "omitted" in letter.facts:
        refused = "its value was too large for a letter: give it with --set-value"
    elif "row" in letter.facts:
        refused = "it is a row that a source refused, no record of the topic"
    if before and not again:
        refused, done = f"replayed before, to {before[-1].to}; --again sends it once more", True
    elif count is None:
        refused = f"there is no topic {topic}"
    partition = -1 if count is None else _partition(letter, count, by_first_part(topic))
    return Resend(letter, topic, partition, value, repair is not None, refused, done)


def _partition(letter: Letter, count: int, by_first_part: bool) -> int:
    """Return the partition of the key; without one, that which the record came from."""
    if letter.key is None:
        told = letter.facts.get("partition", "")
        return (int(told) if told.isdecimal() else letter.partition) % count
    return partition_of(first_part(letter.key) if by_first_part else letter.key, count)


def summary(every: Sequence[Letters]) -> list[dict[str, object]]:
    """Return the letters counted by topic, app and class of error, in this order.

    Args:
        every: letters by topic.
    """
    rows: dict[tuple[str, str, str], list[Letter]] = {}
    replayed: dict[tuple[str, str, str], int] = {}
    for letters in every:
        for letter in letters.letters:
            kind = (letters.topic, letter.facts.get("app", ""), letter.error)
            rows.setdefault(kind, []).append(letter)
            replayed[kind] = replayed.get(kind, 0) + bool(letters.replays(letter))
    return [
        {
            "topic": topic,
            "app": app,
            "error": error,
            "count": len(rows[topic, app, error]),
            "replayed": replayed[topic, app, error],
            "first": min(letter.time for letter in rows[topic, app, error]),
            "last": max(letter.time for letter in rows[topic, app, error]),
        }
        for topic, app, error in sorted(rows)
    ]
