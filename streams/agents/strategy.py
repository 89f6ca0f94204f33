"""Indicators to signals and intents; bars and protections to exits. Key: instrument."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from typing import Any

from processors import strategy as core
from processors.records.account import AccountPolicy
from processors.records.market import IndicatorSet
from processors.records.trade import Signal, TradeIntent
from processors.signals import StrategyContext
from streams import log, topics
from streams.kit import Kit

NAME = "strategy"


def declare(kit: Kit) -> None:
    """Wire the agent onto its app.

    Args:
        kit: the processor.
    """
    states = kit.table("instruments")
    policies = kit.global_table("policy", topics.POLICY)
    strategies = kit.settings.strategy_configs
    guard_interval = kit.settings.market.protection_interval

    @kit.app.agent(kit.inputs(), name=NAME)
    async def strategy(stream: Any) -> None:
        """Judge indicators, and hold every bar against the protections of its instrument."""
        async for event in stream.events():
            # Only a signal fans out, so only its cause reads the policies and journals them.
            known = _policies(policies) if isinstance(event.value, IndicatorSet) else ()
            context = StrategyContext(event.now, known, strategies, guard_interval)
            state = states.get(event.key) or core.fresh(event.key)
            effects = core.decide(state, event.value, context)
            if not effects:
                continue
            states[event.key] = reduce(core.evolve, effects, state)
            records = [each for each in effects if isinstance(each, Signal | TradeIntent)]
            for record in records:
                await kit.send(record)
            log.effects(NAME, event, [_line(record) for record in records])


def _policies(table: Any) -> tuple[AccountPolicy, ...]:
    return tuple(policy for policy in table.values() if policy is not None)


def _line(record: Signal | TradeIntent) -> tuple[str, Mapping[str, str]]:
    if isinstance(record, Signal):
        return "signal_raised", {
            "signal_id": record.signal_id,
            "instrument": record.instrument,
            "strategy": record.strategy,
            "side": record.side.value,
            "price": format(record.price, "f"),
        }
    return "intent_created", {
        "intent_id": record.intent_id,
        "account": record.account,
        "instrument": record.instrument,
        "kind": record.kind.value,
        "side": record.side.value,
        "strategy": record.strategy,
    }
