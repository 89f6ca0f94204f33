"""What the engine's client makes of wire faults, call by call: whether the next transaction gets a fresh producer.

All rounds run side by side, each with a transactional id of its own: they wait far more than they work.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from confluent_kafka import Consumer, TopicPartition

from streams.engine.client import Client
from streams.engine.clientlog import WireFaults
from streams.engine.errors import AbortBatch, OutcomeUnknown
from streams.engine.runtime import SystemRuntime
from streams.engine.settings import COMMIT_SECONDS, SOCKET_SECONDS, EngineSettings
from tests.fault.proxy import Act, Request, Rule
from tests.fault.proxy_frames import Api
from tests.fault.proxy_kafka import Wire
from tests.integration.oracle import Oracle
from tests.integration.workers import eventually

SLOW_SECONDS = 1.5  # with what a busy machine adds, well inside of the commit's deadline
INVALID_PRODUCER_EPOCH = 47
APIS = (Api.PRODUCE, Api.ADD_PARTITIONS_TO_TXN, Api.ADD_OFFSETS_TO_TXN, Api.TXN_OFFSET_COMMIT, Api.END_TXN)  # fmt: skip
IN_BATCH = (Api.PRODUCE, Api.ADD_PARTITIONS_TO_TXN)
"""Requests that are sent while the agents still work."""


class Round(NamedTuple):
    """A transaction with one fault in it, and how long its agents work before the commit."""

    act: Act
    api: Api
    work: float = 0.0


class Seen(NamedTuple):
    """What came of it."""

    error: BaseException | None
    seconds: float
    tainted: bool
    lines: list[str]
    hits: list[Request]
    late: list[Request]
    reused: list[Request]


ROUNDS = [
    *(Round(act, api) for act in (Act.HOLD, Act.CUT_AFTER, Act.FREEZE, Act.MUTE, Act.SLOW) for api in APIS),
    *(Round(act, api, 4.5) for act in (Act.FREEZE, Act.MUTE) for api in IN_BATCH),
]  # fmt: skip


class Lines(WireFaults):
    """Keeps the lines that count."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        before = self.count
        super().emit(record)
        if self.count > before:
            self.lines.append(f"{record.levelname} {record.getMessage()}")


@pytest.fixture(scope="module")
def seen(wire: Wire) -> Iterator[dict[Round, Seen]]:
    """Every round, played."""
    oracle, watchdog = Oracle(wire.direct), SystemRuntime().watchdog()
    target = oracle.create("wire-client.out", len(ROUNDS))
    source = oracle.create("wire-client.in", len(ROUNDS))
    consumer = Consumer(
        {"bootstrap.servers": wire.direct, "group.id": "wire-client", "enable.auto.commit": False}
    )
    consumer.subscribe([source])
    assert eventually(lambda: consumer.poll(0.1) is None and bool(consumer.assignment()))
    metadata = consumer.consumer_group_metadata()  # it is alone in its group: nothing will change

    def play(number: int, round_: Round) -> Seen:
        settings = EngineSettings(wire.proxied, instance_id=str(number))
        client = Client("wire-client", settings, watchdog)
        offsets = [TopicPartition(source, number, 1)]
        return _play(client, wire, round_, target, offsets, metadata)

    with pytest.MonkeyPatch.context() as patch, ThreadPoolExecutor(len(ROUNDS)) as pool:
        patch.setattr("streams.engine.client.WireFaults", Lines)
        found = dict(zip(ROUNDS, pool.map(play, range(len(ROUNDS)), ROUNDS), strict=True))
    yield found
    wire.proxy.disarm()
    consumer.close()
    watchdog.close()


def _play(
    client: Client, wire: Wire, round_: Round, target: str, offsets: list[Any], metadata: Any
) -> Seen:
    """One transaction as the engine's loop does it; then the next one, in which what was kept arrives."""
    client.open_producer()
    partition = offsets[0].partition
    rule = Rule(
        round_.act,
        round_.api,
        seconds=SLOW_SECONDS,
        where=lambda request: request.facts.transactional_id == client.slot,
    )
    wire.proxy.arm(rule)
    client.begin()
    client.producer.produce(target, b"one", partition=partition)
    assert round_.work == 0 or not threading.Event().wait(round_.work)
    started, error, faults = time.monotonic(), None, client._faults
    try:
        client.commit(offsets, metadata, COMMIT_SECONDS, lambda _: None)
    except (AbortBatch, OutcomeUnknown) as caught:
        error = caught
    took, tainted = time.monotonic() - started, client.tainted
    if isinstance(error, AbortBatch):
        client.abort()
    if error is not None or tainted:
        client.recycle()
    client.begin()
    client.producer.produce(target, b"two", partition=partition)
    assert client.producer.flush(10) == 0
    late = rule.release()
    client.commit(offsets, metadata, COMMIT_SECONDS, lambda _: None)
    assert isinstance(faults, Lines)
    return Seen(
        error, took, tainted, faults.lines, rule.hits, late, wire.proxy.reused(rule.hits[0])
    )


