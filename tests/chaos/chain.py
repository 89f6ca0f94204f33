"""The journal, checked from scratch: sequence, chain of SHA-256, runs without gap, clock, marks. Pure."""

from __future__ import annotations

import hashlib
import json
from bisect import bisect_left
from typing import Any

from tests.chaos.model import Place
from tests.chaos.verdict import Verdict
from tests.integration.oracle import Row

GENESIS = "0" * 64


def head_of(previous: str, record: dict[str, Any]) -> str:
    """Return SHA-256 over the head before and the record's canonical JSON without its own head."""
    body = {name: value for name, value in record.items() if name != "head"}
    text = json.dumps(body, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256((previous + text).encode()).hexdigest()


class Journal:
    """What the journal of a run says was processed.

    Args:
        rows: its records.
        inputs: offsets of the records of each input, in order: between them there may be markers.
        verdict: takes the anomalies.
    """

    def __init__(
        self, rows: list[Row], inputs: dict[tuple[str, int], list[int]], verdict: Verdict
    ) -> None:
        self._inputs = inputs
        self.following: dict[tuple[str, int], int] = {}
        self.dead: set[Place] = set()
        self.newest: dict[int, tuple[int, str]] = {}
        self.step = 0
        """Largest step of the journaled clock between two transactions, in microseconds."""
        self._verdict = verdict
        self._now: dict[int, int] = {}
        for row in rows:
            self._take(row)

    def processed(self, place: Place) -> bool:
        """Whether an input stands in the journal."""
        topic, partition, offset = place
        return offset < self.following.get((topic, partition), 0)

    def _take(self, row: Row) -> None:
        record = json.loads(row.value or b"{}")
        where = f"{row.topic}[{row.partition}]@{row.offset}"
        sequence, head = self.newest.get(row.partition, (0, GENESIS))
        if record["sequence"] != sequence + 1:
            self._verdict.add(
                "inconsistent-offset", f"{where}: sequence {record['sequence']} after {sequence}"
            )
        if record["head"] != head_of(head, record):
            self._verdict.add("torn", f"{where}: the chain breaks, sequence {record['sequence']}")
        self.newest[row.partition] = (record["sequence"], record["head"])
        before = self._now.get(row.partition, record["now"])
        if record["now"] < before:
            self._verdict.add("nonmonotonic", f"{where}: the clock goes back from {before}")
        self.step = max(self.step, record["now"] - before)
        self._now[row.partition] = record["now"]
        for run in record["runs"]:
            self._run(where, row.partition, run)

    def _run(self, where: str, partition: int, run: list[Any]) -> None:
        if run[0] == "clock":
            return
        kind, topic, first = run[:3]
        last = run[3] if kind == "records" else first
        if kind != "records":
            self.dead.add((topic, partition, first))
        following = self.following.get((topic, partition), 0)
        right = self.waiting((topic, partition))
        if first != right:
            self._verdict.add(
                "inconsistent-offset", f"{where}: {topic} goes on at {first}, not at {right}"
            )
        self.following[topic, partition] = max(last + 1, following)

    def waiting(self, place: tuple[str, int]) -> int | None:
        """Return the offset of the first record of an input that was not processed; None if all were."""
        offsets = self._inputs.get(place, [])
        at = bisect_left(offsets, self.following.get(place, 0))
        return offsets[at] if at < len(offsets) else None


def compare_dead(journal: Journal, right: set[Place], verdict: Verdict) -> None:
    """Check that the journal calls exactly the poison dead."""
    for place in sorted(journal.dead - right):
        verdict.add("lost-write", f"{place} is no poison, and was dead-lettered")
    for place in sorted(right - journal.dead):
        if journal.processed(place):
            verdict.add("torn", f"{place} is poison, and the journal has it as processed")


def compare_offsets(
    committed: dict[tuple[str, int], tuple[int, str]],
    ends: dict[tuple[str, int], int],
    journal: Journal | None,
    verdict: Verdict,
) -> None:
    """Check that the group stands where the processing stands, and that its marks say the same.

    Args:
        committed: offset and metadata by topic and partition.
        ends: end of each input.
        journal: what was processed; None for engines without one.
        verdict: takes the anomalies.
    """
    for place, end in sorted(ends.items()):
        offset, mark = committed.get(place, (0, ""))
        waiting = None if journal is None else journal.waiting(place)
        if waiting is None and offset != end:
            verdict.add("inconsistent-offset", f"{place}: committed {offset}, its end is {end}")
        if waiting is not None and offset > waiting:
            verdict.add("inconsistent-offset", f"{place}: committed {offset}, not past {waiting}")
        if journal is not None and offset > 0:
            _compare_mark(place, mark, journal, verdict)


def _compare_mark(place: tuple[str, int], mark: str, journal: Journal, verdict: Verdict) -> None:
    sequence, head = journal.newest.get(place[1], (0, GENESIS))
    parts = mark.split(":")
    if parts[1:3] != [str(sequence), head]:
        verdict.add(
            "inconsistent-offset",
            f"{place}: its mark is {mark!r}, the journal stands at {sequence}:{head}",
        )
