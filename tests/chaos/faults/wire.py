"""Fault 5: the frame proxy holds, cuts, delays and doubles requests between worker and broker."""

from __future__ import annotations

from collections.abc import Callable

from tests.chaos.processes import Worker, eventually
from tests.chaos.run import RESTARTED, NotHit, Run
from tests.fault.proxy import KEPT, Act, Request, Rule
from tests.fault.proxy_cases import AT_START, CASES, CI_CASES, Case
from tests.fault.proxy_frames import Api

CRASHED = -6
"""The client library may abort the process on a fatal error: a supervisor restarts after that too."""
PAIR = (Case(Act.HOLD, Api.END_TXN), Case(Act.HOLD, Api.TXN_OFFSET_COMMIT)) * 2
"""KAFKA-17754: a request of one transaction comes late, in the next one; see `late_pair`."""
DOZEN = tuple(case for case in CI_CASES if case.api is not Api.LEAVE_GROUP)
ALL = tuple(case for case in CASES if case.api is not Api.LEAVE_GROUP)


def faulted(run: Run, cases: tuple[Case, ...], rate: float = 400.0) -> None:
    """Do each of the cases to a worker under load, started again where a supervisor would."""
    run.environment["CHAOS_BATCH"] = "20"
    run.feed_steadily(rate)
    worker = run.started()
    for case in cases:
        worker = _case(run, case, worker)
    run.bench.wire.proxy.disarm()


def late_pair(run: Run, times: int, rate: float = 400.0) -> None:
    """KAFKA-17754: a delayed request of one transaction comes in the next, and then the worker is killed.

    A late commit makes what the next transaction has written so far visible without its offsets; a late
    offset overwrites the next transaction's own. Only a kill before, or after, that one's commit shows it.
    """
    run.environment["CHAOS_BATCH"] = "20"
    run.feed_steadily(rate)
    worker = run.started()
    for case in PAIR[:2] * times:
        worker = _case(run, case, worker, kill=True)
    run.bench.wire.proxy.disarm()


def _case(run: Run, case: Case, worker: Worker, *, kill: bool = False) -> Worker:
    proxy = run.bench.wire.proxy
    proxy.disarm()
    if not worker.alive:
        worker = run.started()
    run.require(run.moves(), f"the worker does not get on before {case.name}: {worker.tail()}")
    nth = 1 if case.api in AT_START or case.api is Api.HEARTBEAT else run.chance.randrange(1, 6)
    rule = Rule(case.act, case.api, nth=nth, seconds=3.0)
    if case.api in AT_START:
        worker.terminate()
        proxy.arm(rule)
        worker = run.start()
    else:
        proxy.arm(rule)
    run.require(rule.hit.wait(20), f"{case.name}: no such request came")
    if rule.act in KEPT:
        worker = _release(run, case, rule, worker)
    if kill:
        worker.kill()
        worker = run.started()
    run.hit(f"{case.name}: {rule.hits[0]}")
    worker = _goes_on(run, case, worker)
    again = proxy.reused(rule.hits[0])
    if case.act not in {Act.DELAY, Act.SLOW, Act.DUPLICATE} and again:
        run.broke(f"{case.name}: its epoch was used again after {rule.hits[0]}: {again[0]}")
    return worker


def _release(run: Run, case: Case, rule: Rule, worker: Worker) -> Worker:
    """Send what is kept late: while a later transaction is open and has records."""
    proxy, hit = run.bench.wire.proxy, rule.hits[0]

    def later(request: Request) -> bool:
        if request.facts.transactional_id is None:
            return False
        between = proxy.log[hit.number :]
        return any(
            r.api == Api.END_TXN or r.facts.epoch not in {-1, hit.facts.epoch} for r in between
        )

    if case.api is Api.TXN_OFFSET_COMMIT:  # after its own offsets, and before its end
        stall = proxy.arm(Rule(Act.DELAY, Api.END_TXN, seconds=1.0, where=later))
    else:  # its flush waits for this answer: the transaction stays open meanwhile
        stall = proxy.arm(Rule(Act.SLOW, Api.PRODUCE, seconds=1.0, where=later))
    worker = _until(run, case, worker, stall.hit.is_set, 30)
    if not stall.hits:
        raise NotHit(f"{case.name}: no later transaction was seen")
    if case.api is not Api.TXN_OFFSET_COMMIT:
        stall.hits[0].answered.wait(5)
    run.require(rule.release(), f"{case.name}: nothing was kept")
    if case.api is Api.TXN_OFFSET_COMMIT:
        stall.hits[0].answered.wait(5)
    return worker


def _until(
    run: Run, case: Case, worker: Worker, condition: Callable[[], bool], seconds: float
) -> Worker:
    """Wait for a condition, and start the worker again where a supervisor would."""
    crew = [worker]

    def there() -> bool:
        status = crew[0].process.poll()
        if status is not None:
            run.hold(
                status in (*RESTARTED, CRASHED, *case.fenced),
                f"{case.name}: the worker ended with {status}: {crew[0].tail()}",
            )
            crew[0] = run.start()
        return condition()

    eventually(there, seconds, 0.05)
    return crew[0]


def _goes_on(run: Run, case: Case, worker: Worker) -> Worker:
    before = run.progress()
    worker = _until(run, case, worker, lambda: run.progress() > before, 45)
    run.hold(run.progress() > before, f"{case.name}: work does not go on: {worker.tail()}")
    return worker
