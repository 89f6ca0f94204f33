"""The catalogue: every topic with its record, its key, its partitions and how long it is kept."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from functools import cache
from typing import Final

from processors.errors import ConfigError
from processors.records.account import AccountPolicy, Control, Protection, Transfer
from processors.records.base import Record
from processors.records.ledger import Balance, LedgerEntry, Position
from processors.records.market import (
    Bar,
    IndicatorSet,
    InstrumentRules,
    ReferencePrice,
    SourceCursor,
    Tick,
)
from processors.records.ops import Alert, WorkerAddress
from processors.records.trade import ExecutionReport, OrderEvent, Signal, TradeIntent

PROCESSORS: Final = (
    "data_collection",
    "technical_analysis",
    "strategy",
    "risk_manager",
    "execution",
)
"""Names of the five, producers of work before their consumers."""

DEAD: Final = ".dlq"
"""What the dead letters of a topic end with."""
LETTER_BYTES: Final = 1_114_124
"""max.message.bytes of theirs: a record of Kafka's largest by default, and 64 KiB for the facts."""

_MONTH = timedelta(days=30)
_QUARTER = timedelta(days=90)
_YEARS = timedelta(days=7 * 365 + 2)
_MILLISECOND = timedelta(milliseconds=1)


class Kind(StrEnum):
    """Which count of partitions a topic shares."""

    ACCOUNT = "account"
    INSTRUMENT = "instrument"
    OTHER = "other"


