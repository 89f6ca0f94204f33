"""The figures of a run: orders, denials, holds, balances, results by sizing, slippage."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any, Final

from processors import money
from processors.records.account import AccountPolicy, SizingKind
from processors.records.market import Side
from processors.records.trade import ExecutionReport, ExecutionType, OrderEvent, OrderEventKind
from streams.checks import names
from streams.checks.history import TERMINAL
from streams.summary.collect import Material

ZERO: Final = Decimal(0)
BASIS_POINTS: Final = Decimal(10_000)
FALLBACKS: Final = frozenset({"LAST_GOOD", "CONFIGURED"})
"""Judges of a price that stand in for a live one."""


@dataclass(slots=True)
class OrderFills:
    """What was filled of one order."""

    order: OrderEvent
    quantity: Decimal = ZERO
    value: Decimal = ZERO
    time: datetime | None = None
    """Market time of the first fill."""

    @property
    def price(self) -> Decimal:
        """Average price, quote units per base unit."""
        return money.divide(self.value, self.quantity, money.SCALE, ROUND_HALF_EVEN)


@dataclass(slots=True)
class Group:
    """The accounts of one sizing."""

    accounts: int = 0
    opening: Decimal = ZERO
    value: Decimal = ZERO
    orders: int = 0
    denied: int = 0
    unvalued: dict[str, Decimal] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """Return it as plain data: amounts as text, quote units."""
        profit = money.subtract(self.value, self.opening)
        percent = (
            money.divide(money.multiply(profit, Decimal(100)), self.opening, 4, ROUND_HALF_EVEN)
            if self.opening
            else ZERO
        )
        return {
            "accounts": self.accounts,
            "opening": money.text(self.opening),
            "value": money.text(self.value),
            "profit": money.text(profit),
            "profit_percent": money.text(percent),
            "orders": self.orders,
            "denied": self.denied,
            **({"unvalued": _texts(self.unvalued)} if self.unvalued else {}),
        }


def figures(material: Material) -> dict[str, Any]:
    """Return all figures of a run as plain data; amounts are text, exact.

    Args:
        material: what stands in the topics.
    """
    cursor = material.cursors.get(names.RECORDED)
    fills = fills_of(material)
    orders = [order for order, _, _ in material.orders]
    reasons = Counter(order.reason.value for order in orders if order.reason is not None)
    sources = Counter(order.price_source for order in orders if order.price_source)
    return {
        "rows": cursor.rows if cursor else material.counts[names.TICK],
        "ticks": material.counts[names.TICK],
        "dead_letters": dict(sorted(cursor.refused.items())) if cursor else {},
        "dead_letters_by_topic": {
            topic: sum(found.values()) for topic, found in sorted(material.dead.items())
        },
        "market": _market(material),
        "records": {topic: material.counts[topic] for topic in names.RECORDS},
        "intents": _sorted(Counter(intent.kind.value for intent, _ in material.intents)),
        "orders": _sorted(statuses(material)),
        "denials": _sorted(reasons),
        "price_sources": _sorted(sources),
        "fallbacks": sum(sources[name] for name in FALLBACKS),
        "holds": _holds(material),
        "balances": _balances(material),
        "sizing": {name: group.document() for name, group in groups(material).items()},
        "slippage": slippage(fills),
    }


def fills_of(material: Material) -> list[OrderFills]:
    """Return the fills of every order that has any, each trade counted once."""
    by_id = {
        order.order_id: OrderFills(order)
        for order, _, _ in material.orders
        if order.kind is OrderEventKind.RESERVED
    }
    seen: set[tuple[str, str | None]] = set()
    for report, _, _ in material.reports:
        trade = (report.account, report.trade_id)
        found = by_id.get(report.order_id)
        if report.execution_type is not ExecutionType.TRADE or trade in seen or found is None:
            continue
        seen.add(trade)
        _add(found, report)
    return [found for found in by_id.values() if found.quantity]


def _add(fills: OrderFills, report: ExecutionReport) -> None:
    value = money.multiply(report.last_quantity, report.last_price or ZERO)
    fills.quantity = money.add(fills.quantity, report.last_quantity)
    fills.value = money.add(fills.value, value)
    fills.time = min(fills.time or report.execution_time, report.execution_time)


def statuses(material: Material) -> Counter[str]:
    """Return the count of orders by their newest status; denied ones too."""
    newest: dict[str, str] = {}
    ended: set[str] = set()
    for order, _, _ in material.orders:
        if order.kind in (OrderEventKind.RESERVED, OrderEventKind.DENIED):
            newest.setdefault(order.order_id, order.kind.value)
    for report, _, _ in material.reports:
        if report.order_id in newest and report.order_id not in ended:
            newest[report.order_id] = report.status.value
            if report.status in TERMINAL:
                ended.add(report.order_id)
    return Counter(newest.values())


def group_of(policy: AccountPolicy | None) -> str:
    """Return the name of an account's sizing, such as `AVAILABLE 0.8`."""
    if policy is None:
        return "no policy"
    sizing = policy.sizing
    fixed = sizing.kind is SizingKind.NOTIONAL
    return f"{sizing.kind.value} {money.text(sizing.notional if fixed else sizing.fraction)}"


