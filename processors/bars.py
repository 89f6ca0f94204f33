"""Ticks to bars: fixed intervals of market time, aligned to the UTC epoch.

- A bar closes when a tick at or after its end arrives, or by a clock (`close_due`), with grace.
- An interval without a trade has no bar.
- Within the open bar the order of arrival does not count for prices: the open is the trade with
  the earliest execution_time (of equal ones the first to arrive), the close the one with the
  latest (of equal ones the last to arrive).
- A tick before the open bar is late: counted, shown on every later bar as `late`, not folded. A
  closed bar is never changed.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Final

from processors import limits, money
from processors.errors import ConfigError, RuleViolation
from processors.records.market import Bar, Tick
from processors.records.state_market import BarState

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def open_time_of(moment: datetime, interval: int) -> datetime:
    """Find the start of the interval that a moment lies in.

    Args:
        moment: any instant with a zone.
        interval: seconds.
    Returns:
        The latest multiple of the interval since the epoch that is not after the moment, in UTC.
    """
    since = moment - EPOCH
    seconds = since.days * 86_400 + since.seconds
    return EPOCH + timedelta(seconds=seconds - seconds % interval)


def fresh(interval: int) -> BarState:
    """Make the state of an interval that has seen no tick.

    Args:
        interval: seconds, 1 to 86,400.
    Returns:
        A state without an open bar.
    Raises:
        ConfigError: the interval is out of its bounds.
    """
    if not limits.INTERVAL_MIN <= interval <= limits.INTERVAL_MAX:
        raise ConfigError("interval of a bar is out of bounds", interval=interval)
    return BarState(
        interval=interval,
        open_time=EPOCH,
        close_time=EPOCH,
        first_time=EPOCH,
        last_time=EPOCH,
        open=money.ZERO,
        high=money.ZERO,
        low=money.ZERO,
        close=money.ZERO,
        volume=money.ZERO,
        quote_volume=money.ZERO,
        trades=0,
        late=0,
    )


def quote_of(tick: Tick) -> Decimal:
    """Compute what a trade moved in quote units.

    Args:
        tick: the trade.
    Returns:
        price times quantity, rounded to 18 places half even, as bars add it up.
    Raises:
        RuleViolation: the value does not fit a record.
    """
    return _bounded(
        money.quantize(
            money.multiply(tick.price, tick.quantity), limits.AMOUNT_SCALE, ROUND_HALF_EVEN
        ),
        tick,
    )


def fold(state: BarState, tick: Tick, quote: Decimal) -> tuple[BarState, Bar | None]:
    """Take one tick into the bars of one interval.

    Args:
        state: the interval's open bar.
        tick: the trade; its execution_time is the market time.
        quote: `quote_of(tick)`, computed once for all intervals.
    Returns:
        The state after it, and the bar that it closed, if it did.
    Raises:
        RuleViolation: the sum of the bar's volumes does not fit a record.
    """
    moment = tick.execution_time
    if moment < state.open_time:
        return state.model_copy(update={"late": state.late + 1}), None
    if moment < state.close_time:
        return _extended(state, tick, quote), None
    closed = _closed(state, tick.instrument, moment, tick.received_time) if state.trades else None
    return _opened(state, tick, quote), closed


def close_due(
    state: BarState,
    instrument: str,
    market_time: datetime,
    received_time: datetime,
    grace: timedelta = timedelta(0),
) -> tuple[BarState, Bar | None]:
    """Close the open bar by the clock, where no tick has come to close it.

    Args:
        state: the interval's open bar.
        instrument: EXCHANGE:BASE/QUOTE.
        market_time: market time at the clock tick (with a live source: at most its delay behind now).
        received_time: received_time of the newest tick taken.
        grace: how long after the end of the bar a tick is still waited for, market time.
    Returns:
        The state after it, and the bar if it was due. Ticks of the closed bar are late from now on.
    """
    if not state.trades or market_time < state.close_time + grace:
        return state, None
    bar = _closed(state, instrument, market_time, received_time)
    return state.model_copy(update={"open_time": state.close_time, "trades": 0}), bar


def _closed(state: BarState, instrument: str, market_time: datetime, received: datetime) -> Bar:
    return Bar(
        instrument=instrument,
        interval=state.interval,
        open_time=state.open_time,
        close_time=state.close_time,
        open=state.open,
        high=state.high,
        low=state.low,
        close=state.close,
        volume=state.volume,
        quote_volume=state.quote_volume,
        trades=state.trades,
        late=state.late,
        market_time=market_time,
        received_time=received,
    )


def _opened(state: BarState, tick: Tick, quote: Decimal) -> BarState:
    start = open_time_of(tick.execution_time, state.interval)
    price = tick.price
    return state.model_copy(
        update={
            "open_time": start,
            "close_time": start + timedelta(seconds=state.interval),
            "first_time": tick.execution_time,
            "last_time": tick.execution_time,
            "open": price,
            "high": price,
            "low": price,
            "close": price,
            "volume": tick.quantity,
            "quote_volume": quote,
            "trades": 1,
        }
    )


def _extended(state: BarState, tick: Tick, quote: Decimal) -> BarState:
    moment, price = tick.execution_time, tick.price
    update: dict[str, object] = {
        "volume": _bounded(money.add(state.volume, tick.quantity), tick),
        "quote_volume": _bounded(money.add(state.quote_volume, quote), tick),
        "trades": state.trades + 1,
    }
    if price > state.high:
        update["high"] = price
    elif price < state.low:
        update["low"] = price
    if moment >= state.last_time:
        update["close"] = price
        update["last_time"] = moment
    if moment < state.first_time:
        update["open"] = price
        update["first_time"] = moment
    return state.model_copy(update=update)


def _bounded(amount: Decimal, tick: Tick) -> Decimal:
    # One absurd trade must not make a state that no longer encodes: refuse the trade.
    if amount >= money.BOUND:
        raise RuleViolation(
            "volume does not fit a record", instrument=tick.instrument, trade_id=tick.trade_id
        )
    return amount
