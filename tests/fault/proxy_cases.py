"""Wire faults under a worker of the hold workload: each is hit by evidence, and judged by what is in the topics."""

from __future__ import annotations

import random
import threading
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count, product
from pathlib import Path

from streams.engine.settings import POLL_SECONDS
from tests.fault.proxy import KEPT, Act, FrameProxy, Request, Rule
from tests.fault.proxy_frames import Api
from tests.fault.proxy_kafka import Wire
from tests.integration.hold import Hold
from tests.integration.oracle import Oracle
from tests.integration.workers import Worker, Workers, eventually

APP = "tests.fault.proxy_app:app"
READY_SECONDS = POLL_SECONDS + 20  # a JoinGroup without answer is waited for that long, and 3 s
ORDERS, RATE = 1_500, 1_500
RESTART = (75, -6)
"""Exit statuses that the supervisor restarts after: asked for, or a crash."""
AT_START = frozenset({Api.INIT_PRODUCER_ID, Api.FIND_COORDINATOR, Api.OFFSET_FETCH, Api.JOIN_GROUP, Api.SYNC_GROUP})  # fmt: skip
"""Requests of a starting worker."""
_RARE = frozenset({Api.HEARTBEAT, Api.LEAVE_GROUP})
_UNSEEN = frozenset({Act.DELAY, Act.SLOW, Act.DUPLICATE})
"""What a client does not notice, and need not."""


_ROUNDS = count()
"""Numbers for names: the same case may be played with the same seed at the same time."""


@dataclass(frozen=True, order=True)
class Case:
    """What is done to which request."""

    act: Act
    api: Api

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.act.replace(' ', '-')}-{self.api.name.lower()}"

    @property
    def fenced(self) -> tuple[int, ...]:
        """Exit 70, where the broker has to take a late request for a second worker in the slot.

        A JoinGroup of a static member that arrives late is one; somebody has to start the worker again.
        """
        return (70,) if self.api is Api.JOIN_GROUP and self.act in (*KEPT, Act.DUPLICATE) else ()


@dataclass
class Outcome:
    """What came of a case."""

    hit: bool = False
    anomalies: list[str] = field(default_factory=list)
    evidence: str = ""
    exits: list[int] = field(default_factory=list)


APIS = (Api.PRODUCE, Api.ADD_PARTITIONS_TO_TXN, Api.ADD_OFFSETS_TO_TXN, Api.END_TXN, Api.TXN_OFFSET_COMMIT, Api.INIT_PRODUCER_ID, Api.FIND_COORDINATOR, Api.OFFSET_FETCH, Api.JOIN_GROUP, Api.HEARTBEAT, Api.LEAVE_GROUP, Api.SYNC_GROUP)  # fmt: skip
"""All that a worker sends but for fetches and metadata; OffsetCommit it may not send, and each round looks."""

CASES = [Case(act, api) for act, api in product(Act, APIS)]
"""All of them: the long runs take these, with several seeds each."""

CI_CASES = [
    Case(Act.HOLD, Api.END_TXN),
    Case(Act.HOLD, Api.TXN_OFFSET_COMMIT),
    Case(Act.HOLD, Api.ADD_PARTITIONS_TO_TXN),
    Case(Act.HOLD, Api.PRODUCE),
    Case(Act.CUT_AFTER, Api.END_TXN),
    Case(Act.CUT, Api.ADD_OFFSETS_TO_TXN),
    Case(Act.CUT, Api.HEARTBEAT),
    Case(Act.CUT, Api.OFFSET_FETCH),
    Case(Act.DUPLICATE, Api.END_TXN),
    Case(Act.DUPLICATE, Api.LEAVE_GROUP),
    Case(Act.DELAY, Api.INIT_PRODUCER_ID),
    Case(Act.FREEZE, Api.TXN_OFFSET_COMMIT),
]
"""A dozen of them for every change."""


class _Crew:
    """Restarts the worker as the supervisor does."""

    def __init__(self, workers: Workers, outcome: Outcome, restart: tuple[int, ...]) -> None:
        self._workers = workers
        self._restart = restart
        self._outcome = outcome
        self.worker: Worker = workers.start(APP)
        self.over = False
        """It ended with a status that nobody restarts after, or again and again."""

    def look(self) -> bool:
        """Whether the worker runs, or was started again."""
        status = self.worker.process.poll()
        if status is not None and not self.over:
            self._outcome.exits.append(status)
            self.over = status not in self._restart or len(self._outcome.exits) > 5
            if not self.over:
                self.worker = self._workers.start(APP)
        return not self.over

    def until(self, condition: Callable[[], bool], seconds: float, pause: float = 0.05) -> bool:
        """Whether a condition comes true, with workers started again meanwhile."""
        return eventually(lambda: not self.look() or condition(), seconds, pause) and not self.over

    def until_ready(self, rule: Rule) -> bool:
        """Whether a worker comes to own partitions; if it does not while a frame is kept, the frame is let go."""

        def ready() -> bool:
            return "owns partitions" in self.worker.text

        if rule.act in KEPT and not self.until(ready, READY_SECONDS / 3) and rule.hit.is_set():
            rule.release()
        return self.until(ready, READY_SECONDS)


