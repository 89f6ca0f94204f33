"""The topics and groups that are checked, written down a second time, on purpose.

A topic that the pipeline renamed by mistake is found missing here. `tests/unit` holds these to the
catalogue, so that a change on purpose is made in both places.
"""

from __future__ import annotations

from typing import Final

from processors.records.account import AccountPolicy, Protection, Transfer
from processors.records.base import Record
from processors.records.ledger import Balance, LedgerEntry, Position
from processors.records.market import Bar, IndicatorSet, SourceCursor, Tick
from processors.records.trade import ExecutionReport, OrderEvent, Signal, TradeIntent

TICK: Final = "market.tick"
BAR: Final = "market.bar"
INDICATOR: Final = "market.indicator"
CURSOR: Final = "market.cursor"
POLICY: Final = "account.policy"
TRANSFER: Final = "account.transfer"
SIGNAL: Final = "trade.signal"
INTENT: Final = "trade.intent"
ORDER: Final = "trade.order"
EXECUTION: Final = "trade.execution"
PROTECTION: Final = "trade.protection"
ENTRY: Final = "ledger.entry"
BALANCE: Final = "ledger.balance"
POSITION: Final = "ledger.position"
DEAD: Final = ".dlq"
RECORDED: Final = "recorded"
"""Name of the source of ticks: the key of its cursor."""

RECORDS: Final[dict[str, type[Record]]] = {
    TICK: Tick,
    BAR: Bar,
    INDICATOR: IndicatorSet,
    CURSOR: SourceCursor,
    POLICY: AccountPolicy,
    TRANSFER: Transfer,
    SIGNAL: Signal,
    INTENT: TradeIntent,
    ORDER: OrderEvent,
    EXECUTION: ExecutionReport,
    PROTECTION: Protection,
    ENTRY: LedgerEntry,
    BALANCE: Balance,
    POSITION: Position,
}
"""The record of each topic that is read here."""

GROUPS: Final[dict[str, tuple[str, ...]]] = {
    "fillonce.technical_analysis": (TICK,),
    "fillonce.strategy": (INDICATOR, BAR, PROTECTION),
    "fillonce.risk_manager": (INTENT, EXECUTION, TRANSFER, "account.control"),
    "fillonce.execution": (ORDER, EXECUTION),
}
"""What each consumer group has to have read to the end."""
