"""The example without trading in it, run and proved as docs/engine.md says."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

from tests.integration.oracle import Oracle
from tests.integration.replaying import changed, verify
from tests.integration.workers import ROOT, Workers, eventually

APP = "examples.warehouse:app"


def test_the_warehouse_runs_and_its_history_proves_itself(
    oracle: Oracle, workers: Workers, topic_prefix: str, tmp_path: Path
) -> None:
    """Killed on the way it confirms each movement once, and a replay derives all again; one changed line is found."""
    environment = {
        "FILLONCE_KAFKA__BOOTSTRAP": oracle.bootstrap,
        "WAREHOUSE_PREFIX": topic_prefix,
        "WAREHOUSE_CLOCK": "0.5",
        "WAREHOUSE_STORE": "rocksdb://",
    }
    subprocess.run(
        [sys.executable, "-m", "examples.warehouse", "feed", "2000"],
        cwd=ROOT,
        env={**os.environ, **environment},
        check=True,
        timeout=60,
    )
    killed = workers.start(APP, FILLONCE_FAILPOINT="after_flush:2", **environment)
    assert killed.wait(40) == -9
    worker = workers.start(APP, **environment)
    group, source = f"{topic_prefix}warehouse", f"{topic_prefix}warehouse.movement"
    shortage = f"{topic_prefix}warehouse.shortage"
    assert eventually(lambda: oracle.settled(group, [source], []), 60), worker.text[-3000:]
    assert eventually(lambda: bool(oracle.read(shortage)), 30)
    assert worker.terminate() == 0
    granted: Counter[str] = Counter()
    seen = Counter[str]()
    for row in oracle.read(f"{topic_prefix}warehouse.confirmation"):
        value = json.loads(row.value or b"")
        seen[value["id"]] += 1
        granted[(row.key or b"").decode()] += value["granted"]
    assert set(seen.values()) == {1}
    assert len(seen) == 2_000
    folded = oracle.fold(f"{group}-stock-changelog")
    kept = {k.decode(): int(v) for rows in folded.values() for k, v in rows.items()}
    assert kept == dict(granted)
    assert min(kept.values()) >= 0
    status, report = verify(APP, ROOT, **environment)
    assert (status, report["divergences"]) == (0, 0), report
    original = ROOT / "examples" / "warehouse.py"
    other = changed(original, tmp_path / "changed", "LOW = 5", "LOW = 4")
    status, report = verify(other, tmp_path / "changed", **environment)
    assert status == 3, report
    assert report["processors"][0]["divergences"]