def groups(material: Material) -> dict[str, Group]:
    """Return what each sizing came to, valued at the last price of the market."""
    prices = _valuation(material)
    found: dict[str, Group] = {}

    def group(account: str) -> Group:
        return found.setdefault(group_of(material.policies.get(account)), Group())

    accounts = {account for account, _ in (*material.balances, *material.transfers)}
    for account in sorted(accounts):
        group(account).accounts += 1
    for transfer in material.transfers.values():
        into = group(transfer.account)
        into.opening = money.add(into.opening, _value(transfer.amount, transfer.asset, prices))
    for (account, asset), balance in sorted(material.balances.items()):
        into = group(account)
        if asset in prices:
            into.value = money.add(into.value, _value(balance.total, asset, prices))
        elif balance.total:
            into.unvalued[asset] = money.add(into.unvalued.get(asset, ZERO), balance.total)
    for order, _, _ in material.orders:
        into = group(order.account)
        into.orders += order.kind is OrderEventKind.RESERVED
        into.denied += order.kind is OrderEventKind.DENIED
    return dict(sorted(found.items()))


def slippage(fills: list[OrderFills]) -> dict[str, Any]:
    """Compare the fills with the price that each decision expected; positive is worse.

    Args:
        fills: by order.
    Returns:
        By side: orders, mean weighted by value and worst, basis points, and cost, quote units.
    """
    found: dict[str, Any] = {}
    for side in Side:
        mine = [f for f in fills if f.order.side is side and f.order.expected_price > 0]
        if not mine:
            continue
        costs = [_cost(each) for each in mine]
        cost = money.add(*costs)
        wanted = [money.multiply(each.order.expected_price, each.quantity) for each in mine]
        each_points = [_points(c, w) for c, w in zip(costs, wanted, strict=True)]
        found[side.value] = {
            "orders": len(mine),
            "mean_basis_points": money.text(_points(cost, money.add(*wanted))),
            "worst_basis_points": money.text(max(each_points)),
            "cost": money.text(cost),
        }
    return found


def _cost(fills: OrderFills) -> Decimal:
    expected = money.multiply(fills.order.expected_price, fills.quantity)
    more = money.subtract(fills.value, expected)
    return more if fills.order.side is Side.BUY else more.copy_negate()


def _points(cost: Decimal, expected: Decimal) -> Decimal:
    return money.divide(money.multiply(cost, BASIS_POINTS), expected, 2, ROUND_HALF_EVEN)


def _valuation(material: Material) -> Mapping[str, Decimal]:
    """Return the last price of each asset in the quote asset of the market."""
    tick = material.last_tick
    if tick is None:
        return {}
    quote = tick.symbol.partition("/")[2]
    prices = {quote: Decimal(1)}
    for symbol, price in material.last_prices.items():
        base, _, other = symbol.partition("/")
        if other == quote:
            prices[base] = price
    return prices


def _value(amount: Decimal, asset: str, prices: Mapping[str, Decimal]) -> Decimal:
    return money.multiply(amount, prices.get(asset, ZERO))


def _market(material: Material) -> dict[str, Any]:
    first, last = material.first_tick, material.last_tick
    if first is None or last is None:
        return {}
    return {
        "instrument": last.instrument,
        "quote": last.symbol.partition("/")[2],
        "first_time": _time(first.execution_time),
        "last_time": _time(last.execution_time),
        "first_price": money.text(first.price),
        "last_price": money.text(last.price),
    }


def _holds(material: Material) -> dict[str, Any]:
    held: dict[str, Decimal] = {}
    for (_, asset), balance in material.balances.items():
        if balance.held:
            held[asset] = money.add(held.get(asset, ZERO), balance.held)
    placed = sum(order.kind is OrderEventKind.RESERVED for order, _, _ in material.orders)
    return {"placed": placed, "held": _texts(held)}


def _balances(material: Material) -> dict[str, Any]:
    totals: dict[str, Decimal] = {}
    for (_, asset), balance in material.balances.items():
        totals[asset] = money.add(totals.get(asset, ZERO), balance.total)
    accounts: dict[str, dict[str, str]] = {}
    for (account, asset), balance in sorted(material.balances.items()):
        accounts.setdefault(account, {})[asset] = money.text(balance.total)
    realised = money.add(ZERO, *(position.realised for position in material.positions.values()))
    return {"totals": _texts(totals), "realised": money.text(realised), "accounts": accounts}


def _sorted(counts: Counter[str]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])))


def _texts(amounts: Mapping[str, Decimal]) -> dict[str, str]:
    return {name: money.text(amount) for name, amount in sorted(amounts.items())}


def _time(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")
