"""KAFKA-17754: a request that was delayed in one transaction must do nothing in the next one.

librdkafka speaks the first version of the transaction protocol: all transactions of one producer
share its epoch, so the broker cannot tell a late request of the last one from one of this one.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition

from streams.engine.client import Client
from streams.engine.errors import AbortBatch, EngineError
from streams.engine.runtime import SystemRuntime
from streams.engine.settings import EngineSettings
from tests.fault.proxy import Act, FrameProxy, Request, Rule
from tests.fault.proxy_frames import Api
from tests.fault.proxy_kafka import Wire
from tests.integration.oracle import Oracle
from tests.integration.workers import eventually

TOO_OLD = {47, 90}
"""INVALID_PRODUCER_EPOCH and PRODUCER_FENCED: what the broker says to a request of an older epoch."""


class Plain:
    """A transactional producer as anyone would use it; a fresh one of the same id after each transaction, or not."""

    def __init__(self, wire: Wire, group: str, source: str, *, recycle: bool) -> None:
        self._config = {"bootstrap.servers": wire.proxied, "transactional.id": f"{group}-0"}
        self._recycle = recycle
        self._source = source
        self._consumer = Consumer(
            {"bootstrap.servers": wire.proxied, "group.id": group, "enable.auto.commit": False},
            logger=_quiet(),
        )
        self._consumer.subscribe([source])
        assert eventually(lambda: self._consumer.poll(0.1) is None and bool(self._consumer.assignment()))  # fmt: skip
        self._open()

    def _open(self) -> None:
        self.producer = Producer(self._config, logger=_quiet())
        self.producer.init_transactions(20)

    def begin(self) -> None:
        self.producer.begin_transaction()

    def send_offset(self, offset: int) -> None:
        self.producer.send_offsets_to_transaction(
            [TopicPartition(self._source, 0, offset)], self._consumer.consumer_group_metadata(), 10
        )

    def commit(self, offset: int, meanwhile: Callable[[], None]) -> None:
        """Commit with an offset; `meanwhile` is called between the two."""
        self.send_offset(offset)
        meanwhile()
        self.producer.commit_transaction(10)
        self._between()

    def abort(self) -> None:
        try:
            self.producer.abort_transaction(10)
        except KafkaException as error:
            if not error.args[0].fatal():  # fatal: the broker says that nothing is open
                raise
        self._between()

    def _between(self) -> None:
        if self._recycle:
            self._open()

    def close(self) -> None:
        self._consumer.close()


class Forgetful(Client):
    """The engine's client without its recycle rule."""

    def recycle(self) -> None:
        """Go on with the old producer."""


class OfEngine:
    """The engine's own client, used as its loop does."""

    def __init__(self, wire: Wire, group: str, source: str, *, recycle: bool) -> None:
        self._source = source
        self._watchdog = SystemRuntime().watchdog()
        settings = EngineSettings(wire.proxied)
        self.client = (Client if recycle else Forgetful)(group, settings, self._watchdog)
        self.client.open_producer()
        self.client.subscribe([source])
        assert eventually(lambda: self.client.fetch(0.1, 1) == ([], []) and bool(self.client.assigned))  # fmt: skip

    @property
    def producer(self) -> Producer:
        return self.client.producer

    def begin(self) -> None:
        self.client.begin()

    def send_offset(self, offset: int) -> None:
        """Go through the commit up to the offsets."""
        with pytest.raises(AbortBatch, match="enough"):
            self._commit(offset, enough)

    def commit(self, offset: int, meanwhile: Callable[[], None]) -> None:
        """Commit with an offset; `meanwhile` is called between the two."""
        self._commit(offset, lambda state: meanwhile() if state == "OFFSETS_SENT" else None)
        if self.client.tainted:
            self.client.recycle()

    def abort(self) -> None:
        try:
            self.client.abort(10)
        except EngineError:
            assert isinstance(self.client, Forgetful)
        self.client.recycle()

    def _commit(self, offset: int, moved: Callable[[str], None]) -> None:
        offsets = [TopicPartition(self._source, 0, offset)]
        self.client.commit(offsets, self.client.metadata(), 10, moved)

    def close(self) -> None:
        if isinstance(self.client, Forgetful):  # a fatal error may be all that it has left
            self.client.consumer.close()
        else:
            self.client.close()
        self._watchdog.close()


