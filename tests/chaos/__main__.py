"""`python -m tests.chaos --size ci|full|long --seed N`: the rounds, the mutants, the control arm.

Exit status: 0 all hit and nothing was found, 1 otherwise. The last line says it in one.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
from pathlib import Path

from tests.chaos.processes import ROOT
from tests.chaos.sizes import SIZES
from tests.chaos.suite import run_suite

REPORT = ROOT / "build" / "chaos" / "report.json"


def main() -> int:
    """Run a size and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", choices=SIZES, default="full")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--times", type=int, default=10, help="of the rounds, in size long")
    parser.add_argument("--lanes", type=int, default=3, help="rounds at once")
    parser.add_argument("--only", nargs="*", default=[], help="names of rounds, mutants, `control`")
    parser.add_argument("--keep", type=Path, help="keep logs and plans in this folder")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    print(f"chaos {options.size}, seed {options.seed}", flush=True)
    with tempfile.TemporaryDirectory() as scratch:
        summary = run_suite(
            options.size,
            options.seed,
            options.keep or Path(scratch),
            lambda text: print(text, flush=True),
            times=options.times,
            lanes=options.lanes,
            only=frozenset(options.only),
        )
    summary.write(REPORT)
    for problem in summary.problems:
        print(f"problem: {problem}")
    print(f"report: {REPORT.relative_to(ROOT)}")
    print(summary.line())
    return 1 if summary.problems else 0


if __name__ == "__main__":
    sys.exit(main())
