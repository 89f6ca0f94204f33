"""A million keys: how fast they are restored, how soon a killed worker is back, what they weigh."""

from __future__ import annotations

import sys
import time
from contextlib import AbstractContextManager
from pathlib import Path

from tests.bench.avro_hold import LOT, ORDER, PARTITIONS, encode
from tests.bench.feeding import fill, order, produce, producer
from tests.bench.running import Position, Running, running
from tests.bench.systems import System, command, environment
from tests.integration.oracle import Oracle

KILLS = 5
KILL_RATE = 2_000


class Worker:
    """One group of the engine with its topics: what its runs have in common."""

    def __init__(self, system: System, oracle: Oracle, folder: Path, label: str) -> None:
        self.system = system
        self.oracle = oracle
        self.group = f"{label}-{system.name}"
        self.orders = oracle.create(f"{self.group}.order", PARTITIONS)
        self.decisions = oracle.create(f"{self.group}.decision", PARTITIONS)
        self.changelog = oracle.create(f"{self.group}-balances-changelog", PARTITIONS, compact=True)
        self.folder = folder / self.group
        self.position = Position(oracle.bootstrap, self.group, [self.orders], PARTITIONS)

    def run(self) -> AbstractContextManager[Running]:
        """Run it for the length of a block."""
        told = environment(
            self.system,
            bootstrap=self.oracle.bootstrap,
            group=self.group,
            orders=self.orders,
            decisions=self.decisions,
            state=self.folder / "state",
        )
        return running(self.system.name, command(self.system, ""), told, self.folder)

    def wait(self, process: Running, what: str, least: int) -> None:
        """Wait until it has committed at least so many orders."""
        process.wait_for(what, lambda: self.position.committed() >= least, 600)

    def feed(self, count: int, accounts: int) -> None:
        """Write orders over the accounts in turn."""
        out = producer(self.oracle.bootstrap)
        for number in range(count):
            account = f"account-{number % accounts}"
            produce(out, self.orders, encode(ORDER, order(number, account, LOT)), account)
        if out.flush(60):
            raise SystemExit("the broker did not take the orders within 60 s")


def restore(system: System, oracle: Oracle, folder: Path, keys: int) -> dict[str, float]:
    """Measure a start with an empty store and `keys` in the changelog, against one with none there."""
    took: dict[int, float] = {}
    for count in (0, keys):
        worker = Worker(system, oracle, folder, f"restore-{count}")
        fill(oracle.bootstrap, worker.changelog, count)
        worker.feed(1_000, 1_000)
        begin = time.monotonic()
        with worker.run() as process:
            worker.wait(process, "the restore", 1)
            took[count] = time.monotonic() - begin
        worker.position.close()
    seconds = max(took[keys] - took[0], 0.001)
    return {
        "keys": keys,
        "seconds": round(seconds, 2),
        "records_per_second": round(keys / seconds),
        "start_without_keys_seconds": round(took[0], 2),
    }


def kill(system: System, oracle: Oracle, folder: Path, keys: int) -> dict[str, object]:
    """Kill a worker with `keys` on its disk, under load, and measure up to its next commit.

    The slot is the same, and so is the folder: what a restart on the same machine is.
    """
    worker = Worker(system, oracle, folder, "kill")
    fill(oracle.bootstrap, worker.changelog, keys)
    seconds = 15 * (KILLS + 1) + 60
    sender = [sys.executable, "-m", "tests.bench.hop_sender", oracle.bootstrap, worker.orders]
    numbers = ["0", str(KILL_RATE * seconds), str(KILL_RATE)]
    with running("sender", [*sender, *numbers], {}, worker.folder / "sender"):
        killed = _life(worker)[1]
        took = []
        for _ in range(KILLS):
            back, dead = _life(worker)
            took.append(round(back - killed, 2))
            killed = dead
    worker.position.close()
    return {"keys": keys, "kills": KILLS, "seconds": took, "worst": max(took)}


def _life(worker: Worker) -> tuple[float, float]:
    """Run a worker until it has committed anew and worked for a second, then kill it.

    Returns:
        When its first new commit was seen, and when it was killed.
    """
    at = worker.position.committed()
    with worker.run() as process:
        worker.wait(process, "a new commit", at + 1)
        back, before = time.monotonic(), worker.position.committed()
        worker.wait(process, "the next ones", before + KILL_RATE)
        killed = time.monotonic()
    return back, killed


def memory(system: System, oracle: Oracle, folder: Path, keys: int) -> dict[str, float]:
    """Measure what a million keys weigh: the same orders over `keys` accounts and over a thousand."""
    weighed: dict[int, int] = {}
    for accounts in (1_000, keys):
        worker = Worker(system, oracle, folder, f"memory-{accounts}")
        worker.feed(keys, accounts)
        with worker.run() as process:
            worker.wait(process, "all orders", keys)
            weighed[accounts] = process.resident_bytes()
        worker.position.close()
    return {
        "keys": keys,
        "resident_mb": round(weighed[keys] / 2**20, 1),
        "resident_mb_with_1000_keys": round(weighed[1_000] / 2**20, 1),
        "mb_per_million_keys": round((weighed[keys] - weighed[1_000]) / 2**20 / keys * 1e6, 1),
    }
