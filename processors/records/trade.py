"""Records of a trade's life: signal, intent, decision, execution report."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from typing import ClassVar

from pydantic import Field

from processors.records.account import Sizing
from processors.records.base import Amount, Moment, Name, NotNegative, Positive, Record
from processors.records.market import Side


class Reason(StrEnum):
    """Why an order was denied, refused or ended (FIX 103). OTHER is the schema's default."""

    INSUFFICIENT_AVAILABLE_BALANCE = "INSUFFICIENT_AVAILABLE_BALANCE"
    PRICE_UNAVAILABLE = "PRICE_UNAVAILABLE"
    PRICE_STALE = "PRICE_STALE"
    PRICE_OUT_OF_BAND = "PRICE_OUT_OF_BAND"
    MIN_QUANTITY = "MIN_QUANTITY"
    MAX_QUANTITY = "MAX_QUANTITY"
    STEP = "STEP"
    MIN_NOTIONAL = "MIN_NOTIONAL"
    MAX_NOTIONAL = "MAX_NOTIONAL"
    PRICE_TICK = "PRICE_TICK"
    MAX_ORDERS = "MAX_ORDERS"
    MAX_POSITION = "MAX_POSITION"
    RATE_LIMIT = "RATE_LIMIT"
    RULES_MISSING = "RULES_MISSING"
    RULES_CHANGED = "RULES_CHANGED"
    SYMBOL_NOT_TRADING = "SYMBOL_NOT_TRADING"
    ACCOUNT_REDUCING = "ACCOUNT_REDUCING"
    ACCOUNT_HALTED = "ACCOUNT_HALTED"
    DUPLICATE_INTENT = "DUPLICATE_INTENT"
    NOTHING_TO_SELL = "NOTHING_TO_SELL"
    NOT_PLACED = "NOT_PLACED"
    VENUE_REFUSED = "VENUE_REFUSED"
    STP = "STP"
    BUSTED = "BUSTED"
    OTHER = "OTHER"


class OrderType(StrEnum):
    """Order type (FIX 40)."""

    MARKET = "MARKET"
    LIMIT = "LIMIT"
    STOP_LIMIT = "STOP_LIMIT"
    STOP_MARKET = "STOP_MARKET"


class TimeInForce(StrEnum):
    """Time in force (FIX 59)."""

    GTC = "GTC"
    IOC = "IOC"
    FOK = "FOK"
    GTD = "GTD"


class IntentKind(StrEnum):
    """What an intent asks for."""

    NEW = "NEW"
    CANCEL = "CANCEL"
    REPLACE = "REPLACE"
    STOP_LOSS = "STOP_LOSS"
    TAKE_PROFIT = "TAKE_PROFIT"


class OrderEventKind(StrEnum):
    """What risk_manager decided."""

    RESERVED = "RESERVED"
    DENIED = "DENIED"
    CANCEL_ASKED = "CANCEL_ASKED"
    REPLACE_ASKED = "REPLACE_ASKED"


class Status(StrEnum):
    """Order status after an event (FIX 39). No default: an unknown one is refused."""

    DENIED = "DENIED"
    RESERVED = "RESERVED"
    SUBMITTED = "SUBMITTED"
    UNKNOWN = "UNKNOWN"
    NEW = "NEW"
    SUSPENDED = "SUSPENDED"
    PARTIALLY_FILLED = "PARTIALLY_FILLED"
    PENDING_CANCEL = "PENDING_CANCEL"
    PENDING_REPLACE = "PENDING_REPLACE"
    FILLED = "FILLED"
    CANCELED = "CANCELED"
    REJECTED = "REJECTED"
    EXPIRED = "EXPIRED"


class ExecutionType(StrEnum):
    """What a report reports (FIX 150). OTHER is the schema's default."""

    PENDING_NEW = "PENDING_NEW"
    NEW = "NEW"
    TRADE = "TRADE"
    CANCELED = "CANCELED"
    REPLACED = "REPLACED"
    REJECTED = "REJECTED"
    EXPIRED = "EXPIRED"
    PENDING_CANCEL = "PENDING_CANCEL"
    CANCEL_REJECTED = "CANCEL_REJECTED"
    PENDING_REPLACE = "PENDING_REPLACE"
    SUSPENDED = "SUSPENDED"
    TRIGGERED = "TRIGGERED"
    TRADE_CORRECT = "TRADE_CORRECT"
    TRADE_CANCEL = "TRADE_CANCEL"
    TRADE_PREVENTION = "TRADE_PREVENTION"
    ORDER_STATUS = "ORDER_STATUS"
    OTHER = "OTHER"


