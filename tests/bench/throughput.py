"""Records a second and processor time a record of one system, measured from outside."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from tests.bench.avro_hold import PARTITIONS
from tests.bench.feeding import Orders, fill
from tests.bench.running import Position, running
from tests.bench.systems import System, command, environment
from tests.integration.oracle import Oracle


@dataclass
class Result:
    """What one system did. `records` of them are in the measure: those after its first commit."""

    system: str
    records: int
    seconds: float
    records_per_second: float
    cpu_us_per_record: float
    start_seconds: float
    committed: int
    duplicates: int
    missing: int
    wrong: int


@dataclass(frozen=True)
class Stand:
    """Broker, orders and folder that all systems of a run share."""

    oracle: Oracle
    topic: str
    orders: Orders
    folder: Path
    peers_python: str
    seconds: float
    partitions: int = PARTITIONS
    keys: int = 0
    """So many keys are in the table before a system starts: it restores them first."""


def measure(system: System, stand: Stand) -> Result:
    """Run one system until the orders or the seconds are used up, then judge its decisions.

    The clock starts at its first commit and stops at the commit that is seen last, so neither start-up
    nor the tail of an unfinished transaction counts.
    """
    bootstrap, total = stand.oracle.bootstrap, stand.orders.count
    group = f"bench-{system.name}"
    decisions = stand.oracle.create(f"{group}.decision", stand.partitions)
    changelog = f"{group}-balances-changelog"
    if system.kind == "raw" or stand.keys:
        stand.oracle.create(changelog, stand.partitions, compact=True)
    if stand.keys:
        fill(bootstrap, changelog, stand.keys)
    folder = stand.folder / system.name
    told = environment(
        system,
        bootstrap=bootstrap,
        group=group,
        orders=stand.topic,
        decisions=decisions,
        state=folder / "state",
        partitions=stand.partitions,
    )
    position = Position(bootstrap, group, [stand.topic], stand.partitions)
    started = time.monotonic()
    try:
        with running(system.name, command(system, stand.peers_python), told, folder) as worker:
            worker.wait_for("the first commit", lambda: position.committed() > 0)
            first, begin, used = position.committed(), time.monotonic(), worker.cpu_seconds()
            done, last = first, begin
            while done < total and time.monotonic() - begin < stand.seconds:
                time.sleep(0.05)
                worker.require_alive()
                now = position.committed()
                if now > done:
                    done, last = now, time.monotonic()
            spent = worker.cpu_seconds() - used
        judged = _settle(stand, decisions, position)
    finally:
        position.close()
        remove(stand.oracle, group)
    count, seconds = max(done - first, 1), max(last - begin, 0.001)
    return Result(
        system.name,
        count,
        round(seconds, 2),
        round(count / seconds, 1),
        round(spent / count * 1e6, 1),
        round(begin - started, 2),
        **judged,
    )


def _settle(stand: Stand, decisions: str, position: Position) -> dict[str, int]:
    """Judge what was committed; a transaction whose commit is under way may take a moment."""
    deadline = time.monotonic() + 30
    while True:
        committed = position.committed()
        found = stand.orders.judge(stand.oracle.bootstrap, decisions, stand.partitions)
        missing = max(committed - found.pop("distinct"), 0)
        if not missing or time.monotonic() > deadline:
            return {"committed": committed, "missing": missing, **found}


def remove(oracle: Oracle, part: str) -> None:
    """Remove the topics with `part` in their names, so that the broker's upkeep of them costs nobody else."""
    there = oracle.admin.list_topics(timeout=10).topics
    topics = [name for name in there if part in name and not name.startswith("__")]
    for future in oracle.admin.delete_topics(topics).values() if topics else ():
        future.result(30)
