"""A simulated operating-system process: it can be killed at every effect, paused and continued."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextvars import Context, ContextVar
from typing import TYPE_CHECKING, Any

from tests.simulation.errors import Killed
from tests.simulation.loop import as_thread, on_loop, wait

if TYPE_CHECKING:
    from tests.simulation.world import World

running: ContextVar[Process | None] = ContextVar("simulation.process", default=None)
"""The process whose code runs."""


def task_factory(
    loop: asyncio.AbstractEventLoop, coro: Any, context: Context | None = None
) -> asyncio.Task[Any]:
    """Make a task that belongs to the process whose code makes it."""
    task: asyncio.Task[Any] = asyncio.Task(coro, loop=loop, context=context)
    process = running.get() if context is None else context.get(running)
    if process is not None:
        process.adopt(task)
    return task


class Process:
    """One process of one worker, from its start to its end."""

    def __init__(self, world: World, name: str) -> None:
        self.world = world
        self.name = name
        self.alive = True
        self.exit_code: int | None = None
        self.until = float("inf")
        self.pauses = 0
        self.state: Callable[[], str] = lambda: "INIT"
        self.ended: asyncio.Future[None] = world.loop.create_future()
        self.context = Context()
        self.context.run(running.set, self)
        self.on_end: list[Callable[[], None]] = []
        self._tasks: dict[asyncio.Task[Any], None] = {}
        self._resumed: asyncio.Future[None] | None = None

    # -- tasks and threads

    def adopt(self, task: asyncio.Task[Any]) -> None:
        """Count a task as one of this process: it ends with it."""
        self._tasks[task] = None
        task.add_done_callback(self._forget)

    def _forget(self, task: asyncio.Task[Any]) -> None:
        self._tasks.pop(task, None)
        if not task.cancelled():
            task.exception()  # a killed process tells nobody

    def spawn(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Start a background task of the process."""
        if not self.alive:
            work.close()
            raise Killed(self.name)
        return self.context.run(self.world.loop.create_task, work)

    async def thread(self, fun: Callable[..., Any], *args: Any) -> Any:
        """Run a function with blocking calls as a thread of the process."""
        context = Context()
        context.run(running.set, self)
        return await as_thread(context, fun, *args)

    # -- pauses

    @property
    def paused(self) -> bool:
        """Whether the process is stopped and will be continued."""
        return self._resumed is not None

    def pause(self) -> None:
        """Stop the process: nothing of it runs on, its requests under way do."""
        if self._resumed is None:
            self._resumed = self.world.loop.create_future()
            self.pauses += 1

    def resume(self) -> None:
        """Continue the process."""
        resumed, self._resumed = self._resumed, None
        if resumed is not None and not resumed.done():
            resumed.set_result(None)

    async def gate(self) -> None:
        """Wait while the process is paused."""
        while self._resumed is not None:
            await self._resumed
        if not self.alive:
            raise Killed(self.name)

    # -- effects

    def effect(self, point: str) -> None:
        """Pass an effect boundary: the process may be killed here, or paused."""
        if not self.alive:
            raise Killed(self.name)
        self.world.faults.strike(self, point)
        if self.paused and not on_loop():
            wait(self.gate())

    def blocking(self, awaitable: Awaitable[Any]) -> Any:
        """Block the calling thread of the process."""
        found = wait(awaitable)
        if self.paused:
            wait(self.gate())
        if not self.alive:
            raise Killed(self.name)
        return found

    # -- the end

    def kill(self, why: str, code: int | None = None) -> None:
        """End the process at once, without any clean-up: what it sent stays on the wire."""
        if not self.alive:
            return
        self.alive = False
        self.exit_code = code
        self.until = self.world.loop.time()
        self.world.trace("end", self.name, why, self.state())
        self.world.count(f"{why} in {self.state()}")
        for end in self.on_end:
            end()
        self.resume()
        self.world.loop.call_soon(self._bury)

    def _bury(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        if not self.ended.done():
            self.ended.set_result(None)
