"""What a seed stands for: the shape of the run and the faults that are on in it."""

from __future__ import annotations

import random
from dataclasses import asdict, dataclass, field, replace
from typing import Any

TICK = 0.01
"""One tick is 10 ms of virtual time."""

FAULTS = (
    "kill",
    "pause",
    "stop",
    "double",
    "scale",
    "lost",
    "unanswered",
    "limbo",
    "hung",
    "slow",
    "slow_markers",
    "bombs",
    "garbage",
    "aborted_inputs",
)
"""Kinds of faults; each seed switches a random half of them off."""


@dataclass(frozen=True, slots=True)
class Options:
    """The full set of options of one run."""

    seed: int
    slots: int = 2
    partitions: int = 3
    membership: str = "static"
    store: str = "memory"
    batch_max: int = 20
    releases: bool = True
    clock: float = 0.0
    accounts: int = 12
    rate: float = 20.0
    kill_seconds: float = 6.0
    pause_seconds: float = 15.0
    stop_seconds: float = 20.0
    scale_seconds: float = 25.0
    wire: float = 0.01
    slow: float = 0.02
    heartbeat: float = 3.0
    apis: tuple[str, ...] = ()
    faults: tuple[str, ...] = field(default=FAULTS)

    def line(self) -> str:
        """Return all of it in one line."""
        return " ".join(f"{name}={value}" for name, value in asdict(self).items())

    def having(self, **changes: Any) -> Options:
        """Return a copy with some options changed."""
        return replace(self, **changes)


def options_of(seed: int) -> Options:
    """Draw the options of a seed."""
    chance = random.Random(f"options {seed}")
    on = tuple(sorted(chance.sample(FAULTS, len(FAULTS) // 2)))
    return Options(
        seed=seed,
        slots=chance.choice((1, 2, 2, 3)),
        partitions=chance.choice((1, 2, 4)),
        membership=chance.choice(("static", "static", "dynamic")),
        store=chance.choice(("memory", "disk")),
        batch_max=chance.choice((1, 5, 50)),
        releases=chance.random() < 0.6,
        clock=chance.choice((0.0, 0.0, 1.0)),
        accounts=chance.choice((3, 12, 40)),
        rate=chance.choice((4.0, 15.0, 30.0)),
        kill_seconds=chance.choice((2.0, 5.0, 12.0)),
        pause_seconds=chance.choice((8.0, 20.0)),
        stop_seconds=chance.choice((8.0, 25.0)),
        scale_seconds=chance.choice((10.0, 25.0)),
        wire=chance.choice((0.003, 0.01, 0.03)),
        heartbeat=chance.choice((0.5, 3.0, 3.0)),
        faults=on,
    )
