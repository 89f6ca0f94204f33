"""Records of the ledger: entries, balances, positions."""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar

from pydantic import Field

from processors.records.base import Amount, Moment, Name, NotNegative, Record


class EntryKind(StrEnum):
    """Kind of a ledger entry."""

    HOLD_PLACED = "HOLD_PLACED"
    HOLD_CONSUMED = "HOLD_CONSUMED"
    HOLD_RESIZED = "HOLD_RESIZED"
    HOLD_RELEASED = "HOLD_RELEASED"
    TRADE_LEG = "TRADE_LEG"
    FEE_LEG = "FEE_LEG"
    REVERSAL = "REVERSAL"
    DRIFT = "DRIFT"
    DEPOSIT = "DEPOSIT"
    WITHDRAWAL = "WITHDRAWAL"
    OTHER = "OTHER"


class LedgerEntry(Record):
    """One change of a total or of a hold; entries are added, never edited."""

    avro_name: ClassVar[str] = "ledger.LedgerEntry"
    account: Name = Field(description="The record key (FIX 1).")
    entry_id: Name = Field(description="Hash of its cause, kind, asset and index.")
    sequence: int = Field(ge=1, description="Count of the account's entries; no gaps.")
    asset: Name = Field(description="Asset changed.")
    kind: EntryKind = Field(description="Kind of the change.")
    amount: Amount = Field(description="Signed. HOLD_* change the hold, all others the total.")
    total_after: Amount = Field(description="Total of the asset after the entry.")
    held_after: NotNegative = Field(description="Sum of the holds of the asset after the entry.")
    order_id: Name | None = Field(default=None, description="Order it belongs to.")
    trade_id: Name | None = Field(default=None, description="Fill it belongs to (FIX 1003).")
    transfer_id: Name | None = Field(default=None, description="Transfer it belongs to.")
    cause: str = Field(default="", description="Why: a status, reason or transfer kind.")
    market_time: Moment = Field(description="Market time of the event that caused it.")
    created_time: Moment = Field(description="Journaled time of the entry.")


class Balance(Record):
    """Newest balance of one account in one asset."""

    avro_name: ClassVar[str] = "ledger.Balance"
    account: Name = Field(description="Owner (FIX 1).")
    asset: Name = Field(description="Asset.")
    total: Amount = Field(description="Owned, held or not.")
    held: NotNegative = Field(description="Sum of the holds.")
    available: Amount = Field(description="total - held; negative only with overdraft.")
    overdraft: bool = Field(description="Whether a settlement cost more than was there.")
    sequence: int = Field(ge=0, description="Ledger entry it stands on.")
    updated_time: Moment = Field(description="Journaled time of the change.")


class Position(Record):
    """Newest position of one account in one instrument, net of base fees."""

    avro_name: ClassVar[str] = "ledger.Position"
    account: Name = Field(description="Owner (FIX 1).")
    instrument: Name = Field(description="EXCHANGE:BASE/QUOTE.")
    quantity: Amount = Field(description="Base units owned through trades of this instrument.")
    cost: Amount = Field(description="Quote units paid for what is owned, fees in quote included.")
    average_price: NotNegative = Field(
        description="cost / quantity, 18 places half even; zero when flat."
    )
    realised: Amount = Field(description="Quote units won or lost on what was sold.")
    bought: NotNegative = Field(description="Base units bought so far, gross.")
    sold: NotNegative = Field(description="Base units sold so far, gross.")
    trades: int = Field(ge=0, description="Fills so far.")
    market_time: Moment = Field(description="Market time of the newest fill.")
    updated_time: Moment = Field(description="Journaled time of the change.")
