"""One size from begin to end: the shipped code under all faults, the mutants, the control arm."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from streams.local.services import fetch, local_services
from tests.chaos import control, mutants
from tests.chaos.mutants import MUTANTS, Mutant
from tests.chaos.rounds import Round, in_lanes, run_round
from tests.chaos.run import Bench
from tests.chaos.sizes import rounds_of
from tests.chaos.summary import Caught, Summary


def run_suite(
    size: str,
    seed: int,
    folder: Path,
    tell: Callable[[str], None],
    *,
    times: int = 10,
    lanes: int = 2,
    only: frozenset[str] = frozenset(),
) -> Summary:
    """Run a size on one broker and return what came of it.

    Args:
        size: ci, full or long.
        seed: of everything that is left to chance.
        folder: for data and logs.
        tell: is told each result in one line.
        times: of the rounds, in size long.
        lanes: rounds at once.
        only: names of rounds, mutants or `control`; all if empty.
    """
    begin = time.monotonic()
    suite = _Suite(Summary(size, seed), seed)
    rounds = [one for one in rounds_of(size, times) if not only or one.name in only]
    planted = [m for m in MUTANTS if (m.name in only if only else m.ci or size != "ci")]
    suite.summary.mutants_planned = len(planted)
    suite.summary.control_planned = "control" in only or (not only and size != "ci")
    fetch(lambda text, passing: None if passing else tell(text))
    with local_services(
        folder / "services", registry=False, die_with_parent=True, remove=True
    ) as services:
        bench = Bench(services.bootstrap, folder)
        jobs = [suite.round(bench, one, number) for number, one in enumerate(rounds)]
        jobs += [suite.mutant(bench, one) for one in planted]
        if suite.summary.control_planned:
            jobs.append(suite.control(bench))
        in_lanes(jobs, tell, lanes)
    suite.summary.seconds = time.monotonic() - begin
    return suite.summary


class _Suite:
    """Makes jobs out of rounds, mutants and the control arm; they put their results into the summary."""

    def __init__(self, summary: Summary, seed: int) -> None:
        self.summary = summary
        self._seed = seed

    def round(self, bench: Bench, one: Round, number: int) -> Callable[[], str]:
        def run() -> str:
            result = run_round(bench, one, self._seed + number)
            self.summary.results.append(result)
            return result.line()

        return run

    def mutant(self, bench: Bench, one: Mutant) -> Callable[[], str]:
        def run() -> str:
            try:
                caught, result = mutants.try_mutant(bench, one, self._seed)
            except Exception as error:  # noqa: BLE001 - a mutant that cannot run was not caught, and is told
                caught = Caught(one.name, one.bug, False, {}, f"{type(error).__name__}: {error}")
                seconds = 0.0
            else:
                seconds = result.seconds
            self.summary.mutants.append(caught)
            word = "caught" if caught.caught else "MISSED"
            return f"{word:8}{one.name:32} {seconds:6.1f} s  {caught.found or ''} {caught.said}"

        return run

    def control(self, bench: Bench) -> Callable[[], str]:
        def run() -> str:
            result = control.control(bench, self._seed)
            anomalies = result.report.get("anomalies", {})
            self.summary.control = {
                "total": result.anomalies,
                "kills": len(result.evidence),
                "anomalies": anomalies,
                "not_hit": result.not_hit,
                "broken": result.broken,
            }
            found = {kind: a["count"] for kind, a in anomalies.items() if a["count"]}
            word = "failed" if found else "PASSED"
            return f"{word:8}stock Faust, as it must      {result.seconds:6.1f} s  {found} {result.not_hit or ''}"

        return run
