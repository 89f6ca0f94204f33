"""Run one seed, or a range of them: `python -m tests.simulation.run --seed 7 --ticks 5000 --trace`."""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter

from tests.simulation.options import options_of
from tests.simulation.oracle import Anomaly
from tests.simulation.world import World

TICKS = 5_000


def command_of(seed: int, ticks: int) -> str:
    """Return the command that runs a seed again."""
    return f"python -m tests.simulation.run --seed {seed} --ticks {ticks} --trace"


def main(arguments: list[str] | None = None) -> int:
    """Run seeds until one fails; exit status 1 then."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.run", description=__doc__)
    parser.add_argument("--seed", type=int, default=0, help="the first seed, or the only one")
    parser.add_argument("--seeds", help="a range A..B, both ends in it")
    parser.add_argument("--ticks", type=int, default=TICKS, help="ticks of 10 ms with faults on")
    parser.add_argument("--trace", action="store_true", help="print what happens")
    parser.add_argument("--traces-only", action="store_true", help="print no times and counts")
    parser.add_argument("--keep-going", action="store_true", help="run all seeds, failed or not")
    asked = parser.parse_args(arguments)
    first, _, last = (asked.seeds or f"{asked.seed}..{asked.seed}").partition("..")
    counts: Counter[str] = Counter()
    failed = []
    began = time.process_time()
    for seed in range(int(first), int(last) + 1):
        options = options_of(seed)
        world = World(options, print if asked.trace else None)
        try:
            world.run(asked.ticks)
        except Anomaly as anomaly:
            failed.append(seed)
            print(f"seed {seed}: ANOMALY {anomaly}\n  {options.line()}\n  {command_of(seed, asked.ticks)}")
            if not asked.keep_going:
                break
        else:
            print(f"seed {seed}: {world.oracle.commits} commits, trace {world.digest[:16]}")
        counts += world.counts
    if asked.traces_only:
        return 1 if failed else 0
    for what, number in sorted(counts.items()):
        print(f"  {number:7d} {what}")
    print(f"{time.process_time() - began:.1f} s of CPU, failed: {failed or 'none'}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
