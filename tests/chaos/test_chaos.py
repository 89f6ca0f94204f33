"""The size for CI: every fault once or a few times, with evidence, and some of the planted bugs.

All of it runs once, three rounds at a time, for most wait, before the first test; each test then looks at its part.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.chaos.mutants import MUTANTS
from tests.chaos.processes import ROOT
from tests.chaos.sizes import rounds_of
from tests.chaos.suite import run_suite
from tests.chaos.summary import Summary

SEED = int(os.environ.get("CHAOS_SEED", "1"))
ROUNDS = rounds_of("ci")
PLANTED = [one.name for one in MUTANTS if one.ci]

pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="session")
def summary(tmp_path_factory: pytest.TempPathFactory) -> Summary:
    """What came of all rounds; the report is left in build/chaos."""
    folder: Path = tmp_path_factory.mktemp("chaos")
    found = run_suite("ci", SEED, folder, lambda line: print(line, flush=True), lanes=3)
    found.write(ROOT / "build" / "chaos" / "report.json")
    print(found.line())
    return found


@pytest.mark.parametrize("name", [one.name for one in ROUNDS])
def test_fault_hit_and_nothing_is_wrong(summary: Summary, name: str) -> None:
    """The fault hit, with evidence; the oracle found no anomaly; no bar was broken."""
    (result,) = (one for one in summary.results if one.name == name)
    assert result.valid, f"python -m tests.chaos --size ci --seed {SEED}: {result.line()}"
    assert result.anomalies == 0, (result.line(), result.report["anomalies"])
    assert result.broken == []


@pytest.mark.parametrize("name", PLANTED)
def test_planted_bug_is_found(summary: Summary, name: str) -> None:
    """The oracle finds a bug that was planted in a copy of the code, so its silence elsewhere says something."""
    (mutant,) = (one for one in summary.mutants if one.name == name)
    assert mutant.caught, mutant.said


def test_at_least_twenty_points_of_the_protocol_were_killed_at(summary: Summary) -> None:
    """Each named point of the protocol was hit by a kill -9, twenty at the least."""
    points = {
        evidence.partition(":")[0]
        for one in summary.results
        if one.name.startswith("points")
        for evidence in one.evidence
    }
    assert len(points) >= 20
