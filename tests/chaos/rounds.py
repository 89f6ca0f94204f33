"""The rounds: which fault, how often in which size, and whether it counts; run in two lanes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from queue import Empty, SimpleQueue
from typing import Any

from streams.local.services import local_services
from tests.chaos.run import APP, Bench, NotHit, Run
from tests.fault.proxy_kafka import wired_kafka

ATTEMPTS = 3
Report = dict[str, Any]


def anything(_: Report) -> bool:
    """Whether the oracle's report shows that the fault hit: what the fault itself saw is enough."""
    return True


@dataclass(frozen=True)
class Round:
    """One run under one kind of fault."""

    name: str
    fault: int
    apply: Callable[[Run], None]
    options: dict[str, Any] = field(default_factory=dict)
    own_broker: bool = False
    wire: bool = False
    """Whether workers reach a broker of the round's own through the frame proxy."""
    replay: bool = False
    seen: Callable[[Report], bool] = anything
    kills: bool = False
    """Whether its hits are kill -9 of a worker: what the bound counts."""


@dataclass
class Result:
    """What came of a round."""

    name: str
    fault: int
    seed: int
    attempts: int = 0
    seconds: float = 0.0
    evidence: list[str] = field(default_factory=list)
    checks: list[str] = field(default_factory=list)
    recoveries: list[float] = field(default_factory=list)
    not_hit: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    report: Report = field(default_factory=dict)
    kills: bool = False

    @property
    def anomalies(self) -> int:
        """Number of anomalies that the oracle found."""
        return int(self.report.get("total", 0))

    @property
    def valid(self) -> bool:
        """Whether the fault hit, with evidence, and the oracle gave a verdict."""
        return bool(self.evidence and self.report)

    @property
    def passed(self) -> bool:
        """Whether it hit and nothing was wrong."""
        return self.valid and not self.anomalies and not self.broken

    def line(self) -> str:
        """One line that says it all."""
        word = "ok" if self.passed else "FAILED" if self.valid else "NOT HIT"
        found = {k: v["count"] for k, v in self.report.get("anomalies", {}).items() if v["count"]}
        return (
            f"{word:8}{self.name:24} fault {self.fault:2}  seed {self.seed}  {len(self.evidence):3} hits "
            f"{self.seconds:6.1f} s  {found or ''} {'; '.join([*self.broken, *self.not_hit])[:300]}"
        ).rstrip()


@contextmanager
def _bench(bench: Bench, one: Round, attempt: int) -> Iterator[Bench]:
    named = replace(bench, attempt=f"-{attempt}" if attempt else "")
    folder = bench.folder / f"broker-{one.name}{named.attempt}"
    if one.wire:
        with wired_kafka(folder) as wire:
            yield replace(named, bootstrap=wire.direct, wire=wire)
        return
    if not one.own_broker:
        yield named
        return
    with local_services(folder, registry=False, die_with_parent=True, remove=True) as services:
        yield replace(named, bootstrap=services.bootstrap, services=services)


def run_round(bench: Bench, one: Round, seed: int) -> Result:
    """Run a round until its fault has hit, three times at most."""
    result = Result(one.name, one.fault, seed, kills=one.kills)
    begin = time.monotonic()
    for attempt in range(ATTEMPTS):
        result.attempts = attempt + 1
        try:
            with _bench(bench, one, attempt) as place:
                if _attempt(place, one, seed + 7_919 * attempt, result):
                    break
        except Exception as error:  # noqa: BLE001 - a round that fails itself is reported, the others go on
            trace = traceback.format_exc().strip().splitlines()
            result.broken.append(f"{type(error).__name__}: {error} ({trace[-3].strip()})")
            break
    result.seconds = round(time.monotonic() - begin, 1)
    return result


def _attempt(bench: Bench, one: Round, seed: int, result: Result) -> bool:
    run = Run(bench, one.name, seed, **one.options)
    try:
        one.apply(run)
        report = run.finish()
        if not one.seen(report):
            raise NotHit("the oracle's report does not show it")
        result.evidence, result.report = run.findings.evidence, report
        result.recoveries = run.findings.recoveries
        if one.replay:
            result.broken += _replay(run)
            result.checks = run.findings.checks
    except NotHit as missing:
        result.not_hit.append(str(missing))
        run.findings.broken.clear()  # of a round that says nothing
        return False
    finally:
        result.broken += [bar for bar in run.findings.broken if bar not in result.broken]
        run.end()
    return True


def _replay(run: Run) -> list[str]:
    """Prove the run's decisions by replay; return what it found."""
    words = ["--output", "json", "replay", "verify", "--app", APP]
    done = subprocess.run(
        [sys.executable, "-P", "-c", "from streams.cli.main import main; main()", *words],
        cwd=run.folder,
        env={
            **os.environ,
            "PYTHONPATH": str(run.bench.code),
            "CHAOS_PREFIX": run.prefix,
            "CHAOS_BOOTSTRAP": run.plan["bootstrap"],
            "FILLONCE_KAFKA__BOOTSTRAP": run.plan["bootstrap"],
            "NO_COLOR": "1",
        },
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    if done.returncode != 0:
        return [f"replay verify: exit {done.returncode}: {(done.stdout + done.stderr)[-400:]}"]
    compared = sum(part["compared"] for part in json.loads(done.stdout)["processors"])
    run.findings.checks.append(f"replay verify: {compared} outputs derived again")
    return []


def in_lanes(jobs: list[Callable[[], str]], tell: Callable[[str], None], lanes: int) -> None:
    """Run jobs, some at once: many of them wait most of their time. Each result is told in a line."""
    queue: SimpleQueue[Callable[[], str]] = SimpleQueue()
    for job in jobs:
        queue.put(job)

    def lane() -> None:
        while True:
            try:
                job = queue.get_nowait()
            except Empty:
                return
            tell(job())

    threads = [threading.Thread(target=lane, daemon=True) for _ in range(lanes)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
