"""The engine beside its peers: one broker, one workload, one run; `make bench` starts it.

A system gets N orders or so many seconds, whichever ends first, and is measured from outside by its group's
committed offsets and its process's CPU time: nobody counts for himself.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from confluent_kafka.admin import AdminClient

from streams.local.services import fetch, local_services
from tests.bench.avro_hold import PARTITIONS
from tests.bench.feeding import Orders
from tests.bench.figures import ratios
from tests.bench.hops import hops
from tests.bench.lifecycle import lifecycle
from tests.bench.machine import machine
from tests.bench.plot import draw
from tests.bench.report import table
from tests.bench.running import ROOT
from tests.bench.systems import DEFAULT, HOPS, OURS, PEERS, SYSTEMS, build_java
from tests.bench.throughput import Result, Stand, measure, remove
from tests.integration.oracle import Oracle

RESULTS = ROOT / "build" / "bench" / "results.json"
LOW_RATE = 100.0
HIGH_RATE = 10_000.0


def say(text: str) -> None:
    """Print one line of progress, with the time since the start."""
    print(f"[{time.monotonic() - _BEGIN:6.1f} s] {text}", flush=True)


_BEGIN = time.monotonic()


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peers-python", default=str(ROOT / ".venv-bench" / "bin" / "python"))
    parser.add_argument("--records", type=int, default=1_000_000, help="most for each system")
    parser.add_argument("--seconds", type=float, default=60.0, help="most for each system")
    parser.add_argument("--hop-seconds", type=float, default=25.0, help="0 leaves latency out")
    parser.add_argument("--lifecycle-trades", type=int, default=10_000, help="0 leaves it out")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--systems", nargs="+", choices=tuple(SYSTEMS), default=list(DEFAULT))
    return parser.parse_args()


def throughput(stand: Stand, names: list[str]) -> list[Result]:
    """Measure one system after the other on the same orders."""
    say(f"writing {stand.orders.count:,} orders")
    stand.orders.feed(stand.oracle.bootstrap, stand.topic)
    results = []
    for name in names:
        say(f"{name} ...")
        one = measure(SYSTEMS[name], stand)
        results.append(one)
        say(
            f"{name}: {one.records_per_second:,.0f} records/s, {one.cpu_us_per_record:.1f} us CPU, "
            f"{one.duplicates} duplicates, {one.missing} missing, {one.wrong} wrong"
        )
    return results


def latency(
    oracle: Oracle, folder: Path, names: Sequence[str], high: float, seconds: float
) -> dict[str, dict[str, dict[str, float]]]:
    """Measure hops at low and at high load."""
    found = {}
    for name in names:
        say(f"hops of {name} at {LOW_RATE:,.0f}/s and {high:,.0f}/s ...")
        rates = {"low": LOW_RATE, "high": high}
        found[name] = hops(
            SYSTEMS[name], oracle, folder, rates, {"low": seconds, "high": seconds * 0.6}
        )
        remove(oracle, f"hop-{name}")
        low, most = found[name]["low"], found[name]["high"]
        say(
            f"{name}: p50 {low['p50']:.1f} ms, p99 {low['p99']:.1f} ms; "
            f"at high load {most['p50']:.1f} and {most['p99']:.1f} ms"
        )
    return found


def run(chosen: argparse.Namespace, scratch: Path) -> dict[str, Any]:
    """Measure everything, and return the report."""
    report: dict[str, Any] = {"machine": machine(), "ours": OURS}
    with local_services(scratch / "kafka", registry=False, die_with_parent=True) as services:
        oracle = Oracle(services.bootstrap)
        # The broker goes before its clients do; one that logs would tell of it.
        oracle.admin = AdminClient({"bootstrap.servers": services.bootstrap, "log_level": 0})
        stand = Stand(
            oracle,
            oracle.create("bench.order", PARTITIONS),
            Orders(chosen.seed, chosen.records),
            scratch,
            chosen.peers_python,
            chosen.seconds,
        )
        results = throughput(stand, chosen.systems)
        remove(oracle, stand.topic)
        rates = {one.system: one.records_per_second for one in results}
        report["systems"] = [asdict(one) for one in results]
        report["ratios"] = ratios(rates, OURS, PEERS)
        high = min(HIGH_RATE, max(rates.get(OURS, HIGH_RATE) // 2, LOW_RATE))
        report["hops"] = {}
        if chosen.hop_seconds:
            report["hops"] = latency(oracle, scratch, HOPS, high, chosen.hop_seconds)
    report["lifecycle"] = None
    if chosen.lifecycle_trades:
        say(f"the lifecycle of {chosen.lifecycle_trades:,} trades through risk_manager ...")
        found = lifecycle(scratch / "lifecycle", chosen.lifecycle_trades, chosen.seconds)
        report["lifecycle"] = found
    report["seed"], report["orders"] = chosen.seed, chosen.records
    low = report["hops"].get(OURS, {}).get("low", {})
    report["hop_ms"] = {name: low[name] for name in ("p50", "p99") if low}
    return report


def end_on_signals() -> None:
    """Let Ctrl-C and TERM unwind the run: what was started is ended, what was made is removed."""

    def end(number: int, _frame: object) -> None:
        raise SystemExit(128 + number)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)


def main() -> int:
    end_on_signals()
    chosen = options()
    fetch(lambda text, _passing: say(text))
    if chosen.hop_seconds or any(SYSTEMS[name].kind == "java" for name in chosen.systems):
        build_java()
    with tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as scratch:
        report = run(chosen, Path(scratch))
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(json.dumps(report, indent=2) + "\n")
    draw(report, RESULTS.with_suffix(".png"))
    print(table(report))
    for path in (RESULTS, RESULTS.with_suffix(".png")):
        print(f"written: {path.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
