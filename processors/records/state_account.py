"""What risk_manager keeps in its tables about an account: balances, orders, positions, what was seen."""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar

from pydantic import Field

from processors.records.base import Amount, Moment, Name, NotNegative, Positive, Record
from processors.records.market import Side
from processors.records.trade import IntentKind, OrderType, Reason, Status, TimeInForce


class AccountStatus(StrEnum):
    """What an account may do. No default: an unknown word is refused."""

    ACTIVE = "ACTIVE"
    REDUCING = "REDUCING"
    HALTED = "HALTED"


class AssetBalance(Record):
    """One asset of an account; available is total less held."""

    avro_name: ClassVar[str] = "state.AssetBalance"
    total: Amount = Field(description="Owned, held or not.")
    held: NotNegative = Field(description="Sum of the holds of all orders.")


class Exposure(Record):
    """What an account has on order in one instrument."""

    avro_name: ClassVar[str] = "state.Exposure"
    orders: int = Field(ge=0, description="Open orders.")
    buying: NotNegative = Field(description="Base units that open buys may still bring.")


class Standing(Record):
    """What of an account is not money: its status and the counters that limits are held against."""

    avro_name: ClassVar[str] = "state.Standing"
    status: AccountStatus = Field(description="ACTIVE, REDUCING (exits only) or HALTED.")
    open_orders: int = Field(ge=0, description="Open orders of all instruments.")
    exposures: dict[str, Exposure] = Field(
        description="By instrument, names in order; none without an open order."
    )
    minute: Moment | None = Field(
        default=None, description="Start of the newest market minute with an accepted order."
    )
    minute_notional: NotNegative = Field(
        description="Quote units of the orders accepted in that minute."
    )


class AccountState(Record):
    """One account: a running total per asset, so that no event costs more with more orders."""

    avro_name: ClassVar[str] = "state.Account"
    account: Name = Field(description="The table key (FIX 1).")
    sequence: int = Field(ge=0, description="Newest ledger entry.")
    balances: dict[str, AssetBalance] = Field(description="By asset, names in order.")
    standing: Standing = Field(description="Status and counters.")


class OrderState(Record):
    """The facts known of one order; its status and hold follow from them, whatever order they came in."""

    avro_name: ClassVar[str] = "state.Order"
    account: Name = Field(description="Owner (FIX 1).")
    order_id: Name = Field(description="Our identity; with the account the table key.")
    client_order_id: Name = Field(description="FIX 11.")
    intent_id: Name = Field(description="Intent it answers; a second one is a duplicate.")
    instrument: Name = Field(description="EXCHANGE:BASE/QUOTE.")
    exchange: Name = Field(description="Venue (FIX 207).")
    symbol: Name = Field(description="BASE/QUOTE (FIX 55).")
    base_asset: str = Field(description="Asset bought or sold; empty when denied without rules.")
    quote_asset: str = Field(
        description="Asset of prices (FIX 15); empty when denied without rules."
    )
    side: Side = Field(description="FIX 54.")
    order_type: OrderType = Field(description="As sent (FIX 40).")
    time_in_force: TimeInForce = Field(description="As sent (FIX 59).")
    quantity: NotNegative = Field(
        description="Base units ordered; zero for an order by quote amount (FIX 38)."
    )
    quote_quantity: Positive | None = Field(
        default=None, description="Quote units of a market buy (FIX 152)."
    )
    expected_quantity: NotNegative = Field(description="Base units it counts for in exposures.")
    price: Positive | None = Field(default=None, description="Limit (FIX 44).")
    stop_price: Positive | None = Field(default=None, description="Trigger (FIX 99).")
    intent_kind: IntentKind = Field(description="Kind of the intent.")
    target_order_id: Name | None = Field(
        default=None, description="Order whose position it is to sell."
    )
    strategy: str = Field(default="", description="Strategy it follows from.")
    arm: str = Field(default="", description="Arm of an experiment.")
    hold_asset: str = Field(description="Asset held; empty when denied.")
    hold_unit: NotNegative = Field(
        description="Held per base unit still open; per quote unit for an order by quote amount."
    )
    hold_scale: int = Field(ge=0, le=18, description="Decimal places that a hold is rounded up to.")
    placed: NotNegative = Field(description="Held at the decision.")
    held: NotNegative = Field(description="Held now.")
    tick_size: NotNegative = Field(
        description="Price step at the decision; rounds the protection's prices."
    )
    dust: NotNegative = Field(
        description="Least base units that can be sold alone: less is dust and not protected."
    )
    stop_loss: NotNegative = Field(description="Fraction under the entry price; zero is none.")
    take_profit: NotNegative = Field(description="Fraction over the entry price; zero is none.")
    submitted: bool = Field(default=False, description="Fact: the send was recorded.")
    unknown: bool = Field(default=False, description="Fact: a call ended without a clear answer.")
    accepted: bool = Field(default=False, description="Fact: the venue has taken it.")
    suspended: bool = Field(default=False, description="Fact: a stop waits for its trigger.")
    triggered: bool = Field(default=False, description="Fact: that stop was triggered.")
    cancel_asked: bool = Field(
        default=False, description="Fact: a cancel was asked for and not refused since."
    )
    busted_quantity: NotNegative = Field(
        description="Fact: base units of fills that the venue took back."
    )
    busted_value: NotNegative = Field(description="Fact: their quote value.")
    ended: Status | None = Field(
        default=None, description="Fact: the strongest terminal cause reported."
    )
    ended_quantity: NotNegative = Field(
        description="Base units filled, as the terminal report has it."
    )
    ended_value: NotNegative = Field(
        description="Their quote value, as the terminal report has it."
    )
    reason: Reason | None = Field(default=None, description="Why it was denied or ended (FIX 103).")
    prevented_quantity: NotNegative = Field(
        description="Base units taken off by self-trade prevention."
    )
    filled_quantity: NotNegative = Field(
        description="Sum of the fills booked, base units (FIX 14)."
    )
    total_value: NotNegative = Field(description="Quote value of the fills booked (FIX 381).")
    fees: dict[str, Amount] = Field(description="Charged so far by asset, names in order.")
    trades: int = Field(ge=0, description="Fills booked.")
    status: Status = Field(description="Derived from the facts (FIX 39).")
    venue_order_id: Name | None = Field(default=None, description="FIX 37.")
    aged: bool = Field(
        default=False, description="Whether an alert on the age of its hold was raised."
    )
    market_time: Moment = Field(description="Market time of the newest fact.")
    created_time: Moment = Field(description="Journaled time of the decision.")
    updated_time: Moment = Field(description="Journaled time of the newest fact.")


