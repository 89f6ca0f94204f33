"""The oracle, a process of its own: it reads along, waits until all is settled, and compares.

    python -m tests.chaos.oracle --plan PLAN --report REPORT

It imports nothing of what it checks. The word `check` on its standard input ends the reading along.
Exit status: 0 no anomaly, 3 anomalies, 4 never settled; the report has counts and first examples.
"""

from __future__ import annotations

import argparse
import json
import sys
import threading
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, KafkaException, TopicPartition

from tests.chaos import verdict as verdicts
from tests.chaos.chain import Journal, compare_dead, compare_offsets
from tests.chaos.model import Expected, Model, Place
from tests.chaos.verdict import Verdict
from tests.chaos.watcher import Watcher, view
from tests.integration.oracle import Oracle, Row

SETTLE_SECONDS = 25.0
"""The transaction time-out and 15 s."""


class Check:
    """One run's check.

    Args:
        plan: what the runner wrote down: names of topics and of the group, and what applies.
    """

    def __init__(self, plan: dict[str, Any]) -> None:
        self.plan = plan
        self.oracle = Oracle(plan["bootstrap"])
        self.verdict = Verdict()
        self.inputs: list[str] = [t for t in (plan["order"], plan["transfer"]) if t]
        self.outputs: list[str] = [t for t in (plan["decision"], plan["receipt"]) if t]
        dead = [f"{topic}.dlq" for topic in self.inputs] if plan["dead"] else []
        self.changelogs: list[str] = list(plan["tables"].values())
        self.journal: str = plan.get("journal") or ""
        self.ticks: str = plan.get("ticks") or ""
        self.dead: list[str] = dead
        own = [*self.outputs, *self.dead, *self.changelogs, self.journal, self.ticks]
        self.topics = [topic for topic in own if topic]
        watched = [tp for topic in self.outputs for tp in self.oracle.partitions(topic)]
        begin = [TopicPartition(tp.topic, tp.partition, 0) for tp in watched]
        self.watcher = Watcher(plan["bootstrap"], begin)

    # -- waiting

    def settle(self) -> dict[str, Any]:
        """Wait until nothing is open and the group stands at its inputs' ends.

        Returns:
            Whether that came true, after how many seconds, and what was missing last.
        """
        begin = time.monotonic()
        limit = float(self.plan.get("settle_seconds", SETTLE_SECONDS))
        pause, missing = threading.Event(), "no answer from the broker"
        while time.monotonic() - begin < limit:
            try:
                missing = self._missing()
            except (AssertionError, KafkaException) as error:
                missing = f"no answer: {error}"
            if not missing:
                break
            pause.wait(0.1)
        seconds = round(time.monotonic() - begin, 2)
        return {"settled": not missing, "seconds": seconds, "missing": missing}

    def _missing(self) -> str:
        everything = [*self.inputs, *self.topics]
        stable = self.oracle.ends(everything, stable=True)
        ends = self.oracle.ends(everything, stable=False)
        held = {tp: (stable[tp], end) for tp, end in ends.items() if stable[tp] != end}
        if held:
            return f"open transactions (last stable offset, end): {held}"
        committed = self.oracle.committed(self.plan["group"], self.inputs)
        late = {
            tp: (committed.get(tp), end)
            for tp, end in ends.items()
            if tp[0] in self.inputs and end and (committed.get(tp) or 0) < end
        }
        return f"(committed, end): {late}" if late else ""

    def marks(self) -> dict[tuple[str, int], tuple[int, str]]:
        """Return committed offset and metadata by partition."""
        consumer = Consumer(
            {
                "bootstrap.servers": self.plan["bootstrap"],
                "group.id": self.plan["group"],
                "enable.auto.commit": False,
                "log_level": 0,
            }
        )
        try:
            asked = [tp for topic in self.inputs for tp in self.oracle.partitions(topic)]
            found = consumer.committed(asked, timeout=20)
        finally:
            consumer.close()
        return {(tp.topic, tp.partition): (max(tp.offset, 0), tp.metadata or "") for tp in found}

    # -- checking

    def run(self) -> dict[str, Any]:
        """Wait, read all, compare, and return the report."""
        settled = self.settle()
        live = self.watcher.close()
        inputs = [row for topic in self.inputs for row in self.oracle.read(topic)]
        rows = {topic: self.oracle.read(topic) for topic in [*self.outputs, *self.dead]}
        expected = Model(self.plan).fold(inputs)
        journal = self._journal(inputs)
        self._compare(expected, rows, journal)
        outputs = [row for topic in self.outputs for row in rows[topic]]
        verdicts.prefix(live, view(outputs), self.verdict)
        if not settled["settled"]:
            self.verdict.add("unsettled", str(settled["missing"]))
        aborted = sum(
            len(self.oracle.read(topic, uncommitted=True)) - len(rows[topic])
            for topic in self.outputs
        )
        return {
            "settled": settled,
            "anomalies": self.verdict.as_json(),
            "total": self.verdict.total,
            "inputs": len(inputs),
            "outputs": len(outputs),
            "dead_letters": sum(len(rows[topic]) for topic in self.dead),
            "aborted_records": aborted,
            "read_along": sum(len(seen) for seen in live.values()),
            "transactions": sum(n for n, _ in journal.newest.values()) if journal else 0,
            "clock_step_seconds": journal.step / 1e6 if journal else 0,
        }

    def _journal(self, inputs: list[Row]) -> Journal | None:
        if not self.journal:
            return None
        offsets: dict[tuple[str, int], list[int]] = defaultdict(list)
        for row in inputs:
            offsets[row.topic, row.partition].append(row.offset)
        return Journal(self.oracle.read(self.journal), offsets, self.verdict)

    def _compare(
        self, expected: Expected, rows: dict[str, list[Row]], journal: Journal | None
    ) -> None:
        identity = verdicts.by_cause if journal else verdicts.by_id
        ends = self.oracle.ends(self.inputs, stable=False)
        committed = self.marks()

        def kind_of_loss(place: Place) -> str:
            if journal is not None and journal.processed(place):
                return "lost-write"
            passed = place[2] < committed.get(place[:2], (0, ""))[0]
            return "poll-skip" if passed else "unsettled"

        for topic in self.outputs:
            facts = [fact for fact in expected.outputs if fact.topic == topic]
            verdicts.compare(facts, rows[topic], kind_of_loss, self.verdict, identity)
        dead = [row for topic in self.dead for row in rows[topic]]
        if self.dead:
            verdicts.compare(expected.dead, dead, kind_of_loss, self.verdict, identity)
        folded = {topic: self._fold(topic) for topic in self.changelogs}
        verdicts.compare_tables(expected, folded, self.verdict)
        balances = folded[self.plan["tables"]["balances"]]
        flat = {k: int(v) for table in balances.values() for k, v in table.items()}
        verdicts.conserve(rows[self.plan["decision"]], flat, self.verdict)
        if journal is not None:
            compare_dead(journal, {fact.source for fact in expected.dead}, self.verdict)
        compare_offsets(committed, ends, journal, self.verdict)
        if self.ticks:
            self._compare_ticks()

    def _fold(self, topic: str) -> dict[int, dict[bytes, bytes]]:
        folded = self.oracle.fold(topic)
        if not self.plan.get("json_keys"):
            return folded
        return {p: {k.strip(b'"'): v for k, v in rows.items()} for p, rows in folded.items()}

    def _compare_ticks(self) -> None:
        """A source's records: each number once, in order, from 0 to the last one."""
        found = [int(row.value or b"-1") for row in self.oracle.read(self.ticks)]
        wanted = list(range(self.plan["tick_count"]))
        self.verdict.add("duplicate", "a tick stands there twice", len(found) - len(set(found)))
        lost = sorted(set(wanted) - set(found))
        self.verdict.add("lost-write", f"ticks {lost[:5]} are nowhere", len(lost))
        if found != sorted(found):
            self.verdict.add("nonmonotonic", "ticks stand in another order")


def main() -> int:
    """Read along until told to check, then report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--plan", type=Path, required=True)
    parser.add_argument("--report", type=Path, required=True)
    options = parser.parse_args()
    check = Check(json.loads(options.plan.read_text()))
    print("reading along", flush=True)
    if sys.stdin.readline().strip() != "check":
        check.watcher.close()
        return 1
    report = check.run()
    options.report.write_text(json.dumps(report, indent=2) + "\n")
    if not report["settled"]["settled"]:
        return 4
    return 3 if report["total"] else 0


if __name__ == "__main__":
    sys.exit(main())