def run_case(
    case: Case,
    wire: Wire,
    folder: Path,
    *,
    seed: int,
    orders: int = ORDERS,
    recycle: bool = True,
) -> Outcome:
    """Run the workload with one wire fault in it.

    Args:
        case: the fault.
        wire: a broker behind a proxy.
        folder: for the workers' logs.
        seed: of the orders and of the moment of the fault.
        orders: how many.
        recycle: False: the mutant without the recycle rule, which has to fail.
    Returns:
        Whether the fault hit, and what was wrong in the end; a round that did not hit proves nothing.
    """
    outcome, chance, proxy, since = Outcome(), random.Random(seed), wire.proxy, len(wire.proxy.log)
    hold = Hold(Oracle(wire.direct), f"{case.name}-{seed}-{next(_ROUNDS)}.", seed, orders)
    hold.rate = RATE
    workers = Workers(folder, **_environment(case, wire, hold, recycle=recycle))
    nth = 1 if case.api in AT_START or case.api in _RARE else chance.randrange(1, 6)
    rule = Rule(case.act, case.api, nth=nth, seconds=3.0, where=lambda request: request.header.client_id == hold.group)  # fmt: skip
    feeder = threading.Thread(target=hold.feed, daemon=True)
    try:
        if case.api in AT_START:
            proxy.arm(rule)
        crew = _Crew(workers, outcome, RESTART + case.fenced)
        if not crew.until_ready(rule):
            outcome.anomalies.append(f"no worker came up: {crew.worker.text[-500:]}")
        if case.api not in AT_START:
            proxy.arm(rule)
        feeder.start()
        if case.api is not Api.LEAVE_GROUP:
            outcome.hit = rule.hit.wait(15) and _follow_up(rule, proxy, crew)
        _judge(hold, feeder, crew, outcome)
        _leave(case, rule, crew, outcome)
        mine = [r for r in proxy.log[since:] if r.header.client_id == hold.group]
        if any(request.api == Api.OFFSET_COMMIT for request in mine):
            outcome.anomalies.append("an offset was committed outside of any transaction")
        outcome.evidence = "; ".join(str(request) for request in rule.hits)
        if rule.hits and case.act not in _UNSEEN and proxy.reused(rule.hits[0]):
            outcome.anomalies.append(f"its epoch was used again after {rule.hits[0]}")
    finally:
        proxy.disarm(rule)
        workers.end()
    return outcome


def _environment(case: Case, wire: Wire, hold: Hold, *, recycle: bool) -> dict[str, str]:
    found = hold.environment | {"FILLONCE_KAFKA__BOOTSTRAP": wire.proxied, "HOLD_BATCH": "200"}
    if case.api is Api.LEAVE_GROUP:  # static members do not say good-bye
        found["PROXY_MEMBERSHIP"] = "dynamic"
    if not recycle:
        found["PROXY_RECYCLE"] = "off"
    return found


def _follow_up(rule: Rule, proxy: FrameProxy, crew: _Crew) -> bool:
    """Release what is kept, a producer's while a later transaction is open and has records; whether it came so."""
    if rule.act not in KEPT:
        return True
    stall = stall_next_transaction(proxy, rule.hits[0])
    of_producer = rule.hits[0].facts.transactional_id is not None
    if crew.until(stall.hit.is_set, 20 if of_producer else 2, 0.01):
        stall.hits[0].answered.wait(5)
    proxy.disarm(stall)
    rule.release()
    return rule.released > 0 and (bool(stall.hits) or not of_producer)


def stall_next_transaction(proxy: FrameProxy, hit: Request) -> Rule:
    """Let the answer to the first records of the transaction after the faulted one come late: its flush waits for it.

    So that transaction is open, with records and without offsets, when what was kept is released.
    """

    def later(request: Request) -> bool:
        client = hit.header.client_id
        if request.facts.transactional_id is None or request.header.client_id != client:
            return False
        between = [r for r in proxy.log[hit.number :] if r.header.client_id == client]
        return any(
            r.api == Api.END_TXN or r.facts.epoch not in {-1, hit.facts.epoch} for r in between
        )

    return proxy.arm(Rule(Act.SLOW, Api.PRODUCE, seconds=0.3, where=later))


def _judge(hold: Hold, feeder: threading.Thread, crew: _Crew, outcome: Outcome) -> None:
    feeder.join(30)
    if feeder.is_alive() or not crew.until(hold.settled, 45, 0.1):
        outcome.anomalies.append(f"not settled: {crew.worker.text[-1500:]}")
        return
    try:
        hold.check()
    except AssertionError as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        outcome.anomalies.append(f"the topics are wrong: {where.line}: {str(error)[:300]}")


def _leave(case: Case, rule: Rule, crew: _Crew, outcome: Outcome) -> None:
    wrong = Counter(status for status in outcome.exits if status not in RESTART + case.fenced)
    if wrong:
        outcome.anomalies.append(f"exit status {dict(wrong)}: {crew.worker.text[-500:]}")
    if case.api is Api.LEAVE_GROUP:
        status = crew.worker.terminate(30)
        if status != 0:
            outcome.anomalies.append(
                f"exit status {status} when stopped: {crew.worker.text[-500:]}"
            )
        outcome.hit = rule.hit.wait(5)
        if rule.act in KEPT and outcome.hit:
            rule.release()
