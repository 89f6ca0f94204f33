"""An order, and what its venue can answer about it, for the tests of placing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from processors import ids
from processors.placement import (
    Context,
    Effect,
    Event,
    decide,
    evolve,
)
from processors.records.market import Side
from processors.records.state_placement import InFlight
from processors.records.trade import (
    ExecutionReport,
    Fee,
    IntentKind,
    OrderEvent,
    OrderEventKind,
    OrderType,
    Status,
    TimeInForce,
)
from processors.reports import reports_from
from processors.venue import (
    OrderFound,
    VenueFill,
)
from tests.property.test_matching import rules

NOW = datetime(2026, 1, 1, tzinfo=UTC)
MARKET_TIME = datetime(2013, 11, 25, tzinfo=UTC)
RULES = rules()


def order(**changes: Any) -> OrderEvent:
    fields: dict[str, Any] = {
        "account": "alice", "order_id": ids.order_id("alice", "1"), "intent_id": "1",
        "client_order_id": ids.client_order_id("alice", "1"), "kind": OrderEventKind.RESERVED,
        "instrument": "SIMULATOR:BTC/USD", "exchange": "SIMULATOR", "symbol": "BTC/USD",
        "side": Side.BUY, "order_type": OrderType.LIMIT, "time_in_force": TimeInForce.IOC,
        "quantity": Decimal("0.1"), "price": Decimal(800), "hold_asset": "USD",
        "hold_amount": Decimal(80), "expected_price": Decimal(800), "rules_version": RULES.version,
        "intent_kind": IntentKind.NEW, "market_time": MARKET_TIME, "created_time": NOW,
        "received_time": NOW,
    }  # fmt: skip
    return OrderEvent(**fields | changes)


ORDER = order()


def fill(number: int, quantity: str) -> VenueFill:
    fee = Fee(asset="BTC", amount=Decimal(quantity) / 1000)
    time = MARKET_TIME + timedelta(seconds=number)
    return VenueFill(str(number), Decimal(800), Decimal(quantity), (fee,), time)


def found(status: Status, *quantities: str, gap: str = "0") -> OrderFound:
    fills = tuple(fill(n + 1, q) for n, q in enumerate(quantities))
    filled = sum((f.quantity for f in fills), Decimal(gap))
    return OrderFound(
        venue_order_id="77", client_order_id=ORDER.client_order_id, raw_status=status.value,
        status=status, quantity=ORDER.quantity, filled_quantity=filled, fills=fills,
        accepted_time=MARKET_TIME, updated_time=MARKET_TIME + timedelta(minutes=1),
    )  # fmt: skip


def reports(answer: Any, known: bool = False) -> tuple[ExecutionReport, ...]:
    return reports_from(answer, ORDER, NOW, absence_after=16_000, known=known)


def run(
    state: InFlight | None, event: Event, now: datetime = NOW
) -> tuple[InFlight | None, list[Effect]]:
    effects = decide(state, event, Context(now, RULES))
    for effect in effects:
        state = evolve(state, effect)
    return state, list(effects)


def submitted() -> InFlight:
    state, _ = run(None, ORDER)
    assert state is not None
    return state
