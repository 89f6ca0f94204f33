"""The control arm's app: the same orders on stock Faust with its own `exactly_once`."""

from __future__ import annotations

import json
import os
from typing import Any

import faust

from tests.chaos.rules import decide

PREFIX = os.environ["CHAOS_PREFIX"]
PARTITIONS = 4
RAW: dict[str, Any] = {"key_type": str, "value_type": bytes, "key_serializer": "raw"}
RAW |= {"value_serializer": "raw", "partitions": PARTITIONS}

app = faust.App(
    PREFIX + "app",
    broker=f"kafka://{os.environ['CHAOS_BOOTSTRAP']}",
    processing_guarantee="exactly_once",
    store="memory://",
    topic_partitions=PARTITIONS,
    topic_replication_factor=1,
    stream_buffer_maxsize=4096,
    consumer_auto_offset_reset="earliest",
    broker_commit_interval=0.1,
    # The default of 60 s would keep a killed worker's partitions idle for as long.
    broker_session_timeout=6.0,
    broker_heartbeat_interval=1.5,
    web_enabled=False,
    autodiscover=False,
)
orders = app.topic(PREFIX + "order", **RAW)
decisions = app.topic(PREFIX + "decision", **RAW)
balances = app.Table("balances", partitions=PARTITIONS, key_type=str, value_type=bytes)


@app.on_partitions_assigned.connect  # type: ignore[arg-type] # Faust's type of a receiver fits none of its own
async def assigned(app: Any, *partitions: Any, **_: Any) -> None:
    """Say so, as the engine does."""
    print(f"stock Faust owns partitions {partitions}", flush=True)


@app.agent(orders, name="desk")
async def desk(stream: Any) -> None:
    """Answer each order, and keep what is held by account."""
    async for event in stream.events():
        order = json.loads(event.value)
        before = int(balances.get(order["account"]) or b"0")
        answer, after = decide(order, before)
        if after is None:
            balances.pop(order["account"], None)
        elif after != before:
            balances[order["account"]] = str(after).encode()
        data = json.dumps(answer, sort_keys=True).encode()
        # Without a partition its exactly_once sends through another partition's transaction, or fails.
        await decisions.send(key=event.key, value=data, partition=event.message.partition)
