"""Runs for planted bugs that need no fault besides, or one that only they need."""

from __future__ import annotations

from tests.chaos.processes import eventually
from tests.chaos.run import Run


def none(run: Run) -> None:
    """Process records, be restarted, process more: nothing is done to the worker."""
    for _ in range(2):
        run.feed(1_500)
        worker = run.started()
        run.require(eventually(lambda: run.behind() == 0, 40, 0.1), f"no progress: {worker.tail()}")
        worker.terminate()
    run.hit("nothing was done to it: the bug alone")
