"""Run one seed, or a range of them: `python -m tests.simulation.run --seed 7 --ticks 5000 --trace`."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import repeat
from multiprocessing import get_context

from streams.engine.ahead import Ahead
from tests.simulation.options import options_of
from tests.simulation.oracle import Anomaly
from tests.simulation.world import World

TICKS = 5_000


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one seed."""

    seed: int
    anomaly: str
    commits: int
    digest: str
    counts: Counter[str]

    def line(self, ticks: int) -> str:
        """Return it in words; of an anomaly all that is needed to see it again."""
        if not self.anomaly:
            return f"seed {self.seed}: {self.commits} commits, trace {self.digest}"
        again = f"python -m tests.simulation.run --seed {self.seed} --ticks {ticks} --trace"
        return (
            f"seed {self.seed}: ANOMALY {self.anomaly}\n  {options_of(self.seed).line()}\n  {again}"
        )


@contextmanager
def _counting(world: World, name: str, what: str) -> Iterator[None]:
    """Count the calls of a method by which the next batch, begun while one commits, goes on or is dropped."""
    method = getattr(Ahead, name)

    def counted(ahead: Ahead) -> None:
        world.count(what)
        method(ahead)

    setattr(Ahead, name, counted)
    try:
        yield
    finally:
        setattr(Ahead, name, method)


def run_seed(seed: int, ticks: int, *, trace: bool = False) -> Outcome:
    """Run one seed."""
    world = World(options_of(seed), print if trace else None)
    anomaly = ""
    try:
        with _counting(world, "settle", "begun ahead"), _counting(world, "drop", "dropped ahead"):
            world.run(ticks)
    except Anomaly as error:
        anomaly = str(error)
    return Outcome(seed, anomaly, world.oracle.commits, world.digest, world.counts)


def run_seeds(seeds: Iterable[int], ticks: int, jobs: int) -> Iterator[Outcome]:
    """Run seeds in so many processes; outcomes come in the order of the seeds."""
    # Virtual time does not mind to wait; tests with real services beside it would.
    with ProcessPoolExecutor(
        jobs, mp_context=get_context("spawn"), initializer=os.nice, initargs=(5,)
    ) as pool:
        yield from pool.map(run_seed, seeds, repeat(ticks), chunksize=5)


def main(arguments: list[str] | None = None) -> int:
    """Run seeds until one fails; exit status 1 then."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.run", description=__doc__)
    parser.add_argument("--seed", type=int, default=0, help="the only seed")
    parser.add_argument("--seeds", help="a range A..B, both ends in it")
    parser.add_argument("--ticks", type=int, default=TICKS, help="ticks of 10 ms with faults on")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--trace", action="store_true", help="print what happens")
    parser.add_argument("--traces-only", action="store_true", help="print no times and counts")
    parser.add_argument("--keep-going", action="store_true", help="run all seeds, failed or not")
    asked = parser.parse_args(arguments)
    first, _, last = (asked.seeds or f"{asked.seed}..{asked.seed}").partition("..")
    seeds = range(int(first), int(last) + 1)
    counts: Counter[str] = Counter()
    failed = []
    began = time.monotonic()
    outcomes = (
        run_seeds(seeds, asked.ticks, asked.jobs)
        if asked.jobs > 1
        else (run_seed(seed, asked.ticks, trace=asked.trace) for seed in seeds)
    )
    for outcome in outcomes:
        print(outcome.line(asked.ticks), flush=True)
        counts += outcome.counts
        if outcome.anomaly:
            failed.append(outcome.seed)
            if not asked.keep_going:
                break
    if not asked.traces_only:
        for what, number in sorted(counts.items()):
            print(f"  {number:7d} {what}")
        print(f"{time.monotonic() - began:.1f} s, failed: {failed or 'none'}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
