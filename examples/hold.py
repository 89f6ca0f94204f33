"""An app with no venue in it: hold the cost of orders on accounts, exactly once, replayable.

Run it with `fillonce run --app examples.hold:app`, prove it with `fillonce replay verify --app examples.hold:app`.
The orders come from `hold.order`, the decisions go to `hold.decision`, and table `balances` keeps what is held.
"""

from __future__ import annotations

import json
import os
from typing import NamedTuple

from streams.engine import App

LOT = 1_000
OPENING = 10**15

app = App(
    os.environ.get("HOLD_APP", "hold"),
    broker=os.environ.get("FILLONCE_KAFKA__BOOTSTRAP", "127.0.0.1:9092"),
    instance_id=os.environ.get("HOLD_INSTANCE", "0"),
    batch_max=int(os.environ.get("HOLD_BATCH", "5000")),
    topic_check_seconds=float(os.environ.get("HOLD_TOPIC_CHECK", "10")),
    store=os.environ.get("HOLD_STORE", "memory://"),
    state_dir=os.environ.get("HOLD_STATE", ".fillonce/state"),
)
orders = app.topic(
    os.environ.get("HOLD_ORDERS", "hold.order"),
    key_type=str,
    value_type=bytes,
    key_serializer="raw",
    value_serializer="raw",
    partitions=4,
)
decisions = app.topic(
    os.environ.get("HOLD_DECISIONS", "hold.decision"),
    key_type=str,
    value_type=bytes,
    key_serializer="raw",
    value_serializer="raw",
    partitions=4,
)
balances = app.Table("balances", key_type=str, value_type=bytes, partitions=4)


class Order(NamedTuple):
    """One order: quantity in units, price in 1e-8 quote units."""

    order_id: str
    account: str
    quantity: int
    price: int


def decide(order: Order, held: int) -> tuple[bool, str, int]:
    """Return whether the order is accepted, why not, and what it costs."""
    cost = order.quantity * order.price // 10**8
    if order.quantity % LOT:
        return False, "lot_size", 0
    if OPENING - held < cost:
        return False, "insufficient_available_balance", 0
    return True, "", cost


@app.agent(orders, name="hold")
async def hold(stream):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201 - Faust hands in its own stream type
    """Key account: the hold and the decision commit together with the order's offset."""
    async for event in stream.events():
        fields = json.loads(event.value)
        order = Order(fields["order_id"], fields["account"], fields["quantity"], fields["price"])
        held = int(balances.get(order.account) or b"0")
        accepted, reason, cost = decide(order, held)
        if accepted:
            balances[order.account] = str(held + cost).encode()
        answer = {
            "account": order.account,
            "accepted": accepted,
            "order_id": order.order_id,
            "reason": reason,
            "held": cost,
        }
        await decisions.send(key=order.account, value=json.dumps(answer, sort_keys=True).encode())
