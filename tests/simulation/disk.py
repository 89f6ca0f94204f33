"""A disk under a worker's tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from streams.engine.store.memory import MemoryStore

if TYPE_CHECKING:
    from tests.simulation.process import Process
    from tests.simulation.world import World


class Disk:
    def __init__(self, world: World) -> None:
        self._world = world

    def open(self, name: str, process: Process) -> Any:
        return MemoryStore(name)