class Signal(Record):
    """A strategy's word on one instrument at the close of one bar."""

    avro_name: ClassVar[str] = "trade.Signal"
    signal_id: Name = Field(description="Hash of instrument, strategy and bar end.")
    instrument: Name = Field(description="EXCHANGE:BASE/QUOTE; the record key.")
    strategy: Name = Field(description="Name of the strategy.")
    side: Side = Field(description="BUY enters, SELL leaves (FIX 54).")
    price: Positive = Field(description="Close of the bar, quote units per base unit.")
    close_time: Moment = Field(description="End of the bar.")
    values: dict[str, float] = Field(description="Indicator values it was made on; names in order.")
    market_time: Moment = Field(description="Market time of the event that closed the bar.")
    created_time: Moment = Field(description="Journaled time of the decision (FIX 52).")
    received_time: Moment = Field(description="received_time of the tick at its origin.")


class TradeIntent(Record):
    """What a strategy, a protection or a user asks for; risk_manager sizes and checks it."""

    avro_name: ClassVar[str] = "trade.TradeIntent"
    account: Name = Field(description="The record key (FIX 1).")
    intent_id: Name = Field(
        max_length=64, description="Identity: a second intent with it is a duplicate."
    )
    kind: IntentKind = Field(description="What is asked for.")
    instrument: Name = Field(description="EXCHANGE:BASE/QUOTE.")
    side: Side = Field(description="BUY or SELL (FIX 54).")
    order_type: OrderType = Field(
        description="MARKET is sent as a capped limit IOC unless quote_quantity is set (FIX 40)."
    )
    time_in_force: TimeInForce = Field(description="FIX 59.")
    sizing: Sizing | None = Field(
        default=None, description="Policy to size by; or one of the two quantities."
    )
    quantity: Positive | None = Field(
        default=None, description="Explicit base units: accepted or denied, never changed (FIX 38)."
    )
    quote_quantity: Positive | None = Field(
        default=None, description="Explicit quote units of a market buy (FIX 152)."
    )
    price: Positive | None = Field(
        default=None, description="Limit, quote units per base unit (FIX 44)."
    )
    stop_price: Positive | None = Field(
        default=None, description="Trigger of a stop order (FIX 99)."
    )
    expected_price: Positive | None = Field(
        default=None, description="Price the sender saw; sizes the order."
    )
    expires_time: Moment | None = Field(
        default=None, description="End of a GTD order, market time (FIX 126)."
    )
    target_order_id: Name | None = Field(
        default=None, description="Order to cancel or replace, or that is protected."
    )
    signal_id: Name | None = Field(default=None, description="Signal it follows from.")
    strategy: str = Field(default="", description="Strategy it follows from.")
    arm: str = Field(default="", description="Arm of an experiment.")
    source_agent: Name = Field(description="Who asks.")
    market_time: Moment = Field(description="Market time of the event that caused it.")
    created_time: Moment = Field(description="Journaled time of its making (FIX 52).")
    received_time: Moment = Field(description="received_time of the tick at its origin.")


