"""One run: its topics, its workload, its workers, its oracle, and the evidence of what was done to it."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from confluent_kafka import KafkaException, Producer
from confluent_kafka.admin import AdminClient

from streams.local.services import Services
from tests.chaos.processes import ROOT, OracleProcess, Worker, eventually
from tests.chaos.workload import Input, Workload, framed
from tests.integration.oracle import Oracle

PARTITIONS = 4
APP = "tests.chaos.app:app"
RESTARTED = (75, 4)
"""Exit status after which a supervisor starts a worker again: restart me, Kafka does not answer."""


class NotHit(Exception):
    """The fault cannot be shown to have hit: the round says nothing, and is run again."""


@dataclass(frozen=True, slots=True)
class Bench:
    """What runs share: a broker, a folder, the code under test.

    `services` is set where the broker is the run's own and may be killed, `wire` where workers reach it
    through the frame proxy.
    """

    bootstrap: str
    folder: Path
    code: Path = ROOT
    attempt: str = ""
    services: Services | None = None
    wire: Any = None


@dataclass
class Findings:
    """What a run has to say besides the oracle's verdict."""

    evidence: list[str] = field(default_factory=list)
    checks: list[str] = field(default_factory=list)
    """What was proved besides, such as a replay."""
    recoveries: list[float] = field(default_factory=list)
    """Seconds from each kill to the first new commit, where that was measured."""
    broken: list[str] = field(default_factory=list)
    """Bars that were not held: wrong exit status, too slow."""


