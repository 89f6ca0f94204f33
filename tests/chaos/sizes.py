"""How many rounds of which fault make a size."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from tests.chaos.faults import broker, clock, disk, kills, registry, signals, slots, storm, wire
from tests.chaos.rounds import Round

SIZES = ("ci", "full", "long")
ROCKS = {"store": "rocksdb"}
MARKED = {"marked": True}
"""Inputs in transactions: only behind a marker is there an idle commit."""
CALM = {"poison": False}


def _ci() -> list[Round]:
    half = len(kills.POINTS) // 2
    return [
        Round("hanging", 15, slots.hanging, CALM),
        Round("points-memory", 1, partial(kills.at_points, points=kills.POINTS[:half]), MARKED, kills=True, replay=True),
        Round("broker", 4, partial(broker.killed, times=1), own_broker=True),
        Round("points-rocksdb", 1, partial(kills.at_points, points=kills.POINTS[half:]), {**ROCKS, **MARKED}, kills=True),
        Round("wire", 5, partial(wire.late_pair, times=1), CALM, wire=True),
        Round("zombie", 3, partial(signals.stopped, seconds=25.0, other=True), CALM),
        Round("source", 1, partial(kills.at_points, points=kills.SOURCE_POINTS), {"ticks": 1_600}, kills=True),
        Round("random", 1, partial(kills.at_random, kills=4), ROCKS, kills=True),
        Round("sigterm", 2, partial(signals.terminated, times=2), CALM),
        Round("pause", 3, partial(signals.stopped, seconds=5.0, other=False)),
        Round("registry", 10, partial(registry.unreachable, modes=("down", "failing")), {"framed": True, **CALM}),
        Round("storm", 7, partial(storm.storm, seconds=14.0), CALM),
        Round("disk-full", 8, disk.full, {**ROCKS, **CALM}),
        Round("damage", 9, partial(disk.damaged, times=2), ROCKS),
        Round("clock", 13, clock.stepped, seen=clock.seen, replay=True),
        Round("restore", 14, partial(kills.during_restore, kills=2)),
        Round("twins", 16, slots.twins),
    ]  # fmt: skip


def _full() -> list[Round]:
    points = partial(kills.at_points, points=kills.POINTS)
    modes = ("down", "failing", "slow", "down")
    return [
        Round("hanging", 15, slots.hanging, CALM),
        Round("points-memory", 1, points, MARKED, kills=True, replay=True),
        Round("points-rocksdb", 1, points, {**ROCKS, **MARKED}, kills=True, replay=True),
        Round("broker", 4, partial(broker.killed, times=3), own_broker=True),
        Round("wire-late", 5, partial(wire.late_pair, times=3), CALM, wire=True),
        Round("wire", 5, partial(wire.faulted, cases=wire.DOZEN), CALM, wire=True),
        Round("zombie", 3, partial(signals.stopped, seconds=30.0, other=True), CALM),
        Round("zombie-long", 3, partial(signals.stopped, seconds=45.0, other=True), {**ROCKS, **CALM}),
        Round("source", 1, partial(kills.at_points, points=kills.SOURCE_POINTS), {"ticks": 1_600}, kills=True),
        Round("random-memory", 1, partial(kills.at_random, kills=10), kills=True, replay=True),
        Round("random-rocksdb", 1, partial(kills.at_random, kills=10), ROCKS, kills=True),
        Round("sigterm", 2, partial(signals.terminated, times=10), CALM),
        Round("pause", 3, partial(signals.stopped, seconds=5.0, other=False)),
        Round("registry", 10, partial(registry.unreachable, modes=modes), {"framed": True, **CALM}),
        Round("storm", 7, partial(storm.storm, seconds=60.0, most=4), CALM),
        Round("drains", 7, partial(storm.in_drains, times=6), CALM, replay=True),
        Round("disk-full", 8, disk.full, {**ROCKS, **CALM}),
        Round("damage", 9, partial(disk.damaged, times=6), ROCKS),
        Round("clock", 13, clock.stepped, seen=clock.seen, replay=True),
        Round("restore-memory", 14, partial(kills.during_restore, kills=3)),
        Round("restore-rocksdb", 14, partial(kills.during_restore, kills=3), ROCKS),
        Round("twins", 16, slots.twins),
    ]  # fmt: skip


def rounds_of(size: str, times: int = 10) -> list[Round]:
    """Return the rounds of a size.

    Args:
        size: ci, full, or long: the rounds of full many times, each with another seed.
        times: how many times for long.
    """
    if size == "ci":
        return _ci()
    if size == "full":
        return _full()
    return [replace(one, name=f"{one.name}.{number}") for number in range(times) for one in _full()]
