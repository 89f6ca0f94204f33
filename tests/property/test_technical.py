"""One instrument's state: the fold is the step, every route agrees, what repeats changes nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import reduce

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors import bars, indicators, technical
from processors.errors import ConfigError, InvariantError, RuleViolation
from processors.indicators import IndicatorConfig
from processors.records.market import Bar, IndicatorSet, Tick
from processors.records.state_market import Technical
from processors.technical import Advanced, MarketClock, TechnicalConfig, TechnicalContext

START = datetime(2025, 1, 2, tzinfo=UTC)
NAME = "SIMULATOR:BTC/USD"
CONFIG = TechnicalConfig.of((1, 60), {10: ("ema_2", "rsi_2"), 60: ("atr_1",)}, seen_trades=3)
NOW = START + timedelta(days=1)

rows = st.lists(
    st.tuples(
        st.integers(0, 200_000_000) | st.integers(0, 20).map(lambda n: n * 10**6),
        st.decimals(min_value=1, max_value=1000, places=2),
        st.integers(0, 30),
    ),
    max_size=60,
)


def tick(offset: int, price: Decimal = Decimal(1), trade: int = 1, instrument: str = NAME) -> Tick:
    moment = START + timedelta(microseconds=offset)
    return Tick(
        instrument=instrument, exchange="SIMULATOR", symbol="BTC/USD", trade_id=str(trade), price=price,
        quantity=Decimal(1), execution_time=moment, received_time=moment + timedelta(seconds=1),
        source="test",
    )  # fmt: skip


def run(
    ticks: list[Tick | MarketClock],
    config: TechnicalConfig = CONFIG,
    state: Technical | None = None,
) -> tuple[Technical, list[Bar | IndicatorSet]]:
    """Fold events; give the state and the records that left."""
    state = state or technical.fresh(NAME, config)
    sent: list[Bar | IndicatorSet] = []
    for each in ticks:
        effects = technical.decide(state, each, TechnicalContext(NOW, config))
        sent += [effect for effect in effects if not isinstance(effect, Advanced)]
        state = reduce(technical.evolve, effects, state)
    return state, sent


@given(rows=rows)
def test_every_interval_is_as_if_it_were_alone(rows: list[tuple[int, Decimal, int]]) -> None:
    """Bars of several intervals made together equal those of each interval made by itself."""
    config = TechnicalConfig.of((1, 10, 60), {}, seen_trades=0)
    ticks: list[Tick | MarketClock] = [tick(*row) for row in rows]
    _, sent = run(ticks, config)
    for interval in config.intervals:
        state, alone = bars.fresh(interval), list[Bar]()
        for each in ticks:
            assert isinstance(each, Tick)
            state, bar = bars.fold(state, each, bars.quote_of(each))
            alone += [bar] if bar is not None else []
        assert [each for each in sent if each.interval == interval] == alone


@given(rows=rows)
def test_indicators_follow_their_own_bars(rows: list[tuple[int, Decimal, int]]) -> None:
    """Each set of values comes right after the bar it was made on, and is the fold of all bars."""
    _, sent = run([tick(*row) for row in rows])
    folded = {each: indicators.fresh(each, config) for each, config in CONFIG.indicators.items()}
    for place, each in enumerate(sent):
        match each:
            case Bar() if each.interval in folded:
                folded[each.interval] = indicators.advance(folded[each.interval], each)
                warm = indicators.values(folded[each.interval])
                after = sent[place + 1] if place + 1 < len(sent) else None
                assert bool(warm) == isinstance(after, IndicatorSet)
            case IndicatorSet():
                bar = sent[place - 1]
                assert isinstance(bar, Bar)
                assert each.values == indicators.values(folded[each.interval])
                assert (each.interval, each.close_time, each.close) == (
                    bar.interval,
                    bar.close_time,
                    bar.close,
                )
                assert (each.market_time, each.received_time) == (
                    bar.market_time,
                    bar.received_time,
                )
            case Bar():
                assert each.interval == 1


@given(rows=rows)
def test_a_trade_id_within_the_window_counts_once(rows: list[tuple[int, Decimal, int]]) -> None:
    """What a feed repeats within the newest ids changes nothing but the count of duplicates."""
    ticks, window, kept, doubles = [tick(*row) for row in rows], list[str](), list[Tick](), 0
    for each in ticks:
        if each.trade_id in window:
            doubles += 1
            continue
        window = [*window, each.trade_id][-3:]
        kept.append(each)
    state, sent = run(list(ticks))
    once, sent_once = run(list(kept))
    assert state.duplicates == doubles
    assert sent == sent_once
    assert state.model_copy(update={"duplicates": 0}) == once
    assert len(state.seen) <= 3


@given(rows=rows, cut=st.integers(0, 60))
def test_a_state_survives_its_record(rows: list[tuple[int, Decimal, int]], cut: int) -> None:
    """Written, read back and validated at any point, the state goes on to the same records."""
    ticks: list[Tick | MarketClock] = [tick(*row) for row in rows]
    state, first = run(ticks[:cut])
    read = Technical.model_validate(state.model_dump())
    assert read == state
    end, rest = run(ticks[cut:], state=read)
    assert run(ticks) == (end, first + rest)


def test_the_clock_closes_what_no_tick_closed() -> None:
    """The clock closes each interval that is due, in order; without a change there is no effect."""
    config = TechnicalConfig.of((1, 60), {60: ("ema_1",)}, grace=timedelta(seconds=2))
    state, none = run([MarketClock(NOW)], config)
    assert not none
    state, _ = run([tick(500_000)], config, state)
    context = TechnicalContext(NOW, config)
    assert technical.decide(state, MarketClock(START + timedelta(seconds=2)), context) == ()
    assert technical.decide(state, MarketClock(START), context) == ()
    state, sent = run([MarketClock(START + timedelta(seconds=3))], config, state)
    assert [each.interval for each in sent] == [1]
    state, sent = run([MarketClock(START + timedelta(seconds=62))], config, state)
    assert [type(each) for each in sent] == [Bar, IndicatorSet]
    assert sent[0].market_time == START + timedelta(seconds=62)
    assert sent[0].received_time == START + timedelta(seconds=1.5)
    assert technical.decide(state, MarketClock(NOW), context) == ()


def test_a_tick_ahead_of_the_clock_is_refused() -> None:
    """A tick of the far future would close every bar: beyond one second it is refused."""
    state, context = technical.fresh(NAME, CONFIG), TechnicalContext(START, CONFIG)
    assert technical.decide(state, tick(1_000_000), context)
    with pytest.raises(RuleViolation, match="ahead of the clock"):
        technical.decide(state, tick(1_000_001), context)


def test_another_instrument_is_our_defect() -> None:
    """A tick that was routed to the wrong state is never folded."""
    with pytest.raises(InvariantError, match="another instrument"):
        run([tick(0, instrument="SIMULATOR:ETH/USD")])


def test_a_change_of_configuration_keeps_what_goes_on() -> None:
    """Open bars and warm averages of intervals in both configurations go on; others start."""
    ticks: list[Tick | MarketClock] = [tick(n * 7_000_000, Decimal(n + 1), n) for n in range(30)]
    wide = TechnicalConfig.of((10,), {10: ("ema_2",), 60: ("ema_3",)}, seen_trades=0)
    narrow = TechnicalConfig.of((), {10: ("ema_2", "rsi_2")}, seen_trades=0)
    state, _ = run(ticks[:20], wide)
    state, sent = run(ticks[20:], narrow, state)
    _, whole = run(ticks, TechnicalConfig.of((), {10: ("ema_2",)}, seen_trades=0))
    ours = [each for each in sent if isinstance(each, Bar)]
    assert ours == [each for each in whole if isinstance(each, Bar)][-len(ours) :]
    last = next(each for each in reversed(sent) if isinstance(each, IndicatorSet))
    wanted = next(each for each in reversed(whole) if isinstance(each, IndicatorSet))
    assert last.values["ema_2"] == wanted.values["ema_2"]
    assert "rsi_2" in last.values
    assert state.plan == narrow.plan
    assert IndicatorConfig.of(("ema_2", "rsi_2")) == narrow.indicators[10]


def test_an_older_tick_gives_no_reference_price() -> None:
    """The reference price never goes back in market time."""
    state, _ = run([tick(5_000_000), tick(4_000_000, trade=2)])
    assert state.market_time == START + timedelta(seconds=5)
    assert state.received_time == START + timedelta(seconds=6)
    assert technical.reference_price(state, tick(4_999_999)) is None
    price = technical.reference_price(state, tick(5_000_000, Decimal(7)))
    assert price is not None
    assert (price.price, price.source, price.market_time) == (
        Decimal(7),
        "LIVE",
        START + timedelta(seconds=5),
    )
    assert technical.reference_price(technical.fresh(NAME, CONFIG), tick(0)) is not None


def test_the_plan_names_the_configuration() -> None:
    """Two configurations share a plan only if they ask for the same bars and indicators."""
    plan = TechnicalConfig.of((60, 1), {10: ("rsi_2", "ema_2"), 60: ("atr_1",)}).plan
    assert plan == CONFIG.plan
    assert plan != TechnicalConfig.of((1, 10, 60), {10: ("ema_2", "rsi_2")}).plan
    assert plan != TechnicalConfig.of((1, 10), {10: ("ema_2", "rsi_2")}).plan


@pytest.mark.parametrize(
    ("intervals", "names", "seen", "grace"),
    [
        ((), {}, 0, 0),
        ((0,), {}, 0, 0),
        ((1,), {60: ("sma_1",)}, 0, 0),
        ((1,), {}, -1, 0),
        ((1,), {}, 5_000, 0),
        ((1,), {}, 0, -1),
        (tuple(range(1, 18)), {}, 0, 0),
    ],
)
def test_an_impossible_configuration_is_refused(
    intervals: tuple[int, ...], names: dict[int, tuple[str, ...]], seen: int, grace: int
) -> None:
    """What cannot run stops the program when it starts."""
    with pytest.raises(ConfigError):
        TechnicalConfig.of(intervals, names, seen, timedelta(seconds=grace))
