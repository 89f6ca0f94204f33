"""One run: a cluster, its workers, their faults, in virtual time, from one seed."""

from __future__ import annotations

import asyncio
import gc
import hashlib
import logging
import random
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from streams.engine.failpoints import armed
from streams.engine.transaction import State
from tests.simulation.broker import Broker
from tests.simulation.disk import Disk, DiskState
from tests.simulation.faults import Faults
from tests.simulation.loop import SimLoop, Stalled
from tests.simulation.options import TICK, Options
from tests.simulation.oracle import Anomaly, Oracle
from tests.simulation.process import running, task_factory
from tests.simulation.slots import Slot, Worker
from tests.simulation.workload import NAME, Feeder

LIVENESS_SECONDS = 90.0
"""Within this after the last fault, every input is committed: session, transaction time-out, clean-up."""


class World:
    """Everything of one run; nothing outlives it."""

    def __init__(self, options: Options, tell: Callable[[str], None] | None = None) -> None:
        self.options = options
        self.loop = SimLoop()
        self.loop.set_task_factory(task_factory)
        self.counts: Counter[str] = Counter()
        self._hash = hashlib.sha256()
        self._tell = tell
        self.recent: deque[str] = deque(maxlen=300)
        self.words: deque[str] = deque(maxlen=50)
        self.over = False
        self.found: list[str] = []
        self.faults = Faults(self, options)
        self.broker = Broker(self)
        self.inputs = ["order", "release"] if options.releases else ["order"]
        for topic in (*self.inputs, "decision"):
            self.broker.create(topic, options.partitions)
        self.oracle = Oracle(self)
        self.slots = [Slot(self, str(number)) for number in range(options.slots)]
        self._disks: dict[str, list[Disk]] = {slot.name: [] for slot in self.slots}

    # -- what the parts ask of it

    def chance(self, name: str) -> random.Random:
        """Return a source of chance of its own for one part."""
        return random.Random(f"{name} {self.options.seed}")

    async def sleep(self, seconds: float) -> None:
        """Wait in virtual time."""
        await asyncio.sleep(seconds)

    def trace(self, *facts: object) -> None:
        """Note what happened: the hash over all of it is the run's identity."""
        line = f"{self.loop.time():.6f} {' '.join(map(str, facts))}"
        self._hash.update(line.encode())
        self.recent.append(line)
        if self._tell is not None:
            self._tell(line)

    def count(self, what: str) -> None:
        """Count something that is to happen sometimes."""
        self.counts[what] += 1

    def anomaly(self, text: str) -> None:
        """Note a violation; the run ends at its next look."""
        self.trace("ANOMALY", text)
        self.found.append(text)

    def last_words(self) -> str:
        """Return what workers logged last at a high level."""
        return " / ".join(list(self.words)[-3:])

    def equip(self, worker: Worker) -> None:
        """Give a worker the store of the run: a disk that nobody holds, or that of another machine."""
        if self.options.store != "disk":
            return
        disks = self._disks[worker.slot]
        free = [disk for disk in disks if disk.holder is None]
        if not free:
            free = [Disk(self, f"{worker.slot} {len(disks)}")]
            disks += free
        worker.engine.stores = DiskState(free[0], worker.process)

    @property
    def digest(self) -> str:
        """Return the hash over the trace."""
        return self._hash.hexdigest()

    # -- the run

    def run(self, ticks: int) -> None:
        """Run both phases.

        Raises:
            Anomaly: something is not as it must be.
        """
        with self._hooks():
            try:
                self.loop.run_until_complete(self._run(ticks * TICK))
            except Stalled as error:
                raise Anomaly(f"stalled: {error}") from error
            finally:
                self._clear()
        self.trace("end of run", *sorted(self.counts.items()))

    async def _run(self, seconds: float) -> None:
        self.broker.coordinator.start()
        tasks = [self.loop.create_task(slot.supervise()) for slot in self.slots]
        tasks += [self.loop.create_task(Feeder(self).run())]
        for work in (self._kills, self._pauses, self._stops, self._scaling):
            tasks.append(self.loop.create_task(work()))
        until = self.loop.time() + seconds
        while self.loop.time() < until:
            await asyncio.sleep(100 * TICK)
            self._look(tasks)
        self.faults.active = False
        await asyncio.sleep(1.0)  # the feeder's last transaction
        for slot in self.slots:
            slot.wanted = True
            for worker in slot.living:
                worker.process.resume()
        until = self.loop.time() + LIVENESS_SECONDS
        while not self.oracle.settled():
            await asyncio.sleep(0.1)
            self._look(tasks)
            if self.loop.time() > until:
                open_ = self.oracle.open_business()
                raise Anomaly(f"not settled {LIVENESS_SECONDS:g} s after the last fault: {open_}")
        self.oracle.final()
        self._tables()
        self._look(tasks)

    def _look(self, tasks: list[asyncio.Task[None]]) -> None:
        self.oracle.watch()
        for task in tasks:
            if task.done() and task.exception() is not None:
                raise Anomaly(f"the simulation itself failed: {task.exception()!r}")
        if self.found:
            raise Anomaly("; ".join(self.found[:3]))

    def _tables(self) -> None:
        """Every owner's committed rows of its partitions are what the reference has."""
        group = self.broker.group(NAME)
        for slot in self.slots:
            for worker in slot.living:
                if worker.process.state() != State.IDLE:
                    continue
                if not group.has(worker.engine.client.consumer.me):
                    continue
                for number in worker.engine.parts:
                    table = worker.engine.tables[0]
                    rows = {k: int(v) for k, v in table.committed(number).items()}
                    if rows != self.oracle.units[number].reference.rows:
                        self.anomaly(f"table of {worker.process.name}[{number}] differs: {rows}")

    def _clear(self) -> None:
        """End every process and every task: no exception may come out of the garbage later."""
        self.over = True
        for slot in self.slots:
            for worker in slot.workers:
                worker.process.kill("the end")
        pending = asyncio.all_tasks(self.loop)
        for task in pending:
            task.cancel()
        if pending:
            self.loop.run_until_complete(asyncio.wait(pending, timeout=30.0))
        self.loop.close()

    # -- faults of processes

    def _living(self) -> list[Worker]:
        return [worker for slot in self.slots for worker in slot.living]

    async def _each(self, kind: str, seconds: float) -> Any:
        """Wait for the next time of a fault and pick its victim."""
        chance = self.chance(kind)
        while self.faults.active and kind in self.options.faults:
            await asyncio.sleep(chance.expovariate(1 / seconds))
            living = self._living()
            if living and self.faults.active:
                yield chance.choice(living), chance

    async def _kills(self) -> None:
        async for worker, _ in self._each("kill", self.options.kill_seconds):
            self.faults.aim(worker.process)

    async def _pauses(self) -> None:
        async for worker, chance in self._each("pause", self.options.pause_seconds):
            if worker.process.paused:
                continue
            seconds = chance.choice((0.5, 5.0, 15.0, 30.0))
            self.trace("pause", worker.process.name, seconds)
            self.count("paused")
            worker.process.pause()
            self.loop.call_later(seconds, worker.process.resume)
            # Two dynamic holders of a slot are no conflict to the group: they fence each other for ever.
            static = self.options.membership == "static"
            if static and "double" in self.options.faults and chance.random() < 0.5:
                await asyncio.sleep(chance.uniform(0.1, seconds))
                self._double(worker)

    def _double(self, worker: Worker) -> None:
        """Start a second holder of a slot: one of the two must give way."""
        slot = self.slots[int(worker.slot)]
        if self.faults.active and worker.process.alive:
            self.count("second holder")
            other = slot.start()
            other.process.ended.add_done_callback(lambda _: slot.judge(other))

    async def _stops(self) -> None:
        async for worker, _ in self._each("stop", self.options.stop_seconds):
            self.trace("stop", worker.process.name)
            worker.stop()

    async def _scaling(self) -> None:
        async for worker, chance in self._each("scale", self.options.scale_seconds):
            slot = self.slots[int(worker.slot)]
            slot.wanted = False
            self.trace("scale in", slot.name)
            worker.stop()
            await asyncio.sleep(chance.uniform(1.0, 15.0))
            slot.wanted = True

    # -- hooks

    @contextmanager
    def _hooks(self) -> Iterator[None]:
        """Make failpoints effects of the running process, and keep the engine's log to ourselves."""
        quiet = [logging.getLogger(name) for name in ("streams.engine", "mode", "faust")]
        levels = [(logger.level, logger.propagate) for logger in quiet]
        listener = _Listener(self)
        armed.name, armed.hit = "simulation", _effect  # type: ignore[method-assign] # its one instance
        for logger in quiet:
            logger.setLevel(logging.ERROR if self._tell is None else logging.INFO)
            logger.propagate = False
            logger.addHandler(listener)
        gc.disable()
        try:
            yield
        finally:
            gc.enable()
            armed.name = ""
            del armed.hit
            for logger, (level, propagate) in zip(quiet, levels, strict=True):
                logger.removeHandler(listener)
                logger.setLevel(level)
                logger.propagate = propagate


class _Listener(logging.Handler):
    def __init__(self, world: World) -> None:
        super().__init__(logging.DEBUG)
        self._world = world

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a line of the engine's log."""
        text = record.getMessage()
        if record.exc_info and record.exc_info[1] is not None:
            text += f" ({record.exc_info[1]!r})"
        self._world.words.append(text)
        process = running.get()
        self._world.recent.append(
            f"{self._world.loop.time():.6f} log {process and process.name} {text}"
        )
        if self._world._tell is not None:
            self._world._tell(self._world.recent[-1])


def _effect(name: str) -> None:
    process = running.get()
    if process is not None:
        process.effect(name)


__all__ = ["NAME", "World"]
