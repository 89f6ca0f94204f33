"""What a run has left in its topics, decoded, as the checks look at it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, TypeVar

from processors.errors import DecodeError
from processors.records.account import Transfer
from processors.records.base import Record
from processors.records.ledger import Balance, LedgerEntry, Position
from processors.records.market import SourceCursor, Tick
from processors.records.trade import ExecutionReport, OrderEvent, Status, TradeIntent
from streams.checks import names
from streams.checks.decoding import Decoder
from streams.checks.reading import Place, Reader, Row

R = TypeVar("R", bound=Record)

TERMINAL: Final = frozenset({Status.FILLED, Status.CANCELED, Status.REJECTED, Status.EXPIRED})
_REASON: Final = re.compile(r"[a-z]+(_[a-z]+)*")


@dataclass(frozen=True, slots=True)
class Lag:
    """One partition that a group has not read to its end, or not at all."""

    group: str
    topic: str
    partition: int
    committed: int
    end: int


@dataclass(slots=True)
class History:
    """Committed records in the order of their partitions; of compacted topics the newest by key."""

    ticks: int = 0
    tick_ids: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Count of (instrument, trade_id)."""
    dead: dict[str, Counter[str]] = field(default_factory=dict)
    """Count of dead letters by topic (without `.dlq`) and reason."""
    cursors: dict[str, SourceCursor] = field(default_factory=dict)
    intents: list[TradeIntent] = field(default_factory=list)
    orders: list[OrderEvent] = field(default_factory=list)
    reports: list[ExecutionReport] = field(default_factory=list)
    entries: list[LedgerEntry] = field(default_factory=list)
    transfers: list[Transfer] = field(default_factory=list)
    balances: dict[tuple[str, str], Balance] = field(default_factory=dict)
    positions: dict[tuple[str, str], Position] = field(default_factory=dict)
    undecodable: list[str] = field(default_factory=list)
    """Positions, and why."""
    lags: list[Lag] = field(default_factory=list)

    def take(self, row: Row, decoder: Decoder) -> None:
        """Put one row where it belongs.

        Args:
            row: of one of the topics that are read.
            decoder: reads its record.
        """
        if row.topic.endswith(names.DEAD):
            topic = row.topic.removesuffix(names.DEAD)
            self.dead.setdefault(topic, Counter())[reason_of(row)] += 1
        elif row.value is not None:
            try:
                self._sort(decoder.record(row, names.RECORDS[row.topic]))
            except DecodeError as error:
                self.undecodable.append(str(error))

    def _sort(self, record: Record) -> None:
        match record:
            case Tick():
                self.ticks += 1
                self.tick_ids[record.instrument, record.trade_id] += 1
            case SourceCursor():
                self.cursors[record.source] = record
            case TradeIntent():
                self.intents.append(record)
            case OrderEvent():
                self.orders.append(record)
            case ExecutionReport():
                self.reports.append(record)
            case LedgerEntry():
                self.entries.append(record)
            case Transfer():
                self.transfers.append(record)
            case Balance():
                self.balances[record.account, record.asset] = record
            case Position():
                self.positions[record.account, record.instrument] = record


CHECKED: Final = (
    names.TICK, names.CURSOR, names.TRANSFER, names.INTENT, names.ORDER, names.EXECUTION,
    names.ENTRY, names.BALANCE, names.POSITION,
)  # fmt: skip


def load(reader: Reader, decoder: Decoder) -> History:
    """Read all that the checks look at.

    Args:
        reader: of the broker.
        decoder: of the registry.
    Returns:
        The history up to the last stable offsets; group offsets apart.
    Raises:
        ConfigError: a topic is not there.
        UnavailableError: broker or registry do not answer.
    """
    history = History()
    dead = [topic for topic in reader.topics() if topic.endswith(names.DEAD)]
    reader.each([*CHECKED, *dead], lambda row: history.take(row, decoder))
    return history


def lags(
    reader: Reader, groups: Mapping[str, tuple[str, ...]] = names.GROUPS
) -> tuple[list[Lag], int]:
    """Compare every group's committed offsets with the last stable ones of what it reads.

    Args:
        reader: of the broker.
        groups: their topics.
    Returns:
        The partitions where they differ, and how many were compared.
    Raises:
        ConfigError: a topic is not there.
        UnavailableError: the broker does not answer.
    """
    found: list[Lag] = []
    compared = 0
    for group, topics in groups.items():
        ends: dict[Place, int] = reader.ends(topics)
        committed = reader.committed(group, topics)
        compared += len(ends)
        for (topic, partition), end in sorted(ends.items()):
            at = committed.get((topic, partition), 0)
            if at != end:
                found.append(Lag(group, topic, partition, at, end))
    return found, compared


def reason_of(row: Row) -> str:
    """Return why a record is a dead letter: the stable name where there is one, else the error."""
    told = [row.header("dlq.reason") or "", row.header("dlq.error") or ""]
    stable = [text for text in told if _REASON.fullmatch(text)]
    return (stable or [text for text in reversed(told) if text] or ["unknown"])[0]
