"""Chance: what happens to a request, when a process is killed or paused; all of it from the seed."""

from __future__ import annotations

import math
import random
from typing import TYPE_CHECKING

from streams.engine.failpoints import NAMES
from streams.engine.transaction import State

if TYPE_CHECKING:
    from tests.simulation.options import Options
    from tests.simulation.process import Process
    from tests.simulation.world import World

Place = tuple[str, int]
_WIRE = ("lost", "unanswered", "limbo", "hung")
_WEIGHT = {"lost": 1.0, "unanswered": 1.0, "limbo": 1.5, "hung": 0.3}
_TARGETS = (*(f"state {state}" for state in State), *NAMES)
_SELDOM = (State.INIT, State.ABORTING, State.RECYCLING, State.STOPPING)
_AIM_SECONDS = 4.0


class Faults:
    """Draws every fault of a run; `active` turns them all off for its second phase."""

    def __init__(self, world: World, options: Options) -> None:
        self._world = world
        self.options = options
        self.active = True
        self.chance = random.Random(f"faults {options.seed}")
        self._wire = [kind for kind in _WIRE if kind in options.faults]
        self._slow = "slow" in options.faults
        self._slow_markers = "slow_markers" in options.faults
        self._aims: dict[Process, tuple[str, float]] = {}
        self.planned: dict[str, str] = {}
        """By request: the fate of its next one, for tests that plan a run."""

    # -- the wire

    def fate(self, api: str, *, limbo: bool) -> str:
        """Return what happens to a request."""
        planned = self.planned.pop(api, None)
        if planned is not None:
            return planned
        options = self.options
        # Outcomes are to be unknown often enough: of an EndTxn more is tried.
        rate = options.wire * (3 if api == "EndTxn" else 1)
        if not self.active or not self._wire or self.chance.random() >= rate:
            return "ok"
        if options.apis and api not in options.apis:
            return "ok"
        weights = [_WEIGHT[kind] for kind in self._wire]
        if api == "EndTxn" and "hung" in self._wire:
            weights[self._wire.index("hung")] = 3.0
        kind = self.chance.choices(self._wire, weights)[0]
        return "lost" if kind in ("limbo", "hung") and not limbo else kind

    def delay(self, api: str = "") -> float:
        """Return how long a frame is on its way, in seconds."""
        meant = not self.options.apis or api in self.options.apis
        if meant and self.active and self._slow and self.chance.random() < self.options.slow:
            return self.chance.uniform(0.01, 0.8)
        return self.chance.uniform(0.0003, 0.002)

    def limbo_seconds(self) -> float:
        """Return when a frame in limbo arrives: soon, or many transactions later."""
        return math.exp(self.chance.uniform(math.log(0.02), math.log(6.0)))

    def hung_seconds(self) -> float:
        """Return when a frame whose answer never comes is read."""
        return self.chance.uniform(0.001, self.chance.choice((1.0, 9.0, 9.0)))

    def dark_seconds(self, api: str) -> float:
        """Return for how long nothing gets through after a request that is not answered.

        After an EndTxn mostly for so long that its caller gives up: outcomes are to be unknown.
        """
        if not self.active or self.chance.random() >= (0.7 if api == "EndTxn" else 0.3):
            return 0.0
        return self.chance.uniform(1.0, 6.0)

    def marker_delay(self) -> float:
        """Return how long after the decision one partition's marker is written."""
        if self.active and self._slow_markers and self.chance.random() < 0.1:
            return self.chance.uniform(0.05, 3.0)
        return self.chance.uniform(0.0005, 0.008)

    def shuffled(self, items: list[Place]) -> list[Place]:
        """Return the items in another order."""
        self.chance.shuffle(items)
        return items

    def breaks_a_drain(self) -> bool:
        """Whether a drain ends though more is there: another thread had the queue's lock."""
        return self.active and self.chance.random() < 0.02

    # -- processes

    def aim(self, process: Process, target: str | None = None) -> None:
        """Decide to kill a process in a state or at a failpoint; a while later, anywhere."""
        if process in self._aims:
            return
        until = self._world.loop.time() + _AIM_SECONDS
        self._aims[process] = (target or self.chance.choice(_TARGETS), until)

    def lurk(self, process: Process) -> None:
        """Decide to kill a process in a state that is seldom: whenever it comes there."""
        if "kill" in self.options.faults and self.active and self.chance.random() < 0.4:
            self._aims[process] = (f"state {self.chance.choice(_SELDOM)}", math.inf)

    def strike(self, process: Process, point: str) -> None:
        """Kill the process if this is where it was to be killed."""
        if process.paused or not self.active:
            return
        aim = self._aims.get(process)
        if aim is None:
            if process.state() != State.UNKNOWN or "kill" not in self.options.faults:
                return
            aim = (f"state {State.UNKNOWN}", math.inf)
        target, until = aim
        if (
            point == target
            or f"state {process.state()}" == target
            or self._world.loop.time() > until
        ):
            how = "killed"
        else:
            return
        self._aims.pop(process, None)
        process.kill(how)
        process.effect(point)
