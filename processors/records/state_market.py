"""Table values of the market half: open bars, indicators, strategies, watched positions."""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar

from pydantic import Field

from processors.records.base import Moment, Name, NotNegative, Record
from processors.records.market import Side


class BarState(Record):
    """The open bar of one instrument and interval; `trades` is zero while none is open."""

    avro_name: ClassVar[str] = "state.BarState"
    interval: int = Field(gt=0, description="Length in seconds.")
    open_time: Moment = Field(
        description="Start of the open bar, inclusive; an earlier tick is late."
    )
    close_time: Moment = Field(
        description="End of the open bar, exclusive; open_time while none is open."
    )
    first_time: Moment = Field(description="Market time of the trade that gave the open.")
    last_time: Moment = Field(description="Market time of the trade that gave the close.")
    open: NotNegative = Field(description="First price, quote units per base unit.")
    high: NotNegative = Field(description="Highest price.")
    low: NotNegative = Field(description="Lowest price.")
    close: NotNegative = Field(description="Last price.")
    volume: NotNegative = Field(description="Base units traded.")
    quote_volume: NotNegative = Field(description="Quote units traded.")
    trades: int = Field(ge=0, description="Number of trades; zero while no bar is open.")
    late: int = Field(ge=0, description="Ticks refused so far because their bar had closed.")


class EmaState(Record):
    """An exponential moving average; TA-Lib's default seed, the mean of the first values."""

    avro_name: ClassVar[str] = "state.EmaState"
    period: int = Field(gt=0, description="Period in bars.")
    skip: int = Field(ge=0, description="Values left out before the seed begins.")
    count: int = Field(ge=0, description="Values taken so far, up to skip + period.")
    value: float = Field(
        description="The average; the sum of the seed until count is skip + period."
    )


class RsiState(Record):
    """Wilder's relative strength index."""

    avro_name: ClassVar[str] = "state.RsiState"
    period: int = Field(gt=1, description="Period in bars.")
    count: int = Field(ge=0, description="Values taken so far, up to period + 1.")
    previous: float = Field(description="Last value taken.")
    gain: float = Field(description="Mean rise; its sum during the warm-up.")
    loss: float = Field(description="Mean fall; its sum during the warm-up.")


class MacdState(Record):
    """Moving average convergence and divergence; its fast average starts where the slow one does."""

    avro_name: ClassVar[str] = "state.MacdState"
    fast: EmaState = Field(description="Average of the shorter period.")
    slow: EmaState = Field(description="Average of the longer period.")
    signal: EmaState = Field(description="Average of the difference of the two.")


class AtrState(Record):
    """Wilder's average true range."""

    avro_name: ClassVar[str] = "state.AtrState"
    period: int = Field(gt=0, description="Period in bars.")
    count: int = Field(ge=0, description="Bars taken so far, up to period + 1.")
    previous: float = Field(description="Close of the last bar taken.")
    value: float = Field(description="Mean range; its sum during the warm-up.")


class IndicatorState(Record):
    """All indicators of one interval, warm or warming up."""

    avro_name: ClassVar[str] = "state.IndicatorState"
    interval: int = Field(gt=0, description="Length of the bars in seconds.")
    ema: tuple[EmaState, ...] = Field(description="By period, in order.")
    rsi: tuple[RsiState, ...] = Field(description="By period, in order.")
    macd: tuple[MacdState, ...] = Field(description="By periods, in order.")
    atr: tuple[AtrState, ...] = Field(description="By period, in order.")


class Technical(Record):
    """All that technical_analysis keeps of one instrument."""

    avro_name: ClassVar[str] = "state.Technical"
    instrument: Name = Field(description="EXCHANGE:BASE/QUOTE; the table key.")
    plan: str = Field(description="Digest of the configuration that the parts below stand for.")
    bars: tuple[BarState, ...] = Field(description="By interval, in order.")
    indicators: tuple[IndicatorState, ...] = Field(description="By interval, in order.")
    seen: tuple[str, ...] = Field(
        description="Newest trade ids, oldest first; empty where a source repeats none."
    )
    duplicates: int = Field(
        ge=0, description="Ticks left out so far because their trade id was seen."
    )
    market_time: Moment | None = Field(default=None, description="Newest market time taken.")
    received_time: Moment | None = Field(
        default=None, description="received_time of the newest tick taken."
    )


class Relation(StrEnum):
    """Where the fast average stands. OTHER is the schema's default: not known yet."""

    ABOVE = "ABOVE"
    BELOW = "BELOW"
    OTHER = "OTHER"


class Cross(Record):
    """What one strategy last saw of one instrument."""

    avro_name: ClassVar[str] = "state.Cross"
    relation: Relation = Field(description="Fast average to slow one; equal leaves it as it was.")
    close_time: Moment = Field(
        description="End of the newest bar judged; an earlier one is not judged again."
    )


class Guard(Record):
    """Stop-loss and take-profit of one order's position, and whether they have fired."""

    avro_name: ClassVar[str] = "state.Guard"
    account: Name = Field(description="Owner (FIX 1).")
    order_id: Name = Field(description="Order whose position is protected.")
    side: Side = Field(description="Side of the exit.")
    quantity: NotNegative = Field(description="Base units to sell.")
    stop_price: NotNegative = Field(description="Trigger of the stop-loss; zero is none.")
    take_profit_price: NotNegative = Field(description="Trigger of the take-profit; zero is none.")
    fired_quantity: NotNegative = Field(
        description="Quantity for which it last fired; zero is never."
    )
    market_time: Moment = Field(description="Market time of the fill it follows from.")


class Strategy(Record):
    """All that strategy keeps of one instrument."""

    avro_name: ClassVar[str] = "state.Strategy"
    instrument: Name = Field(description="EXCHANGE:BASE/QUOTE; the table key.")
    crosses: dict[str, Cross] = Field(
        description="Last word by name of the strategy; names in order."
    )
    guards: dict[str, Guard] = Field(
        description="By account and order_id, joined by `|`; keys in order."
    )
    fall: NotNegative = Field(
        description="No guard that has not fired asks for a low above it; zero is none."
    )
    rise: NotNegative = Field(
        description="No guard that has not fired asks for a high below it; zero is none."
    )
