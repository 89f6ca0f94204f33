"""The hold workload on the engine, with its shipped settings: only the store is chosen from outside."""

from __future__ import annotations

import os
from typing import Any

from streams.engine import App
from tests.bench.avro_hold import (
    BOOTSTRAP,
    DECISIONS,
    GROUP,
    ORDERS,
    PARTITIONS,
    STATE_DIR,
    STORE,
    step,
)

RAW: dict[str, Any] = {
    "key_type": str,
    "value_type": bytes,
    "key_serializer": "raw",
    "value_serializer": "raw",
    "partitions": PARTITIONS,
}


MEMORY = os.environ.get("BENCH_STORE_MEMORY", "")
"""Bytes for the RocksDB store; the shipped default where it is empty, as in every benchmark but the soak."""

app = App(
    GROUP,
    broker=BOOTSTRAP,
    instance_id=os.environ.get("BENCH_INSTANCE", "0"),
    store=f"{STORE}://",
    state_dir=STATE_DIR,
    **({"store_memory": int(MEMORY)} if MEMORY else {}),
)
orders = app.topic(ORDERS, **RAW)
decisions = app.topic(DECISIONS, **RAW)
balances = app.Table("balances", key_type=str, value_type=bytes, partitions=PARTITIONS)


@app.agent(orders, name="hold")
async def hold(stream: Any) -> None:
    """Key account: the hold and the decision commit together with the order's offset."""
    async for event in stream.events():
        account, decision, held = step(event.value, balances.get(event.key))
        if held is not None:
            balances[account] = held
        await decisions.send(key=account, value=decision)
