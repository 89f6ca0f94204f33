"""Indicators against TA-Lib as the oracle, and against themselves over a change of configuration."""

from __future__ import annotations

import math
import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import numpy as np
import pytest
import talib
from hypothesis import given
from hypothesis import strategies as st

from processors import indicators
from processors.errors import ConfigError
from processors.indicators import IndicatorConfig
from processors.records.market import Bar
from processors.records.state_market import IndicatorState

START = datetime(2025, 1, 2, tzinfo=UTC)
NAMES = (
    "ema_1", "ema_2", "ema_9", "ema_21", "rsi_2", "rsi_14", "atr_1", "atr_14", "macd_12_26_9", "macd_3_10_16",
    "macd_2_3_1",
)  # fmt: skip
LENGTHS = st.sampled_from([0, 1, 2, 3, 9, 14, 15, 26, 33, 34, 35, 60, 400])


def series(seed: int, length: int, scale: float) -> list[Bar]:
    """A random walk in cents; every fifth step stands still, so that equal closes occur."""
    chance, price, made = random.Random(seed), scale, list[Bar]()
    for n in range(length):
        moves = [0.0 if chance.random() < 0.2 else chance.gauss(0, 0.004) for _ in range(4)]
        path = [price := max(price * (1 + move), 0.05) for move in moves]
        four = [Decimal(f"{each:.2f}") for each in path]
        made.append(Bar(
            instrument="SIMULATOR:BTC/USD", interval=60, open_time=START + n * timedelta(minutes=1),
            close_time=START + (n + 1) * timedelta(minutes=1), open=four[0], high=max(four),
            low=min(four), close=four[-1], volume=Decimal(1), quote_volume=Decimal(1), trades=1, late=0,
            market_time=START, received_time=START,
        ))  # fmt: skip
    return made


def ours(made: list[Bar], names: tuple[str, ...]) -> list[dict[str, float]]:
    """Values after each bar."""
    state, rows = indicators.fresh(60, IndicatorConfig.of(names)), list[dict[str, float]]()
    for bar in made:
        state = indicators.advance(state, bar)
        rows.append(indicators.values(state))
    return rows


def oracle(made: list[Bar], name: str) -> dict[str, list[float]]:
    """What TA-Lib gives for one of our names, by the names of our values; NaN while not warm."""
    close = np.array([float(bar.close) for bar in made])
    kind, *periods = name.split("_")
    numbers = [int(each) for each in periods]
    if kind == "ema":
        # The binding refuses a period of 1; an average of one value is the value.
        found = talib.EMA(close, numbers[0]) if numbers[0] > 1 else close
        return {name: found.tolist()}
    if kind == "rsi":
        return {name: talib.RSI(close, numbers[0]).tolist()}
    if kind == "atr":
        high = np.array([float(bar.high) for bar in made])
        low = np.array([float(bar.low) for bar in made])
        return {name: talib.ATR(high, low, close, numbers[0]).tolist()}
    suffix = "_".join(periods)
    three = talib.MACD(close, *numbers)
    keys = (f"macd_{suffix}", f"macd_signal_{suffix}", f"macd_histogram_{suffix}")
    return {key: found.tolist() for key, found in zip(keys, three, strict=True)}


@given(
    seed=st.integers(0, 2**32), length=LENGTHS, scale=st.sampled_from([0.5, 84.54, 121_556.65]),
    name=st.sampled_from(NAMES),
)  # fmt: skip
def test_every_value_is_that_of_talib(seed: int, length: int, scale: float, name: str) -> None:
    """From the first warm bar on, and not before, each value equals TA-Lib's to 1e-9."""
    made = series(seed, length, scale)
    rows = ours(made, (name,))
    if not made:
        return
    for key, wanted in oracle(made, name).items():
        for place, value in enumerate(wanted):
            got = rows[place].get(key)
            assert (got is None) == math.isnan(value), (key, place)
            if got is not None:
                # The difference of two averages is judged on their scale: it may be next to zero.
                near = 1e-9 * (scale if key.startswith("macd") else 1e-3)
                assert got == pytest.approx(value, rel=1e-9, abs=near), (key, place)


@pytest.mark.parametrize("name", NAMES)
def test_a_long_series_does_not_drift(name: str) -> None:
    """After 4,000 bars the O(1) state still agrees with TA-Lib, which sees the whole series."""
    made = series(7, 4_000, 50_000.0)
    rows = ours(made, (name,))
    for key, wanted in oracle(made, name).items():
        assert rows[-1][key] == pytest.approx(
            wanted[-1], rel=1e-9, abs=1e-6 if "macd" in key else 1e-12
        )


def test_values_come_in_the_order_of_their_names() -> None:
    """A record of values has one byte form: names are sorted."""
    last = ours(series(1, 60, 100.0), NAMES)[-1]
    assert list(last) == sorted(last)
    assert {"ema_9", "rsi_14", "macd_signal_12_26_9", "macd_histogram_12_26_9"} <= set(last)


def test_a_flat_series_has_an_index_of_zero() -> None:
    """Where nothing moves the index is 0, as TA-Lib has it, and no division by zero."""
    flat = [series(1, 1, 100.0)[0]] * 20
    assert ours(flat, ("rsi_14",))[-1] == {"rsi_14": 0.0}


def test_a_change_of_configuration_keeps_what_is_warm() -> None:
    """An indicator in both configurations goes on as if nothing had changed; a new one starts."""
    made = series(3, 80, 100.0)
    before, after = (
        IndicatorConfig.of(NAMES),
        IndicatorConfig.of(("ema_9", "macd_12_26_9", "ema_50")),
    )
    state = indicators.fresh(60, before)
    for bar in made[:40]:
        state = indicators.advance(state, bar)
    state = indicators.kept(state, after)
    for bar in made[40:]:
        state = indicators.advance(state, bar)
    whole = ours(made, ("ema_9", "macd_12_26_9"))[-1]
    assert indicators.values(state) == whole
    assert [each.count for each in state.ema] == [9, 40]


def test_a_state_survives_its_record() -> None:
    """A state that was written and read in the middle of the warm-up gives the same bits."""
    made = series(5, 50, 100.0)
    state = indicators.fresh(60, IndicatorConfig.of(NAMES))
    for bar in made:
        state = indicators.advance(IndicatorState.model_validate(state.model_dump()), bar)
    assert indicators.values(state) == ours(made, NAMES)[-1]


@pytest.mark.parametrize(
    "name",
    [
        "sma_9",
        "ema",
        "ema_0",
        "ema_1001",
        "rsi_1",
        "ema_-9",
        "ema_9 ",
        "ema_９",
        "macd_26_12_9",
        "macd_1_2_3",
        "macd_12_26",
    ],
)
def test_an_impossible_indicator_is_refused(name: str) -> None:
    """A name that is unknown, or a period that is out of bounds, stops the program when it starts."""
    with pytest.raises(ConfigError):
        IndicatorConfig.of((name,))


def test_too_many_indicators_are_refused() -> None:
    """The count of indicators is bounded."""
    with pytest.raises(ConfigError, match="too many"):
        IndicatorConfig.of(f"ema_{period}" for period in range(1, 66))
