"""Intents to decisions, reports to settlements: the one writer of an account. Key: account."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from processors import account, events, orders
from processors.effects import AgeCheck, Context, Event
from processors.records.trade import TradeIntent
from streams import log, topics
from streams.kit import Kit

NAME = "risk_manager"


def declare(kit: Kit) -> None:
    """Wire the agent onto its app.

    Args:
        kit: the processor.
    """
    tables = {
        name: kit.table(name)
        for name in (account.ACCOUNTS, account.ORDERS, account.POSITIONS, account.SEEN)
    }
    prices = kit.global_table("price", topics.PRICE)
    rules = kit.global_table("rule", topics.RULE)
    policies = kit.global_table("policy", topics.POLICY)
    configured = kit.settings.risk.configured_prices

    async def apply(event: Any, value: Event) -> None:
        if isinstance(value, TradeIntent):
            context = Context(
                now=event.now,
                rules=rules.get(value.instrument),
                price=prices.get(value.instrument),
                policy=policies.get(value.account),
                configured_price=configured.get(value.instrument),
            )
        else:
            context = Context(now=event.now)
        view = account.read(account.keys(value), tables)
        step = account.step(view, value, context)
        for name, key, entry in step.writes:
            tables[name][key] = entry
        for record in step.records:
            await kit.send(record)
        log.effects(NAME, event, [events.describe(effect) for effect in step.effects])

    @kit.app.agent(kit.inputs(), name=NAME)
    async def risk_manager(stream: Any) -> None:
        """Decide, hold, settle: offset, tables and outputs commit together."""
        async for event in stream.events():
            await apply(event, event.value)

    @kit.app.agent(kit.clock(kit.settings.risk.clock), name=f"{NAME}_clock")
    async def risk_manager_clock(stream: Any) -> None:
        """Ask each open order whether its hold is too old; it is told of, and never released here."""
        max_age = timedelta(seconds=kit.settings.risk.max_hold_age)
        async for event in stream.events():
            if not any(each.standing.open_orders for each in tables[account.ACCOUNTS].values()):
                continue
            for order in tables[account.ORDERS].values():
                if order.held and not order.aged and not orders.is_terminal(order.status):
                    await apply(event, AgeCheck(order.account, order.order_id, max_age))
