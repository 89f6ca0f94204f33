"""Stops and take-profits: their prices, that they fire when crossed, and once only."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from functools import reduce

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors import limits, strategy
from processors.errors import InvariantError, RuleViolation
from processors.protection import stop_loss_price, take_profit_price
from processors.records.account import Protection
from processors.records.market import Bar, Side
from processors.records.state_market import Strategy
from processors.records.trade import IntentKind, OrderType, TimeInForce, TradeIntent
from processors.signals import StrategyContext

START = datetime(2025, 1, 2, tzinfo=UTC)
NAME = "SIMULATOR:BTC/USD"
CONTEXT = StrategyContext(
    now=START + timedelta(days=1), policies=(), strategies=(), guard_interval=60
)
D = Decimal
HUNDRED, ONE, ZERO = D(100), D(1), D(0)

prices = st.decimals(min_value=D("0.01"), max_value=10**7, places=8)
fractions = st.decimals(min_value=D("0.0001"), max_value=D("0.9999"), places=4)
ticks = st.sampled_from([D("0.01"), D("0.00001"), D("0.5"), D(0)])


def protection(
    order: str = "o1", quantity: Decimal = ONE, stop: Decimal = D(95), take: Decimal = ZERO,  # noqa: B008 - immutable
    account: str = "alice", side: Side = Side.SELL, at: int = 0,
) -> Protection:  # fmt: skip
    return Protection(
        instrument=NAME, account=account, order_id=order, side=side, quantity=quantity, stop_price=stop,
        take_profit_price=take, market_time=START + timedelta(seconds=at), updated_time=START,
    )  # fmt: skip


def bar(
    minute: int,
    low: Decimal = HUNDRED,
    high: Decimal = HUNDRED,
    close: Decimal | None = None,
    interval: int = 60,
) -> Bar:
    begin = START + minute * timedelta(minutes=1)
    end = begin + timedelta(seconds=interval)
    last = close if close is not None else low
    return Bar(
        instrument=NAME, interval=interval, open_time=begin, close_time=end, open=high, high=high, low=low,
        close=last, volume=ONE, quote_volume=ONE, trades=1, late=0,
        market_time=end, received_time=end + timedelta(seconds=1),
    )  # fmt: skip


def run(
    events: list[Protection | Bar], state: Strategy | None = None
) -> tuple[Strategy, list[TradeIntent]]:
    state, sent = state or strategy.fresh(NAME), list[TradeIntent]()
    for event in events:
        effects = strategy.decide(state, event, CONTEXT)
        sent += [effect for effect in effects if isinstance(effect, TradeIntent)]
        state = reduce(strategy.evolve, effects, state)
    return state, sent


def test_the_reference_stop() -> None:
    """5 % under 121,556.65 is 115,478.8175, as a SELL trigger rounded up to the tick 115,478.82."""
    entry, five = D("121556.65"), D("0.05")
    assert stop_loss_price(entry, five, D(0)) == D("115478.8175")
    assert stop_loss_price(entry, five, D("0.01")) == D("115478.82")
    assert stop_loss_price(entry, five, D("0.01")) != D(47500)
    assert take_profit_price(entry, five, D("0.01")) == D("127634.49")
    assert stop_loss_price(entry, five, D("0.01"), Side.BUY) == D("127634.48")
    assert take_profit_price(entry, five, D("0.01"), Side.BUY) == D("115478.81")


@given(entry=prices, fraction=fractions, tick=ticks, side=st.sampled_from(Side))
def test_a_trigger_is_the_nearest_tick_on_its_side(
    entry: Decimal, fraction: Decimal, tick: Decimal, side: Side
) -> None:
    """A SELL trigger is rounded up, a BUY trigger down, by less than one tick (or 1e-18 without)."""
    step = Fraction(tick) or Fraction(1, 10**18)
    sign = 1 if side is Side.BUY else -1
    for found, exact in (
        (
            stop_loss_price(entry, fraction, tick, side),
            Fraction(entry) * (1 + sign * Fraction(fraction)),
        ),
        (
            take_profit_price(entry, fraction, tick, side),
            Fraction(entry) * (1 - sign * Fraction(fraction)),
        ),
    ):
        if found == 0:  # a BUY trigger under one tick: it would never be reached
            assert side is Side.BUY
            assert exact < step
            continue
        over = (Fraction(found) - exact) * -sign
        assert 0 <= over < step
        assert Fraction(found) % step == 0


def test_no_fraction_is_no_trigger() -> None:
    """Zero is none; so is a trigger at or under zero; a negative fraction or entry is refused."""
    assert (
        stop_loss_price(HUNDRED, D(0), D("0.01"))
        == take_profit_price(HUNDRED, D(0), D("0.01"))
        == 0
    )
    assert (
        stop_loss_price(HUNDRED, D(1), D("0.01")) == stop_loss_price(HUNDRED, D(3), D("0.01")) == 0
    )
    assert take_profit_price(D("9" * 20), D(1), D(0)) == 0
    for entry, fraction in (
        (D(0), D("0.05")),
        (D(-1), D("0.05")),
        (D("NaN"), D("0.05")),
        (HUNDRED, D(-1)),
    ):
        with pytest.raises(RuleViolation):
            stop_loss_price(entry, fraction, D("0.01"))


@given(
    lows=st.lists(st.decimals(min_value=90, max_value=100, places=1), max_size=12),
    stop=st.decimals(min_value=90, max_value=100, places=1),
    take=st.sampled_from([D(0), D("101.5")]),
    spread=st.integers(0, 3),
)
def test_it_fires_at_the_first_bar_that_reaches_it(
    lows: list[Decimal], stop: Decimal, take: Decimal, spread: int
) -> None:
    """The first bar at or under the stop, or at or over the take-profit, makes the one exit."""
    made = [bar(n, low, low + spread) for n, low in enumerate(lows)]
    _, sent = run([protection(stop=stop, take=take), *made])
    hits = [
        (each, IntentKind.STOP_LOSS if each.low <= stop else IntentKind.TAKE_PROFIT)
        for each in made
        if each.low <= stop or 0 < take <= each.high
    ]
    assert [(each.market_time, each.kind) for each in sent] == [
        (each.market_time, kind) for each, kind in hits[:1]
    ]


def test_an_exit_is_whole() -> None:
    """An exit sells the protected quantity at the market; the bar's close sizes and bounds it."""
    event = bar(1, D(94), D(99), close=D(96))
    _, (sent,) = run([protection(quantity=D("0.5")), event])
    assert (sent.kind, sent.side, sent.order_type, sent.time_in_force) == (
        IntentKind.STOP_LOSS, Side.SELL, OrderType.MARKET, TimeInForce.IOC,
    )  # fmt: skip
    assert (sent.account, sent.target_order_id, sent.quantity, sent.expected_price) == (
        "alice", "o1", D("0.5"), D(96),
    )  # fmt: skip
    assert (sent.stop_price, sent.price, sent.sizing, sent.signal_id) == (None,) * 4
    assert sent.market_time == event.market_time
    assert sent.received_time == event.received_time
    assert sent.created_time == CONTEXT.now


