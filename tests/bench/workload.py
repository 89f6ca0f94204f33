"""The hold workload in JSON, for stock Faust under kills: only the standard library is needed.

The same rules as `examples/hold.py`: an order in JSON, the lot checked, its cost held on the account.
"""

from __future__ import annotations

import json
import os

LOT = 1_000
OPENING = 10**15
PARTITIONS = 4

BOOTSTRAP = os.environ.get("FILLONCE_KAFKA__BOOTSTRAP", "127.0.0.1:9092")
GROUP = os.environ.get("HOLD_APP", "hold")
ORDERS = os.environ.get("HOLD_ORDERS", "hold.order")
DECISIONS = os.environ.get("HOLD_DECISIONS", "hold.decision")
COMMIT_SECONDS = float(os.environ.get("HOLD_COMMIT_SECONDS", "0.1"))


def step(value: bytes, held: int) -> tuple[str, bytes, int]:
    """Return account, decision as JSON, and what is held afterwards."""
    order = json.loads(value)
    cost = order["quantity"] * order["price"] // 10**8
    reason = ""
    if order["quantity"] % LOT:
        reason = "lot_size"
    elif OPENING - held < cost:
        reason = "insufficient_available_balance"
    cost = 0 if reason else cost
    answer = {
        "account": order["account"],
        "accepted": not reason,
        "order_id": order["order_id"],
        "reason": reason,
        "held": cost,
    }
    return order["account"], json.dumps(answer, sort_keys=True).encode(), held + cost
