"""The hold workload on stock Faust; `BENCH_GUARANTEE` is its `exactly_once` unless said otherwise."""

from __future__ import annotations

import os
from typing import Any

import faust

from tests.bench.avro_hold import (
    BOOTSTRAP,
    COMMIT_SECONDS,
    DECISIONS,
    GROUP,
    ORDERS,
    PARTITIONS,
    step,
)

RAW: dict[str, Any] = {
    "key_type": bytes,
    "value_type": bytes,
    "key_serializer": "raw",
    "value_serializer": "raw",
    "partitions": PARTITIONS,
}

app = faust.App(
    GROUP,
    broker=f"kafka://{BOOTSTRAP}",
    processing_guarantee=os.environ.get("BENCH_GUARANTEE", "exactly_once"),
    store="memory://",
    topic_partitions=PARTITIONS,
    topic_replication_factor=1,
    stream_buffer_maxsize=4096,
    consumer_auto_offset_reset="earliest",
    broker_commit_interval=COMMIT_SECONDS,
    web_enabled=False,
)
orders = app.topic(ORDERS, **RAW)
decisions = app.topic(DECISIONS, **RAW)
balances = app.Table("balances", key_type=bytes, value_type=bytes, partitions=PARTITIONS)


@app.agent(orders)
async def hold(stream: Any) -> None:
    async for event in stream.events():
        account, decision, held = step(event.value, balances.get(event.key))
        if held is not None:
            balances[event.key] = held
        # Without a partition its exactly_once sends through another partition's transaction, or fails.
        await decisions.send(
            key=account.encode(), value=decision, partition=event.message.partition
        )
