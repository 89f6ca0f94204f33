"""Fault 5: wire faults under a real worker, each shown to have hit, each judged by what is in the topics."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from tests.fault.proxy import Act
from tests.fault.proxy_cases import CASES, CI_CASES, Case, Outcome, run_case
from tests.fault.proxy_frames import Api
from tests.fault.proxy_kafka import Wire

SEED = int(os.environ.get("FAULT_SEED", "20260722"))
WANTED = CASES if os.environ.get("FAULT_CASES") == "all" else CI_CASES


SIDE_BY_SIDE = 3
MUTANT = Case(Act.HOLD, Api.END_TXN)

pytestmark = pytest.mark.timeout(120 + 30 * len(WANTED))


@pytest.fixture(scope="module")
def outcomes(
    request: pytest.FixtureRequest, wire: Wire, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[tuple[Case, bool], Future[Outcome]]]:
    """The cases that this run asks for, some at a time: each has its worker, its topics and its client id."""
    items = [item for item in request.session.items if item.path == request.path]
    asked = [(case, True) for case in WANTED if any(f"[{case.name}]" in i.name for i in items)]
    if len(items) > len(asked):
        asked.append((MUTANT, False))
    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        yield {
            (case, recycle): pool.submit(
                run_case, case, wire, tmp_path_factory.mktemp("case"), seed=SEED, recycle=recycle
            )
            for case, recycle in asked
        }


@pytest.mark.parametrize("case", WANTED, ids=lambda case: case.name)
def test_wire_fault_costs_nothing(
    case: Case, outcomes: dict[tuple[Case, bool], Future[Outcome]]
) -> None:
    """Whatever the wire does to one request: every order has one decision, and the table is theirs."""
    outcome = outcomes[case, True].result()
    assert outcome.hit, f"seed {SEED}: the fault did not hit, so this proves nothing: {outcome}"
    assert outcome.anomalies == [], f"seed {SEED}: {outcome.evidence}"


def test_late_commit_without_recycle_is_found(
    outcomes: dict[tuple[Case, bool], Future[Outcome]],
) -> None:
    """The same round with the recycle rule off fails: it is the rule that keeps the promise, and the check sees it."""
    outcome = outcomes[MUTANT, False].result()
    assert outcome.hit
    assert any("the topics are wrong" in anomaly for anomaly in outcome.anomalies), outcome
    assert any("its epoch was used again" in anomaly for anomaly in outcome.anomalies), outcome
