"""Defects planted in the shipped engine: the simulation must find every one of them."""

from __future__ import annotations

import pytest

from tests.simulation.mutants import MUTANTS, options_for, planted
from tests.simulation.oracle import Anomaly
from tests.simulation.world import World

SEEDS = 40
TICKS = 1_500


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", sorted(MUTANTS))
def test_planted_defects_are_found(name: str) -> None:
    """Within a bounded number of seeds the planted defect shows as an anomaly."""
    for seed in range(SEEDS):
        world = World(options_for(name, seed))
        with planted(name):
            anomaly = _anomaly_of(world)
        if anomaly:
            # A planted defect that only breaks the code would be found by anything.
            assert not any(error in anomaly for error in ("TypeError", "AttributeError"))
            return
    pytest.fail(f"{SEEDS} seeds do not show it")


def _anomaly_of(world: World) -> str:
    try:
        world.run(TICKS)
    except Anomaly as anomaly:
        return str(anomaly)
    return ""


@pytest.mark.timeout(600)
def test_without_a_defect_the_same_options_show_nothing() -> None:
    """It is the defect that is found: its options alone lead to no anomaly."""
    for name in MUTANTS:
        World(options_for(name, 0)).run(TICKS)
