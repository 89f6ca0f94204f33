"""Adds numbers up, and chokes on some."""

from __future__ import annotations

from typing import Any

from tests.integration.apps.making import PREFIX, RAW, make

app = make("poison")
numbers = app.topic(
    PREFIX + "number", key_type=str, key_serializer="raw", value_serializer="json", partitions=2
)
sums = app.topic(PREFIX + "sum", **RAW)
totals = app.Table("totals", key_type=str, value_type=bytes)
attempts: dict[int, int] = {}


class Wrong(ValueError):
    """The record itself is wrong: no retry helps."""

    disposition = "DEAD_LETTER"


@app.agent(numbers, name="adder")
async def adder(stream: Any) -> None:
    """Add each number to its key's total."""
    async for event in stream.events():
        number = event.value["n"]
        total = int(totals.get(event.key) or b"0") + number
        totals[event.key] = str(total).encode()
        await sums.send(key=event.key, value=str(total).encode())
        attempts[number] = attempts.get(number, 0) + 1
        if number == 13:
            raise ZeroDivisionError("thirteen")
        if number == 66:
            raise Wrong("sixty-six")
        if number == 99 and attempts[number] < 3:
            raise ConnectionError("not yet")
