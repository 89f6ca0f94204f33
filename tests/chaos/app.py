"""The app under fault: orders and transfers, two tables, tombstones, poison, a source. No trading.

What differs between rounds comes in by the environment. `tests/chaos/model.py` says the same rules again,
and shares nothing with this file.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import faust

import streams.engine
from streams.engine import App
from tests.chaos.rules import decide

ENV = os.environ
RAW: dict[str, Any] = {"key_type": str, "value_type": bytes, "key_serializer": "raw"}
RAW |= {"value_serializer": "raw"}


class Refused(ValueError):
    """The record itself is wrong: no retry helps."""

    disposition = "DEAD_LETTER"


class Unanswered(Exception):
    """The registry does not answer: the record waits, and is no poison."""

    disposition = "RETRY"


class SteppedClock:
    """The machine's clock, moved by what stands in a file, in seconds."""

    def __init__(self, path: str) -> None:
        self._path = Path(path)

    def now_micros(self) -> int:
        """Return wall time in microseconds, moved."""
        return time.time_ns() // 1000 + int(float(self._path.read_text()) * 1e6)


class Framed(faust.Schema[Any, Any]):
    """Values in the Confluent frame; an id that is not known yet is asked for at the registry."""

    def __init__(self, url: str) -> None:
        from schemas.registry import HttpRegistry
        from schemas.registry_port import RegistryUnreachableError

        super().__init__()
        self._registry = HttpRegistry(url, timeout=1.5, retries=1)
        self._away = RegistryUnreachableError
        self._known: set[int] = set()

    def loads_key(self, app: Any, message: Any, **_: Any) -> Any:
        """Return the key as text."""
        return message.key.decode()

    def loads_value(self, app: Any, message: Any, **_: Any) -> Any:
        """Return the body."""
        schema_id = int.from_bytes(message.value[1:5], "big")
        if schema_id not in self._known:
            try:
                self._registry.schema_by_id(schema_id)
            except self._away as error:
                print("chaos: the registry does not answer", flush=True)
                raise Unanswered(str(error)) from error
            self._known.add(schema_id)
            print(f"chaos: schema {schema_id} learned", flush=True)
        return json.loads(message.value[5:])


def _options() -> dict[str, Any]:
    options: dict[str, Any] = {
        "instance_id": ENV.get("CHAOS_INSTANCE", "0"),
        "batch_max": int(ENV.get("CHAOS_BATCH", "100")),
        "membership": ENV.get("CHAOS_MEMBERSHIP", "static"),
        "store": ENV.get("CHAOS_STORE", "memory://"),
    }
    if "CHAOS_STATE" in ENV:
        options["state_dir"] = ENV["CHAOS_STATE"]
    if "CHAOS_CLOCK" in ENV:
        options["clock"] = SteppedClock(ENV["CHAOS_CLOCK"])
    if "CHAOS_OBSERVE" in ENV:
        from tests.chaos.observer import ObservedRuntime

        options["runtime"] = ObservedRuntime()
    return options


PREFIX = ENV["CHAOS_PREFIX"]
PARTITIONS = int(ENV.get("CHAOS_PARTITIONS", "4"))
app = App(PREFIX + "app", broker=ENV["CHAOS_BOOTSTRAP"], **_options())
print(f"chaos: engine of {Path(streams.engine.__file__).parents[2]}", file=sys.stderr, flush=True)

if "CHAOS_REGISTRY" in ENV:
    orders = app.topic(
        PREFIX + "order", schema=Framed(ENV["CHAOS_REGISTRY"]), partitions=PARTITIONS
    )
else:
    orders = app.topic(
        PREFIX + "order",
        partitions=PARTITIONS,
        **{**RAW, "value_type": None, "value_serializer": "json"},
    )
transfers = app.topic(PREFIX + "transfer", **RAW, partitions=PARTITIONS)
decisions = app.topic(PREFIX + "decision", **RAW, partitions=PARTITIONS)
receipts = app.topic(PREFIX + "receipt", **RAW, partitions=PARTITIONS)
balances = app.Table("balances", key_type=str, value_type=bytes, partitions=PARTITIONS)
deposits = app.Table("deposits", key_type=str, value_type=bytes, partitions=PARTITIONS)


def _decide(order: dict[str, Any]) -> dict[str, Any]:
    account = order["account"]
    before = int(balances.get(account) or b"0")
    answer, after = decide(order, before)
    if after is None:
        balances.pop(account, None)
    elif after != before:
        balances[account] = str(after).encode()
    return answer


def _audit(order: dict[str, Any]) -> dict[str, Any]:
    digest = hashlib.sha256()
    for key, value in balances.items():
        digest.update(key.encode() + b"=" + value + b";")
    facts = {"id": order["id"], "kind": "audit", "rows": len(balances)}
    return {**facts, "digest": digest.hexdigest()}


@app.agent(orders, name="desk")
async def desk(stream: Any) -> None:
    """Answer each order, and keep what is held by account."""
    async for event in stream.events():
        order = event.value
        answer = _audit(order) if order["kind"] == "audit" else _decide(order)
        data = json.dumps(answer, sort_keys=True).encode()
        await decisions.send(key=event.key, value=data, partition=event.message.partition)
        if order["kind"] == "rude":
            raise Refused("a rude order")


@app.agent(transfers, name="till")
async def till(stream: Any) -> None:
    """Add each transfer up, and give a receipt."""
    async for event in stream.events():
        transfer = json.loads(event.value)
        total = int(deposits.get(event.key) or b"0") + transfer["amount"]
        deposits[event.key] = str(total).encode()
        data = json.dumps({"id": transfer["id"], "total": total}, sort_keys=True).encode()
        await receipts.send(key=event.key, value=data)


if int(ENV.get("CHAOS_TICKS", "0")):
    ticks = app.topic(PREFIX + "tick", **RAW, partitions=1)
    cursors = app.topic(PREFIX + "cursor", **RAW, partitions=1)

    @app.source("meter", cursor_topic=cursors)
    async def meter(cursor: bytes | None) -> AsyncIterator[tuple[list[Any], bytes]]:
        """Count up to a number, twenty a transaction."""
        number, end = int(cursor or b"0"), int(ENV["CHAOS_TICKS"])
        while number < end:
            rows = [(ticks, "meter", str(n).encode()) for n in range(number, number + 20)]
            number += 20
            yield rows, str(number).encode()
            await asyncio.sleep(0.02)
        print("chaos: the source has ended", flush=True)