class ProtectedLot(Record):
    """What is left of one entry order's fills, and the prices at which it is to be sold."""

    avro_name: ClassVar[str] = "state.ProtectedLot"
    order_id: Name = Field(description="Entry order.")
    quantity: NotNegative = Field(description="Base units left, net of base fees.")
    dust: NotNegative = Field(description="Under this the lot is dust: it cannot be sold alone.")
    stop_price: NotNegative = Field(description="Zero is none.")
    take_profit_price: NotNegative = Field(description="Zero is none.")


class PositionState(Record):
    """One account's holding in one instrument at average cost, net of base fees."""

    avro_name: ClassVar[str] = "state.Position"
    account: Name = Field(description="Owner (FIX 1).")
    instrument: Name = Field(description="EXCHANGE:BASE/QUOTE; with the account the table key.")
    quantity: Amount = Field(description="Base units owned through trades of this instrument.")
    cost: Amount = Field(description="Quote units paid for them, quote fees included.")
    realised: Amount = Field(description="Quote units won or lost on what was sold.")
    bought: NotNegative = Field(description="Base units bought so far, gross.")
    sold: NotNegative = Field(description="Base units sold so far, gross.")
    trades: int = Field(ge=0, description="Fills so far.")
    unvalued_fees: dict[str, Amount] = Field(
        description="Charged in third assets, by asset; not yet part of the cost."
    )
    lots: tuple[ProtectedLot, ...] = Field(description="Protected lots, oldest first.")
    market_time: Moment = Field(description="Market time of the newest fill.")
    updated_time: Moment = Field(description="Journaled time of the newest fill.")


class SeenKind(StrEnum):
    """What kind of event was applied. OTHER is the schema's default."""

    TRADE = "TRADE"
    TRANSFER = "TRANSFER"
    CONTROL = "CONTROL"
    OTHER = "OTHER"


class Seen(Record):
    """An event that was applied once and is never applied again; of a trade, what a bust must reverse."""

    avro_name: ClassVar[str] = "state.Seen"
    account: Name = Field(description="Owner (FIX 1).")
    kind: SeenKind = Field(default=SeenKind.OTHER, description="What it was.")
    identity: Name = Field(description="Its trade, transfer or control id.")
    order_id: Name | None = Field(default=None, description="Order of a trade.")
    quantity: NotNegative = Field(
        description="Base units of a trade; zero otherwise, and after a bust."
    )
    value: NotNegative = Field(
        description="Quote value of a trade; zero otherwise, and after a bust."
    )
    fees: dict[str, Amount] = Field(description="Charges of a trade by asset, names in order.")
    cost_change: Amount = Field(description="What a trade did to the position's cost, quote units.")
    realised_change: Amount = Field(description="What it did to the realised result, quote units.")
    busted: bool = Field(default=False, description="Whether the venue took the trade back.")
    market_time: Moment = Field(description="Market time of the event.")
