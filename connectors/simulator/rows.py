"""One order of the simulated venue, and how its rows are written."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final

from processors import money
from processors.matching import Fill, Match, Request
from processors.records.market import Side
from processors.records.trade import Fee, OrderType, Status, TimeInForce

ZERO: Final = Decimal(0)
OPEN: Final = frozenset({Status.NEW, Status.PARTIALLY_FILLED})


@dataclass(frozen=True, slots=True)
class Order:
    """One order as the venue knows it; trade ids stand beside its fills, one each."""

    order_id: int
    client_order_id: str
    request: Request
    clock: int
    """Market clock at its receipt, microseconds."""
    entry: int
    """Market time at which it reached the book, microseconds."""
    match: Match
    trade_ids: tuple[int, ...] = ()
    canceled: bool = False

    @property
    def status(self) -> Status:
        """Its status in Binance's words, which are ours for these."""
        return Status.CANCELED if self.canceled else self.match.status

    @property
    def open(self) -> bool:
        """Whether it rests in the book."""
        return self.status in OPEN

    @property
    def leaves(self) -> Decimal:
        """Base units still open."""
        if not self.open:
            return ZERO
        return money.subtract(self.request.quantity, self.match.filled_quantity)


def dump(order: Order) -> str:
    """Write an order without its fills."""
    request = order.request
    return json.dumps(
        {
            "side": request.side,
            "type": request.order_type,
            "time_in_force": request.time_in_force,
            "quantity": money.text(request.quantity),
            "quote_quantity": money.text(request.quote_quantity),
            "price": None if request.price is None else money.text(request.price),
            "clock": order.clock,
            "entry": order.entry,
            "status": order.match.status,
            "next_index": order.match.next_index,
            "time": order.match.time,
            "canceled": order.canceled,
        }
    )


def load(order_id: int, client_order_id: str, text: str, fills: list[tuple[int, Fill]]) -> Order:
    """Read what `dump` wrote.

    Args:
        order_id: the venue's id.
        client_order_id: the client's.
        text: the row.
        fills: its trades with their ids, in order.
    Returns:
        The order.
    """
    data = json.loads(text)
    request = Request(
        side=Side(data["side"]),
        order_type=OrderType(data["type"]),
        time_in_force=TimeInForce(data["time_in_force"]),
        quantity=Decimal(data["quantity"]),
        quote_quantity=Decimal(data["quote_quantity"]),
        price=None if data["price"] is None else Decimal(data["price"]),
    )
    match = Match(Status(data["status"]), (), data["next_index"], data["time"])
    return Order(
        order_id=order_id,
        client_order_id=client_order_id,
        request=request,
        clock=data["clock"],
        entry=data["entry"],
        match=replace(match, fills=tuple(fill for _, fill in fills)),
        trade_ids=tuple(trade for trade, _ in fills),
        canceled=data["canceled"],
    )


def dump_fill(fill: Fill) -> str:
    """Write one fill."""
    return json.dumps(
        {
            "index": fill.index,
            "time": fill.time,
            "price": money.text(fill.price),
            "quantity": money.text(fill.quantity),
            "fee_asset": fill.fee.asset,
            "fee": money.text(fill.fee.amount),
            "maker": fill.maker,
        }
    )


def load_fill(text: str) -> Fill:
    """Read what `dump_fill` wrote."""
    data = json.loads(text)
    price, quantity = Decimal(data["price"]), Decimal(data["quantity"])
    return Fill(
        index=data["index"],
        time=data["time"],
        price=price,
        quantity=quantity,
        value=money.multiply(price, quantity),
        fee=Fee(asset=data["fee_asset"], amount=Decimal(data["fee"])),
        maker=data["maker"],
    )
