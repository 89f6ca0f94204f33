"""The life of one order, from the tick that closed a bar to the last ledger entry.

Backwards it follows the `cause` header that every output carries: decision to intent, intent to
indicator or bar, that to its tick. Forwards it takes what names the order. An id is first looked
for in the bytes as they are (Avro keeps text as it is), and only what has it is decoded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from processors.errors import DecodeError
from processors.records.base import Record
from processors.records.ledger import LedgerEntry
from processors.records.market import Bar, IndicatorSet
from processors.records.trade import (
    ExecutionReport,
    ExecutionType,
    IntentKind,
    OrderEvent,
    Signal,
    Status,
    TradeIntent,
)
from streams.checks import names
from streams.checks.decoding import Decoder, schema_id_of
from streams.checks.history import TERMINAL
from streams.checks.reading import Row

KINDS: Final = (
    "order_id",
    "client_order_id",
    "intent_id",
    "venue_order_id",
    "execution_id",
    "trade_id",
)
"""Fields that an order can be named by; the first one that fits is meant."""

_LONGEST: Final = 8
"""More causes in a row than any order has: a circle would be a defect."""


class Log(Protocol):
    """What is needed of a reader."""

    def rows(self, topic: str, partition: int | None = None) -> list[Row]:
        """Return every committed record of a topic, or of one of its partitions."""

    def at(self, topic: str, partition: int, offset: int) -> Row | None:
        """Return the record at one position."""

    def first(
        self,
        topic: str,
        partition: int,
        start: int,
        wanted: Callable[[Row], bool],
        last: int | None = None,
    ) -> Row | None:
        """Return the first record from a position on that is wanted."""

    def offset_at(self, topic: str, partition: int, timestamp_ms: int) -> int:
        """Return the offset of the first record that is not older than a record time."""


@dataclass(frozen=True, slots=True)
class Step:
    """One record of the trail."""

    stage: str
    """tick, bar, indicator, signal, intent, decision, submitted, report, fill, entry ..."""
    row: Row
    record: Record

    @property
    def schema_id(self) -> int | None:
        """Id of the schema that it was written with."""
        return schema_id_of(self.row.value)


@dataclass(slots=True)
class Trail:
    """All that is known of one order, in the order in which it happened."""

    account: str
    order_id: str | None
    status: str
    steps: list[Step] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    """Causes that are named and not kept any more."""


@dataclass(frozen=True, slots=True)
class Found:
    """What an id names."""

    kind: str
    """What kind of id it is: order_id, intent_id ...; empty where nothing has it."""
    trails: tuple[Trail, ...]
    """One; several where more than one order has it; none where none has."""
    others: tuple[tuple[str, str, str], ...] = ()
    """Other orders that have it as an id of a lesser kind: kind, account, order_id."""


def find(log: Log, decoder: Decoder, asked: str) -> Found:
    """Return the trail of the order, or of the undecided intent, that an id names.

    A venue may give one number to an order and to a trade of another order: the kinds of ids have
    an order, that of `KINDS`, and the first kind that fits is meant.

    Args:
        log: the topics.
        decoder: of the registry.
        asked: the id.
    Raises:
        ConfigError: a topic is not there.
        UnavailableError: broker or registry do not answer.
    """
    bare = asked.replace("-", "").lower()
    wanted = {asked, bare} if len(bare) == 32 else {asked}  # a UUID is printed with hyphens
    finder = _Finder(log, decoder)
    orders, reports = log.rows(names.ORDER), log.rows(names.EXECUTION)
    matches: dict[tuple[str, str], str] = {}
    for topic, rows in ((OrderEvent, orders), (ExecutionReport, reports)):
        for _, record in finder.decoded(_having(rows, wanted), topic):
            kinds = [kind for kind in KINDS if getattr(record, kind, None) in wanted]
            key = (record.account, record.order_id)
            if kinds and KINDS.index(kinds[0]) < _rank(matches.get(key)):
                matches[key] = kinds[0]
    if matches:
        best = min(matches.values(), key=KINDS.index)
        trails = [
            finder.trail(orders, reports, *key) for key, kind in matches.items() if kind == best
        ]
        others = [(kind, *key) for key, kind in matches.items() if kind != best]
        return Found(best, tuple(trails), tuple(others))
    intents = log.rows(names.INTENT)
    undecided = [
        finder.undecided(row, intent)
        for row, intent in finder.decoded(_having(intents, wanted), TradeIntent)
        if intent.intent_id in wanted
    ]
    return Found("intent_id" if undecided else "", tuple(undecided))


def _rank(kind: str | None) -> int:
    return len(KINDS) if kind is None else KINDS.index(kind)


class _Finder:
    def __init__(self, log: Log, decoder: Decoder) -> None:
        self._log = log
        self._decoder = decoder

    def decoded(self, rows: Iterable[Row], model: type[Any]) -> Iterable[tuple[Row, Any]]:
        """Yield rows with their records; what cannot be read is a dead letter, not a step."""
        for row in rows:
            try:
                yield row, self._decoder.record(row, model)
            except DecodeError:
                continue

    def trail(self, orders: list[Row], reports: list[Row], account: str, order_id: str) -> Trail:
        """Put the trail of one order together."""
        mine = {order_id}
        decisions = [
            (row, event)
            for row, event in self.decoded(_having(orders, mine), OrderEvent)
            if event.account == account
            and (event.order_id == order_id or _is_cancel_of(event, order_id))
        ]
        answers = [
            (row, report)
            for row, report in self.decoded(_having(reports, mine), ExecutionReport)
            if (report.account, report.order_id) == (account, order_id)
        ]
        trail = Trail(account, order_id, _status(decisions, answers))
        entries = self._entries(decisions, answers, account, order_id)
        for row, event in decisions:
            if event.order_id == order_id:
                self._upstream(trail, row, event.intent_id)
            stage = "decision" if event.order_id == order_id else "cancel"
            trail.steps.append(Step(stage, row, event))
            trail.steps += _caused_by(entries, row.cause and _position(row.cause))
        for row, report in answers:
            trail.steps.append(Step(_stage(report), row, report))
            trail.steps += _caused_by(entries, (row.topic, row.partition, row.offset))
        trail.steps += [step for steps in entries.values() for step in steps]
        return trail

    def undecided(self, row: Row, intent: TradeIntent) -> Trail:
        """Put the trail of an intent together that nobody has decided on."""
        trail = Trail(intent.account, None, "UNDECIDED")
        self._before_intent(trail, row, intent)
        trail.steps.append(Step("intent", row, intent))
        return trail

    def _entries(
        self,
        decisions: list[tuple[Row, OrderEvent]],
        answers: list[tuple[Row, ExecutionReport]],
        account: str,
        order_id: str,
    ) -> dict[Any, list[Step]]:
        """Return the order's entries by the position of what caused them.

        The account's topics share their partitions, so the entries are where the decision is.
        """
        places = {row.partition for row, _ in (*decisions, *answers)}
        found: dict[Any, list[Step]] = {}
        for partition in sorted(places):
            rows = _having(self._log.rows(names.ENTRY, partition), {order_id})
            for row, entry in self.decoded(rows, LedgerEntry):
                if (entry.account, entry.order_id) == (account, order_id):
                    place = row.cause and _position(row.cause)
                    found.setdefault(place, []).append(Step("entry", row, entry))
        return found

    def _upstream(self, trail: Trail, decision: Row, intent_id: str) -> None:
        row = self._cause_of(trail, decision)
        if row is None or row.topic != names.INTENT:
            return
        for found, intent in self.decoded([row], TradeIntent):
            if intent.intent_id == intent_id:
                self._before_intent(trail, found, intent)
                trail.steps.append(Step("intent", found, intent))

    def _before_intent(self, trail: Trail, row: Row, intent: TradeIntent) -> None:
        """Add the market's part: tick, bar, indicator, signal."""
        steps: list[Step] = []
        at: Row | None = row
        for _ in range(_LONGEST):
            at = self._cause_of(trail, at) if at is not None else None
            model = names.RECORDS.get(at.topic) if at is not None else None
            if at is None or model is None:
                break
            for found, record in self.decoded([at], model):
                steps.append(Step(at.topic.partition(".")[2], found, record))
                if isinstance(record, IndicatorSet):
                    steps += self._bar(found, record)
        trail.steps += reversed(steps)
        if intent.signal_id is not None:
            trail.steps += self._signal(row, intent.signal_id)

    def _cause_of(self, trail: Trail, row: Row) -> Row | None:
        cause = row.cause
        if cause is None or cause.topic not in names.RECORDS:
            return None  # it came from outside, or from the engine's clock
        found = self._log.at(cause.topic, cause.partition, cause.offset)
        if found is None:
            trail.missing.append(f"{cause.topic}[{cause.partition}]@{cause.offset}")
        return found

    def _bar(self, indicator: Row, record: IndicatorSet) -> list[Step]:
        """Find the bar that an indicator was computed on: another output of the same cause."""

        def same(row: Row) -> bool:
            if _origin(row) != _origin(indicator):
                return False
            return any(bar.interval == record.interval for _, bar in self.decoded([row], Bar))

        partition = indicator.partition
        start = self._log.offset_at(names.BAR, partition, indicator.timestamp_ms)
        row = self._log.first(names.BAR, partition, start, same)
        return [] if row is None else [Step("bar", *pair) for pair in self.decoded([row], Bar)]

    def _signal(self, intent: Row, signal_id: str) -> list[Step]:
        """Find the signal of an intent: another output of the same cause, in a topic by instrument."""
        cause = intent.cause
        if cause is None:
            return []
        start = self._log.offset_at(names.SIGNAL, cause.partition, intent.timestamp_ms)
        text = signal_id.encode()
        row = self._log.first(
            names.SIGNAL, cause.partition, start, lambda row: text in (row.value or b"")
        )
        found = [] if row is None else list(self.decoded([row], Signal))
        return [Step("signal", row, signal) for row, signal in found]


