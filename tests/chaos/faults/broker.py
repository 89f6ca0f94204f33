"""Fault 4: kill -9 of the broker, and its return."""

from __future__ import annotations

import time

from tests.chaos.processes import Worker, pause
from tests.chaos.run import RESTARTED, Run

RESUME_BAR = 30.0


def killed(run: Run, times: int, away: float = 3.0) -> None:
    """Kill the broker under load, start it again: work goes on within 30 s, no call hangs."""
    run.feed_steadily(300)
    worker = run.started(CHAOS_BATCH="50")
    run.require(run.moves(), f"the worker does not get on: {worker.tail()}")
    for _ in range(times):
        services = run.bench.services
        if services is None:
            raise RuntimeError("this fault needs a broker of its own")
        process = services.kafka.process
        services.kill_kafka()
        run.require(process is not None and not process.alive(), "the broker still runs")
        pause(away)
        services.start_kafka()
        up = time.monotonic()
        pid = None if process is None else process.pid
        run.hit(f"broker {pid} killed, {services.kafka.pid} is up after {away:g} s")
        worker = _resumes(run, worker, up)


def _resumes(run: Run, worker: Worker, up: float) -> Worker:
    """Wait for new commits; start the worker again where a supervisor would."""
    before = -1
    while before < 0 and time.monotonic() - up < RESUME_BAR:
        before = run.progress()
        pause(0.1)
    while time.monotonic() - up < RESUME_BAR + 30:
        if run.progress() > before:
            break
        status = worker.process.poll()
        if status is not None:
            run.hold(status in RESTARTED, f"the worker ended with {status}: {worker.tail()}")
            worker = run.start(CHAOS_BATCH="50")
        pause(0.2)
    seconds = time.monotonic() - up
    run.hold(seconds <= RESUME_BAR, f"work went on {seconds:.0f} s after the broker was up")
    return worker
