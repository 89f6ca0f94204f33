"""The hold workload under kill -9: every order exactly one decision, whatever the point of the crash."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from tests.integration.hold import Hold
from tests.integration.oracle import Oracle
from tests.integration.replaying import changed, verify
from tests.integration.workers import ROOT, Workers, eventually

APP = "examples.hold:app"
ORDERS = 60_000
KILLS = (
    "after_begin:3",
    "mid_batch:700",
    "before_flush:9",
    "after_flush:9",
    "after_offsets:8",
    "before_commit:7",
    "during_restore:200",
    "after_flush:10",
    "after_assign",
    "after_commit:5",
    "mid_batch:1500",
    "before_store:6",
    "after_offsets:6",
    "before_commit:2",
)
OPEN = ("after_begin", "mid_batch", "before_flush", "after_flush", "after_offsets", "before_commit")
"""Points between begin and commit: ten of the kills hit one of them."""


@pytest.mark.timeout(240)
def test_every_order_has_one_decision_whatever_dies_when(
    oracle: Oracle, workers: Workers, topic_prefix: str, tmp_path: Path
) -> None:
    """Fourteen kills, ten with a transaction open: nothing lost or decided twice, and a replay proves it.

    With one line of the app changed, the replay names the first decision that differs.
    """
    assert sum(kill.split(":")[0] in OPEN for kill in KILLS) == 10
    hold = Hold(oracle, topic_prefix, 20260722, ORDERS)
    workers.environment |= hold.environment
    feeder = threading.Thread(target=hold.feed, daemon=True)
    dangling = []
    for number, kill in enumerate(KILLS, start=1):
        hold.allowed = ORDERS * number // (len(KILLS) + 1)
        if not feeder.is_alive():
            feeder.start()
        name = kill.split(":")[0]
        worker = workers.start(APP, FILLONCE_FAILPOINT=kill, HOLD_BATCH="200")
        assert worker.wait(40) == -9, worker.text[-3000:]
        assert f"failpoint {name}: killed" in worker.text
        if name in {"after_flush", "after_offsets", "before_commit"}:
            dangling.append(oracle.hanging(hold.topics[1:]))
    assert all(dangling), "a kill after the flush left no open transaction at the broker"
    hold.allowed = ORDERS + 1
    last = workers.start(APP)
    assert last.ready() < 12, "the slot was not taken up again at once"
    feeder.join(60)
    assert not feeder.is_alive()
    assert eventually(hold.settled, 60), last.text[-3000:]
    assert last.terminate() == 0
    assert hold.settled()
    hold.check()
    assert len(oracle.read(hold.output, uncommitted=True)) > ORDERS, "no aborted record was left"
    status, report = verify(APP, ROOT, **hold.environment)
    assert (status, report["divergences"]) == (0, 0), report
    (proof,) = report["processors"]
    assert (proof["sealed"], proof["compared"]) == (ORDERS, ORDERS)
    assert proof["transactions"] == len(oracle.read(hold.journal))
    line, other = "if order.quantity % LOT:", "if order.quantity % (2 * LOT):"
    other_app = changed(ROOT / "examples" / "hold.py", tmp_path / "changed", line, other)
    status, report = verify(other_app, tmp_path / "changed", **hold.environment)
    assert status == 3
    first = report["processors"][0]["divergences"][0]
    assert first["kind"] == "output value"
    assert first["cause"].startswith(f"{hold.group}|{hold.input}|0|")
    assert '"accepted": true' in first["committed"]
    assert '"reason": "lot_size"' in first["derived"]