def _having(rows: Iterable[Row], texts: set[str]) -> list[Row]:
    wanted = [text.encode() for text in texts]
    return [row for row in rows if any(text in (row.value or b"") for text in wanted)]


def _is_cancel_of(event: OrderEvent, order_id: str) -> bool:
    asks = event.intent_kind in (IntentKind.CANCEL, IntentKind.REPLACE)
    return asks and event.target_order_id == order_id


def _stage(report: ExecutionReport) -> str:
    if report.status is Status.SUBMITTED:
        return "submitted"
    trades = (ExecutionType.TRADE, ExecutionType.TRADE_CORRECT, ExecutionType.TRADE_CANCEL)
    return "fill" if report.execution_type in trades else "report"


def _status(
    decisions: list[tuple[Row, OrderEvent]], answers: list[tuple[Row, ExecutionReport]]
) -> str:
    for _, report in answers:
        if report.status in TERMINAL:
            return report.status.value
    if answers:
        return answers[-1][1].status.value
    return decisions[0][1].kind.value if decisions else "UNKNOWN"


def _position(cause: Any) -> tuple[str, int, int]:
    return (cause.topic, cause.partition, cause.offset)


def _origin(row: Row) -> tuple[str, int, int] | None:
    return None if row.cause is None else _position(row.cause)


def _caused_by(entries: dict[Any, list[Step]], place: Any) -> list[Step]:
    return entries.pop(place, []) if place else []
