"""Indicators as small immutable states, one step a bar, each started exactly as TA-Lib starts it.

Only + - * / on floats, in TA-Lib's order: every machine and every replay gets the same bits.
Values go to signals, never to money.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from processors import limits
from processors.errors import ConfigError
from processors.records.market import Bar
from processors.records.state_market import (
    AtrState,
    EmaState,
    IndicatorState,
    MacdState,
    RsiState,
)

_NAME: Final = re.compile(r"(?:(ema|rsi|atr)_(\d+)|(macd)_(\d+)_(\d+)_(\d+))\Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class IndicatorConfig:
    """The indicators of one interval; build it with `of`, which checks the names."""

    names: tuple[str, ...]
    ema: tuple[int, ...]
    rsi: tuple[int, ...]
    atr: tuple[int, ...]
    macd: tuple[tuple[int, int, int], ...]

    @classmethod
    def of(cls, names: Iterable[str]) -> IndicatorConfig:
        """Read indicators from their names.

        Args:
            names: such as ema_9, rsi_14, atr_14, macd_12_26_9 (periods in bars); twice is once.
        Returns:
            The configuration, everything in order.
        Raises:
            ConfigError: a name is unknown, a period is out of bounds, or there are too many.
        """
        found: dict[str, set[tuple[int, ...]]] = {"ema": set(), "rsi": set(), "atr": set()}
        macd: set[tuple[int, int, int]] = set()
        unique = tuple(sorted(set(names)))
        for name in unique:
            match = _NAME.match(name)
            if match is None:
                raise ConfigError("indicator is unknown", name=name)
            kind, period, _, *three = match.groups()
            periods = (int(period),) if kind else tuple(int(each) for each in three)
            least = 2 if kind == "rsi" else 1
            if not all(least <= each <= limits.PERIOD_MAX for each in periods):
                raise ConfigError("period of an indicator is out of bounds", name=name)
            if kind:
                found[kind].add(periods)
                continue
            fast, slow, signal = periods
            if not 1 < fast < slow:
                raise ConfigError("periods of a MACD are not fast, slow, signal", name=name)
            macd.add((fast, slow, signal))
        if len(unique) > limits.INDICATORS_MAX:
            raise ConfigError("too many indicators", count=len(unique), most=limits.INDICATORS_MAX)
        single = {kind: tuple(sorted(each[0] for each in found[kind])) for kind in found}
        return cls(
            names=unique,
            ema=single["ema"],
            rsi=single["rsi"],
            atr=single["atr"],
            macd=tuple(sorted(macd)),
        )


def fresh(interval: int, config: IndicatorConfig) -> IndicatorState:
    """Make the state of indicators that have seen no bar.

    Args:
        interval: length of the bars in seconds.
        config: which indicators.
    Returns:
        A state in which none is warm.
    """
    return IndicatorState(
        interval=interval,
        ema=tuple(fresh_ema(period) for period in config.ema),
        rsi=tuple(
            RsiState(period=period, count=0, previous=0.0, gain=0.0, loss=0.0)
            for period in config.rsi
        ),
        macd=tuple(fresh_macd(*periods) for periods in config.macd),
        atr=tuple(
            AtrState(period=period, count=0, previous=0.0, value=0.0) for period in config.atr
        ),
    )


def kept(old: IndicatorState, config: IndicatorConfig) -> IndicatorState:
    """Carry a state over to another configuration: what is in both stays warm, the rest is fresh.

    Args:
        old: the state under the earlier configuration.
        config: which indicators from now on.
    Returns:
        A state for exactly the configured indicators.
    """
    new = fresh(old.interval, config)
    ema = {each.period: each for each in old.ema}
    rsi = {each.period: each for each in old.rsi}
    atr = {each.period: each for each in old.atr}
    macd = {_periods(each): each for each in old.macd}
    return IndicatorState(
        interval=old.interval,
        ema=tuple(ema.get(each.period, each) for each in new.ema),
        rsi=tuple(rsi.get(each.period, each) for each in new.rsi),
        macd=tuple(macd.get(_periods(each), each) for each in new.macd),
        atr=tuple(atr.get(each.period, each) for each in new.atr),
    )


def advance(state: IndicatorState, bar: Bar) -> IndicatorState:
    """Take one closed bar into every indicator of its interval.

    Args:
        state: the indicators before the bar.
        bar: the bar.
    Returns:
        The indicators after it.
    """
    high, low, close = float(bar.high), float(bar.low), float(bar.close)
    return IndicatorState(
        interval=state.interval,
        ema=tuple(step_ema(each, close) for each in state.ema),
        rsi=tuple(step_rsi(each, close) for each in state.rsi),
        macd=tuple(step_macd(each, close) for each in state.macd),
        atr=tuple(step_atr(each, high, low, close) for each in state.atr),
    )


def values(state: IndicatorState) -> dict[str, float]:
    """Read the warm indicators.

    Args:
        state: the indicators of one interval.
    Returns:
        Value by name, names in order. A MACD gives three: macd_F_S_N, macd_signal_F_S_N and
        macd_histogram_F_S_N. One that is not warm is absent.
    """
    found: dict[str, float] = {}
    for ema in state.ema:
        if is_warm(ema):
            found[f"ema_{ema.period}"] = ema.value
    for rsi in state.rsi:
        if rsi.count > rsi.period:
            found[f"rsi_{rsi.period}"] = rsi_value(rsi)
    for atr in state.atr:
        if atr.count > atr.period:
            found[f"atr_{atr.period}"] = atr.value
    for macd in state.macd:
        if is_warm(macd.signal):
            line = macd.fast.value - macd.slow.value
            suffix = "_".join(str(period) for period in _periods(macd))
            found[f"macd_{suffix}"] = line
            found[f"macd_signal_{suffix}"] = macd.signal.value
            found[f"macd_histogram_{suffix}"] = line - macd.signal.value
    return dict(sorted(found.items()))


def fresh_ema(period: int, skip: int = 0) -> EmaState:
    """Make an average that has seen nothing.

    Args:
        period: bars.
        skip: values to leave out before the seed begins.
    Returns:
        The state.
    """
    return EmaState(period=period, skip=skip, count=0, value=0.0)


def is_warm(state: EmaState) -> bool:
    """Say whether an average has a value.

    Args:
        state: the average.
    Returns:
        True from the last value of its seed on.
    """
    return state.count >= state.skip + state.period


def step_ema(state: EmaState, x: float) -> EmaState:
    """Take one value: the mean of the first `period` values, then x weighs 2 / (period + 1).

    Args:
        state: the average.
        x: the value.
    Returns:
        The average after it.
    """
    period, skip, count, value = state.period, state.skip, state.count, state.value
    if count >= skip + period:
        weight = 2.0 / (period + 1)
        return EmaState(period=period, skip=skip, count=count, value=(x - value) * weight + value)
    count += 1
    if count > skip:
        value += x
    if count == skip + period:
        value /= period
    return EmaState(period=period, skip=skip, count=count, value=value)


def step_rsi(state: RsiState, x: float) -> RsiState:
    """Take one value: rises and falls are means of the first `period` changes, then Wilder's.

    Args:
        state: the index.
        x: the value.
    Returns:
        The index after it.
    """
    period, count, gain, loss = state.period, state.count, state.gain, state.loss
    if count == 0:
        return RsiState(period=period, count=1, previous=x, gain=0.0, loss=0.0)
    change = x - state.previous
    rise, fall = (0.0, -change) if change < 0 else (change, 0.0)
    if count > period:
        gain = (gain * (period - 1) + rise) / period
        loss = (loss * (period - 1) + fall) / period
    else:
        count += 1
        gain, loss = gain + rise, loss + fall
        if count > period:
            gain, loss = gain / period, loss / period
    return RsiState(period=period, count=count, previous=x, gain=gain, loss=loss)


def rsi_value(state: RsiState) -> float:
    """Read a warm index.

    Args:
        state: the index.
    Returns:
        0 to 100; 0 where nothing has moved, as TA-Lib has it.
    """
    moved = state.gain + state.loss
    # TA-Lib's own bound for "zero": a smaller sum is rounding, not movement.
    return 100.0 * (state.gain / moved) if moved >= 1e-14 else 0.0


def fresh_macd(fast: int, slow: int, signal: int) -> MacdState:
    """Make a MACD that has seen nothing.

    Args:
        fast: bars of the shorter average.
        slow: bars of the longer average.
        signal: bars of the average of their difference.
    Returns:
        The state. The fast average leaves out as many values as both need to be warm at once.
    """
    return MacdState(
        fast=fresh_ema(fast, skip=slow - fast), slow=fresh_ema(slow), signal=fresh_ema(signal)
    )


def step_macd(state: MacdState, x: float) -> MacdState:
    """Take one value.

    Args:
        state: the three averages.
        x: the value.
    Returns:
        The averages after it; the signal moves only once both others are warm.
    """
    fast, slow, signal = step_ema(state.fast, x), step_ema(state.slow, x), state.signal
    if is_warm(slow):
        signal = step_ema(signal, fast.value - slow.value)
    return MacdState(fast=fast, slow=slow, signal=signal)


def step_atr(state: AtrState, high: float, low: float, close: float) -> AtrState:
    """Take one bar: the mean of the first `period` true ranges, then Wilder's.

    Args:
        state: the range.
        high: highest price of the bar.
        low: lowest price of the bar.
        close: last price of the bar.
    Returns:
        The range after it. The first bar has no earlier close, so no true range.
    """
    period, count, value = state.period, state.count, state.value
    if count == 0:
        return AtrState(period=period, count=1, previous=close, value=0.0)
    before = state.previous
    spread = max(high - low, abs(before - high), abs(before - low))
    if count > period:
        value = (value * (period - 1) + spread) / period
    else:
        count += 1
        value += spread
        if count > period:
            value /= period
    return AtrState(period=period, count=count, previous=close, value=value)


def _periods(state: MacdState) -> tuple[int, int, int]:
    return state.fast.period, state.slow.period, state.signal.period