def nothing() -> None:
    """Let nothing happen."""


def enough(state: str) -> None:
    if state == "OFFSETS_SENT":
        raise AbortBatch("enough")


def _quiet() -> logging.Logger:
    return logging.Logger("quiet", logging.CRITICAL + 1)  # noqa: LOG001 - as the engine's: no tree keeps it


@pytest.fixture(params=[(Plain, False), (Plain, True), (OfEngine, False), (OfEngine, True)], ids=["plain", "plain-fresh", "engine-without-recycle", "engine"])  # fmt: skip
def side(
    request: pytest.FixtureRequest, wire: Wire, wire_oracle: Oracle, wire_prefix: str
) -> Iterator[tuple[Any, str, bool]]:
    """A side to transact from, its topic for results, and whether it recycles."""
    kind, recycle = request.param
    source = wire_oracle.create(f"{wire_prefix}in")
    target = wire_oracle.create(f"{wire_prefix}out")
    made = kind(wire, f"{wire_prefix}group", source, recycle=recycle)
    yield made, target, recycle
    made.close()


def test_late_commit_ends_no_later_transaction(
    side: tuple[Any, str, bool], proxy: FrameProxy, wire_oracle: Oracle
) -> None:
    """A commit held in the network until the next transaction is open: that one stays abortable, if the epoch rose.

    Without a fresh producer the broker takes it for the commit of the next one, and what the
    application aborts is visible: that is the fault's evidence.
    """
    transactor, target, recycled = side
    _transaction(transactor, target, b"a")
    rule = proxy.arm(Rule(Act.HOLD, Api.END_TXN))
    _transaction(transactor, target, b"b")  # says that it is committed, and it is
    assert rule.hit.is_set()
    transactor.begin()
    transactor.producer.produce(target, b"c")
    assert transactor.producer.flush(10) == 0
    (late,) = rule.release()
    assert late.facts.committed
    transactor.abort()
    values = [row.value for row in wire_oracle.read(target)]
    if recycled:
        assert late.error in TOO_OLD
        assert values == [b"a", b"b"]
        assert proxy.reused(late) == []
    else:
        assert late.error == 0
        assert values == [b"a", b"b", b"c"]
        assert proxy.reused(late) != []


def test_late_offset_moves_no_later_transaction(
    side: tuple[Any, str, bool], proxy: FrameProxy, wire_oracle: Oracle, wire_prefix: str
) -> None:
    """The offset of an aborted transaction, held in the network, stays uncommitted, if the epoch rose.

    Without a fresh producer the next transaction commits it in place of its own: the records in
    between are skipped by everybody, in silence.
    """
    transactor, target, recycled = side
    late: list[Request] = []
    _transaction(transactor, target, b"a")
    rule = proxy.arm(Rule(Act.HOLD, Api.TXN_OFFSET_COMMIT))
    transactor.begin()
    transactor.producer.produce(target, b"b")
    transactor.producer.flush(10)
    transactor.send_offset(10)
    assert rule.hit.is_set()
    transactor.abort()
    transactor.begin()
    transactor.producer.produce(target, b"c")
    transactor.producer.flush(10)
    transactor.commit(7, lambda: late.extend(rule.release()))
    (request,) = late
    assert [offset for *_, offset in request.facts.offsets] == [10]
    committed = wire_oracle.committed(f"{wire_prefix}group", [f"{wire_prefix}in"])
    assert [row.value for row in wire_oracle.read(target)] == [b"a", b"c"]
    if recycled:
        assert request.error in TOO_OLD
        assert set(committed.values()) == {7}
        assert proxy.reused(request) == []
    else:
        assert request.error == 0
        assert set(committed.values()) == {10}
        assert proxy.reused(request) != []


def _transaction(transactor: Any, target: str, value: bytes) -> None:
    transactor.begin()
    transactor.producer.produce(target, value)
    transactor.commit(1, nothing)
