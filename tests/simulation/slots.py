"""Worker slots: each has a supervisor that starts a process, waits for its end, and judges it."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

from streams.engine.transaction import Protocol, State
from tests.simulation.errors import Killed
from tests.simulation.process import Process
from tests.simulation.runtime import SimRuntime
from tests.simulation.workload import build

if TYPE_CHECKING:
    from tests.simulation.world import World

RESTARTABLE = frozenset({0, 4, 75, 143})
"""Exit codes that any fault may lead to: stopped, Kafka away, start me again, a stop took too long."""


class WatchedProtocol(Protocol):
    """The engine's protocol, whose moves are effects: a process can be killed right after one."""

    def __init__(self, process: Process) -> None:
        super().__init__()
        self._process = process
        self._before = self.state

    def move(self, to: State) -> None:
        """Go to the next state."""
        before, self._before = self._before, self.state
        super().move(to)
        if before is State.UNKNOWN and self._before is State.RECYCLING:
            outcome = "committed" if to is State.IDLE else "aborted"
            self._process.world.count(f"unknown, then {outcome}")
        self._process.effect(f"move {to}")


class Worker:
    """One start of one slot."""

    def __init__(self, world: World, slot: str, number: int) -> None:
        self.world = world
        self.slot = slot
        self.started = world.loop.time()
        self.process = Process(world, f"w{slot}.{number}")
        self.engine: Any = None
        self.stopping = False

    def start(self) -> None:
        """Start the process."""
        self.process.spawn(self._main())

    async def _main(self) -> None:
        process = self.process
        app = build(self.world.options, SimRuntime(self.world, process), self.slot)
        app.finalize()
        self.engine = engine = app.engine
        engine.protocol = WatchedProtocol(process)
        process.state = lambda: str(engine.protocol.state)
        self.world.equip(self)
        for agent in app.agents.values():
            await agent.start()
        await engine.start()

    def stop(self) -> None:
        """Ask the process to end by itself, as SIGTERM does."""
        if self.engine is not None and self.process.alive and not self.stopping:
            self.stopping = True
            self.process.spawn(self._stop())

    async def _stop(self) -> None:
        try:
            await self.engine.stop()
        except TimeoutError:
            self.process.kill("stop took too long", 143)
        else:
            self.process.kill("stopped", 0)


class Slot:
    """One slot of the application, and the supervisor of its processes."""

    def __init__(self, world: World, name: str) -> None:
        self._world = world
        self.name = name
        self.workers: list[Worker] = []
        self.wanted = True

    @property
    def living(self) -> list[Worker]:
        """Processes of this slot that have not ended."""
        return [w for w in self.workers if w.process.alive]

    def start(self) -> Worker:
        """Start one more process."""
        worker = Worker(self._world, self.name, len(self.workers))
        self.workers.append(worker)
        self._world.trace("start", worker.process.name)
        self._world.faults.lurk(worker.process)
        worker.start()
        return worker

    async def supervise(self) -> None:
        """Keep one process running while the slot is wanted."""
        chance, sleep = self._world.chance(f"slot {self.name}"), self._world.sleep
        await sleep(chance.uniform(0, 1.0))
        while not self._world.over:
            if not self.wanted or self.living:
                await sleep(0.1)
                continue
            worker = self.start()
            with contextlib.suppress(Killed):
                await asyncio.shield(worker.process.ended)
            self.judge(worker)
            await sleep(chance.uniform(0.1, 1.0))

    def judge(self, worker: Worker) -> None:
        """Raise an anomaly for an end that no fault explains."""
        code = worker.process.exit_code
        if code is None or code in RESTARTABLE:
            return
        others = [w for w in self.workers if w is not worker and w.process.until >= worker.started]
        if code == 70:
            self._world.count("exit 70")
            if not others:
                self._world.anomaly(f"{worker.process.name} says another holds its slot: none does")
            return
        self._world.anomaly(f"{worker.process.name} ended with {code}: {self._world.last_words()}")