class OrderEvent(Record):
    """risk_manager's decision on an intent: held and sized, or denied."""

    avro_name: ClassVar[str] = "trade.OrderEvent"
    account: Name = Field(description="The record key (FIX 1).")
    order_id: Name = Field(description="Our identity of the order: hash of account and intent_id.")
    intent_id: Name = Field(description="Intent it answers.")
    client_order_id: Name = Field(
        description="32 lowercase hex; the same on every attempt (FIX 11)."
    )
    kind: OrderEventKind = Field(description="The decision.")
    instrument: Name = Field(description="EXCHANGE:BASE/QUOTE.")
    exchange: Name = Field(description="Venue (FIX 207).")
    symbol: Name = Field(description="BASE/QUOTE (FIX 55).")
    side: Side = Field(description="FIX 54.")
    order_type: OrderType = Field(description="As it is to be sent (FIX 40).")
    time_in_force: TimeInForce = Field(description="As it is to be sent (FIX 59).")
    quantity: NotNegative = Field(
        description="Base units; zero where quote_quantity is sent (FIX 38)."
    )
    quote_quantity: Positive | None = Field(
        default=None, description="Quote units of a market buy (FIX 152)."
    )
    price: Positive | None = Field(default=None, description="Limit (FIX 44).")
    stop_price: Positive | None = Field(default=None, description="Trigger (FIX 99).")
    expires_time: Moment | None = Field(
        default=None, description="End of a GTD order, market time (FIX 126)."
    )
    hold_asset: str = Field(description="Asset held; empty when denied.")
    hold_amount: NotNegative = Field(description="Amount held; zero when denied.")
    reason: Reason | None = Field(default=None, description="Why it was denied (FIX 103).")
    detail: str = Field(default="", description="The figures of a denial, in words.")
    expected_price: NotNegative = Field(
        description="Price the size rests on; zero when there was none."
    )
    price_source: str = Field(
        default="", description="Judge of that price: LIVE, INFLUX, LAST_GOOD, CONFIGURED."
    )
    price_age: int = Field(
        default=0, description="Age of the judge's price, milliseconds of market time."
    )
    rules_version: str = Field(default="", description="Venue rules it was judged by.")
    policy_version: int = Field(default=0, description="Account policy it was judged by.")
    target_order_id: Name | None = Field(
        default=None, description="Order that is to be canceled or replaced, or that is protected."
    )
    intent_kind: IntentKind = Field(description="Kind of the intent.")
    strategy: str = Field(default="", description="Strategy it follows from.")
    arm: str = Field(default="", description="Arm of an experiment.")
    market_time: Moment = Field(description="Market time of the event that caused it.")
    created_time: Moment = Field(description="Journaled time of the decision (FIX 52).")
    received_time: Moment = Field(description="received_time of the tick at its origin.")


class Fee(Record):
    """One charge of a fill; negative is a rebate."""

    avro_name: ClassVar[str] = "trade.Fee"
    asset: Name = Field(description="Asset charged (FIX 138).")
    amount: Amount = Field(description="Units of that asset (FIX 137).")


class ExecutionReport(Record):
    """One fact about an order at its venue, or SUBMITTED and UNKNOWN on our side (FIX 35=8)."""

    avro_name: ClassVar[str] = "trade.ExecutionReport"
    source_agent: Name = Field(description="Who reports.")
    account: Name = Field(description="The record key (FIX 1).")
    order_id: Name = Field(description="Our identity of the order.")
    client_order_id: Name = Field(description="FIX 11.")
    venue_order_id: Name | None = Field(default=None, description="FIX 37.")
    exchange: Name = Field(description="Venue (FIX 207).")
    symbol: Name = Field(description="BASE/QUOTE (FIX 55).")
    instrument: Name = Field(description="EXCHANGE:BASE/QUOTE.")
    side: Side = Field(description="FIX 54.")
    status: Status = Field(description="Status after the event (FIX 39).")
    execution_type: ExecutionType = Field(description="What is reported (FIX 150).")
    execution_id: Name = Field(
        description="Hash of the fact; a second report of it changes nothing (FIX 17)."
    )
    trade_id: Name | None = Field(
        default=None, description="The venue's identity of the fill (FIX 1003)."
    )
    filled_quantity: NotNegative = Field(description="Base units filled so far (FIX 14).")
    leaves_quantity: NotNegative = Field(description="Base units still open (FIX 151).")
    average_price: NotNegative = Field(description="Of all fills; zero when none (FIX 6).")
    total_value: NotNegative = Field(description="Quote value of all fills (FIX 381).")
    last_quantity: NotNegative = Field(description="Base units of this fill (FIX 32).")
    last_price: Positive | None = Field(default=None, description="Price of this fill (FIX 31).")
    prevented_quantity: NotNegative = Field(
        default=Decimal(0), description="Base units taken off by self-trade prevention."
    )
    fee: Amount = Field(description="Charged so far, in fee_currency.")
    fee_currency: Name = Field(description="The one asset charged so far, else the quote asset.")
    fees: tuple[Fee, ...] = Field(description="Charges of this fill (FIX 136).")
    reason: Reason | None = Field(default=None, description="Why it ended (FIX 103).")
    venue_raw_status: str | None = Field(default=None, description="The venue's own word.")
    waited: int = Field(
        default=0,
        ge=0,
        description="Milliseconds since the send on the asker's boot clock, where absence is reported.",
    )
    execution_time: Moment = Field(description="Venue time of the fact (FIX 60).")
    market_time: Moment = Field(
        description="Market time: execution_time, or that of the order for our own facts."
    )
    created_time: Moment = Field(description="When we wrote it (FIX 52).")
    received_time: Moment = Field(description="When the answer reached us.")
