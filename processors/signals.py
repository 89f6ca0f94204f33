"""The strategy `ema_cross`: two averages that cross, and a strength index that may forbid to enter.

It enters when the fast average crosses over the slow one and the index is under its bound, and
leaves at the opposite cross. The first relation seen is no cross; equal averages leave the
relation as it was. A cross that the index forbids is past: there is no later entry from it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from processors import ids, limits
from processors.errors import ConfigError, InvariantError, RuleViolation
from processors.indicators import IndicatorConfig
from processors.records.account import AccountPolicy
from processors.records.market import IndicatorSet, Side
from processors.records.state_market import Cross, Relation, Strategy
from processors.records.trade import IntentKind, OrderType, Signal, TimeInForce, TradeIntent

SOURCE: Final = "strategy"
"""Who makes the intents of this core."""


@dataclass(frozen=True, slots=True)
class StrategyConfig:
    """One strategy with its parameters.

    `fast`, `slow` and `rsi` are periods in bars of `interval` seconds; `rsi_max` (0 to 100) is the
    index at and above which nothing is entered.
    """

    name: str
    fast: int = 9
    slow: int = 21
    rsi: int = 14
    rsi_max: float = 70.0
    interval: int = 300

    def __post_init__(self) -> None:
        """Check the parameters.

        Raises:
            ConfigError: a parameter is out of its bounds.
        """
        if not self.name or "|" in self.name:
            raise ConfigError("name of a strategy is empty or has a bar in it", name=self.name)
        if not 0 < self.fast < self.slow:
            raise ConfigError("periods of a cross are not fast, slow", name=self.name)
        if not 0.0 <= self.rsi_max <= 100.0:
            raise ConfigError("bound of an index is not from 0 to 100", name=self.name)
        if not limits.INTERVAL_MIN <= self.interval <= limits.INTERVAL_MAX:
            raise ConfigError("interval of a bar is out of bounds", interval=self.interval)
        IndicatorConfig.of(self.indicators)

    @property
    def indicators(self) -> tuple[str, str, str]:
        """Names of the fast average, the slow one and the index."""
        return f"ema_{self.fast}", f"ema_{self.slow}", f"rsi_{self.rsi}"


@dataclass(frozen=True, slots=True)
class StrategyContext:
    """What a decision needs besides state and event.

    `now` is the journaled wall time; `policies` are those of all accounts, in any order;
    `guard_interval` is the length in seconds of the bars on which stops are judged.
    """

    now: datetime
    policies: tuple[AccountPolicy, ...]
    strategies: tuple[StrategyConfig, ...]
    guard_interval: int = limits.INTERVAL_MIN


@dataclass(frozen=True, slots=True)
class Crossed:
    """What a strategy saw, with or without a signal; an effect that no topic takes."""

    strategy: str
    cross: Cross


def required(strategies: Iterable[StrategyConfig]) -> dict[int, tuple[str, ...]]:
    """List the indicators that strategies read, for the configuration of technical_analysis.

    Args:
        strategies: all that run.
    Returns:
        Names of indicators by interval in seconds, both in order.
    """
    names: dict[int, set[str]] = {}
    for each in strategies:
        names.setdefault(each.interval, set()).update(each.indicators)
    return {interval: tuple(sorted(names[interval])) for interval in sorted(names)}


def decide(
    state: Strategy, event: IndicatorSet, context: StrategyContext
) -> tuple[Crossed | Signal | TradeIntent, ...]:
    """Judge the indicators of one bar by every strategy, and turn a signal into intents.

    One intent for each account that follows the strategy on the instrument, by account. A BUY has
    the policy's sizing. A SELL has no quantity, no quote_quantity and no sizing: it means **all
    that the account owns of the instrument**, and risk_manager denies it with NOTHING_TO_SELL
    where that is nothing. Both are MARKET and IOC with the bar's close as expected_price.

    Args:
        state: what the strategies last saw of the instrument.
        event: values after one bar; a bar that is not after the last one judged changes nothing.
        context: wall time, policies, strategies.
    Returns:
        For each strategy that read the bar: `Crossed`, then at most one signal and its intents.
    Raises:
        RuleViolation: more than 1,000 accounts follow strategies on the instrument.
        InvariantError: the values are another instrument's.
    """
    if event.instrument != state.instrument:
        raise InvariantError(
            "indicators are of another instrument", ours=state.instrument, its=event.instrument
        )
    effects: list[Crossed | Signal | TradeIntent] = []
    for strategy in sorted(context.strategies, key=lambda each: each.name):
        if strategy.interval != event.interval:
            continue
        last = state.crosses.get(strategy.name)
        if last is not None and event.close_time <= last.close_time:
            continue
        fast, slow, strength = (event.values.get(name) for name in strategy.indicators)
        if fast is None or slow is None:
            continue
        before = last.relation if last is not None else Relation.OTHER
        relation = _relation(fast, slow, before)
        effects.append(
            Crossed(strategy.name, Cross(relation=relation, close_time=event.close_time))
        )
        side = _side(before, relation, strength, strategy.rsi_max)
        if side is not None:
            signal = _signal(event, strategy, side, context.now)
            effects += [signal, *_intents(signal, context)]
    return tuple(effects)


def _relation(fast: float, slow: float, before: Relation) -> Relation:
    if fast > slow:
        return Relation.ABOVE
    return Relation.BELOW if fast < slow else before


def _side(before: Relation, after: Relation, strength: float | None, most: float) -> Side | None:
    """Say what a cross asks for; an index that is not warm forbids to enter, never to leave."""
    match before, after:
        case Relation.BELOW, Relation.ABOVE:
            return Side.BUY if strength is not None and strength < most else None
        case Relation.ABOVE, Relation.BELOW:
            return Side.SELL
        case _:
            return None


def _signal(event: IndicatorSet, strategy: StrategyConfig, side: Side, now: datetime) -> Signal:
    return Signal(
        signal_id=ids.signal_id(event.instrument, strategy.name, event.close_time),
        instrument=event.instrument,
        strategy=strategy.name,
        side=side,
        price=event.close,
        close_time=event.close_time,
        values={
            name: event.values[name] for name in sorted(strategy.indicators) if name in event.values
        },
        market_time=event.market_time,
        created_time=now,
        received_time=event.received_time,
    )


def _intents(signal: Signal, context: StrategyContext) -> list[TradeIntent]:
    followers = [
        policy
        for policy in context.policies
        if any(each.instrument == signal.instrument for each in policy.subscriptions)
    ]
    if len(followers) > limits.SUBSCRIBERS_MAX:
        raise RuleViolation(
            "too many accounts follow an instrument",
            instrument=signal.instrument,
            count=len(followers),
            most=limits.SUBSCRIBERS_MAX,
        )
    return [
        _intent(signal, policy)
        for policy in sorted(followers, key=lambda policy: policy.account)
        if any(
            each.strategy == signal.strategy and each.instrument == signal.instrument
            for each in policy.subscriptions
        )
    ]


def _intent(signal: Signal, policy: AccountPolicy) -> TradeIntent:
    return TradeIntent(
        account=policy.account,
        intent_id=ids.intent_id(signal.signal_id, policy.account, signal.strategy),
        kind=IntentKind.NEW,
        instrument=signal.instrument,
        side=signal.side,
        order_type=OrderType.MARKET,
        time_in_force=TimeInForce.IOC,
        sizing=policy.sizing if signal.side is Side.BUY else None,
        expected_price=signal.price,
        signal_id=signal.signal_id,
        strategy=signal.strategy,
        arm=policy.arm,
        source_agent=SOURCE,
        market_time=signal.market_time,
        created_time=signal.created_time,
        received_time=signal.received_time,
    )
