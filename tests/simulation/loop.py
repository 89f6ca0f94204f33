"""Virtual time: an event loop whose clock jumps, and blocking calls as switches of one thread."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextvars import Context
from typing import Any

from greenlet import getcurrent, greenlet


class Stalled(RuntimeError):
    """Nothing is scheduled any more: the simulation would wait for ever."""


class _Clockwork:
    """In place of a selector: waiting moves the clock."""

    def __init__(self) -> None:
        self.now = 0.0

    def select(self, timeout: float | None) -> list[Any]:
        """Move the clock on by the time that the loop would have slept."""
        if timeout is None:
            raise Stalled("nothing is scheduled: no call can ever come back")
        self.now += timeout
        return []


class SimLoop(asyncio.BaseEventLoop):
    """An event loop without I/O, threads or real time."""

    def __init__(self) -> None:
        super().__init__()
        self._clockwork = self._selector = _Clockwork()
        self._clock_resolution = 1e-9

    def time(self) -> float:
        """Return virtual seconds since the start."""
        return self._clockwork.now

    def _process_events(self, event_list: list[Any]) -> None:
        """Do nothing: there is no I/O."""

    def _write_to_self(self) -> None:
        """Do nothing: there is no other thread to wake this one."""

    def _asyncgen_finalizer_hook(self, agen: Any) -> None:
        """Do nothing: when a generator is collected is not a matter of virtual time."""

    def _asyncgen_firstiter_hook(self, agen: Any) -> None:
        """Do nothing: a killed worker's generators are dropped, not closed."""


def on_loop() -> bool:
    """Whether the caller is the event loop itself, which may not block."""
    return getcurrent().parent is None


def wait(awaitable: Awaitable[Any]) -> Any:
    """Block the calling client thread until `awaitable` is done, and return its result."""
    parent = getcurrent().parent
    if parent is None:
        raise RuntimeError("a blocking client call was made on the event loop")
    return parent.switch(awaitable)


async def as_thread(context: Context, fun: Callable[..., Any], *args: Any) -> Any:
    """Run a function whose blocking calls go through `wait`, and return its result."""
    thread = greenlet(fun)
    thread.gr_context = context
    wanted = thread.switch(*args)
    while not thread.dead:
        try:
            value = await wanted
        except BaseException as error:  # noqa: BLE001 - whatever it is belongs to the caller of `wait`
            wanted = thread.throw(error)
        else:
            wanted = thread.switch(value)
    return wanted


async def within(future: asyncio.Future[Any], seconds: float) -> bool:
    """Wait for a future, but no longer than so many seconds; say whether it is done."""
    if not future.done() and seconds > 0:
        await asyncio.wait((future,), timeout=seconds)
    return future.done()
