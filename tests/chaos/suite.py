"""One size from begin to end: the shipped code under all faults, the mutants, the control arm."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from streams.local.services import fetch, local_services
from tests.chaos.rounds import run_all
from tests.chaos.run import Bench
from tests.chaos.sizes import rounds_of
from tests.chaos.summary import Summary


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
    summary = Summary(size, seed)
    rounds = [one for one in rounds_of(size, times) if not only or one.name in only]
    fetch(lambda text, passing: None if passing else tell(text))
    with local_services(
        folder / "broker", registry=False, die_with_parent=True, remove=True
    ) as services:
        bench = Bench(services, folder)
        summary.results = run_all(bench, rounds, seed, tell, lanes)
    summary.seconds = time.monotonic() - begin
    return summary
