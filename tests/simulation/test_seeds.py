"""The shipped engine under two hundred seeds of faults, and that the same seed is the same run."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from streams.engine.transaction import State
from tests.simulation.run import TICKS, run_seeds

SEEDS = 200
ROOT = Path(__file__).parents[2]

SOMETIMES = (
    *(f"killed in {state}" for state in State if state is not State.FENCED),
    "begun ahead",
    "dead letter Bomb",
    "dead letter ValueDecodeError",
    "dropped ahead",
    "exit 70",
    "limbo",
    "member fenced",
    "producer recycled",
    "revoke inside a drain",
    "store wiped",
    "torn write dropped",
    "transaction timed out",
    "unknown, then aborted",
    "unknown, then committed",
    "zombie refused",
)
"""What must happen in some of the seeds. In FENCED a worker ends by itself at once."""


@pytest.mark.timeout(1_800)
def test_two_hundred_seeds_show_no_anomaly_and_meet_every_danger() -> None:
    """In every run all is processed once, in order, chained, and in the end; each danger is met in some."""
    counts: Counter[str] = Counter()
    for outcome in run_seeds(range(SEEDS), TICKS, jobs=2):
        assert not outcome.anomaly, outcome.line(TICKS)
        counts += outcome.counts
    assert [what for what in SOMETIMES if not counts[what]] == []


def test_a_seed_is_one_run_under_any_hash_seed() -> None:
    """Two processes with different hash seeds come to the same trace, line by line."""
    command = [sys.executable, "-m", "tests.simulation.run", "--seeds", "8..9", "--ticks", "1000"]
    said = []
    for hash_seed in ("1", "20131125"):
        environment = os.environ | {"PYTHONHASHSEED": hash_seed}
        done = subprocess.run(
            [*command, "--traces-only"],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=100,
            check=True,
        )
        said.append(done.stdout)
    assert said[0] == said[1]
    assert said[0].count("trace") == 2
