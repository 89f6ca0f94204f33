"""Runs one app in this process until a signal, or until it has nothing left to do."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from typing import Any

from streams.engine.errors import EngineError
from streams.engine.progress import Progress

ENDLESS = frozenset({"rules"})
"""Sources that never end, and that an idle app does not wait for."""

log = logging.getLogger(__name__)


def serve(app: Any, *, until_idle: bool = False, web_port: int | None = None) -> int:
    """Run an app.

    Args:
        app: on the engine.
        until_idle: stop when its sources have ended and its inputs are worked off.
        web_port: of its web server; none if not given.
    Returns:
        The exit status. An app that cannot go on ends the process itself, with a status that tells.
    """
    if web_port is not None:
        app.conf.web_enabled = True
        app.conf.web_port = web_port
        app.conf.web_bind = "127.0.0.1"
    return asyncio.run(_serve(app, until_idle=until_idle))


async def _serve(app: Any, *, until_idle: bool) -> int:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    app.loop = loop

    def on_signal(number: int) -> None:
        if stop.is_set():
            os._exit(128 + number)
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal, number)
    starting = asyncio.ensure_future(app.start())
    stopping = asyncio.ensure_future(stop.wait())
    await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
    if starting.done():
        starting.result()
    watch = asyncio.ensure_future(_idle(app)) if until_idle else None
    waits = {stopping} | ({watch} if watch is not None else set())
    await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    if watch is not None:
        if watch.done() and not watch.cancelled():
            watch.result()
        watch.cancel()
    stopping.cancel()
    await app.stop()
    return 0


async def _idle(app: Any) -> None:
    """Return when two looks in a row find the app's inputs worked off."""
    loop = asyncio.get_running_loop()
    await app.ready.wait()
    for name, source in app.sources.items():
        if name not in ENDLESS:
            await source.finished.wait()
    if not app.engine.topics:
        return
    inputs = {app.conf.id: app.engine.topics}
    progress = await loop.run_in_executor(None, Progress, app.engine_settings, inputs)
    last: dict[Any, int] | None = None
    while True:
        try:
            behind, ends = await loop.run_in_executor(None, progress.lag)
        except EngineError as error:
            log.warning("whether all is worked off cannot be told: %s", error)
            behind, ends = 1, {}
        if not behind and last == ends:
            return
        last = None if behind else ends
        await asyncio.sleep(0.2)
