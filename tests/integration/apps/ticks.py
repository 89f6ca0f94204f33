"""A source of numbers that goes on from its cursor."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from typing import Any

from tests.integration.apps.making import PREFIX, RAW, make

COUNT, STEP = 6_000, 50

app = make("ticks")
numbers = app.topic(PREFIX + "number", **RAW, partitions=3)
cursors = app.topic(PREFIX + "cursor", **RAW, partitions=1)


@app.source("numbers", cursor_topic=cursors)
async def count(cursor: bytes | None) -> AsyncIterator[tuple[list[Any], bytes]]:
    """Yield the numbers after the cursor, some at a time."""
    for start in range(int(cursor or b"0"), COUNT, STEP):
        rows = [(numbers, f"k{n % 7}", b"%d" % n) for n in range(start, start + STEP)]
        yield rows, b"%d" % (start + STEP)
        await asyncio.sleep(float(os.environ.get("TICKS_PAUSE", "0")))
