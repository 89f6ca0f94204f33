"""Faults 15 and 16: a transaction hangs on a changelog; two workers with one instance id."""

from __future__ import annotations

import time

from confluent_kafka import Producer

from tests.chaos.processes import eventually
from tests.chaos.run import Run

CAP = 75.0
"""Transaction time-out, the broker's clean-up interval and 30 s, and the start of a worker."""
FENCE_BAR = 30.0
COMMAND = "kafka-transactions.sh"


def hanging(run: Run) -> None:
    """Plant an open transaction on a changelog while a worker writes behind it, then restart the worker.

    What was committed behind the planted record is not to be read before that is settled. The worker
    must not take the last stable offset for the end: it ends with a named error and the command.
    """
    changelog = run.plan["tables"]["balances"]
    run.feed(500)
    worker = run.started()
    run.require(eventually(lambda: run.behind() == 0, 40, 0.1), "the worker does not get on")
    planted = _planted(run, changelog)
    try:
        run.feed(1_000)
        run.require(eventually(lambda: run.behind() == 0, 40, 0.1), "the worker does not get on")
        worker.kill()
        ends = run.topics.ends([changelog], stable=False)
        stable = run.topics.ends([changelog], stable=True)
        held = ends[changelog, 0] - stable[changelog, 0]
        run.require(held > 1, "nothing was committed behind the planted record")
        run.hit(f"{changelog}[0] hangs at {stable[changelog, 0]} of {ends[changelog, 0]}")
        begin = time.monotonic()
        second = run.start()
        status = second.wait(CAP + 15)
        seconds = time.monotonic() - begin
        named = f"{changelog}[0]" in second.text and COMMAND in second.text
        run.hold(
            status not in (None, 0) and seconds <= CAP and named,
            f"a hanging transaction: exit {status} after {seconds:.0f} s, named with the command: {named}",
        )
        if status is None:
            second.terminate()
    finally:
        planted.abort_transaction(20)


def _planted(run: Run, changelog: str) -> Producer:
    producer = Producer(
        {
            "bootstrap.servers": run.bench.bootstrap,
            "transactional.id": f"{run.prefix}planted",
            "transaction.timeout.ms": 600_000,
            "log_level": 0,
        }
    )
    producer.init_transactions(30)
    producer.begin_transaction()
    producer.produce(changelog, b"999999", b"A-planted", 0)
    run.require(producer.flush(20) == 0, "the planted record was not taken")
    run.require(run.topics.hanging([changelog]), "the planted transaction is not open")
    return producer


def hanging_unseen(run: Run) -> None:
    """The same without the wait: for a mutant that does not see it, the tables tell."""
    changelog = run.plan["tables"]["balances"]
    run.feed(500)
    worker = run.started()
    run.require(eventually(lambda: run.behind() == 0, 40, 0.1), "the worker does not get on")
    planted = _planted(run, changelog)
    try:
        run.feed(1_000)
        run.require(eventually(lambda: run.behind() == 0, 40, 0.1), "the worker does not get on")
        worker.kill()
        run.hit("a transaction hangs on a changelog, rows are committed behind it")
        second = run.started()
        run.feed(1_000)
        eventually(lambda: run.behind() == 0, 30, 0.1)
        second.kill()
    finally:
        planted.abort_transaction(20)


def twins(run: Run) -> None:
    """Start two workers with one instance id: one exits 70 within 30 s, and the other goes on."""
    run.feed_steadily(400)
    first = run.started(CHAOS_BATCH="20")
    run.require(run.moves(), f"the worker does not get on: {first.tail()}")
    begin = time.monotonic()
    second = run.start(CHAOS_BATCH="20")
    both = (first, second)
    eventually(lambda: not all(w.alive for w in both), FENCE_BAR + 20, 0.05)
    seconds = time.monotonic() - begin
    ended = [w for w in both if not w.alive]
    run.hold(len(ended) <= 1, f"both ended: {[w.process.poll() for w in both]}")
    run.hit(f"two holders of one slot for {seconds:.1f} s")
    run.hold(
        bool(ended) and ended[0].process.poll() == 70 and seconds <= FENCE_BAR,
        f"after {seconds:.0f} s the two stand at {[w.process.poll() for w in both]}",
    )
    run.hold(run.moves(), "the one that is left does not get on")
    run.hold(any(w.alive for w in both), "nobody is left")
