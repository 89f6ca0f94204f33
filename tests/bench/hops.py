"""Hop latency: from the moment an order was due to be sent, to its decision read committed, outside."""

from __future__ import annotations

import sys
import time
from array import array
from pathlib import Path

from confluent_kafka import Consumer, KafkaError, TopicPartition

from tests.bench.avro_hold import DECISION, LOT, ORDER, PARTITIONS, decode, encode
from tests.bench.feeding import order, produce, producer
from tests.bench.figures import spread
from tests.bench.running import Running, running
from tests.bench.systems import System, command, environment
from tests.integration.oracle import Oracle

WARM_SECONDS = 5.0
FIRST_ORDERS = 50
"""Enough that each partition has some."""
LATE_SECONDS = 30.0
"""How long after the last order its decision may come before it counts as never answered."""


class Reader:
    """Reads decisions committed, from the topic's start, and stamps each as it comes."""

    def __init__(self, bootstrap: str, topic: str, partitions: int) -> None:
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap,
                "group.id": "bench-reader",
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "fetch.wait.max.ms": 10,
                "log_level": 0,
            }
        )
        self._consumer.assign([TopicPartition(topic, number, 0) for number in range(partitions)])

    def next(self, seconds: float) -> tuple[int, float] | None:
        """Return the number of the next decision's order, and when it came."""
        message = self._consumer.poll(seconds)
        now = time.monotonic()
        if message is None:
            return None
        error = message.error()
        if error is None:
            return int(decode(DECISION, message.value())["order_id"], 16), now
        if error.code() != KafkaError._PARTITION_EOF and not error.retriable():
            raise SystemExit(f"decisions cannot be read: {error.str()}")
        return None

    def close(self) -> None:
        """End the client."""
        self._consumer.close()


def phase(
    worker: Running,
    reader: Reader,
    oracle: Oracle,
    orders: str,
    base: int,
    rate: float,
    seconds: float,
) -> dict[str, float]:
    """Send at a rate for so many seconds, and return the spread of the latencies after the warm-up.

    Order i is due at start + i / rate, whether or not earlier ones were answered or even sent: what a
    stall delays is counted as delayed.

    Args:
        base: number of the first order.
        rate: orders a second.
        seconds: measured, after the warm-up.
    """
    count, warm = int(rate * (WARM_SECONDS + seconds)), int(rate * WARM_SECONDS)
    sender = [sys.executable, "-m", "tests.bench.hop_sender", oracle.bootstrap, orders]
    came = array("d", bytes(8 * count))
    answered = duplicates = 0
    home = worker.log.parent / f"sender-{base}"
    with running("sender", [*sender, str(base), str(count), str(rate)], {}, home) as feed:
        start = _word(feed, 0)
        deadline = start + count / rate + LATE_SECONDS
        while answered < count and time.monotonic() < deadline:
            found = reader.next(0.2)
            if found is None:
                worker.require_alive()
                continue
            number, now = found[0] - base, found[1]
            if not 0 <= number < count:
                continue
            duplicates += came[number] != 0
            answered += came[number] == 0
            came[number] = came[number] or now
        late = _word(feed, 1)
    took = [
        (came[number] - start - number / rate) * 1000
        for number in range(warm, count)
        if came[number]
    ]
    if not took:
        raise SystemExit(f"{worker.name}: no order was answered within {LATE_SECONDS:g} s")
    return {
        "rate": rate,
        **spread(took),
        "unanswered": count - answered,
        "duplicates": duplicates,
        "sender_late_p99": late,
    }


def _wake(worker: Running, reader: Reader, bootstrap: str, orders: str) -> None:
    """Wait until the system answers: its start-up is not what is measured."""
    out, waiting = producer(bootstrap), set(range(FIRST_ORDERS))
    for number in waiting:
        account = f"account-{number}"
        produce(out, orders, encode(ORDER, order(number, account, LOT)), account)
    out.flush(30)

    def answered() -> bool:
        found = reader.next(0.1)
        if found is not None:
            waiting.discard(found[0])
        return not waiting

    worker.wait_for("the first answers", answered)


def _word(feed: Running, place: int) -> float:
    """Return the number on a line of what the sender says, once it is there."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        lines = feed.log.read_text().splitlines(keepends=True)
        if len(lines) > place and lines[place].endswith("\n"):
            return float(lines[place])
        feed.require_alive()
        time.sleep(0.02)
    raise SystemExit("the sender of orders says nothing")


def hops(
    system: System, oracle: Oracle, folder: Path, rates: dict[str, float], seconds: dict[str, float]
) -> dict[str, dict[str, float]]:
    """Return the latencies of one system by load, in milliseconds.

    Args:
        rates: orders a second, by name of the load.
        seconds: how long each is measured, by the same names.
    """
    group = f"hop-{system.name}"
    orders = oracle.create(f"{group}.order", PARTITIONS)
    decisions = oracle.create(f"{group}.decision", PARTITIONS)
    home = folder / group
    told = environment(
        system,
        bootstrap=oracle.bootstrap,
        group=group,
        orders=orders,
        decisions=decisions,
        state=home / "state",
    )
    reader = Reader(oracle.bootstrap, decisions, PARTITIONS)
    found: dict[str, dict[str, float]] = {}
    try:
        with running(system.name, command(system, ""), told, home) as worker:
            _wake(worker, reader, oracle.bootstrap, orders)
            for place, (load, rate) in enumerate(rates.items(), start=1):
                found[load] = phase(
                    worker, reader, oracle, orders, place * 10**9, rate, seconds[load]
                )
    finally:
        reader.close()
    return found
