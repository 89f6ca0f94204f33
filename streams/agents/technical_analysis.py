"""Ticks to bars, indicators and the reference price. Key: instrument."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from functools import reduce
from typing import Any

from processors import signals, technical
from processors.records.market import Bar, IndicatorSet, Tick
from processors.technical import Effect, MarketClock, TechnicalConfig, TechnicalContext
from streams import log
from streams.kit import Kit
from streams.settings import Settings

NAME = "technical_analysis"


def declare(kit: Kit) -> None:
    """Wire the agent onto its app.

    Args:
        kit: the processor.
    """
    config = config_of(kit.settings)
    states = kit.table("instruments")

    @kit.app.agent(kit.inputs(), name=NAME)
    async def technical_analysis(stream: Any) -> None:
        """Take each tick in; what it closes leaves with its offset, in one transaction."""
        async for event in stream.events():
            tick: Tick = event.value
            state = states.get(event.key) or technical.fresh(event.key, config)
            context = TechnicalContext(event.now, config)
            effects = technical.decide(state, tick, context)
            if effects:
                states[event.key] = reduce(technical.evolve, effects, state)
            await _send(kit, event, effects)
            # One price with each bar that closes, and the first of all: never more than one a
            # market second, however many ticks a batch holds. A bar closes on a newer tick only.
            if state.market_time is None or any(isinstance(each, Bar) for each in effects):
                price = technical.reference_price(state, tick)
                if price is not None:
                    await kit.send(price)

    delay = kit.settings.market_delay
    if delay is not None:
        _declare_clock(kit, states, config, delay)


def config_of(settings: Settings) -> TechnicalConfig:
    """Return the core's configuration: every interval, and what the strategies read.

    Args:
        settings: of the process.
    """
    return TechnicalConfig.of(
        settings.every_interval,
        signals.required(settings.strategy_configs),
        seen_trades=settings.market.seen_trades,
    )


def _declare_clock(kit: Kit, states: Any, config: TechnicalConfig, delay: timedelta) -> None:
    """Close bars without a trade, where market time is live: a recorded one moves with its records."""

    @kit.app.agent(kit.clock(1.0), name=f"{NAME}_clock")
    async def technical_analysis_clock(stream: Any) -> None:
        """Move market time on to the wall clock less the delay that is allowed."""
        async for event in stream.events():
            for key, state in states.items():
                moment = MarketClock(max(state.market_time or event.now, event.now - delay))
                effects = technical.decide(state, moment, TechnicalContext(event.now, config))
                if effects:
                    states[key] = reduce(technical.evolve, effects, state)
                await _send(kit, event, effects)


async def _send(kit: Kit, event: Any, effects: tuple[Effect, ...]) -> None:
    records = [each for each in effects if isinstance(each, Bar | IndicatorSet)]
    for record in records:
        await kit.send(record)
    log.effects(NAME, event, [_line(record) for record in records])


def _line(record: Bar | IndicatorSet) -> tuple[str, Mapping[str, str]]:
    fields = {
        "instrument": record.instrument,
        "interval": str(record.interval),
        "close_time": record.close_time.isoformat(),
        "close": format(record.close, "f"),
    }
    return ("bar_closed" if isinstance(record, Bar) else "indicators_updated"), fields
