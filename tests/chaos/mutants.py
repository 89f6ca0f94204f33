"""The oracle's own test: planted bugs, each a patch to a copy of the shipped code, each under its fault.

The oracle must find every one. A mutant counts as caught only where its code ran, its fault hit, the run
settled, and the oracle found an anomaly: a worker that merely falls over is not caught.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from tests.chaos import patching
from tests.chaos.faults import kills, planted, slots, storm, wire
from tests.chaos.processes import ROOT
from tests.chaos.rounds import Result, Round, run_round
from tests.chaos.run import Bench
from tests.chaos.summary import Caught

PATCHES = Path(__file__).parent / "mutants"
LINKED = ("connectors", "processors", "schemas", "tests")
ROCKS = {"store": "rocksdb"}
CALM = {"poison": False}


@dataclass(frozen=True, slots=True)
class Mutant:
    """One planted bug: the name of its patch, what it is, and the fault that shows it."""

    name: str
    bug: str
    round: Round
    ci: bool = False

    @property
    def patch(self) -> str:
        """Its unified diff."""
        return PATCHES.joinpath(f"{self.name}.patch").read_text()


def _killed(*points: str) -> Callable[..., None]:
    return partial(kills.at_asked, asked=points)


def _round(apply: Callable[..., None], fault: int, **options: object) -> Round:
    return Round("mutant", fault, apply, options)


MUTANTS = (
    Mutant(
        "drain_across_revocation",
        "what was drained before a revocation is processed after it",
        _round(partial(storm.in_drains, times=3), 7, **CALM),
    ),
    Mutant(
        "offsets_before_flush",
        "the offsets are committed before the records of the batch are flushed",
        _round(_killed("before_flush:3", "before_flush:5"), 1, **CALM),
    ),
    Mutant("drop_one", "one output in some hundred is not sent", _round(planted.none, 0), ci=True),
    Mutant("duplicate_one", "one output in some hundred is sent twice", _round(planted.none, 0)),
    Mutant("swap_two", "two records of a batch are handed out in the wrong order", _round(planted.none, 0)),
    Mutant(
        "off_by_one_offset",
        "the committed offset is the last record's, not the next one's",
        _round(_killed("after_commit:3", "after_commit:4"), 1, **CALM),
        ci=True,
    ),
    Mutant(
        "skip_overlay_drop",
        "an abort keeps what was written to the tables",
        _round(planted.none, 0),
        ci=True,
    ),
    Mutant(
        "commit_before_flush",
        "the transaction commits before the changelogs are flushed, which follow in the next",
        _round(_killed("after_commit:3", "after_commit:4"), 1, **CALM),
    ),
    Mutant("no_recycle", "the producer is not recycled", Round("mutant", 5, partial(wire.late_pair, times=2), CALM, wire=True)),
    Mutant(
        "watermark_from_lso",
        "a restore ends at the last stable offset, not at the log's end",
        _round(slots.hanging_unseen, 15, **CALM),
    ),
    Mutant(
        "changelog_without_transaction",
        "changelogs go through a producer of their own",
        _round(_killed("after_flush:3", "before_commit:4"), 1, **CALM),
        ci=True,
    ),
    Mutant("random_id", "an output's id is another at each attempt", _round(planted.none, 0)),
    Mutant(
        "dead_letters_outside_transaction",
        "dead letters go through a producer of their own",
        _round(_killed("after_dead_letter:1", "before_flush:3"), 1),
    ),
    Mutant("lost_tombstone", "a removed row leaves no tombstone", _round(planted.none, 0)),
)  # fmt: skip


def mutated(mutant: Mutant, folder: Path, tree: Path = ROOT) -> Path:
    """Copy the shipped code, plant a bug in it, and return the copy.

    Args:
        mutant: what is planted.
        folder: where the copy goes.
        tree: the shipped code.
    Raises:
        PatchError: its patch does not fit the code any more.
    """
    copy = folder / f"code-{mutant.name}"
    shutil.copytree(
        tree / "streams", copy / "streams", ignore=shutil.ignore_patterns("__pycache__")
    )
    patching.apply(mutant.name, mutant.patch, copy)
    for name in LINKED:
        copy.joinpath(name).symlink_to(tree / name)
    return copy


def try_mutant(bench: Bench, mutant: Mutant, seed: int) -> tuple[Caught, Result]:
    """Run a mutant under its fault and return whether the oracle found it."""
    code = mutated(mutant, bench.folder)
    name = f"mutant-{mutant.name.replace('_', '-')}"
    result = run_round(replace(bench, code=code), replace(mutant.round, name=name), seed)
    anomalies = result.report.get("anomalies", {})
    found = {kind: a["count"] for kind, a in anomalies.items() if a["count"]}
    ran = f"chaos: engine of {code}"
    logs = (bench.folder / name / "workers").glob("worker-*.log")
    used = any(ran in log.read_text(errors="replace") for log in logs)
    settled = bool(result.report.get("settled", {}).get("settled"))
    caught = used and result.valid and settled and bool(set(found) - {"unsettled"})
    said = "" if caught else f"code ran: {used}; {result.line()}"
    return Caught(mutant.name, mutant.bug, caught, found, said), result
