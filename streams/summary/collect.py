"""What a summary is made of, gathered in one pass over the topics."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Final

from processors.errors import DecodeError
from processors.records.account import AccountPolicy, Transfer
from processors.records.base import Record
from processors.records.ledger import Balance, Position
from processors.records.market import SourceCursor, Tick
from processors.records.trade import ExecutionReport, OrderEvent, Signal, TradeIntent
from streams.checks import names
from streams.checks.decoding import Decoder
from streams.checks.history import reason_of
from streams.checks.reading import Cause, Reader, Row

DECODED: Final = frozenset(
    {
        names.TICK, names.CURSOR, names.POLICY, names.TRANSFER, names.SIGNAL, names.INTENT,
        names.ORDER, names.EXECUTION, names.BALANCE, names.POSITION,
    }
)  # fmt: skip
"""Of the other topics the count and the record times are enough."""
_TIMED: Final = frozenset({names.TICK, names.BAR, names.INDICATOR, names.INTENT, names.ORDER,
                           names.EXECUTION})  # fmt: skip

Where = tuple[str, int, int]
"""Topic, partition and offset."""


@dataclass(frozen=True, slots=True)
class Stamped:
    """A record with its record time and its cause."""

    record: Record
    timestamp_ms: int
    cause: Cause | None


@dataclass(frozen=True, slots=True)
class Price:
    """The last price of one minute of market time."""

    time: datetime
    price: Decimal


@dataclass(slots=True)
class Material:
    """What stands in the topics; of compacted topics the newest by key."""

    counts: Counter[str] = field(default_factory=Counter)
    """Records by topic."""
    dead: dict[str, Counter[str]] = field(default_factory=dict)
    """Dead letters by topic (without `.dlq`) and reason."""
    stamps: dict[Where, int] = field(default_factory=dict)
    """Record time, milliseconds, of whatever can be a cause."""
    bars: list[tuple[int, Cause | None]] = field(default_factory=list)
    """Record time and cause of each bar."""
    first_tick: Tick | None = None
    last_tick: Tick | None = None
    prices: dict[str, list[Price]] = field(default_factory=dict)
    """By instrument, in order of market time."""
    last_prices: dict[str, Decimal] = field(default_factory=dict)
    """By BASE/QUOTE."""
    cursors: dict[str, SourceCursor] = field(default_factory=dict)
    policies: dict[str, AccountPolicy] = field(default_factory=dict)
    transfers: dict[tuple[str, str], Transfer] = field(default_factory=dict)
    signals: dict[str, Stamped] = field(default_factory=dict)
    intents: list[tuple[TradeIntent, int]] = field(default_factory=list)
    orders: list[tuple[OrderEvent, int, Cause | None]] = field(default_factory=list)
    reports: list[tuple[ExecutionReport, int, Cause | None]] = field(default_factory=list)
    balances: dict[tuple[str, str], Balance] = field(default_factory=dict)
    positions: dict[tuple[str, str], Position] = field(default_factory=dict)

    def take(self, row: Row, decoder: Decoder) -> None:
        """Put one row where it belongs.

        Args:
            row: of any topic that is read.
            decoder: reads its record.
        """
        if row.topic.endswith(names.DEAD):
            topic = row.topic.removesuffix(names.DEAD)
            self.dead.setdefault(topic, Counter())[reason_of(row)] += 1
            return
        self.counts[row.topic] += 1
        if row.topic in _TIMED:
            self.stamps[row.topic, row.partition, row.offset] = row.timestamp_ms
        if row.topic == names.BAR:
            self.bars.append((row.timestamp_ms, row.cause))
        if row.topic in DECODED and row.value is not None:
            try:
                record = decoder.record(row, names.RECORDS[row.topic])
            except DecodeError:
                return  # it is among the dead letters: the checks say so
            self._sort(record, row)

    def _sort(self, record: Record, row: Row) -> None:
        match record:
            case Tick():
                self._tick(record)
            case SourceCursor():
                self.cursors[record.source] = record
            case AccountPolicy():
                self.policies[record.account] = record
            case Transfer():
                self.transfers.setdefault((record.account, record.transfer_id), record)
            case Signal():
                self.signals[record.signal_id] = Stamped(record, row.timestamp_ms, row.cause)
            case TradeIntent():
                self.intents.append((record, row.timestamp_ms))
            case OrderEvent():
                self.orders.append((record, row.timestamp_ms, row.cause))
            case ExecutionReport():
                self.reports.append((record, row.timestamp_ms, row.cause))
            case Balance():
                self.balances[record.account, record.asset] = record
            case Position():
                self.positions[record.account, record.instrument] = record

    def _tick(self, tick: Tick) -> None:
        self.first_tick = self.first_tick or tick
        if self.last_tick is None or tick.execution_time >= self.last_tick.execution_time:
            self.last_tick = tick
        self.last_prices[tick.symbol] = tick.price
        prices = self.prices.setdefault(tick.instrument, [])
        minute = tick.execution_time.replace(second=0, microsecond=0)
        point = Price(tick.execution_time, tick.price)
        if prices and prices[-1].time.replace(second=0, microsecond=0) == minute:
            prices[-1] = point
        else:
            prices.append(point)


def collect(reader: Reader, decoder: Decoder) -> Material:
    """Read all topics once.

    Args:
        reader: of the broker.
        decoder: of the registry.
    Raises:
        ConfigError: a topic is not there.
        UnavailableError: broker or registry do not answer.
    """
    material = Material()
    dead = [topic for topic in reader.topics() if topic.endswith(names.DEAD)]
    reader.each([*names.RECORDS, *dead], lambda row: material.take(row, decoder))
    return material
