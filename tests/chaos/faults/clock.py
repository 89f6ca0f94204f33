"""Fault 13: the wall clock steps by an hour, forward and back, under load.

The clock is the engine's injected one, in the test's app: it adds what stands in a file to the machine's.
"""

from __future__ import annotations

from typing import Any

from tests.chaos.run import Run

HOUR = 3_600.0


def stepped(run: Run) -> None:
    """Step the clock +1 h, then back to -1 h, while records are processed; then right again."""
    path = run.folder / "clock"
    path.write_text("0")
    run.environment["CHAOS_CLOCK"] = str(path)
    run.environment["CHAOS_BATCH"] = "20"
    run.feed_steadily(400)
    worker = run.started()
    for moved in (HOUR, -HOUR, 0.0):
        run.require(run.moves(), f"the worker does not get on: {worker.tail()}")
        draft = path.with_suffix(".draft")
        draft.write_text(str(moved))
        draft.replace(path)  # whole or not at all: the worker reads it all the time
        run.hold(run.moves(), f"nothing is processed with the clock at {moved:+g} s")
        run.hit(f"the clock at {moved:+g} s while records are committed")
    run.hold(worker.alive, f"the worker ended: {worker.tail()}")


def seen(report: dict[str, Any]) -> bool:
    """Whether the journal shows the step; that no time in it goes back is the oracle's check."""
    return bool(report["clock_step_seconds"] >= HOUR - 60)