class Cleanup(StrEnum):
    """What the broker does with old records."""

    DELETE = "delete"
    COMPACT = "compact"


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic as it is to be.

    `record` is None where the values are not ours to type: dead letters and journals.
    `key_fields` are the fields of the record that its key is made of, joined by `|`.
    `retention` is None for a compacted topic.
    """

    name: str
    record: type[Record] | None
    key_fields: tuple[str, ...]
    kind: Kind
    cleanup: Cleanup
    retention: timedelta | None

    @property
    def key(self) -> str:
        """The key in words."""
        return "|".join(self.key_fields)

    @property
    def subject(self) -> str | None:
        """Name of its schema in the registry."""
        return None if self.record is None else f"{self.name}-value"

    @property
    def config(self) -> dict[str, str]:
        """Settings that the broker is given; nothing else is touched."""
        kept = -1 if self.retention is None else self.retention // _MILLISECOND
        large = {"max.message.bytes": str(LETTER_BYTES)} if self.name.endswith(DEAD) else {}
        return {
            "cleanup.policy": self.cleanup.value,
            "message.timestamp.type": "CreateTime",
            "retention.ms": str(kept),
            **large,
        }

    def partitions(self, account: int, instrument: int) -> int:
        """Return the count of partitions.

        Args:
            account: count of the topics by account.
            instrument: count of the topics by instrument.
        """
        match self.kind:
            case Kind.ACCOUNT:
                return account
            case Kind.INSTRUMENT:
                return instrument
            case Kind.OTHER:
                return 1

    def key_of(self, value: Record) -> str:
        """Return the key of a record of this topic.

        Args:
            value: the record.
        """
        return "|".join(str(getattr(value, name)) for name in self.key_fields)


def _log(name: str, record: type[Record], key: str, kind: Kind, retention: timedelta) -> Topic:
    return Topic(name, record, (key,), kind, Cleanup.DELETE, retention)


def _newest(name: str, record: type[Record], keys: tuple[str, ...], kind: Kind) -> Topic:
    return Topic(name, record, keys, kind, Cleanup.COMPACT, None)


_A, _I, _O = Kind.ACCOUNT, Kind.INSTRUMENT, Kind.OTHER

TICK: Final = _log("market.tick", Tick, "instrument", _I, _MONTH)
BAR: Final = _log("market.bar", Bar, "instrument", _I, _MONTH)
INDICATOR: Final = _log("market.indicator", IndicatorSet, "instrument", _I, _MONTH)
PRICE: Final = _newest("market.price", ReferencePrice, ("instrument",), _I)
RULE: Final = _newest("market.rule", InstrumentRules, ("instrument",), _I)
CURSOR: Final = _newest("market.cursor", SourceCursor, ("source",), _O)
POLICY: Final = _newest("account.policy", AccountPolicy, ("account",), _A)
SIGNAL: Final = _log("trade.signal", Signal, "instrument", _I, _YEARS)
INTENT: Final = _log("trade.intent", TradeIntent, "account", _A, _YEARS)
ORDER: Final = _log("trade.order", OrderEvent, "account", _A, _YEARS)
EXECUTION: Final = _log("trade.execution", ExecutionReport, "account", _A, _YEARS)
PROTECTION: Final = _log("trade.protection", Protection, "instrument", _I, _YEARS)
TRANSFER: Final = _log("account.transfer", Transfer, "account", _A, _YEARS)
CONTROL: Final = _log("account.control", Control, "account", _A, _YEARS)
ENTRY: Final = _log("ledger.entry", LedgerEntry, "account", _A, _YEARS)
BALANCE: Final = _newest("ledger.balance", Balance, ("account", "asset"), _A)
POSITION: Final = _newest("ledger.position", Position, ("account", "instrument"), _A)
ALERT: Final = _log("ops.alert", Alert, "source", _O, _QUARTER)
WORKER: Final = _newest("ops.worker", WorkerAddress, ("processor", "partition"), _O)

RECORDS: Final = (
    TICK, BAR, INDICATOR, PRICE, RULE, CURSOR, POLICY, SIGNAL, INTENT, ORDER, EXECUTION,
    PROTECTION, TRANSFER, CONTROL, ENTRY, BALANCE, POSITION, ALERT, WORKER,
)  # fmt: skip
"""The topics that carry records, in the order in which work flows."""

INPUTS: Final[dict[str, tuple[Topic, ...]]] = {
    "data_collection": (),
    "technical_analysis": (TICK,),
    "strategy": (INDICATOR, BAR, PROTECTION),
    "risk_manager": (INTENT, EXECUTION, TRANSFER, CONTROL),
    "execution": (ORDER, EXECUTION),
}
"""What the agents of each processor read."""

GLOBALS: Final[dict[str, tuple[Topic, ...]]] = {
    "data_collection": (),
    "technical_analysis": (),
    "strategy": (POLICY,),
    "risk_manager": (PRICE, RULE, POLICY),
    "execution": (RULE,),
}
"""The compacted topics that each processor reads whole."""

OUTPUTS: Final[dict[str, tuple[Topic, ...]]] = {
    "data_collection": (TICK, RULE, CURSOR),
    "technical_analysis": (BAR, INDICATOR, PRICE),
    "strategy": (SIGNAL, INTENT),
    "risk_manager": (ORDER, PROTECTION, ENTRY, BALANCE, POSITION, ALERT),
    "execution": (EXECUTION,),
}
"""What each processor sends."""


def app_id(processor: str) -> str:
    """Return the app id of a processor: its consumer group, and the prefix of its own topics.

    Args:
        processor: one of PROCESSORS.
    """
    return f"fillonce.{processor}"


def kind_of(processor: str) -> Kind:
    """Return which count of partitions the state of a processor has.

    Args:
        processor: one that has inputs.
    """
    return INPUTS[processor][0].kind


def changelog(processor: str, table: str) -> Topic:
    """Return the topic behind a table of a processor.

    Args:
        processor: one of PROCESSORS.
        table: name of the table.
    """
    from streams.tables import TABLES

    spec = TABLES[processor][table]
    return Topic(
        f"{app_id(processor)}-{table}-changelog",
        spec.record,
        (spec.key,),
        kind_of(processor),
        Cleanup.COMPACT,
        None,
    )


@cache
def catalogue() -> tuple[Topic, ...]:
    """Return every topic of the system: records, dead letters, journals, changelogs."""
    from streams.tables import TABLES

    read = {topic.name: topic for inputs in INPUTS.values() for topic in inputs}
    dead = [
        Topic(topic.name + DEAD, None, topic.key_fields, topic.kind, Cleanup.DELETE, _QUARTER)
        for topic in RECORDS
        if topic.name in read
    ]
    journals = [
        Topic(
            f"{app_id(name)}.journal", None, ("partition",), kind_of(name), Cleanup.DELETE, _YEARS
        )
        for name in PROCESSORS
        if INPUTS[name]
    ]
    tables = [changelog(name, table) for name in PROCESSORS for table in TABLES.get(name, {})]
    return (*RECORDS, *dead, *journals, *tables)


BY_NAME: Final = {topic.name: topic for topic in RECORDS}
"""The topics that carry records, by name."""

_OF = {topic.record: topic for topic in RECORDS}


def topic_of(record: Record | type[Record]) -> Topic:
    """Return the topic that a record is sent to.

    Args:
        record: a record, or its class.
    Raises:
        ConfigError: no topic carries it.
    """
    kind = record if isinstance(record, type) else type(record)
    try:
        return _OF[kind]
    except KeyError:
        raise ConfigError("no topic carries this record", avro_name=kind.avro_name) from None
