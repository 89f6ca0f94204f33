"""Records that steer an account: its policy, transfers of money, an operator's control."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from typing import ClassVar

from pydantic import Field

from processors.records.base import Amount, Moment, Name, NotNegative, Record
from processors.records.market import Side


class SizingKind(StrEnum):
    """What the budget of an order is a fraction of, or whether it is fixed."""

    AVAILABLE = "AVAILABLE"
    TOTAL = "TOTAL"
    NOTIONAL = "NOTIONAL"


class Sizing(Record):
    """How big an order is to be."""

    avro_name: ClassVar[str] = "account.Sizing"
    kind: SizingKind = Field(
        description="AVAILABLE, TOTAL (fraction of that balance) or NOTIONAL (fixed)."
    )
    fraction: NotNegative = Field(
        default=Decimal(0), description="Of the base, 0 to 1; for AVAILABLE and TOTAL."
    )
    notional: NotNegative = Field(default=Decimal(0), description="Quote units; for NOTIONAL.")


class Subscription(Record):
    """One strategy on one instrument that an account follows."""

    avro_name: ClassVar[str] = "account.Subscription"
    strategy: Name = Field(description="Name of the strategy.")
    instrument: Name = Field(description="EXCHANGE:BASE/QUOTE.")


class Limits(Record):
    """Bounds on the orders of an account; zero switches a bound off."""

    avro_name: ClassVar[str] = "account.Limits"
    max_order_notional: NotNegative = Field(
        default=Decimal(0), description="Most quote units in one order."
    )
    max_notional_per_minute: NotNegative = Field(
        default=Decimal(0), description="Most quote units a market minute."
    )
    max_open_orders: int = Field(default=0, ge=0, description="Most open orders.")
    max_position: NotNegative = Field(
        default=Decimal(0), description="Most base units owned and on order."
    )
    price_collar: NotNegative = Field(
        default=Decimal("0.05"), description="Widest distance from the reference price."
    )
    max_price_age: int = Field(
        default=0, ge=0, description="Oldest reference price, seconds of market time."
    )


class AccountPolicy(Record):
    """What an account follows, how its orders are sized and bounded."""

    avro_name: ClassVar[str] = "account.AccountPolicy"
    account: Name = Field(description="The record key (FIX 1).")
    version: int = Field(ge=1, description="Rises with each change.")
    subscriptions: tuple[Subscription, ...] = Field(description="Strategies followed.")
    sizing: Sizing = Field(description="Size of entries; exits sell what is owned.")
    limits: Limits = Field(description="Bounds on orders.")
    slippage: NotNegative = Field(
        description="Fraction by which a capped order may be worse than its price."
    )
    stop_loss: NotNegative = Field(
        description="Fraction under the entry price at which to sell; zero is none."
    )
    take_profit: NotNegative = Field(
        description="Fraction over the entry price at which to sell; zero is none."
    )
    experiment: str = Field(default="", description="Experiment the account takes part in.")
    arm: str = Field(default="", description="Arm of the experiment.")
    updated_time: Moment = Field(description="When the policy was written.")


class TransferKind(StrEnum):
    """Why money enters or leaves an account."""

    OPENING = "OPENING"
    DEPOSIT = "DEPOSIT"
    WITHDRAWAL = "WITHDRAWAL"
    CORRECTION = "CORRECTION"


class Transfer(Record):
    """Money that enters or leaves an account other than by a trade."""

    avro_name: ClassVar[str] = "account.Transfer"
    account: Name = Field(description="The record key (FIX 1).")
    transfer_id: Name = Field(description="Identity; a second record of it changes nothing.")
    kind: TransferKind = Field(description="Why.")
    asset: Name = Field(description="Asset moved.")
    amount: Amount = Field(description="Signed: positive enters the account.")
    reason: str = Field(default="", description="In words.")
    created_time: Moment = Field(description="When it was asked for.")


class ControlAction(StrEnum):
    """What an operator asks of an account."""

    HALT = "HALT"
    REDUCE = "REDUCE"
    RESUME = "RESUME"


class Control(Record):
    """An operator's order to stop, reduce or resume an account."""

    avro_name: ClassVar[str] = "account.Control"
    account: Name = Field(description="The record key (FIX 1).")
    control_id: Name = Field(description="Identity.")
    action: ControlAction = Field(description="What to do.")
    reason: str = Field(description="Why, in words.")
    actor: Name = Field(description="Who.")
    created_time: Moment = Field(description="When it was asked for.")


class Protection(Record):
    """Stop-loss and take-profit of one filled order; quantity zero removes it."""

    avro_name: ClassVar[str] = "trade.Protection"
    instrument: Name = Field(description="EXCHANGE:BASE/QUOTE; the record key.")
    account: Name = Field(description="Owner (FIX 1).")
    order_id: Name = Field(description="Order whose position is protected.")
    side: Side = Field(description="Side of the exit.")
    quantity: NotNegative = Field(description="Base units to sell; zero removes the protection.")
    stop_price: NotNegative = Field(
        description="Sell when the low is at or under it; zero is none (FIX 99)."
    )
    take_profit_price: NotNegative = Field(
        description="Sell when the high is at or over it; zero is none."
    )
    market_time: Moment = Field(description="Market time of the fill it follows from.")
    updated_time: Moment = Field(description="When it was written.")
