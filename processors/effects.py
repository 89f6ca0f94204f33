"""What the account's core is given and what it answers: events, context, table entries, effects.

An effect is either a record that leaves on a topic, or the new value of a table entry, or a fact
that is only logged. `evolve` in `processors.account` applies each of them; nothing else changes state.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from processors import money
from processors.records.account import AccountPolicy, Control, Protection, Transfer
from processors.records.ledger import LedgerEntry
from processors.records.market import InstrumentRules, ReferencePrice
from processors.records.ops import Alert, Severity
from processors.records.state_account import (
    AccountState,
    AccountStatus,
    OrderState,
    PositionState,
    Seen,
    Standing,
)
from processors.records.trade import ExecutionReport, OrderEvent, TradeIntent

SOURCE: Final = "risk_manager"
"""Who raises the alerts of this core."""


@dataclass(frozen=True, slots=True)
class AgeCheck:
    """The clock's question about one order: is its hold older than `max_age`, wall time?"""

    account: str
    order_id: str
    max_age: timedelta


@dataclass(frozen=True, slots=True)
class Settlement:
    """A fill was settled: what it took off the hold, what it cost, what is left. Only logged.

    `released_amount` is what the hold fell by, `actual_cost` what the fill really cost, both in
    `asset`; the difference went back to, or was taken from, what is free.
    """

    account: str
    order_id: str
    trade_id: str
    asset: str
    released_amount: Decimal
    actual_cost: Decimal
    remaining_balance: Decimal
    total_reserved: Decimal


Event = TradeIntent | ExecutionReport | Transfer | Control | AgeCheck
"""What the core decides on."""

Effect = (
    OrderEvent
    | LedgerEntry
    | Protection
    | Alert
    | Settlement
    | Standing
    | OrderState
    | PositionState
    | Seen
)
"""What a decision is made of, in the order in which it is to be applied."""


@dataclass(frozen=True, slots=True)
class Keys:
    """Which entries an event can touch; None where it touches none of a table."""

    account: str
    order: str | None = None
    position: str | None = None
    seen: str | None = None


@dataclass(frozen=True, slots=True)
class View:
    """The table entries that one event can touch; None where a table has none.

    `order` is the order the event is about: of a CANCEL its target, of any other intent the order
    that answers it.
    """

    account: AccountState
    order: OrderState | None = None
    position: PositionState | None = None
    seen: Seen | None = None
    keys: Keys | None = None
    """Where the entries were read; worked out again if absent."""


@dataclass(frozen=True, slots=True)
class Context:
    """What else a decision may look at; every value is journaled, so a replay sees the same."""

    now: datetime
    rules: InstrumentRules | None = None
    price: ReferencePrice | None = None
    policy: AccountPolicy | None = None
    configured_price: Decimal | None = None
    """A constant price that an operator configured; None in any sane setup."""


def open_account(account: str) -> AccountState:
    """Return the state of an account that nothing has happened to yet.

    Args:
        account: its name.
    Returns:
        No balance, no order, status ACTIVE.
    """
    standing = Standing(
        status=AccountStatus.ACTIVE, open_orders=0, exposures={}, minute_notional=Decimal(0)
    )
    return AccountState(account=account, sequence=0, balances={}, standing=standing)


def text_of(value: object) -> str:
    """Write a value for people: of a decimal always the one plain form.

    A value that came back from a table has other trailing zeros than the one that was put in, and
    a replay must write the same text.
    """
    return money.text(value) if isinstance(value, Decimal) else str(value)


def alert(kind: str, severity: Severity, message: str, now: datetime, **details: object) -> Alert:
    """Make an alert of this core.

    Args:
        kind: stable name, such as late_fill.
        severity: how urgent.
        message: in words, the same whatever the values.
        now: journaled time.
        details: the values by name.
    Returns:
        The record, its details in the order of their names.
    """
    texts = {name: text_of(details[name]) for name in sorted(details)}
    return Alert(
        source=SOURCE,
        kind=kind,
        severity=severity,
        message=message,
        details=texts,
        created_time=now,
    )
