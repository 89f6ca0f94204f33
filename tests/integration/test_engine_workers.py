"""How workers stop, share partitions, fence each other, and refuse what cannot work."""

from __future__ import annotations

import re
import threading
import time

from streams.local.ports import free_ports
from tests.integration.hold import Hold
from tests.integration.oracle import Oracle
from tests.integration.workers import Worker, Workers, eventually

APP = "examples.hold:app"
APPS = "tests.integration.apps"


def start_feed(hold: Hold) -> threading.Thread:
    """Feed in the background."""
    feeder = threading.Thread(target=hold.feed, daemon=True)
    feeder.start()
    return feeder


def moves(oracle: Oracle, topic: str) -> bool:
    """Whether more is committed to a topic from now on."""
    before = oracle.ends([topic], stable=True)
    return eventually(lambda: oracle.ends([topic], stable=True) != before)


def owned(worker: Worker) -> list[int]:
    """The partitions a worker has said last that it owns."""
    found = re.findall(r"owns partitions \[([\d, ]*)\]", worker.text)
    return [int(p) for p in found[-1].split(",")] if found else []


def line_of(worker: Worker, word: str) -> str:
    """The one line that says why, and that there is no traceback beside it."""
    lines = [line for line in worker.text.splitlines() if word in line]
    assert len(lines) == 1, worker.text
    assert "Traceback" not in worker.text
    return lines[0]


def test_sigterm_in_the_middle_of_a_batch_loses_and_repeats_nothing(
    oracle: Oracle, workers: Workers, topic_prefix: str
) -> None:
    """Asked to stop under load it ends the batch, exits 0, and the next worker repeats no record."""
    hold = Hold(oracle, topic_prefix, 1, 6_000)
    workers.environment |= hold.environment
    hold.allowed = 2_000  # each worker finds some, however slow the machine is
    feeder = start_feed(hold)
    for number in range(2):
        worker = workers.start(APP, HOLD_BATCH="20")
        worker.ready()
        hold.allowed = 2_000 * (number + 2)
        assert moves(oracle, hold.output)
        begin = time.monotonic()
        assert worker.terminate() == 0
        assert time.monotonic() - begin < 12
        assert "aborted" not in worker.text
        assert not oracle.hanging(hold.topics[1:])
    hold.allowed = 6_001
    workers.start(APP)
    feeder.join(30)
    assert eventually(hold.settled)
    hold.check()
    assert workers.all[-1].terminate() == 0


def test_of_two_workers_with_one_instance_id_one_is_fenced(
    oracle: Oracle, workers: Workers, topic_prefix: str
) -> None:
    """The one that held the slot exits 70 and says why; the newcomer goes on, without duplicates."""
    hold = Hold(oracle, topic_prefix, 2, 8_000)
    workers.environment |= hold.environment
    feeder = start_feed(hold)
    first = workers.start(APP)
    first.ready()
    second = workers.start(APP)
    assert first.wait(30) == 70, first.text[-3000:]
    assert "exit 70" in line_of(first, "CRITICAL")
    feeder.join(30)
    assert eventually(hold.settled), second.text[-3000:]
    assert second.process.poll() is None
    hold.check()
    assert second.terminate() == 0


def test_partitions_move_between_workers_without_a_loss(
    oracle: Oracle, workers: Workers, topic_prefix: str
) -> None:
    """A second instance takes its share under load and gives it back when it leaves."""
    hold = Hold(oracle, topic_prefix, 3, 24_000)
    workers.environment |= hold.environment
    feeder = start_feed(hold)
    one = workers.start(APP, HOLD_INSTANCE="0")
    one.ready()
    assert owned(one) == [0, 1, 2, 3]
    two = workers.start(APP, HOLD_INSTANCE="1")
    two.ready()
    assert eventually(lambda: sorted(owned(one) + owned(two)) == [0, 1, 2, 3])
    assert len(owned(one)) == len(owned(two)) == 2
    feeder.join(40)
    assert eventually(hold.settled)
    hold.check()
    assert two.terminate() == 0
    assert one.terminate() == 0


def test_a_missing_broker_is_status_4_and_one_line(workers: Workers) -> None:
    """Nobody listens at the port: the worker says where it has asked and ends within 20 s."""
    nowhere = f"127.0.0.1:{free_ports(1)[0]}"
    begin = time.monotonic()
    worker = workers.start(APP, FILLONCE_KAFKA__BOOTSTRAP=nowhere)
    assert worker.wait(30) == 4
    assert time.monotonic() - begin < 20
    assert f"no answer from Kafka at {nowhere}" in line_of(worker, "CRITICAL")
    assert "rdkafka" not in worker.text


def test_a_pinned_setting_is_status_2_and_one_line(workers: Workers) -> None:
    """An app that overrides what the promise rests on does not start."""
    worker = workers.start(f"{APPS}.pinned:app")
    assert worker.wait() == 2
    assert "isolation.level" in line_of(worker, "Error")


def test_topics_of_other_partition_counts_are_status_2_and_named(
    oracle: Oracle, workers: Workers, topic_prefix: str
) -> None:
    """Without co-partitioning a key's state would be split: refused with both counts."""
    oracle.create(f"{topic_prefix}one", 2)
    oracle.create(f"{topic_prefix}two", 3)
    worker = workers.start(f"{APPS}.mismatch:app")
    assert worker.wait() == 2
    line = line_of(worker, "CRITICAL")
    assert f"{topic_prefix}one has 2" in line
    assert f"{topic_prefix}two has 3" in line
