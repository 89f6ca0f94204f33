"""Echoes words; some outputs are too large for their topic, some are never done, some must wait."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import faust

from tests.integration.apps.making import PREFIX, RAW, make


class Away(Exception):
    """A neighbour does not answer."""

    disposition = "RETRY"


class Waiting(faust.Schema[Any, Any]):
    """Cannot read `later` before a file is there."""

    def loads_value(self, app: Any, message: Any, **options: Any) -> Any:
        """Return the bytes."""
        if message.value == b"later" and not Path(os.environ["TEST_FLAG"]).exists():
            raise Away("the registry does not answer")
        return super().loads_value(app, message, **options)


app = make(
    "trouble",
    poison_retries=1,
    dead_letter_run=int(os.environ.get("TEST_RUN", "50")),
    poison=os.environ.get("TEST_POLICY", "continue"),
    describe={"code_version": "v1"},
)
words = app.topic(PREFIX + "word", schema=Waiting(**RAW))
echoes = app.topic(PREFIX + "echo", **RAW, partitions=2)


@app.agent(words, name="echo")
async def echo(stream: Any) -> None:
    """Send each word on."""
    async for event in stream.events():
        word = event.value
        await echoes.send(key=event.key or "k", value=word * 1_000 if word == b"big" else word)
        if word == b"hang":
            await asyncio.sleep(3_600)
        if word.startswith(b"bad"):
            raise ValueError("bad word, token=marker-5")
