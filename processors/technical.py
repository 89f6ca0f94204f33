"""One instrument's ticks to bars of several intervals, and closed bars to indicators.

`decide` gives what happened, `evolve` folds it. The first effect, `Advanced`, is the new table
value and goes nowhere else; all others are records, in this order: the bars that closed, by
interval, each followed by the indicators made on it. A tick that closes no bar has no record.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import assert_never

from processors import bars, ids, indicators, limits
from processors.errors import ConfigError, InvariantError, RuleViolation
from processors.indicators import IndicatorConfig
from processors.records.market import Bar, IndicatorSet, ReferencePrice, Tick
from processors.records.state_market import BarState, IndicatorState, Technical


@dataclass(frozen=True, slots=True)
class TechnicalConfig:
    """Which bars and indicators every instrument gets; build it with `of`, which checks it.

    `seen_trades` is how many of the newest trade ids are kept to leave out what a feed repeats;
    0 for a source that repeats none. `grace` is how long a clock waits after a bar's end.
    """

    intervals: tuple[int, ...]
    indicators: Mapping[int, IndicatorConfig]
    seen_trades: int
    grace: timedelta
    plan: str

    @classmethod
    def of(
        cls,
        intervals: tuple[int, ...],
        indicator_names: Mapping[int, tuple[str, ...]],
        seen_trades: int = limits.SEEN_TRADES,
        grace: timedelta = limits.CLOSE_GRACE,
    ) -> TechnicalConfig:
        """Check a configuration and put it in order.

        Args:
            intervals: lengths of bars in seconds.
            indicator_names: names of indicators by interval; an interval named only here is added.
            seen_trades: newest trade ids kept; 0 keeps none.
            grace: wait of the clock after a bar's end, market time.
        Returns:
            The configuration.
        Raises:
            ConfigError: an interval, name or bound is not possible.
        """
        every = tuple(sorted({*intervals, *indicator_names}))
        if not 0 < len(every) <= limits.INTERVALS_MAX:
            raise ConfigError("count of intervals is out of bounds", count=len(every))
        for interval in every:
            bars.fresh(interval)
        if not 0 <= seen_trades <= limits.SEEN_TRADES_MAX:
            raise ConfigError("count of seen trades is out of bounds", count=seen_trades)
        if grace < timedelta(0):
            raise ConfigError("grace of a bar is negative", grace=str(grace))
        configs = {
            interval: IndicatorConfig.of(indicator_names[interval])
            for interval in every
            if indicator_names.get(interval)
        }
        names = [f"{each}:{name}" for each, config in configs.items() for name in config.names]
        plan = ids.entry_id("plan", *every, *names)
        return cls(every, MappingProxyType(configs), seen_trades, grace, plan)


@dataclass(frozen=True, slots=True)
class TechnicalContext:
    """What a decision needs besides state and event; `now` is the journaled wall time."""

    now: datetime
    config: TechnicalConfig


@dataclass(frozen=True, slots=True)
class MarketClock:
    """A tick of the engine's clock, as market time: the event that closes bars without a trade."""

    market_time: datetime


@dataclass(frozen=True, slots=True)
class Advanced:
    """The table value after an event; an effect that no topic takes."""

    state: Technical = field(repr=False)


Effect = Advanced | Bar | IndicatorSet


def fresh(instrument: str, config: TechnicalConfig) -> Technical:
    """Make the state of an instrument that has seen no tick.

    Args:
        instrument: EXCHANGE:BASE/QUOTE.
        config: bars and indicators.
    Returns:
        A state without open bars or warm indicators.
    """
    return Technical(
        instrument=instrument,
        plan=config.plan,
        bars=tuple(bars.fresh(interval) for interval in config.intervals),
        indicators=tuple(
            indicators.fresh(interval, each) for interval, each in config.indicators.items()
        ),
        seen=(),
        duplicates=0,
    )


def decide(
    state: Technical, event: Tick | MarketClock, context: TechnicalContext
) -> tuple[Effect, ...]:
    """Take one tick, or the clock, into the bars and indicators of one instrument.

    Args:
        state: the instrument; one made under another configuration is carried over first.
        event: a trade of this instrument, or market time with no trade.
        context: wall time and configuration.
    Returns:
        `Advanced`, then the records; nothing at all where the event changes nothing.
    Raises:
        RuleViolation: the tick's market time is ahead of `now`, or its value fits no record.
        InvariantError: the tick is another instrument's.
    """
    config = context.config
    if state.plan != config.plan:
        state = _carried(state, config)
    match event:
        case Tick():
            return _on_tick(state, event, context)
        case MarketClock():
            return _on_clock(state, event.market_time, config)
        case _:
            assert_never(event)