class Run:
    """One group with its own topics, fed and hurt, then handed to the oracle.

    Args:
        bench: broker, folder, code.
        name: of the run; prefix of its topics.
        seed: of workload and fault.
        options: `poison`, `transfers`, `ticks`, `store`, `stock`: see the plan; `marked`: inputs are
            written in transactions, so that commit markers stand between them and behind the last.
    """

    def __init__(self, bench: Bench, name: str, seed: int, **options: Any) -> None:
        self.bench = bench
        self.name = name
        self.chance = random.Random(seed)
        self.options = options
        self.prefix = f"{name}{bench.attempt}."
        self.folder = bench.folder / f"{name}{bench.attempt}"
        self.folder.mkdir(parents=True)
        self.topics = Oracle(bench.bootstrap)
        quiet: dict[str, Any] = {"bootstrap.servers": bench.bootstrap, "log_level": 0}
        self.topics.admin = AdminClient(quiet)  # a broker that is killed is no news
        self.work = Workload(
            seed, poison=options.get("poison", True), transfers=options.get("transfers", True)
        )
        self.findings = Findings()
        self.workers: list[Worker] = []
        self.at_end: list[Callable[[], object]] = []
        self.environment: dict[str, str] = {}
        self.schema_id = 0
        self.fed = 0
        self._marked = bool(options.get("marked"))
        self._producer = self._make_producer()
        self._feeding: threading.Thread | None = None
        self._enough = threading.Event()
        self.plan = self._plan()
        self._create()
        self.oracle = OracleProcess(self.folder, self.plan)

    # -- topics

    def _plan(self) -> dict[str, Any]:
        group = f"{self.prefix}app"
        stock = self.options.get("stock", False)
        return {
            "bootstrap": self.bench.bootstrap,
            "group": group,
            "order": f"{self.prefix}order",
            "transfer": "" if stock else f"{self.prefix}transfer",
            "decision": f"{self.prefix}decision",
            "receipt": "" if stock else f"{self.prefix}receipt",
            "tables": {"balances": f"{group}-balances-changelog"}
            | ({} if stock else {"deposits": f"{group}-deposits-changelog"}),
            "dead": not stock,
            "journal": "" if stock else f"{group}.journal",
            "json_keys": stock,
            "frame": 5 if self.options.get("framed") else 0,
            "ticks": f"{self.prefix}tick" if self.options.get("ticks") else "",
            "tick_count": self.options.get("ticks", 0),
            "settle_seconds": self.options.get("settle_seconds", 25.0),
        }

    def _create(self) -> None:
        plan = self.plan
        for topic in (plan["order"], plan["transfer"], plan["decision"], plan["receipt"]):
            if topic:
                self.topics.create(topic, PARTITIONS)
        if plan["ticks"]:
            self.topics.create(plan["ticks"], 1)
            self.topics.create(f"{self.prefix}cursor", 1, compact=True)

    @property
    def own(self) -> list[str]:
        """Topics that the app writes in transactions, as far as they are there."""
        plan = self.plan
        names = [plan["decision"], plan["receipt"], *plan["tables"].values(), plan["journal"]]
        return [name for name in names if name]

    def open_transaction(self) -> bool:
        """Whether a transaction is open at the broker: last stable offset before the log's end."""
        try:
            return self.topics.hanging(self.own)
        except (KafkaException, AssertionError):
            return False

    def progress(self) -> int:
        """Committed records of the app's outputs and inputs so far."""
        try:
            return sum(self.topics.ends([self.plan["decision"]], stable=True).values())
        except (KafkaException, AssertionError):
            return -1

    def behind(self) -> int:
        """Inputs that the group has not committed yet."""
        inputs = [topic for topic in (self.plan["order"], self.plan["transfer"]) if topic]
        ends = self.topics.ends(inputs, stable=False)
        committed = self.topics.committed(self.plan["group"], inputs)
        return sum(end - committed.get(tp, 0) for tp, end in ends.items())

    def moves(self, seconds: float = 30.0) -> bool:
        """Whether more is committed from now on."""
        before = self.progress()
        return eventually(lambda: self.progress() > max(before, 0), seconds, 0.05)

    # -- workload

    def _make_producer(self) -> Producer:
        if not self._marked:
            return self.topics.producer()
        producer = Producer(
            {
                "bootstrap.servers": self.bench.bootstrap,
                "transactional.id": f"{self.prefix}feeder",
                "partitioner": "murmur2_random",
                "log_level": 0,
            }
        )
        producer.init_transactions(30)
        return producer

    def feed(self, count: int) -> None:
        """Write the next inputs and wait for the broker's word."""
        self._deliver(self.work.take(count))

    def _deliver(self, inputs: list[Input]) -> None:
        if self._marked:
            self._producer.begin_transaction()
        self._write(inputs)
        self.flush()
        if self._marked:
            self._producer.commit_transaction(30)

    def feed_steadily(self, rate: float) -> None:
        """Write inputs at a rate, in the background, until told that it is enough."""
        self._enough.clear()

        def go_on() -> None:
            while not self._enough.wait(20 / rate):
                self._write(self.work.take(20))
                self._producer.poll(0)

        self._feeding = threading.Thread(target=go_on, daemon=True)
        self._feeding.start()

    def enough(self) -> None:
        """End the background feed."""
        self._enough.set()
        if self._feeding is not None:
            self._feeding.join(30)
            self._feeding = None
        self.flush()

    def flush(self) -> None:
        """Wait until the broker has all that was fed."""
        left = self._producer.flush(60)
        if left:
            raise RuntimeError(f"the broker did not take {left} inputs within 60 s")

    def _write(self, inputs: list[Input]) -> None:
        for one in inputs:
            value = one.value
            if one.kind == "order" and self.options.get("framed"):
                value = framed(self.schema_id, value)
            place: dict[str, Any] = {} if one.partition is None else {"partition": one.partition}
            while True:
                try:
                    self._producer.produce(f"{self.prefix}{one.kind}", value, one.key, **place)
                    break
                except BufferError:
                    self._producer.poll(0.1)
            self.fed += 1

    # -- workers

    def start(self, **environment: str) -> Worker:
        """Start one more worker."""
        told = {
            "CHAOS_PREFIX": self.prefix,
            "CHAOS_BOOTSTRAP": self.bench.wire.proxied if self.bench.wire else self.bench.bootstrap,
            "CHAOS_TICKS": str(self.options.get("ticks", 0)),
            **self._store(environment.get("CHAOS_INSTANCE", "0")),
            **self.environment,
            **environment,
        }
        app = self.options.get("app", APP)
        worker = Worker(self.folder / "workers", self.bench.code, app, told)
        self.workers.append(worker)
        return worker

    def _store(self, instance: str) -> dict[str, str]:
        if self.options.get("store") != "rocksdb":
            return {}
        return {
            "CHAOS_STORE": "rocksdb://",
            "CHAOS_STATE": str(self.folder / f"state-{instance}"),
        }

    def started(self, **environment: str) -> Worker:
        """Start one more worker and wait until it owns partitions; as a supervisor would, once more."""
        worker, left = self.start(**environment), 2
        while not worker.ready():
            if not left or worker.wait(5) not in RESTARTED:
                status = worker.process.poll()
                self.broke(f"a worker did not start: exit {status}: {worker.tail()}")
                break
            worker, left = self.start(**environment), left - 1
        return worker

    # -- findings

    def hit(self, evidence: str) -> None:
        """Note that a fault has hit, and what shows it."""
        self.findings.evidence.append(evidence)

    def require(self, condition: object, missing: str) -> None:
        """Let the round be run again unless a condition holds.

        Raises:
            NotHit: it does not.
        """
        if not condition:
            raise NotHit(missing)

    def broke(self, bar: str) -> None:
        """Note a bar that was not held."""
        self.findings.broken.append(bar)

    def hold(self, condition: object, bar: str) -> None:
        """Note a bar unless it is held."""
        if not condition:
            self.broke(bar)

    # -- end

    def finish(self) -> dict[str, Any]:
        """Start a fresh worker, audit its tables, let the oracle check, and return its report."""
        self.enough()
        for worker in self.workers:
            if worker.alive:
                worker.terminate()
        last = self.started(**self.options.get("last", {}))
        audits = [] if self.options.get("stock") else self.work.audits(PARTITIONS)
        if audits:
            self._deliver(audits)
        eventually(lambda: self.behind() == 0 or not last.alive, 60, 0.1)
        if self.plan["ticks"]:
            last.says("the source has ended", 60)
        report = self.oracle.check()
        status = last.terminate()
        if not self.options.get("stock"):
            self.hold(status == 0, f"the last worker ended with {status}: {last.tail()}")
        return report

    def end(self) -> None:
        """End everything of this run that still lives."""
        self._enough.set()
        for worker in self.workers:
            worker.kill()
        self.oracle.end()
        for close in self.at_end:
            close()
