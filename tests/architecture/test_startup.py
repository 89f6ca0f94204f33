"""The command line answers at once, and does not load what the command does not need."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.architecture import tree

MAX_CPU_SECONDS = 0.5
HEAVY = ("ccxt", "faust", "matplotlib", "mode", "numpy", "rocksdict")

_PROBE = """
import json, resource, sys
sys.argv = ["fillonce", "--help"]
from streams.cli.main import main
code = 0
try:
    code = main()
except SystemExit as end:
    code = end.code
used = resource.getrusage(resource.RUSAGE_SELF)
facts = {"code": code or 0, "cpu": used.ru_utime + used.ru_stime, "modules": sorted(sys.modules)}
print(json.dumps(facts), file=sys.stderr)
"""


def _help() -> tuple[str, dict[str, object]]:
    run = subprocess.run(
        [sys.executable, "-c", _PROBE], cwd=tree.ROOT, capture_output=True, text=True, check=True
    )
    facts: dict[str, object] = json.loads(run.stderr.splitlines()[-1])
    return run.stdout, facts


def test_help_loads_nothing_heavy() -> None:
    """`fillonce --help` names its commands and imports no exchange, engine or plotting library."""
    text, facts = _help()
    assert facts["code"] == 0
    assert "Usage" in text
    assert isinstance(facts["modules"], list)
    assert sorted(set(HEAVY) & set(facts["modules"])) == []


def test_help_is_quick() -> None:
    """`fillonce --help` costs under half a second of CPU, by the best of three runs."""
    seconds = list[float]()
    for _ in range(3):  # the first run may have to compile the modules
        _, facts = _help()
        assert isinstance(facts["cpu"], float)
        seconds.append(facts["cpu"])
        if facts["cpu"] < MAX_CPU_SECONDS:
            return
    pytest.fail(f"fillonce --help took {seconds} seconds of CPU; {MAX_CPU_SECONDS} are allowed")
