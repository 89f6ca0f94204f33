"""The workload on stock Faust with its own `exactly_once`."""

from __future__ import annotations

from typing import Any

import faust

from tests.bench.workload import (
    BOOTSTRAP,
    COMMIT_SECONDS,
    DECISIONS,
    GROUP,
    ORDERS,
    PARTITIONS,
    step,
)

RAW: dict[str, Any] = {
    "key_type": str,
    "value_type": bytes,
    "key_serializer": "raw",
    "value_serializer": "raw",
    "partitions": PARTITIONS,
}

app = faust.App(
    GROUP,
    broker=f"kafka://{BOOTSTRAP}",
    processing_guarantee="exactly_once",
    store="memory://",
    topic_partitions=PARTITIONS,
    topic_replication_factor=1,
    stream_buffer_maxsize=4096,
    consumer_auto_offset_reset="earliest",
    broker_commit_interval=COMMIT_SECONDS,
    # The default of 60 s would keep a killed worker's partitions idle for as long.
    broker_session_timeout=6.0,
    broker_heartbeat_interval=1.5,
    web_enabled=False,
)
orders = app.topic(ORDERS, **RAW)
decisions = app.topic(DECISIONS, **RAW)
balances = app.Table("balances", partitions=PARTITIONS, key_type=str, value_type=bytes)


@app.agent(orders)
async def hold(stream: Any) -> None:
    async for event in stream.events():
        held = int(balances.get(event.key) or b"0")
        account, answer, after = step(event.value, held)
        if after != held:
            balances[event.key] = str(after).encode()
        # Without a partition its exactly_once sends through another partition's transaction, or fails.
        await decisions.send(key=account, value=answer, partition=event.message.partition)
