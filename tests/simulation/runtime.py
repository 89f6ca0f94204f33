"""The engine's seam, filled with simulated clients, threads, time and an end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn

from streams.engine.runtime import CALL_GRACE_SECONDS
from tests.simulation.admin import SimAdmin
from tests.simulation.consumer import SimConsumer
from tests.simulation.errors import Killed
from tests.simulation.loop import wait
from tests.simulation.producer import SimProducer

if TYPE_CHECKING:
    from tests.simulation.process import Process
    from tests.simulation.world import World

EPOCH_MICROS = 1_700_000_000_000_000
"""Wall time at the start of every simulation."""


class SimExecutor:
    """One client thread of a process: calls run one after the other."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._turn = asyncio.Lock()

    async def run(self, fun: Callable[..., Any], *args: Any) -> Any:
        """Run a blocking call and return what it returns."""
        async with self._turn:
            return await self._process.thread(fun, *args)

    def close(self) -> None:
        """Take no more calls."""


class SimWatchdog:
    """Ends the process in virtual time."""

    def __init__(self, runtime: SimRuntime) -> None:
        self._runtime = runtime
        self._due: dict[str, asyncio.TimerHandle] = {}

    def arm(self, what: str, seconds: float, who: Callable[[], str] | None = None) -> None:
        """End the process unless `disarm(what)` comes within `seconds` and the grace."""
        self.disarm(what)
        loop = self._runtime.world.loop
        self._due[what] = loop.call_later(seconds + CALL_GRACE_SECONDS, self._strike, what)

    def _strike(self, what: str) -> None:
        process = self._runtime.process
        if process.paused:
            # A stopped process has no running thread that could end it: at once when it goes on.
            self.arm(what, 0.0)
            return
        self._runtime.world.count("watchdog")
        process.kill(f"watchdog {what}", 75)

    def disarm(self, what: str) -> None:
        """The call has come back."""
        due = self._due.pop(what, None)
        if due is not None:
            due.cancel()

    def close(self) -> None:
        """Watch no longer."""
        for what in list(self._due):
            self.disarm(what)


class SimRuntime:
    """What one simulated process takes from outside."""

    def __init__(self, world: World, process: Process) -> None:
        self.world = world
        self.process = process
        self._producers: dict[str, SimProducer] = {}

    def monotonic(self) -> float:
        """Return virtual seconds."""
        return self.world.loop.time()

    def now_micros(self) -> int:
        """Return virtual wall time in microseconds: the engine's clock."""
        return EPOCH_MICROS + round(self.world.loop.time() * 1_000_000)

    def sleep(self, seconds: float) -> None:
        """Block the calling client thread."""
        self.process.blocking(asyncio.sleep(seconds))

    def boot_id(self) -> str:
        """Return the name of the process, which no other has."""
        return self.process.name

    def consumer(self, config: dict[str, Any], logger: logging.Logger) -> SimConsumer:
        """Return a simulated consumer."""
        self.process.effect("new consumer")
        return SimConsumer(self.world, self.process, config, logger)

    def producer(self, config: dict[str, Any], logger: logging.Logger) -> SimProducer:
        """Return a simulated producer; one with the same id was dropped by the caller before."""
        self.process.effect("new producer")
        slot = config["transactional.id"]
        old = self._producers.pop(slot, None)
        if old is not None:
            self.world.count("producer recycled")
            old.destroy()
        producer = self._producers[slot] = SimProducer(self.world, self.process, config, logger)
        return producer

    def admin(self, config: dict[str, Any], logger: logging.Logger) -> SimAdmin:
        """Return a simulated admin client."""
        return SimAdmin(self.world, self.process)

    def executor(self, name: str) -> SimExecutor:
        """Return a client thread."""
        return SimExecutor(self.process)

    def watchdog(self) -> SimWatchdog:
        """Return a watchdog in virtual time."""
        watchdog = SimWatchdog(self)
        self.process.on_end.append(watchdog.close)
        return watchdog

    def exit(self, code: int) -> NoReturn:
        """End the process at once."""
        self.process.kill(f"exit {int(code)}", int(code))
        raise Killed(self.process.name)


__all__ = ["EPOCH_MICROS", "SimRuntime", "wait"]
