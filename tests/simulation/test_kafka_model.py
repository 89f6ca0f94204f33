"""The simulated Kafka has the dangers that the real one was measured to have."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest
from confluent_kafka import KafkaException, TopicPartition

from streams.engine.settings import PINNED_CONSUMER, PINNED_PRODUCER
from tests.simulation.groups import Membership
from tests.simulation.options import Options
from tests.simulation.process import Process
from tests.simulation.runtime import SimRuntime
from tests.simulation.world import World

PRODUCER = {**PINNED_PRODUCER, "transactional.id": "x-0"}


class _Lines(logging.Handler):
    def __init__(self, lines: list[str]) -> None:
        super().__init__()
        self._lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one line."""
        self._lines.append(record.getMessage())


class Bench:
    """A cluster without workers, and one process to call it from."""

    def __init__(self) -> None:
        self.world = World(Options(seed=1, slots=0, partitions=1, faults=()))
        self.process = Process(self.world, "bench")
        self.runtime = SimRuntime(self.world, self.process)
        self.world.broker.create("out", 1)
        self.log = self.world.broker.topics["out"][0]
        self.group = self.world.broker.group("g")
        self.lines: list[str] = []
        # Not from the tree of loggers: it is this bench's own.
        self.logger = logging.Logger("bench", logging.DEBUG)  # noqa: LOG001
        self.logger.addHandler(_Lines(self.lines))

    def do(self, call: Callable[[], Any]) -> Any:
        """Run blocking calls to their end."""
        return self.world.loop.run_until_complete(self.process.thread(call))

    def producer(self) -> Any:
        """Return a producer that has its epoch."""
        producer = self.runtime.producer(dict(PRODUCER), self.logger)
        producer.init_transactions(10.0)
        return producer

    def wait(self, seconds: float) -> None:
        """Let virtual time pass."""
        self.runtime.sleep(seconds)

    def visible(self) -> list[bytes | None]:
        """Return the values that a read_committed reader sees."""
        found, _ = self.log.read(0, 1_000)
        return [entry.payload.value for entry in found if entry.payload is not None]


@pytest.fixture(name="bench")
def _bench() -> Any:
    bench = Bench()
    yield bench
    bench.process.kill("the end")
    bench.world.loop.run_until_complete(bench.world.sleep(0.1))
    bench.world.loop.close()


def _write(producer: Any, value: bytes) -> None:
    producer.begin_transaction()
    producer.produce("out", value, b"k", 0)
    assert producer.flush(5.0) == 0


@pytest.mark.parametrize("fresh", [False, True])
def test_a_late_commit_lands_in_the_next_transaction_unless_the_epoch_rose(
    bench: Bench, fresh: bool
) -> None:
    """A commit in limbo makes the next transaction visible, half done; a new epoch refuses it."""
    bench.world.faults.limbo_seconds = lambda: 2.0  # type: ignore[method-assign] # planned, not drawn

    def call() -> None:
        producer = bench.producer()
        _write(producer, b"first")
        bench.world.faults.planned["EndTxn"] = "limbo"
        producer.commit_transaction(10.0)  # succeeds, by the client's own retry
        if fresh:
            producer = bench.producer()
        _write(producer, b"second, to be aborted")
        bench.wait(3.0)

    bench.do(call)
    late = [] if fresh else [b"second, to be aborted"]
    assert bench.visible() == [b"first", *late]