def evolve(state: Technical, effect: Effect) -> Technical:
    """Apply one effect.

    Args:
        state: the instrument before it.
        effect: what `decide` gave.
    Returns:
        The instrument after it.
    """
    match effect:
        case Advanced():
            return effect.state
        case Bar() | IndicatorSet():
            return state
        case _:
            assert_never(effect)


def reference_price(state: Technical, tick: Tick) -> ReferencePrice | None:
    """Make the price against which orders are judged from a tick; the caller sends few of them.

    Args:
        state: the instrument, before or after the tick.
        tick: a trade.
    Returns:
        The price with source LIVE; None for a tick that is older than the newest one taken.
    """
    if state.market_time is not None and tick.execution_time < state.market_time:
        return None
    return ReferencePrice(
        instrument=tick.instrument,
        price=tick.price,
        source="LIVE",
        market_time=tick.execution_time,
        received_time=tick.received_time,
    )


def _on_tick(state: Technical, tick: Tick, context: TechnicalContext) -> tuple[Effect, ...]:
    config = context.config
    if tick.instrument != state.instrument:
        raise InvariantError(
            "tick is of another instrument", ours=state.instrument, its=tick.instrument
        )
    # One tick from the far future would close every bar and make all later trades late.
    if tick.execution_time > context.now + limits.MARKET_LEAD_MAX:
        raise RuleViolation(
            "market time is ahead of the clock",
            instrument=tick.instrument,
            trade_id=tick.trade_id,
            execution_time=str(tick.execution_time),
        )
    seen = state.seen
    if config.seen_trades:
        if tick.trade_id in seen:
            return (Advanced(state.model_copy(update={"duplicates": state.duplicates + 1})),)
        seen = (*seen, tick.trade_id)[-config.seen_trades :]
    quote = bars.quote_of(tick)
    opened: list[BarState] = []
    closed: list[Bar] = []
    for each in state.bars:
        after, bar = bars.fold(each, tick, quote)
        opened.append(after)
        if bar is not None:
            closed.append(bar)
    update: dict[str, object] = {"bars": tuple(opened), "seen": seen}
    if state.market_time is None or tick.execution_time >= state.market_time:
        update["market_time"] = tick.execution_time
        update["received_time"] = tick.received_time
    return _advanced(state, update, closed)


def _on_clock(
    state: Technical, market_time: datetime, config: TechnicalConfig
) -> tuple[Effect, ...]:
    # Without a tick there is no open bar. A clock behind the newest tick closes nothing: every open
    # bar ends after it.
    if state.received_time is None:
        return ()
    opened: list[BarState] = []
    closed: list[Bar] = []
    for each in state.bars:
        after, bar = bars.close_due(
            each, state.instrument, market_time, state.received_time, config.grace
        )
        opened.append(after)
        if bar is not None:
            closed.append(bar)
    if not closed:
        return ()
    return _advanced(state, {"bars": tuple(opened)}, closed)


def _advanced(state: Technical, update: dict[str, object], closed: list[Bar]) -> tuple[Effect, ...]:
    """Take the closed bars into their indicators, and put state and records together."""
    records: list[Bar | IndicatorSet] = []
    kept = state.indicators
    for bar in closed:
        records.append(bar)
        for place, each in enumerate(kept):
            if each.interval == bar.interval:
                after = indicators.advance(each, bar)
                kept = (*kept[:place], after, *kept[place + 1 :])
                records.extend(_values(bar, after))
    if kept is not state.indicators:
        update["indicators"] = kept
    return (Advanced(state.model_copy(update=update)), *records)


def _values(bar: Bar, state: IndicatorState) -> tuple[IndicatorSet, ...]:
    warm = indicators.values(state)
    if not warm:
        return ()
    return (
        IndicatorSet(
            instrument=bar.instrument,
            interval=bar.interval,
            close_time=bar.close_time,
            close=bar.close,
            values=warm,
            market_time=bar.market_time,
            received_time=bar.received_time,
        ),
    )


def _carried(state: Technical, config: TechnicalConfig) -> Technical:
    """Carry a state over to another configuration: what is in both goes on, the rest is fresh."""
    new = fresh(state.instrument, config)
    old_bars = {each.interval: each for each in state.bars}
    old = {each.interval: each for each in state.indicators}
    return new.model_copy(
        update={
            "bars": tuple(old_bars.get(each.interval, each) for each in new.bars),
            "indicators": tuple(
                indicators.kept(old[each.interval], config.indicators[each.interval])
                if each.interval in old
                else each
                for each in new.indicators
            ),
            "seen": state.seen,
            "duplicates": state.duplicates,
            "market_time": state.market_time,
            "received_time": state.received_time,
        }
    )
