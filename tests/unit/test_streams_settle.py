"""Which orders wait for word from their venue."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest

from processors.records.market import Side
from processors.records.trade import (
    ExecutionReport,
    ExecutionType,
    IntentKind,
    OrderEvent,
    OrderEventKind,
    OrderType,
    Status,
    TimeInForce,
)
from processors.reports import own_report
from schemas.codec import Codecs
from schemas.registry import MemoryRegistry
from streams.serde import subjects
from streams.settle import OpenOrders

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def _order(
    time_in_force: TimeInForce, kind: OrderEventKind = OrderEventKind.RESERVED
) -> OrderEvent:
    return OrderEvent(
        account="alice",
        order_id="o1",
        intent_id="i1",
        client_order_id="c1",
        kind=kind,
        instrument="SIMULATOR:BTC/USD",
        exchange="SIMULATOR",
        symbol="BTC/USD",
        side=Side.BUY,
        order_type=OrderType.LIMIT,
        time_in_force=time_in_force,
        quantity=Decimal(1),
        price=Decimal(800),
        hold_asset="USD",
        hold_amount=Decimal(800),
        expected_price=Decimal(800),
        intent_kind=IntentKind.NEW,
        market_time=NOW,
        created_time=NOW,
        received_time=NOW,
    )


@pytest.fixture
def fold() -> Any:
    codecs = Codecs(MemoryRegistry(), subjects())
    orders = OpenOrders(codecs)

    def take(*steps: OrderEvent | tuple[OrderEvent, Status]) -> int:
        for step in steps:
            if isinstance(step, OrderEvent):
                value = codecs.codec(OrderEvent).encode(step)
                orders.take(SimpleNamespace(topic="trade.order", value=value))
                continue
            report = own_report(step[0], ExecutionType.ORDER_STATUS, step[1], NOW)
            value = codecs.codec(ExecutionReport).encode(report)
            orders.take(SimpleNamespace(topic="trade.execution", value=value))
        return orders.count

    return take


def test_an_order_waits_from_its_decision_to_its_end(fold: Any) -> None:
    """Reserved, submitted, unknown: it waits. Filled: it does not, and no late word brings it back."""
    order = _order(TimeInForce.IOC)
    assert fold(order) == 1
    assert fold((order, Status.SUBMITTED)) == 1
    assert fold((order, Status.UNKNOWN)) == 1
    assert fold((order, Status.PARTIALLY_FILLED)) == 1
    assert fold((order, Status.FILLED)) == 0
    assert fold((order, Status.SUBMITTED)) == 0


def test_an_order_that_rests_at_its_venue_does_not_wait(fold: Any) -> None:
    """A good-till-cancelled order may rest for days: once acknowledged, nothing is in flight."""
    order = _order(TimeInForce.GTC)
    assert fold(order, (order, Status.SUBMITTED)) == 1
    assert fold((order, Status.NEW)) == 0
    assert fold((order, Status.UNKNOWN)) == 0


def test_a_denied_order_never_waits(fold: Any) -> None:
    """A denial holds nothing and sends nothing."""
    assert fold(_order(TimeInForce.IOC, OrderEventKind.DENIED)) == 0


def test_reports_may_come_before_their_decision(fold: Any) -> None:
    """The two topics are read apart: an end that is read first still ends the order."""
    order = _order(TimeInForce.IOC)
    assert fold((order, Status.FILLED), order) == 0


def test_what_cannot_be_read_counts_for_nothing() -> None:
    """Broken bytes are dead letters to the processors, and nothing here."""
    orders = OpenOrders(Codecs(MemoryRegistry(), subjects()))
    orders.take(SimpleNamespace(topic="trade.order", value=b"broken"))
    orders.take(SimpleNamespace(topic="trade.execution", value=None))
    assert orders.count == 0