@pytest.mark.parametrize("api", APIS, ids=lambda api: api.name)
@pytest.mark.parametrize("act", [Act.HOLD, Act.CUT_AFTER])
def test_cut_connection_taints_the_transaction(seen: dict[Round, Seen], act: Act, api: Api) -> None:
    """A cut connection under any request of a transaction that commits all the same is known when the commit returns."""
    one = seen[Round(act, api)]
    assert [hit.act for hit in one.hits] == [act]
    assert one.error is None
    assert one.tainted
    assert any(" FAIL " in line for line in one.lines), one.lines
    _late_does_nothing(one)


@pytest.mark.parametrize("api", APIS, ids=lambda api: api.name)
@pytest.mark.parametrize("act", [Act.FREEZE, Act.MUTE])
def test_no_answer_is_given_up_in_time(seen: dict[Round, Seen], act: Act, api: Api) -> None:
    """Without any answer on an open connection a request is sent again in time, and known to have been, or the transaction ends.

    Whichever of the two it is, the next transaction has a fresh producer.
    """
    one = seen[Round(act, api)]
    assert [hit.act for hit in one.hits[:1]] == [act]
    assert one.seconds < SOCKET_SECONDS + COMMIT_SECONDS
    if one.error is None:
        assert one.tainted
        assert any("REQTMOUT" in line for line in one.lines), one.lines
    else:
        assert isinstance(one.error, OutcomeUnknown if api is Api.END_TXN else AbortBatch)
    _late_does_nothing(one)


@pytest.mark.parametrize("api", IN_BATCH, ids=lambda api: api.name)
@pytest.mark.parametrize("act", [Act.FREEZE, Act.MUTE])
def test_request_timeout_taints_the_transaction(
    seen: dict[Round, Seen], act: Act, api: Api
) -> None:
    """A request that times out while the agents still work, and is repeated, is known when the commit returns."""
    one = seen[Round(act, api, 4.5)]
    assert [hit.act for hit in one.hits[:1]] == [act]
    if one.error is None:  # on a slow machine its deadline comes first
        assert one.tainted
        assert any("REQTMOUT" in line for line in one.lines), one.lines
        assert not any("FAIL" in line for line in one.lines), "one kind of line would be enough"
    _late_does_nothing(one)


@pytest.mark.parametrize("api", APIS, ids=lambda api: api.name)
def test_slow_answer_is_an_answer(seen: dict[Round, Seen], api: Api) -> None:
    """An answer before any time-out is no fault: nothing is left in the network, and the producer stays."""
    one = seen[Round(Act.SLOW, api)]
    assert [hit.act for hit in one.hits] == [Act.SLOW]
    assert one.error is None
    assert one.seconds >= SLOW_SECONDS * 0.9
    assert not one.tainted
    assert one.lines == []


def _late_does_nothing(one: Seen) -> None:
    assert {request.error for request in one.late} <= {INVALID_PRODUCER_EPOCH, None}
    assert [request.api for request in one.late[:1]] == [
        hit.api for hit in one.hits[:1] if one.late
    ]
    assert one.reused == []


def test_fresh_producers_leave_no_threads(wire: Wire, wire_prefix: str) -> None:
    """A producer that is replaced ends with its threads and connections, a transaction open in it or not."""
    watchdog = SystemRuntime().watchdog()
    topic = Oracle(wire.direct).create(f"{wire_prefix}out")
    client = Client(f"{wire_prefix}group", EngineSettings(wire.proxied), watchdog)
    client.open_producer()
    before = _held()
    for _ in range(8):
        client.begin()
        client.producer.produce(topic, b"x", partition=0)
        client.recycle()
    assert eventually(lambda: _held() <= before, 10), (before, _held())
    watchdog.close()


def _held() -> tuple[int, int]:
    """Threads and open files of this process; those of the proxy are among them."""
    own = Path("/proc/self")
    return len([*own.joinpath("task").iterdir()]), len([*own.joinpath("fd").iterdir()])
