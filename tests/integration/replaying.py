"""Runs `fillonce replay verify` as its users do, and returns what it said."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.integration.workers import ROOT


def verify(app: str, folder: Path, **environment: str) -> tuple[int, dict[str, Any]]:
    """Return the exit status and the JSON report of a verification."""
    done = subprocess.run(
        [
            *(sys.executable, "-P", "-c", "from streams.cli.main import main; main()"),
            *("--output", "json", "replay", "verify", "--app", app),
        ],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "NO_COLOR": "1", **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.stdout, done.stderr[-3000:]
    report: dict[str, Any] = json.loads(done.stdout)
    return done.returncode, report


def changed(original: Path, folder: Path, line: str, other: str) -> str:
    """Copy an app with one line changed; return MODULE:APP of the copy."""
    text = original.read_text()
    assert text.count(line) == 1
    folder.mkdir(exist_ok=True)
    folder.joinpath("changed_app.py").write_text(text.replace(line, other))
    return "changed_app:app"