@pytest.mark.parametrize("fresh", [False, True])
def test_late_offsets_land_in_the_next_transaction_unless_the_epoch_rose(
    bench: Bench, fresh: bool
) -> None:
    """Offsets of an aborted transaction overwrite those of the next: input is skipped."""
    bench.world.faults.limbo_seconds = lambda: 1.0  # type: ignore[method-assign] # planned, not drawn

    def send(producer: Any, offset: int) -> None:
        rows = [TopicPartition("order", 0, offset, "")]
        producer.send_offsets_to_transaction(rows, member, 0.05)

    def call() -> None:
        producer = bench.producer()
        _write(producer, b"aborted")
        bench.world.faults.planned["TxnOffsetCommit"] = "limbo"
        with pytest.raises(KafkaException, match="timed out"):
            send(producer, 10)
        producer = bench.producer() if fresh else _forget(producer)
        _write(producer, b"kept")
        rows = [TopicPartition("order", 0, 7, "")]
        producer.send_offsets_to_transaction(rows, member, 5.0)
        bench.wait(2.0)
        producer.commit_transaction(10.0)
        bench.wait(0.5)

    def _forget(producer: Any) -> Any:
        producer._call[1].cancel()
        producer._call = None
        producer.abort_transaction(5.0)
        return producer

    member = _join(bench)
    bench.do(call)
    assert bench.group.offsets["order", 0][0] == (7 if fresh else 10)


def _join(bench: Bench) -> Membership:
    joined = bench.world.loop.run_until_complete(bench.group.join("m", None, ["order"], 1e9))
    return Membership("g", joined[0], joined[1], None)


def test_log_lines_come_out_of_poll_only(bench: Bench) -> None:
    """A cut inside of a commit is told to the logger by the next poll, not before."""

    def call() -> None:
        producer = bench.producer()
        _write(producer, b"x")
        bench.world.faults.planned["EndTxn"] = "unanswered"
        producer.commit_transaction(10.0)
        assert bench.lines == []
        producer.poll(0)

    bench.do(call)
    assert [line.startswith("FAIL") for line in bench.lines] == [True]


def test_a_committed_reader_stops_before_an_open_transaction(bench: Bench) -> None:
    """The watermark of a read_committed client is the last stable offset, not the end of the log."""

    def call() -> tuple[int, int]:
        _write(bench.producer(), b"open")
        consumer = bench.runtime.consumer({**PINNED_CONSUMER, "group.id": "g"}, bench.logger)
        return consumer.get_watermark_offsets(TopicPartition("out", 0))

    assert bench.do(call) == (0, 0)
    assert bench.log.end == 1


def test_committed_offsets_wait_for_the_transaction_on_them(bench: Bench) -> None:
    """Offsets in an open transaction are asked for in vain until it is decided."""
    member = _join(bench)

    def call() -> int | None:
        producer = bench.producer()
        _write(producer, b"x")
        producer.send_offsets_to_transaction([TopicPartition("order", 0, 3, "")], member, 5.0)
        consumer = bench.runtime.consumer({**PINNED_CONSUMER, "group.id": "g"}, bench.logger)
        with pytest.raises(KafkaException, match="timed out"):
            consumer.committed([TopicPartition("order", 0)], timeout=2.0)
        producer.commit_transaction(5.0)
        offset: int = consumer.committed([TopicPartition("order", 0)], timeout=2.0)[0].offset
        return offset

    assert bench.do(call) == 3


def test_an_old_generation_and_an_old_epoch_are_refused(bench: Bench) -> None:
    """Offsets of another generation abort the transaction; a second holder's init ends the first's."""
    member = _join(bench)
    old = Membership(member.group, member.member, member.generation - 1, None)

    def call() -> tuple[Any, Any]:
        producer = bench.producer()
        _write(producer, b"x")
        with pytest.raises(KafkaException) as refused:
            producer.send_offsets_to_transaction([TopicPartition("order", 0, 3, "")], old, 5.0)
        other = SimRuntime(bench.world, bench.process).producer(dict(PRODUCER), bench.logger)
        other.init_transactions(10.0)
        with pytest.raises(KafkaException) as fenced:
            producer.abort_transaction(5.0)
        return refused.value.args[0], fenced.value.args[0]

    refused, fenced = bench.do(call)
    assert refused.txn_requires_abort()
    assert refused.name() == "ILLEGAL_GENERATION"
    assert fenced.fatal()
    assert fenced.name() == "_FENCED"
