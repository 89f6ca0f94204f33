"""Decisions to the venue, and its answers to reports. Key: account."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from functools import reduce
from typing import Any

from connectors.desk import Desk
from processors import placement
from processors.placement import Context, Forget, VenueCall, Wake
from processors.records.state_placement import InFlight
from processors.records.trade import ExecutionReport, OrderEvent
from streams import log, topics
from streams.kit import Kit
from streams.settings import Settings

NAME = "execution"


def waits(settings: Settings) -> placement.Settings:
    """Return the waits of the placement protocol.

    Args:
        settings: of the process.
    """
    age = timedelta(seconds=settings.execution.hold_query_age)
    deadline = timedelta(seconds=settings.venue.timeout)
    return placement.Settings(request_deadline=min(deadline, age), query_age=age)


def declare(kit: Kit, desk: Desk | None) -> None:
    """Wire the agent onto its app.

    Args:
        kit: the processor.
        desk: makes the venue calls; None in a replay, which can reach no venue.
    """
    in_flight = kit.table("in_flight")
    rules = kit.global_table("rule", topics.RULE)
    reports = kit.output(topics.EXECUTION)
    settings = waits(kit.settings)

    def call_of(call: VenueCall, at: Desk) -> Callable[[], Awaitable[None]]:
        async def run() -> None:
            # Outside of any event: an answer is a record of its own, and comes back as an input.
            for report in await at.run(call):
                await reports.send(key=report.account, value=report)

        return run

    async def apply(event: Any, key: str, state: InFlight | None, value: placement.Event) -> None:
        rule = rules.get(value.instrument) if isinstance(value, OrderEvent) else None
        effects = placement.decide(state, value, Context(event.now, rule, settings))
        after = reduce(placement.evolve, effects, state)
        if after is not None and after is not state:
            in_flight[key] = after
        elif after is None and state is not None:
            del in_flight[key]
        for effect in effects:
            if isinstance(effect, ExecutionReport):
                await kit.send(effect)
            elif isinstance(effect, VenueCall) and desk is not None:
                event.after_commit(call_of(effect, desk), key=effect.order.client_order_id)
        log.effects(NAME, event, [_line(effect) for effect in effects])

    @kit.app.agent(kit.inputs(), name=NAME)
    async def execution(stream: Any) -> None:
        """Record the send, and call the venue once that has committed."""
        async for event in stream.events():
            key = placement.key(event.value)
            await apply(event, key, in_flight.get(key), event.value)

    @kit.app.agent(kit.clock(kit.settings.execution.clock), name=f"{NAME}_clock")
    async def execution_clock(stream: Any) -> None:
        """Ask the venue about every order that is due, also one of before a restart."""
        async for event in stream.events():
            for key, state in in_flight.items():
                await apply(event, key, state, Wake())


def _line(effect: placement.Effect) -> tuple[str, Mapping[str, str]]:
    match effect:
        case InFlight():
            return "order_in_flight", {
                "account": effect.order.account,
                "order_id": effect.order.order_id,
                "status": effect.status.value,
                "queries": str(effect.queries),
            }
        case Forget():
            return "order_done", {"account": effect.account, "order_id": effect.order_id}
        case ExecutionReport():
            return f"order_{effect.status.value.lower()}", {
                "account": effect.account,
                "order_id": effect.order_id,
                "client_order_id": effect.client_order_id,
                "reason": "" if effect.reason is None else effect.reason.value.lower(),
            }
        case VenueCall():
            return "venue_call", {
                "account": effect.order.account,
                "order_id": effect.order.order_id,
                "client_order_id": effect.order.client_order_id,
                "call": effect.kind.value.lower(),
            }
