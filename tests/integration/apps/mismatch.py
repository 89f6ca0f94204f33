"""Reads two topics of one processor; the test gives them different partition counts."""

from __future__ import annotations

from typing import Any

from tests.integration.apps.making import PREFIX, RAW, make

app = make("mismatch")


@app.agent(app.topic(PREFIX + "one", PREFIX + "two", **RAW), name="both")
async def both(stream: Any) -> None:
    """Read, no more."""
    async for _ in stream.events():
        ...
