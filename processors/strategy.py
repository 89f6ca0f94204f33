"""All of the strategy agent's decisions on one instrument: crosses, and protections.

`Crossed` and `Watched` are effects that only change the table value; `Signal` and `TradeIntent`
are records that leave, an exit also leaves its mark.
"""

from __future__ import annotations

from typing import assert_never

from processors import money, protection, signals
from processors.protection import Watched
from processors.records.account import Protection
from processors.records.market import Bar, IndicatorSet
from processors.records.state_market import Strategy
from processors.records.trade import Signal, TradeIntent
from processors.signals import Crossed, StrategyContext

Event = IndicatorSet | Bar | Protection
Effect = Crossed | Watched | Signal | TradeIntent


def fresh(instrument: str) -> Strategy:
    """Make the state of an instrument of which nothing was seen.

    Args:
        instrument: EXCHANGE:BASE/QUOTE.
    Returns:
        A state without crosses or guards.
    """
    return Strategy(instrument=instrument, crosses={}, guards={}, fall=money.ZERO, rise=money.ZERO)


def decide(state: Strategy, event: Event, context: StrategyContext) -> tuple[Effect, ...]:
    """Decide what follows from indicators, a bar or a protection.

    Args:
        state: the instrument.
        event: something of that instrument.
        context: wall time, policies, strategies.
    Returns:
        The effects in their order; none for a bar that crosses nothing.
    Raises:
        RuleViolation: too many accounts or protections on one instrument.
        InvariantError: the event is another instrument's.
    """
    match event:
        case IndicatorSet():
            return signals.decide(state, event, context)
        case Bar() | Protection():
            return protection.decide(state, event, context)
        case _:
            assert_never(event)


def evolve(state: Strategy, effect: Effect) -> Strategy:
    """Apply one effect.

    Args:
        state: the instrument before it.
        effect: what `decide` gave.
    Returns:
        The instrument after it.
    """
    match effect:
        case Crossed():
            crosses = {**state.crosses, effect.strategy: effect.cross}
            return state.model_copy(
                update={"crosses": {name: crosses[name] for name in sorted(crosses)}}
            )
        case Watched() | TradeIntent():
            return protection.evolve(state, effect)
        case Signal():
            return state
        case _:
            assert_never(effect)
