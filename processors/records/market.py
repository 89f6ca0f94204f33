"""Records of the market: ticks, bars, indicators, reference prices, venue rules."""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar

from pydantic import Field

from processors.records.base import Moment, Name, NotNegative, Positive, Record


class Side(StrEnum):
    """Side of an order or of the aggressor of a trade (FIX 54). No default: an unknown one is refused."""

    BUY = "BUY"
    SELL = "SELL"


class FeeMode(StrEnum):
    """In which asset a venue takes its fee."""

    QUOTE = "QUOTE"
    RECEIVED = "RECEIVED"
    THIRD = "THIRD"


class SymbolStatus(StrEnum):
    """Whether a venue accepts orders on a symbol."""

    TRADING = "TRADING"
    HALTED = "HALTED"
    OTHER = "OTHER"


class Tick(Record):
    """One trade as the exchange printed it."""

    avro_name: ClassVar[str] = "market.Tick"
    instrument: Name = Field(description="EXCHANGE:BASE/QUOTE; the record key.")
    exchange: Name = Field(description="Venue that printed the trade (FIX 207).")
    symbol: Name = Field(description="BASE/QUOTE at that venue (FIX 55).")
    trade_id: Name = Field(description="Identity of the trade at its source (FIX 1003).")
    price: Positive = Field(description="Quote units per base unit (FIX 31).")
    quantity: Positive = Field(description="Base units (FIX 32).")
    side: Side | None = Field(
        default=None, description="Side of the aggressor where known (FIX 54)."
    )
    execution_time: Moment = Field(
        description="Exchange time of the trade (FIX 60): its market time."
    )
    received_time: Moment = Field(description="When this system took the tick in.")
    source: Name = Field(description="Where the tick came from: a feed, or file and digest.")


class Bar(Record):
    """Open, high, low, close and volume of one interval of market time."""

    avro_name: ClassVar[str] = "market.Bar"
    instrument: Name = Field(description="EXCHANGE:BASE/QUOTE; the record key.")
    interval: int = Field(gt=0, description="Length in seconds.")
    open_time: Moment = Field(description="Start of the interval, inclusive, market time.")
    close_time: Moment = Field(description="End of the interval, exclusive, market time.")
    open: Positive = Field(description="First price, quote units per base unit.")
    high: Positive = Field(description="Highest price.")
    low: Positive = Field(description="Lowest price.")
    close: Positive = Field(description="Last price.")
    volume: NotNegative = Field(description="Base units traded.")
    quote_volume: NotNegative = Field(
        description="Quote units traded, rounded to 18 places half even."
    )
    trades: int = Field(ge=1, description="Number of trades.")
    late: int = Field(
        ge=0, description="Ticks refused so far because their bar had closed; running count."
    )
    market_time: Moment = Field(description="Market time of the event that closed the bar.")
    received_time: Moment = Field(description="received_time of the tick that closed the bar.")


class IndicatorSet(Record):
    """Values of every warm indicator after one bar."""

    avro_name: ClassVar[str] = "market.IndicatorSet"
    instrument: Name = Field(description="EXCHANGE:BASE/QUOTE; the record key.")
    interval: int = Field(gt=0, description="Length of the bars in seconds.")
    close_time: Moment = Field(description="End of the bar.")
    close: Positive = Field(description="Close of the bar, quote units per base unit.")
    values: dict[str, float] = Field(
        description="Value by name, such as ema_9 or rsi_14; names in order."
    )
    market_time: Moment = Field(description="Market time of the event that closed the bar.")
    received_time: Moment = Field(description="received_time of the tick that closed the bar.")


class ReferencePrice(Record):
    """The last good price of an instrument, against which orders are judged."""

    avro_name: ClassVar[str] = "market.ReferencePrice"
    instrument: Name = Field(description="EXCHANGE:BASE/QUOTE; the record key.")
    price: Positive = Field(description="Quote units per base unit.")
    source: Name = Field(description="LIVE, INFLUX or CONFIGURED.")
    market_time: Moment = Field(description="Exchange time of the price.")
    received_time: Moment = Field(description="When this system took the tick in.")


class InstrumentRules(Record):
    """Filters, scales and fees of one symbol as its venue states them; zero switches a bound off."""

    avro_name: ClassVar[str] = "market.InstrumentRules"
    instrument: Name = Field(description="EXCHANGE:BASE/QUOTE; the record key.")
    exchange: Name = Field(description="Venue (FIX 207).")
    symbol: Name = Field(description="BASE/QUOTE (FIX 55).")
    base_asset: Name = Field(description="Asset bought and sold.")
    quote_asset: Name = Field(description="Asset of prices (FIX 15).")
    base_scale: int = Field(ge=0, le=18, description="Decimal places of the base asset.")
    quote_scale: int = Field(ge=0, le=18, description="Decimal places of the quote asset.")
    status: SymbolStatus = Field(
        default=SymbolStatus.OTHER, description="Whether orders are accepted."
    )
    tick_size: NotNegative = Field(description="Price step (FIX 969).")
    min_price: NotNegative = Field(description="Lowest price of an order.")
    max_price: NotNegative = Field(description="Highest price of an order.")
    step_size: NotNegative = Field(description="Quantity step, base units (FIX 561).")
    min_quantity: NotNegative = Field(description="Smallest order, base units (FIX 562).")
    max_quantity: NotNegative = Field(description="Largest order, base units (FIX 1140).")
    market_step_size: NotNegative = Field(description="Quantity step of market orders.")
    market_min_quantity: NotNegative = Field(description="Smallest market order, base units.")
    market_max_quantity: NotNegative = Field(description="Largest market order, base units.")
    min_notional: NotNegative = Field(description="Smallest price times quantity, quote units.")
    max_notional: NotNegative = Field(description="Largest price times quantity, quote units.")
    min_notional_applies_to_market: bool = Field(
        description="Whether min_notional binds market orders."
    )
    max_notional_applies_to_market: bool = Field(
        description="Whether max_notional binds market orders."
    )
    max_orders: int = Field(ge=0, description="Most open orders of an account on the symbol.")
    maker_fee: NotNegative = Field(description="Fraction of the value taken from a maker.")
    taker_fee: NotNegative = Field(description="Fraction of the value taken from a taker.")
    fee_mode: FeeMode = Field(description="In which asset the fee is taken.")
    version: Name = Field(
        description="Digest of the rules; stamped on each decision made under them."
    )
    updated_time: Moment = Field(description="When the venue was asked.")


class SourceCursor(Record):
    """How far a source has read; committed with the records it read."""

    avro_name: ClassVar[str] = "market.SourceCursor"
    source: Name = Field(description="Name of the source; the record key.")
    position: str = Field(description="Where to go on, in the source's own terms.")
    rows: int = Field(ge=0, description="Rows read so far.")
    ticks: int = Field(ge=0, description="Ticks sent so far.")
    refused: dict[str, int] = Field(description="Rows refused so far, by reason.")
    finished: bool = Field(description="Whether the source has ended.")
    updated_time: Moment = Field(description="When the cursor was written.")
