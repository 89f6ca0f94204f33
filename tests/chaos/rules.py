"""What an order is answered with: the rule of the apps under test. The oracle has its own."""

from __future__ import annotations

from typing import Any

LIMIT = 100_000


def decide(order: dict[str, Any], balance: int) -> tuple[dict[str, Any], int | None]:
    """Return the answer and the new balance; None where the row is to go."""
    account, kind, amount = order["account"], order["kind"], order["amount"]
    answer = {"id": order["id"], "kind": kind, "account": account, "reason": "", "held": 0}
    if kind == "close":
        return {**answer, "held": -balance, "balance": 0}, None
    if amount % 7 == 0:
        return {**answer, "reason": "lot", "balance": balance}, balance
    if balance + amount > LIMIT:
        return {**answer, "reason": "limit", "balance": balance}, balance
    return {**answer, "held": amount, "balance": balance + amount}, balance + amount
