"""Bars: every trade is in exactly one bar or late, whatever its order of arrival."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors import bars, money
from processors.errors import ConfigError, RuleViolation
from processors.records.market import Bar, Tick
from processors.records.state_market import BarState

START = datetime(2025, 1, 2, 23, 59, 50, tzinfo=UTC)
RECEIVED = datetime(2025, 1, 3, tzinfo=UTC)
INTERVALS = st.sampled_from([1, 2, 7, 60, 300, 3_600, 86_400])
NAME = "SIMULATOR:BTC/USD"

prices = st.decimals(min_value=Decimal("0.01"), max_value=10**6, places=2)
quantities = st.decimals(min_value=Decimal("1e-8"), max_value=100, places=8)
offsets = st.integers(min_value=0, max_value=30_000_000)  # microseconds: many meet at a bar's end
trades = st.lists(
    st.tuples(offsets | st.sampled_from([0, 10**6, 10**7]), prices, quantities), max_size=40
)


def tick(offset: int, price: Decimal, quantity: Decimal, trade_id: str = "1") -> Tick:
    moment = START + timedelta(microseconds=offset)
    return Tick(
        instrument=NAME, exchange="SIMULATOR", symbol="BTC/USD", trade_id=trade_id, price=price,
        quantity=quantity, execution_time=moment, received_time=RECEIVED, source="test",
    )  # fmt: skip


def run(interval: int, ticks: list[Tick]) -> tuple[BarState, list[Bar]]:
    """Fold ticks, and close what is open at the end by a clock that is far ahead."""
    state, closed = bars.fresh(interval), list[Bar]()
    for each in ticks:
        state, bar = bars.fold(state, each, bars.quote_of(each))
        closed += [bar] if bar is not None else []
    state, last = bars.close_due(state, NAME, START + timedelta(days=9), RECEIVED)
    return state, closed + ([last] if last is not None else [])


def expected(interval: int, ticks: list[Tick]) -> tuple[list[tuple[object, ...]], int]:
    """Group the trades by interval in the plainest way; a stable sort keeps arrival among equals."""
    groups: dict[datetime, list[Tick]] = {}
    newest, late = START - timedelta(days=9), 0
    for each in ticks:
        since = (each.execution_time - bars.EPOCH) // timedelta(microseconds=1)
        start = bars.EPOCH + timedelta(microseconds=since // (interval * 10**6) * interval * 10**6)
        if start < newest:
            late += 1
            continue
        newest = start
        groups.setdefault(start, []).append(each)
    rows: list[tuple[object, ...]] = []
    for start in sorted(groups):
        group = sorted(groups[start], key=lambda each: each.execution_time)
        rows.append((
            start, start + timedelta(seconds=interval), group[0].price, group[-1].price,
            max(each.price for each in group), min(each.price for each in group),
            money.add(*(each.quantity for each in group)),
            money.add(*(money.multiply(each.price, each.quantity) for each in group)), len(group),
        ))  # fmt: skip
    return rows, late


@given(interval=INTERVALS, rows=trades)
def test_bars_are_what_grouping_by_interval_gives(
    interval: int, rows: list[tuple[int, Decimal, Decimal]]
) -> None:
    """Folded one by one, in any order, trades give the bars that grouping all of them gives."""
    ticks = [tick(*row) for row in rows]
    state, made = run(interval, ticks)
    wanted, late = expected(interval, ticks)
    assert [
        (
            b.open_time,
            b.close_time,
            b.open,
            b.close,
            b.high,
            b.low,
            b.volume,
            b.quote_volume,
            b.trades,
        )
        for b in made
    ] == wanted
    assert state.late == late
    assert sum(bar.trades for bar in made) + late == len(ticks)


@given(interval=INTERVALS, rows=trades)
def test_bars_keep_their_shape(interval: int, rows: list[tuple[int, Decimal, Decimal]]) -> None:
    """Low <= open, close <= high; bars are aligned, do not overlap, and late only grows."""
    _, made = run(interval, [tick(*row) for row in rows])
    for bar in made:
        assert bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high
        assert (bar.open_time - bars.EPOCH) % timedelta(seconds=interval) == timedelta(0)
        assert bar.market_time >= bar.close_time
    for before, after in pairwise(made):
        assert before.close_time <= after.open_time
        assert before.late <= after.late


def test_a_bar_closes_with_the_first_tick_at_its_end() -> None:
    """A tick one microsecond before the end is in the bar, one at the end closes it."""
    one = Decimal(1)
    state, none = bars.fold(bars.fresh(10), tick(0, one, one), one)
    state, none_yet = bars.fold(state, tick(9_999_999, one, one), one)
    state, bar = bars.fold(state, tick(10_000_000, Decimal(2), one), Decimal(2))
    assert none is none_yet is None
    assert bar is not None
    end = START + timedelta(seconds=10)
    assert (bar.trades, bar.close_time, bar.market_time) == (2, end, end)
    assert (state.open, state.trades) == (Decimal(2), 1)


def test_an_empty_interval_has_no_bar() -> None:
    """A tick an hour later closes one bar, not three thousand and six hundred."""
    one = Decimal(1)
    ticks = [tick(0, one, one), tick(3_600 * 10**6, one, one)]
    _, made = run(1, ticks)
    assert [bar.trades for bar in made] == [1, 1]


def test_the_clock_closes_after_the_grace_only() -> None:
    """Before the end plus grace the bar stays open; then it closes once, and its ticks are late."""
    one, grace = Decimal(1), timedelta(seconds=2)
    state, _ = bars.fold(bars.fresh(10), tick(0, one, one), one)
    end = START + timedelta(seconds=10)
    same, early = bars.close_due(
        state, NAME, end + grace - timedelta(microseconds=1), RECEIVED, grace
    )
    assert early is None
    assert same is state
    state, bar = bars.close_due(state, NAME, end + grace, RECEIVED, grace)
    assert bar is not None
    assert bar.market_time == end + grace
    _, again = bars.close_due(state, NAME, end + 2 * grace, RECEIVED, grace)
    assert again is None
    state, _ = bars.fold(state, tick(5_000_000, one, one), one)
    assert (state.late, state.trades) == (1, 0)
    state, closed = bars.fold(state, tick(10_000_000, one, one), one)
    assert closed is None
    assert (state.open_time, state.trades) == (end, 1)


def test_a_day_is_a_utc_day() -> None:
    """A daily bar ends at midnight UTC."""
    assert bars.open_time_of(START, 86_400) == datetime(2025, 1, 2, tzinfo=UTC)
    assert bars.open_time_of(START + timedelta(seconds=10), 86_400) == RECEIVED


def test_an_absurd_trade_is_refused() -> None:
    """A trade, or a sum of trades, that no record can keep is refused; the state stays usable."""
    huge = Decimal("9" * 20)
    with pytest.raises(RuleViolation, match="volume does not fit"):
        bars.quote_of(tick(0, huge, huge))
    big = tick(0, Decimal("0.1"), huge)
    state, _ = bars.fold(bars.fresh(60), big, bars.quote_of(big))
    with pytest.raises(RuleViolation, match="volume does not fit"):
        bars.fold(state, big, bars.quote_of(big))


@pytest.mark.parametrize("interval", [0, -1, 86_401])
def test_an_impossible_interval_is_refused(interval: int) -> None:
    """Bars are from one second to one day."""
    with pytest.raises(ConfigError):
        bars.fresh(interval)
