"""Crosses: one signal per cross, one intent per follower, the same in any order of policies."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import reduce

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors import ids, strategy
from processors.errors import ConfigError, InvariantError, RuleViolation
from processors.records.account import AccountPolicy, Limits, Sizing, SizingKind, Subscription
from processors.records.market import IndicatorSet, Side
from processors.records.state_market import Relation, Strategy
from processors.records.trade import IntentKind, OrderType, Signal, TimeInForce, TradeIntent
from processors.signals import Crossed, StrategyConfig, StrategyContext, required

START = datetime(2025, 1, 2, tzinfo=UTC)
NAME = "SIMULATOR:BTC/USD"
CONFIG = StrategyConfig("ema_cross")
SLOW = StrategyConfig("slow_cross", fast=12, slow=26)


def policy(account: str, *strategies: str, instrument: str = NAME) -> AccountPolicy:
    return AccountPolicy(
        account=account, version=1,
        subscriptions=tuple(Subscription(strategy=each, instrument=instrument) for each in strategies),
        sizing=Sizing(kind=SizingKind.AVAILABLE, fraction=Decimal("0.8")), limits=Limits(),
        slippage=Decimal(0), stop_loss=Decimal("0.05"), take_profit=Decimal(0), arm=f"arm-{account}",
        updated_time=START,
    )  # fmt: skip


def values(
    bar: int, fast: float, slow: float, rsi: float | None = 50.0, interval: int = 300
) -> IndicatorSet:
    made = {"ema_9": fast, "ema_21": slow} | ({"rsi_14": rsi} if rsi is not None else {})
    end = START + bar * timedelta(minutes=5)
    return IndicatorSet(
        instrument=NAME, interval=interval, close_time=end, close=Decimal("121556.65"), values=made,
        market_time=end + timedelta(seconds=1), received_time=end + timedelta(seconds=2),
    )  # fmt: skip


def context(
    *policies: AccountPolicy, strategies: tuple[StrategyConfig, ...] = (CONFIG,)
) -> StrategyContext:
    return StrategyContext(now=START + timedelta(days=1), policies=policies, strategies=strategies)


def run(
    events: list[IndicatorSet], ctx: StrategyContext, state: Strategy | None = None
) -> tuple[Strategy, list[Signal | TradeIntent]]:
    state, sent = state or strategy.fresh(NAME), list[Signal | TradeIntent]()
    for event in events:
        effects = strategy.decide(state, event, ctx)
        sent += [effect for effect in effects if isinstance(effect, Signal | TradeIntent)]
        state = reduce(strategy.evolve, effects, state)
    return state, sent


relations = st.lists(
    st.tuples(st.sampled_from([-1, 0, 1]), st.none() | st.floats(0, 100)), max_size=30
)


@given(rows=relations)
def test_signals_alternate_with_the_crosses(rows: list[tuple[int, float | None]]) -> None:
    """A SELL at each cross under; a BUY at each cross over with the index under 70; no other signal."""
    events = [values(n, 100.0 + side, 100.0, rsi) for n, (side, rsi) in enumerate(rows, start=1)]
    _, sent = run(events, context(policy("alice", "ema_cross")))
    wanted, last = list[tuple[Side, datetime]](), 0
    for event, (side, rsi) in zip(events, rows, strict=True):
        if side and last and side != last:
            if side < 0:
                wanted.append((Side.SELL, event.close_time))
            elif rsi is not None and rsi < 70:
                wanted.append((Side.BUY, event.close_time))
        last = side or last
    signals = [each for each in sent if isinstance(each, Signal)]
    assert [(each.side, each.close_time) for each in signals] == wanted
    assert len(sent) == 2 * len(wanted)


@given(order=st.permutations(["dora", "alice", "carol", "bob"]), cut=st.integers(0, 3))
def test_the_order_of_policies_does_not_count(order: list[str], cut: int) -> None:
    """Intents come by account, whatever the order in which a global table is read."""
    policies = [policy(each, "ema_cross", "slow_cross") for each in order]
    policies.insert(cut, policy("eve", "slow_cross"))
    policies.insert(cut, policy("frank", "ema_cross", instrument="SIMULATOR:ETH/USD"))
    events = [values(1, 99.0, 100.0), values(2, 101.0, 100.0)]
    _, sent = run(events, context(*policies, strategies=(SLOW, CONFIG)))
    assert [each.account for each in sent if isinstance(each, TradeIntent)] == [
        "alice",
        "bob",
        "carol",
        "dora",
    ]


def test_an_entry_and_an_exit_are_whole() -> None:
    """A BUY is sized by the policy; a SELL has no size: all that is owned. Both carry their origin."""
    ctx = context(policy("alice", "ema_cross"))
    events = [values(1, 99.0, 100.0), values(2, 101.0, 100.0, 69.9), values(3, 99.0, 100.0, 99.0)]
    _, sent = run(events, ctx)
    buy_signal, buy, sell_signal, sell = sent
    assert isinstance(buy_signal, Signal)
    assert isinstance(sell_signal, Signal)
    assert isinstance(buy, TradeIntent)
    assert isinstance(sell, TradeIntent)
    assert buy_signal.signal_id == ids.signal_id(NAME, "ema_cross", events[1].close_time)
    assert buy_signal.values == events[1].values
    assert list(buy_signal.values) == sorted(buy_signal.values)
    assert (buy.side, sell.side) == (Side.BUY, Side.SELL)
    assert buy.sizing == ctx.policies[0].sizing
    assert sell.sizing is None
    for event, signal, intent in ((events[1], buy_signal, buy), (events[2], sell_signal, sell)):
        assert intent.intent_id == ids.intent_id(signal.signal_id, "alice", "ema_cross")
        assert intent.quantity is intent.quote_quantity is intent.price is intent.stop_price is None
        assert intent.expected_price == signal.price == event.close
        assert (intent.kind, intent.order_type, intent.time_in_force) == (
            IntentKind.NEW, OrderType.MARKET, TimeInForce.IOC,
        )  # fmt: skip
        assert intent.market_time == signal.market_time == event.market_time
        assert intent.received_time == signal.received_time == event.received_time
        assert intent.created_time == signal.created_time == ctx.now
        assert (intent.signal_id, intent.strategy, intent.arm, intent.source_agent) == (
            signal.signal_id, "ema_cross", "arm-alice", "strategy",
        )  # fmt: skip


def test_the_first_relation_and_equal_averages_are_no_cross() -> None:
    """Nothing is entered on the first look; a touch does not count as a cross, nor as two."""
    ctx = context(policy("alice", "ema_cross"))
    state, sent = run(
        [values(1, 101.0, 100.0), values(2, 100.0, 100.0), values(3, 101.0, 100.0)], ctx
    )
    assert not sent
    assert state.crosses["ema_cross"].relation is Relation.ABOVE
    state, _ = run([values(1, 100.0, 100.0)], ctx)
    assert state.crosses["ema_cross"].relation is Relation.OTHER


def test_an_index_at_its_bound_forbids_to_enter() -> None:
    """At 70 nothing is entered, and a cross that was forbidden is not made up for later."""
    ctx = context(policy("alice", "ema_cross"))
    _, sent = run(
        [values(1, 99.0, 100.0), values(2, 101.0, 100.0, 70.0), values(3, 102.0, 100.0, 10.0)], ctx
    )
    assert not sent


def test_a_bar_is_judged_once() -> None:
    """The same bar again, or an earlier one, changes nothing."""
    ctx = context(policy("alice", "ema_cross"))
    state, sent = run([values(1, 99.0, 100.0), values(2, 101.0, 100.0)], ctx)
    assert len(sent) == 2
    for again in (values(2, 99.0, 100.0), values(1, 99.0, 100.0)):
        assert strategy.decide(state, again, ctx) == ()


def test_each_strategy_reads_its_own_bars() -> None:
    """Bars of another interval, or without the averages a strategy needs, are left alone."""
    ctx = context(policy("alice", "ema_cross"), strategies=(CONFIG, SLOW))
    state = strategy.fresh(NAME)
    assert strategy.decide(state, values(1, 99.0, 100.0, interval=60), ctx) == ()
    effects = strategy.decide(state, values(1, 99.0, 100.0), ctx)
    assert [each.strategy for each in effects if isinstance(each, Crossed)] == ["ema_cross"]
    assert required((SLOW, CONFIG)) == {300: ("ema_12", "ema_21", "ema_26", "ema_9", "rsi_14")}


@given(order=st.permutations(["a", "b", "c"]), late=st.sampled_from(["a", "b", "c"]))
def test_the_order_of_strategies_does_not_count(order: list[str], late: str) -> None:
    """Effects and state are in the order of names, however configured and whichever came first."""
    configs = [StrategyConfig(name, interval=60 if name == late else 300) for name in order]
    same = [StrategyConfig(name) for name in order]
    ctx = context(*(policy("alice", name) for name in order), strategies=tuple(same))
    _, sent = run([values(1, 99.0, 100.0), values(2, 101.0, 100.0)], ctx)
    assert [each.strategy for each in sent if isinstance(each, Signal)] == ["a", "b", "c"]
    mixed = context(strategies=tuple(configs))
    state, _ = run([values(1, 99.0, 100.0), values(2, 99.0, 100.0, interval=60)], mixed)
    assert list(state.crosses) == ["a", "b", "c"]


def test_at_most_a_thousand_accounts_follow_an_instrument() -> None:
    """A thousand followers each get their intent; one more, and the signal is refused."""
    policies = [policy(f"account-{n:04}", "ema_cross") for n in range(1_000)]
    events = [values(1, 99.0, 100.0), values(2, 101.0, 100.0)]
    _, sent = run(events, context(*policies))
    intents = [each for each in sent if isinstance(each, TradeIntent)]
    assert len({each.intent_id for each in intents}) == 1_000
    with pytest.raises(RuleViolation, match="too many accounts"):
        run(events, context(*policies, policy("one-more", "slow_cross")))


def test_a_state_survives_its_record() -> None:
    """A state that was written and read between two bars still sees the cross."""
    ctx = context(policy("alice", "ema_cross"))
    state, _ = run([values(1, 99.0, 100.0)], ctx)
    _, sent = run([values(2, 101.0, 100.0)], ctx, Strategy.model_validate(state.model_dump()))
    assert len(sent) == 2


def test_another_instrument_is_our_defect() -> None:
    """Values that were routed to the wrong state are never judged."""
    with pytest.raises(InvariantError):
        strategy.decide(strategy.fresh("SIMULATOR:ETH/USD"), values(1, 1.0, 2.0), context())


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": ""}, {"name": "a|b"}, {"fast": 21}, {"fast": 0}, {"rsi": 1}, {"rsi_max": 101.0},
        {"rsi_max": -1.0}, {"interval": 0}, {"slow": 1_001},
    ],
)  # fmt: skip
def test_an_impossible_strategy_is_refused(wrong: dict[str, str | int | float]) -> None:
    """Parameters that cannot be stop the program when it starts."""
    with pytest.raises(ConfigError):
        StrategyConfig(**{"name": "ema_cross", **wrong})  # type: ignore[arg-type] # each of its own type
