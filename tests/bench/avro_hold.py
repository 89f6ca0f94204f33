"""The hold workload in Avro, for every Python system: only the standard library and fastavro in it.

An order comes in, its lot is checked, its cost is held on the account, a decision goes out. Every
system decodes and encodes with these functions, so that what differs is the system.
"""

from __future__ import annotations

import io
import json
import os
from pathlib import Path
from typing import Any

from fastavro import parse_schema, schemaless_reader, schemaless_writer

Datum = dict[str, Any]

SCHEMAS = Path(__file__).parent / "avro"
LOT = 1_000
OPENING = 500_000_000_000
PARTITIONS = int(os.environ.get("BENCH_PARTITIONS", "4"))

BOOTSTRAP = os.environ.get("BENCH_BOOTSTRAP", "127.0.0.1:9092")
GROUP = os.environ.get("BENCH_GROUP", "bench")
ORDERS = os.environ.get("BENCH_ORDERS", "bench.order")
DECISIONS = os.environ.get("BENCH_DECISIONS", "bench.decision")
STORE = os.environ.get("BENCH_STORE", "memory")
STATE_DIR = os.environ.get("BENCH_STATE_DIR", "state")
COMMIT_SECONDS = int(os.environ.get("BENCH_COMMIT_MS", "100")) / 1000


def _schema(name: str) -> Any:
    return parse_schema(json.loads((SCHEMAS / f"{name}.avsc").read_text()))


ORDER, DECISION, BALANCE = _schema("order"), _schema("decision"), _schema("balance")


def encode(schema: Any, value: Datum) -> bytes:
    """Return a value in the Confluent frame: a zero, the schema's id in four bytes, the body."""
    out = io.BytesIO()
    out.write(b"\0\0\0\0\1")
    schemaless_writer(out, schema, value)
    return out.getvalue()


def decode(schema: Any, data: bytes | None) -> Any:
    """Return the value of a frame."""
    source = io.BytesIO(data or b"")
    source.seek(5)
    return schemaless_reader(source, schema, schema)


def decide(order: Datum, balance: Datum) -> tuple[Datum, Datum | None]:
    """Return the decision, and the balance after it; None where it stays as it was."""
    cost = order["quantity"] * order["price"] // 10**8
    free = balance["total"] - balance["reserved"]
    reason = None
    if order["quantity"] % LOT:
        reason = "lot_size"
    elif free < cost:
        reason = "insufficient_available_balance"
    decision = {
        "order_id": order["order_id"],
        "account": order["account"],
        "accepted": reason is None,
        "reason": reason,
        "reserved": cost if reason is None else 0,
        "available": free - cost if reason is None else free,
    }
    if reason is not None:
        return decision, None
    held = {
        "total": balance["total"],
        "reserved": balance["reserved"] + cost,
        "n": balance["n"] + 1,
    }
    return decision, held


def step(data: bytes, kept: bytes | None) -> tuple[str, bytes, bytes | None]:
    """Do one order: from its bytes and those of the balance to account, decision and new balance."""
    order = decode(ORDER, data)
    balance = decode(BALANCE, kept) if kept else {"total": OPENING, "reserved": 0, "n": 0}
    decision, held = decide(order, balance)
    return (
        order["account"],
        encode(DECISION, decision),
        None if held is None else encode(BALANCE, held),
    )
