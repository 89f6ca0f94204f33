"""What a run of the chaos ring says of itself: nothing passes without evidence, and no mutant is forgotten."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.faults.kills import POINTS, SOURCE_POINTS, percentile
from tests.chaos.mutants import MUTANTS
from tests.chaos.rounds import Result
from tests.chaos.sizes import rounds_of
from tests.chaos.summary import Caught, Summary
from tests.chaos.workload import PERIOD, Workload

CLEAN: dict[str, Any] = {"total": 0, "anomalies": {}}
DIRTY: dict[str, Any] = {"total": 2, "anomalies": {"torn": {"count": 2, "example": "here"}}}
FAULTS = {1, 2, 3, 4, 5, 7, 8, 9, 10, 13, 14, 15, 16}
"""All of the plan's that need neither a venue, nor a sink, nor a network of their own."""


def _result(**changes: Any) -> Result:
    facts: dict[str, Any] = {"evidence": ["hit"] * 30, "report": CLEAN, "kills": True, **changes}
    return Result("random", 1, 7, **facts)


def test_clean_run_is_a_success_and_names_the_bound() -> None:
    """Thirty kills without an anomaly bound the rate at ten percent; the line says so, with the seed."""
    summary = Summary("full", 7, [_result()], seconds=9.0)
    assert summary.problems == []
    line = summary.line()
    assert "1 rounds; 30 faults with evidence (1: 30); 0 anomalies" in line
    assert "0 anomalies in 30 kills => below 10.0 % a kill at 95 %" in line
    assert "seed 7" in line


@pytest.mark.parametrize(
    "changes",
    [
        {"evidence": []},  # it did not hit
        {"report": {}},  # the oracle gave no verdict
        {"report": DIRTY},
        {"broken": ["exit 1"]},
    ],
)
def test_round_without_evidence_verdict_or_order_is_a_problem(changes: dict[str, Any]) -> None:
    """A fault that did not hit, an oracle without a verdict, an anomaly, a broken bar: none passes."""
    result = _result(**changes)
    assert not result.passed
    assert len(Summary("full", 7, [result]).problems) == 1


def test_faults_that_did_not_hit_are_not_counted() -> None:
    """A round without a verdict adds no hits, and anomalies leave no bound."""
    assert Summary("full", 7, [_result(report={})]).faults() == {1: 0}
    assert "=>" not in Summary("full", 7, [_result(report=DIRTY)]).line()


def test_missed_mutants_and_a_control_that_passes_are_problems(tmp_path: Path) -> None:
    """One mutant missed, or stock Faust without an anomaly, makes the run a failure; the report has it."""
    caught = [Caught(one.name, one.bug, True, {"torn": 1}) for one in MUTANTS]
    summary = Summary("full", 7, [], caught, len(MUTANTS), {"total": 3}, control_planned=True)
    assert summary.problems == []
    assert "14 of 14 mutants caught; stock Faust: 3 anomalies" in summary.line()
    summary.mutants = caught[1:]
    summary.control = {"total": 0}
    summary.write(tmp_path / "deep" / "report.json")
    report = json.loads((tmp_path / "deep" / "report.json").read_text())
    assert len(report["problems"]) == 2
    assert "13 of 14" in report["line"]


@pytest.mark.parametrize("size", ["ci", "full"])
def test_every_size_has_every_fault(size: str) -> None:
    """Each size tries each kind of fault, under names of their own, each point of the protocol included."""
    rounds = rounds_of(size)
    assert {one.fault for one in rounds} == FAULTS
    assert len({one.name for one in rounds}) == len(rounds)
    assert len(POINTS) >= 20
    assert SOURCE_POINTS


def test_long_size_repeats_with_other_seeds() -> None:
    """The long size is the full one many times, each round under a name of its own."""
    rounds = rounds_of("long", 3)
    assert len(rounds) == 3 * len(rounds_of("full"))
    assert len({one.name for one in rounds}) == len(rounds)


def test_workload_repeats_and_its_poison_stays_below_the_rate() -> None:
    """One seed gives one sequence; two of a period are poison, and each kill's inputs hold one that aborts."""
    first, second = Workload(3).take(PERIOD), Workload(3).take(PERIOD)
    assert first == second
    assert sum(b"rude" in one.value for one in first) == 1
    assert sum(one.value.startswith(b"\xff") for one in first) == 1
    assert not any(b"rude" in one.value for one in Workload(3, poison=False).take(PERIOD))


def test_percentile_is_a_value_that_was_seen() -> None:
    """The 95th percentile of twenty values is the nineteenth; of few it is the largest."""
    assert percentile([float(n) for n in range(20, 0, -1)], 95) == 19.0
    assert percentile([3.0, 1.0], 95) == 3.0
