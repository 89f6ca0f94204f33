"""Faults 1 and 14: kill -9 at named points of the protocol, at random moments, during a restore."""

from __future__ import annotations

import shutil
import signal
import time
from pathlib import Path

from streams.engine.failpoints import NAMES, VARIABLE
from tests.chaos.processes import eventually, pause
from tests.chaos.run import NotHit, Run

RECOVERY_BAR = 15.0
"""Seconds from a kill to the first new commit, at the 95th percentile, with a worker started at once."""
CHUNK = 1_200
"""Inputs before each kill: a dozen batches, two records that make the worker abort."""
ONCE = frozenset({"after_init", "after_assign", "after_restore", "idle_commit"})
"""Points that a worker passes once a start, or seldom."""
SELDOM = frozenset(
    {"after_dead_letter", "before_abort", "after_abort", "before_recycle", "after_recycle"}
)
"""Points that only poison leads to."""
MANY = {"mid_batch": 300, "during_restore": 20, "after_changelog": 6, "after_journal": 6}
FLUSHED = frozenset({"after_flush", "after_offsets", "before_commit"})
"""Here a transaction is open at the broker for sure; at others it may be."""
POINTS = tuple(name for name in NAMES if not name.startswith("source_"))
SOURCE_POINTS = tuple(name for name in NAMES if name.startswith("source_"))


def at_points(run: Run, points: tuple[str, ...]) -> None:
    """Kill a worker at each of the points, under load, each time a new one takes over."""
    points = tuple(run.chance.sample(points, len(points)))
    if points[0] == "during_restore":  # there is nothing to restore at the first start
        points = (*points[1:], points[0])
    for point in points:
        if point == "during_restore":
            _forget(run)
        run.feed(CHUNK)
        _kill_at(run, point)


def at_asked(run: Run, asked: tuple[str, ...]) -> None:
    """Kill a worker at points that are given with their counts."""
    for one in asked:
        run.feed(CHUNK)
        _strike(run, one)


def _forget(run: Run) -> None:
    for path in run.folder.glob("state-*"):
        shutil.rmtree(path)


def _kill_at(run: Run, point: str) -> None:
    most = 1 if point in ONCE | SELDOM else MANY.get(point, 4)
    _strike(run, f"{point}:{run.chance.randint(1, most)}")


def _strike(run: Run, asked: str) -> None:
    point = asked.partition(":")[0]
    worker = run.start(**{VARIABLE: asked})
    status = worker.wait(40)
    if status != -9 or f"failpoint {point}: killed" not in worker.text:
        raise NotHit(f"{asked}: the worker was not killed there, exit {status}: {worker.tail()}")
    opened = run.open_transaction()
    if point in FLUSHED:
        run.require(opened, f"{asked}: no transaction was open at the broker")
    run.hit(f"{asked}{' with a transaction open at the broker' if opened else ''}")


def at_random(run: Run, kills: int, rate: float = 500.0, batch: str = "50") -> None:
    """Kill workers at uniformly random moments while they process."""
    run.feed_steadily(rate)
    killed = 0.0
    for _ in range(kills + 1):
        worker = run.started(CHAOS_BATCH=batch)
        run.require(run.moves(), f"the worker does not get on: {worker.tail()}")
        if killed:
            run.findings.recoveries.append(round(time.monotonic() - killed, 2))
        if len(run.findings.recoveries) == kills:
            break
        moment = run.chance.uniform(0.0, 1.5)
        pause(moment)
        run.require(worker.alive, "the worker had ended before it was killed")
        killed = time.monotonic()
        worker.send(signal.SIGKILL)
        run.require(worker.wait() == -9, "it did not end by the signal")
        opened = run.open_transaction()
        run.require(run.behind() > 0, "there was nothing left to process")
        where = " with a transaction open at the broker" if opened else ""
        run.hit(f"kill -9 after {moment:.3f} s under load{where}")
    late = percentile(run.findings.recoveries, 95)
    run.hold(late <= RECOVERY_BAR, f"back to processing after {late:.1f} s at the 95th percentile")


def percentile(values: list[float], percent: int) -> float:
    """Return the smallest value that so many percent of the values do not exceed."""
    return sorted(values)[-(-len(values) * percent // 100) - 1]


def during_restore(run: Run, kills: int) -> None:
    """Kill workers while they restore their tables; the audits then show the tables."""
    run.feed(3_000)
    first = run.started()
    run.require(eventually(lambda: run.behind() == 0, 60, 0.1), "the first worker does not get on")
    first.terminate()
    for number in range(kills):
        _forget(run)
        asked = f"during_restore:{run.chance.randint(10, 150)}"
        worker = run.start(**{VARIABLE: asked})
        status = worker.wait(40)
        run.require(
            status == -9 and "failpoint during_restore" in worker.text,
            f"{asked}: not killed, exit {status}: {worker.tail()}",
        )
        run.hit(f"{asked}: kill {number + 1} during a restore")


def store_of(path: Path) -> list[Path]:
    """Return the files of a state folder, the largest first."""
    return sorted((p for p in path.rglob("*") if p.is_file()), key=lambda p: -p.stat().st_size)