def test_it_fires_once_per_order_and_quantity() -> None:
    """Written again it stays fired; with another quantity it is armed again, under another id."""
    low = D(90)
    state, first = run([protection(), bar(0, low), bar(1, low), protection(), bar(2, low)])
    assert len(first) == 1
    assert state.fall == 0  # what has fired costs the next bars no look
    state, second = run([protection(quantity=D("0.4")), bar(3, low), bar(4, low)], state)
    assert [each.quantity for each in second] == [D("0.4")]
    assert first[0].intent_id != second[0].intent_id
    state, third = run([protection(quantity=D(0)), bar(5, low)], state)
    assert not third
    assert state == strategy.fresh(NAME)


def test_equal_quantities_are_one_quantity() -> None:
    """The digits in which a quantity is written do not arm it again, nor change its id."""
    state, first = run([protection(quantity=D("0.50")), bar(0, D(90))])
    _, second = run([protection(quantity=D("0.5")), bar(1, D(90))], state)
    assert (len(first), len(second)) == (1, 0)
    _, again = run([protection(quantity=D("0.5")), bar(0, D(90))])
    assert again[0].intent_id == first[0].intent_id


def test_only_the_bars_that_count_are_judged() -> None:
    """Bars of another interval, and bars that ended before the fill, fire nothing."""
    state, sent = run(
        [protection(at=120), bar(0, D(90)), bar(1, D(90)), bar(2, D(90), interval=300)]
    )
    assert not sent
    _, sent = run([bar(2, D(90))], state)
    assert len(sent) == 1


