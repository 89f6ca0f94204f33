"""A soak: one worker under mixed load for minutes, and whether memory, files or threads grow.

The load goes through phases, with one broken order a round: it is tried alone and dead-lettered, so aborts
and fresh producers are part of what must not leak.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from confluent_kafka.admin import AdminClient

from streams.local.services import fetch, local_services
from tests.bench.__main__ import end_on_signals, say
from tests.bench.avro_hold import LOT, ORDER, PARTITIONS, encode
from tests.bench.feeding import ACCOUNTS, order, produce, producer
from tests.bench.figures import trend
from tests.bench.machine import machine
from tests.bench.running import ROOT, Position, Running, running
from tests.bench.systems import OURS, SYSTEMS, command, environment
from tests.integration.oracle import Oracle

RESULTS = ROOT / "build" / "bench" / "soak.json"
PHASES = ((100, 10.0), (2_000, 10.0), (0, 5.0), (5_000, 10.0), (20_000, 1.0), (10, 5.0))
"""(orders a second, seconds): low, middling, nothing, high, a burst, next to nothing."""
EVERY_SECONDS = 5.0
WARM = 0.25
"""Share of the time that is warm-up: caches and buffers fill."""
STORE_MEMORY = 16 * 1024 * 1024
"""For the RocksDB store: with the default of 128 MiB its buffers would fill during the whole soak."""
ALLOWED = {"resident_mb": 4.0, "files": 1.0, "threads": 1.0}
"""Growth by the fitted line over the time after the warm-up that is still taken for none."""


class Load(threading.Thread):
    """Sends the phases round and round until it is stopped."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        super().__init__(name="load", daemon=True)
        self._out = producer(bootstrap, linger_ms=1)
        self._topic = topic
        self._stop_asked = threading.Event()
        self.sent = self.broken = 0

    def run(self) -> None:
        """Send."""
        while not self._stop_asked.is_set():
            for rate, seconds in PHASES:
                self._phase(rate, seconds)
            produce(self._out, self._topic, b"no Avro at all", f"account-{self.broken}")
            self.broken += 1

    def _phase(self, rate: int, seconds: float) -> None:
        begin, done = time.monotonic(), 0
        while not self._stop_asked.wait(0.02):
            passed = time.monotonic() - begin
            while done < rate * min(passed, seconds):
                account = f"account-{self.sent % ACCOUNTS}"
                produce(
                    self._out, self._topic, encode(ORDER, order(self.sent, account, LOT)), account
                )
                self.sent, done = self.sent + 1, done + 1
            self._out.poll(0)
            if passed >= seconds:
                return

    def stop(self) -> None:
        """End it, and wait for what was sent."""
        self._stop_asked.set()
        self.join(30)
        self._out.flush(30)


def sample(worker: Running) -> dict[str, float]:
    """Return what may leak, as it stands."""
    return {
        "resident_mb": worker.resident_bytes() / 2**20,
        "files": worker.files(),
        "threads": worker.threads(),
    }


def verdict(samples: list[tuple[float, dict[str, float]]]) -> dict[str, dict[str, Any]]:
    """Return by quantity its trend, and whether it holds still."""
    found: dict[str, dict[str, Any]] = {}
    for name, allowed in ALLOWED.items():
        line = trend([(at, values[name]) for at, values in samples], WARM)
        rounded = {key: round(value, 3) for key, value in line.items()}
        found[name] = {**rounded, "allowed": allowed, "steady": line["grown"] < allowed}
    return found


def watch(
    worker: Running, position: Callable[[], int], minutes: float
) -> list[tuple[float, dict[str, float]]]:
    """Sample a worker for so many minutes, and tell how it goes once a minute."""
    begin = time.monotonic()
    samples: list[tuple[float, dict[str, float]]] = []
    told = begin
    while (now := time.monotonic()) - begin < minutes * 60:
        worker.require_alive()
        samples.append((round(now - begin, 1), sample(worker)))
        if now - told >= 60:
            told = now
            say(f"{position():,} records, {samples[-1][1]}")
        time.sleep(EVERY_SECONDS)
    return samples


def run(scratch: Path, minutes: float, store: str) -> dict[str, Any]:
    """Soak one worker and return the report."""
    with local_services(scratch / "kafka", registry=False, die_with_parent=True) as services:
        oracle = Oracle(services.bootstrap)
        # The broker goes before its clients do; one that logs would tell of it.
        oracle.admin = AdminClient({"bootstrap.servers": services.bootstrap, "log_level": 0})
        orders = oracle.create("soak.order", PARTITIONS)
        system = SYSTEMS[store]
        told = environment(
            system,
            bootstrap=services.bootstrap,
            group="soak",
            orders=orders,
            decisions=oracle.create("soak.decision", PARTITIONS),
            state=scratch / "state",
        )
        told["BENCH_STORE_MEMORY"] = str(STORE_MEMORY)
        position = Position(services.bootstrap, "soak", [orders], PARTITIONS)
        load = Load(services.bootstrap, orders)
        with running(store, command(system, ""), told, scratch / "worker") as worker:
            load.start()
            try:
                worker.wait_for("the first commit", lambda: position.committed() > 0)
                samples = watch(worker, position.committed, minutes)
            finally:
                load.stop()
            sent = load.sent + load.broken
            worker.wait_for("the rest", lambda: position.committed() >= sent)
        position.close()
    return {
        "machine": machine(),
        "system": store,
        "minutes": minutes,
        "records": sent,
        "dead_letters": load.broken,
        "verdict": verdict(samples),
        "samples": samples,
    }


def main() -> int:
    end_on_signals()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--system", choices=(OURS, "fillonce_memory"), default=OURS)
    chosen = parser.parse_args()
    fetch(lambda text, _passing: say(text))
    with tempfile.TemporaryDirectory(prefix="soak-", ignore_cleanup_errors=True) as scratch:
        report = run(Path(scratch), chosen.minutes, chosen.system)
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(json.dumps(report, indent=2) + "\n")
    for name, found in report["verdict"].items():
        print(
            f"{name:12} mean {found['mean']:9.1f}, grown {found['grown']:+8.2f} "
            f"({found['per_hour']:+.2f} an hour), allowed {found['allowed']:g}: "
            f"{'steady' if found['steady'] else 'IT GROWS'}"
        )
    print(f"{report['records']:,} records, {report['dead_letters']} of them broken")
    print(f"written: {RESULTS.relative_to(ROOT)}")
    return 0 if all(found["steady"] for found in report["verdict"].values()) else 1


if __name__ == "__main__":
    sys.exit(main())
