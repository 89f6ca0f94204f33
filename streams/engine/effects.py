"""Work after a commit: at most once, so many at a time, in order per key."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import logging
from collections.abc import Awaitable, Callable
from typing import Any

log = logging.getLogger(__name__)

Effect = tuple[str, Callable[[], Awaitable[Any]] | Awaitable[Any]]


def discard(effects: list[Effect]) -> None:
    """Drop effects of a transaction that did not commit."""
    for _, effect in effects:
        if inspect.iscoroutine(effect):
            effect.close()
    effects.clear()


class AfterCommit:
    """Runs effects as tasks outside of any event."""

    def __init__(self, at_once: int) -> None:
        self._slots = asyncio.Semaphore(at_once)
        self._last: dict[str, asyncio.Task[None]] = {}

    @property
    def running(self) -> int:
        """Number of effects not finished."""
        return len(self._last)

    def start(self, effects: list[Effect]) -> None:
        """Start effects of a committed transaction."""
        for key, effect in effects:
            # A context of its own: an effect has no event in hand, so its sends are no part of a batch.
            task = contextvars.Context().run(
                asyncio.get_running_loop().create_task, self._run(self._last.get(key), effect)
            )
            self._last[key] = task
            task.add_done_callback(lambda done, key=key: self._forget(key, done))  # type: ignore[misc]

    def _forget(self, key: str, task: asyncio.Task[None]) -> None:
        if self._last.get(key) is task:
            del self._last[key]

    async def _run(
        self,
        before: asyncio.Task[None] | None,
        effect: Callable[[], Awaitable[Any]] | Awaitable[Any],
    ) -> None:
        if before is not None:
            await asyncio.wait({before})
        async with self._slots:
            try:
                await (effect() if callable(effect) else effect)
            except asyncio.CancelledError:
                raise
            except Exception:
                # At most once: what must happen is derived from a table at the next clock tick.
                log.exception("an effect after a commit failed")

    async def cancel(self) -> None:
        """Cancel what runs: the partitions are gone, or the worker stops."""
        tasks = list(self._last.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=5.0)
        self._last.clear()