def test_the_bar_of_the_fill_is_judged_by_its_close() -> None:
    """A low that may be older than the position fires nothing; the close of that bar does."""
    _, early = run([protection(at=30), bar(0, D(90), close=D(96))])
    _, late = run([protection(at=30), bar(0, D(90), close=D(95))])
    assert not early
    assert len(late) == 1


def test_of_both_in_one_bar_the_stop_counts() -> None:
    """A bar that reaches both is taken for the worse: the stop, and no second exit."""
    _, sent = run([protection(take=D(105)), bar(0, D(90), D(110)), bar(1, D(110), D(110))])
    assert [each.kind for each in sent] == [IntentKind.STOP_LOSS]


def test_a_short_is_protected_the_other_way_round() -> None:
    """A BUY exit stops when the price has risen and takes its profit when it has fallen."""
    short = protection(side=Side.BUY, stop=D(105), take=D(95))
    _, stopped = run([short, bar(0, D(100), D(105))])
    _, taken = run([short, bar(0, D(95), D(100))])
    _, neither = run([short, bar(0, D("95.01"), D("104.99"))])
    assert [each.kind for each in stopped] == [IntentKind.STOP_LOSS]
    assert [each.kind for each in taken] == [IntentKind.TAKE_PROFIT]
    assert not neither
    assert stopped[0].side is Side.BUY


@given(
    stops=st.lists(st.tuples(st.integers(90, 99), st.integers(0, 3)), min_size=1, max_size=12),
    lows=st.lists(st.integers(88, 100), max_size=8),
)
def test_the_short_cut_hides_no_exit(stops: list[tuple[int, int]], lows: list[int]) -> None:
    """Many guards on one instrument fire as each would alone, by account and order."""
    guards = [
        protection(f"o{n}", stop=D(stop), account=f"a{who}") for n, (stop, who) in enumerate(stops)
    ]
    made = [bar(n, D(low)) for n, low in enumerate(lows)]
    _, together = run([*guards, *made])
    alone = [intent for guard in guards for intent in run([guard, *made])[1]]
    assert together == sorted(
        alone, key=lambda each: (each.market_time, f"{each.account}|{each.target_order_id}")
    )


def test_a_state_survives_its_record() -> None:
    """Guards and their marks that were written and read fire no second time."""
    state, _ = run([protection(), protection("o2", stop=D(80)), bar(0, D(90))])
    read = Strategy.model_validate(state.model_dump())
    assert read == state
    _, sent = run([bar(1, D(80))], read)
    assert [each.target_order_id for each in sent] == ["o2"]


def test_protections_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """One more protection than the bound is refused; a change of one that is there is not."""
    monkeypatch.setattr(limits, "PROTECTIONS_MAX", 2)
    state, _ = run([protection("o1"), protection("o2"), protection("o2", quantity=D(2))])
    with pytest.raises(RuleViolation, match="too many protections"):
        run([protection("o3")], state)


def test_what_cannot_be_is_our_defect() -> None:
    """An event of another instrument, and an exit that nothing watches, stop the program."""
    with pytest.raises(InvariantError):
        strategy.decide(strategy.fresh("SIMULATOR:ETH/USD"), bar(0), CONTEXT)
    _, (sent,) = run([protection(), bar(0, D(90))])
    with pytest.raises(InvariantError):
        strategy.evolve(strategy.fresh(NAME), sent)
