"""Fault 5: wire faults under a real worker, each shown to have hit, each judged by what is in the topics."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.fault.proxy import Act
from tests.fault.proxy_cases import CASES, CI_CASES, Case, run_case
from tests.fault.proxy_frames import Api
from tests.fault.proxy_kafka import Wire

SEED = int(os.environ.get("FAULT_SEED", "20260722"))
WANTED = CASES if os.environ.get("FAULT_CASES") == "all" else CI_CASES


@pytest.mark.parametrize("case", WANTED, ids=lambda case: case.name)
def test_wire_fault_costs_nothing(case: Case, wire: Wire, tmp_path: Path) -> None:
    """Whatever the wire does to one request: every order has one decision, and the table is theirs."""
    outcome = run_case(case, wire, tmp_path, seed=SEED)
    assert outcome.hit, f"seed {SEED}: the fault did not hit, so this proves nothing: {outcome}"
    assert outcome.anomalies == [], f"seed {SEED}: {outcome.evidence}"


def test_late_commit_without_recycle_is_found(wire: Wire, tmp_path: Path) -> None:
    """The same round with the recycle rule off fails: it is the rule that keeps the promise, and the check sees it."""
    case = Case(Act.HOLD, Api.END_TXN)
    outcome = run_case(case, wire, tmp_path, seed=SEED, recycle=False)
    assert outcome.hit
    assert any("the topics are wrong" in anomaly for anomaly in outcome.anomalies), outcome
    assert any("its epoch was used again" in anomaly for anomaly in outcome.anomalies), outcome
