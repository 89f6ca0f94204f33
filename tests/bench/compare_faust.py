"""What kill -9 with a transaction open does to stock Faust's `exactly_once`: duplicates and losses, counted.

`make compare-faust` starts it. A kill strikes only when the last stable offset of the decisions stands
before the log's end: a transaction is then open at the broker.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

from streams.local.services import fetch, local_services
from tests.bench.running import ROOT
from tests.integration.hold import Hold
from tests.integration.oracle import Oracle
from tests.integration.workers import eventually

SYSTEMS = ("stock-faust", "fillonce")


APPS = {"stock-faust": "tests.bench.hold_stock:app", "fillonce": "examples.hold:app"}


def command(system: str) -> list[str]:
    worker = ["worker", "--without-web", "-l", "warn"]
    return [sys.executable, "-m", "faust", "-A", APPS[system], *worker]


def grown(hold: Hold) -> int:
    return sum(hold.oracle.ends([hold.output], stable=True).values())


def kill_in_a_transaction(
    hold: Hold, folder: Path, environment: dict[str, str], system: str
) -> bool:
    """Run a worker until it has committed more, then kill it while a transaction is open."""
    before = grown(hold)
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(
            command(system), cwd=folder, env=environment, stdout=log, stderr=subprocess.STDOUT
        )
    try:
        working = eventually(lambda: grown(hold) > before, 40, 0.02)
        return working and eventually(lambda: hold.oracle.hanging([hold.output]), 20, 0.002)
    finally:
        process.kill()
        process.wait(30)


def run(system: str, hold: Hold, folder: Path, kills: int) -> dict[str, object]:
    """Feed, kill, let a last worker finish, count."""
    folder.mkdir()
    environment = {**os.environ, **hold.environment, "PYTHONPATH": str(ROOT)}
    feeder = threading.Thread(target=hold.feed, daemon=True)
    feeder.start()
    hits = 0
    for number in range(1, kills + 1):
        hits += kill_in_a_transaction(hold, folder, environment, system)
        print(f"{system}: kill {number} of {kills}, {hits} with a transaction open", flush=True)
    with (folder / "log").open("ab") as log:
        last = subprocess.Popen(
            command(system), cwd=folder, env=environment, stdout=log, stderr=subprocess.STDOUT
        )
    try:
        feeder.join()
        begin = time.monotonic()

        def complete() -> bool:
            done = hold.oracle.committed(hold.group, [hold.input])
            ends = hold.oracle.ends([hold.input], stable=True)
            return all(done.get(tp, 0) >= end for tp, end in ends.items())

        finished = eventually(complete, 90, 0.5)
        eventually(lambda: not hold.oracle.hanging([hold.output]), 20, 0.5)
        tail = time.monotonic() - begin
    finally:
        last.kill()
        last.wait(30)
    rows = hold.oracle.read(hold.output)
    seen = Counter(json.loads(row.value or b"")["order_id"] for row in rows)
    decisions, balances = hold.expected()
    held: Counter[str] = Counter()
    for row in rows:
        fact = json.loads(row.value or b"")
        held[fact["account"]] += fact["held"]
    folded = hold.oracle.fold(hold.changelog)
    # Stock Faust writes a table's keys as JSON, in quotes.
    kept = {k.decode().strip('"'): int(v) for table in folded.values() for k, v in table.items()}
    return {
        "system": system,
        "orders": len(hold.orders),
        "kills_with_a_transaction_open": hits,
        "finished": finished,
        "seconds_after_the_feed": round(tail, 1),
        "duplicates": sum(n - 1 for n in seen.values()),
        "lost": sum(seen[order["order_id"]] == 0 for order in hold.orders),
        "accounts_whose_balance_is_not_the_sum_of_their_decisions": sum(
            kept.get(name, 0) != held[name] for name in decisions
        ),
        "accounts_whose_balance_is_wrong": sum(
            kept.get(name, 0) != balances.get(name, 0) for name in decisions
        ),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--orders", type=int, default=12_000)
    parser.add_argument(
        "--rate", type=float, default=300.0, help="orders a second: stock Faust must keep up"
    )
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--systems", nargs="+", choices=SYSTEMS, default=list(SYSTEMS))
    options = parser.parse_args()
    fetch(lambda text, _passing: print(text, flush=True))
    results = []
    with (
        tempfile.TemporaryDirectory() as scratch,
        local_services(Path(scratch, "kafka"), registry=False, die_with_parent=True) as services,
    ):
        for system in options.systems:
            hold = Hold(Oracle(services.bootstrap), f"{system}.", options.seed, options.orders)
            hold.rate = options.rate
            results.append(run(system, hold, Path(scratch, system), options.kills))
            print(json.dumps(results[-1], indent=2), flush=True)
    path = ROOT / "build" / "bench" / "compare_faust.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(results, indent=2) + "\n")
    print(f"written: {path.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
