"""A producer that behaves like librdkafka's transactional one, KIP-890 part 2 left out as there."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from confluent_kafka import KafkaError, KafkaException

from streams.engine.partitioner import partition_of
from tests.simulation.errors import (
    BAD_STATE,
    FENCED_EPOCH,
    FENCED_ID,
    PASSING,
    Cut,
    Refused,
    abortable,
    fatal,
    timed_out,
)
from tests.simulation.loop import on_loop, within
from tests.simulation.network import Connection
from tests.simulation.partition import Payload
from tests.simulation.records import SimMessage

if TYPE_CHECKING:
    from tests.simulation.process import Process
    from tests.simulation.world import World

Place = tuple[str, int]
_ENDS = frozenset({FENCED_EPOCH, FENCED_ID, BAD_STATE})
RECONNECT_SECONDS = 0.1
RETRY_SECONDS = 0.02


class _Queued:
    __slots__ = ("at", "payload", "report")

    def __init__(self, payload: Payload, report: Callable[..., None] | None, at: float) -> None:
        self.payload = payload
        self.report = report
        self.at = at


class SimProducer:
    """The calls of confluent_kafka.Producer that the engine makes."""

    def __init__(
        self, world: World, process: Process, config: dict[str, Any], logger: logging.Logger
    ) -> None:
        self._world = world
        self._process = process
        self.slot: str = config["transactional.id"]
        self._timeout = config["transaction.timeout.ms"] / 1000
        self._linger = config["linger.ms"] / 1000
        self._patience = config["message.timeout.ms"] / 1000
        self._logger = logger
        self._lines: deque[str] = deque()
        patience = config["socket.timeout.ms"] / 1000

        def connect(role: str) -> Connection:
            name = f"{process.name}/{role}"
            return Connection(world, process, name, self._lines.append, patience)

        self._coordinator = connect("txn")
        self._leader = connect("leader")
        self._offsets = connect("offsets")
        self._pid = self._epoch = -1
        self._phase = "new"
        self._error: KafkaError | None = None
        self._queues: dict[Place, deque[_Queued]] = {}
        self._sequences: dict[Place, int] = {}
        self._added: dict[Place, None] = {}
        self._registered = False
        self._waiting = 0
        self._empty: asyncio.Future[None] | None = None
        self._sender: asyncio.Task[None] | None = None
        self._call: tuple[str, asyncio.Task[None]] | None = None
        self._reports: deque[tuple[Callable[..., None], KafkaError | None, SimMessage | None]] = (
            deque()
        )

    # -- life

    def destroy(self) -> None:
        """End the instance: what it has sent stays on the wire."""
        for task in (self._sender, self._call[1] if self._call else None):
            if task is not None:
                task.cancel()
        for connection in (self._coordinator, self._leader, self._offsets):
            connection.close()

    # -- requests, tried again as librdkafka does

    async def _ask(
        self, connection: Connection, api: str, handle: Callable[[], Any], *, limbo: bool = True
    ) -> Any:
        while True:
            try:
                return await connection.request(api, handle, limbo=limbo)
            except Cut:
                await asyncio.sleep(RECONNECT_SECONDS)
            except Refused as error:
                if error.code not in PASSING:
                    raise
                await asyncio.sleep(RETRY_SECONDS)

    def _run(
        self, name: str, work: Callable[[], Coroutine[Any, Any, None]], timeout: float
    ) -> None:
        """Make an API call: one that timed out goes on, and the same call again waits for it."""
        self._process.effect(name)
        if self._call is None:
            self._call = (name, self._process.spawn(work()))
        elif self._call[0] != name:
            raise KafkaException(
                KafkaError(KafkaError._CONFLICT, f"{self._call[0]} is in progress", False, False)
            )
        task = self._call[1]
        if not self._process.blocking(within(task, timeout)):
            self._process.effect(f"{name} timed out")
            raise timed_out(name)
        self._call = None
        self._process.effect(f"{name} done")
        try:
            task.result()
        except Refused as error:
            self._refused(name, error.code)

    def _refused(self, name: str, code: int) -> None:
        if code in _ENDS:
            self._error = fatal(code, name)
            self._phase = "fatal"
        else:
            self._error = abortable(code, name)
        raise KafkaException(self._error)

    def _check(self) -> None:
        if self._error is not None:
            raise KafkaException(self._error)

    # -- API

    def init_transactions(self, timeout: float) -> None:
        """Take the transactional id over: a new epoch, and the old transaction is settled."""
        self._run("init_transactions", self._init, timeout)
        self._phase = "ready"

    async def _init(self) -> None:
        self._pid, self._epoch = await self._ask(
            self._coordinator,
            "InitProducerId",
            lambda: self._world.broker.coordinator.init(self.slot, self._timeout),
            # A late copy would only take the epoch away from its own sender: librdkafka's retry sends
            # the epoch it knows, which the model leaves out.
            limbo=False,
        )
        self._sequences.clear()

    def begin_transaction(self) -> None:
        """Begin: local."""
        self._process.effect("begin_transaction")
        self._check()
        if self._phase != "ready":
            raise KafkaException(KafkaError(KafkaError._STATE, f"begin in {self._phase}"))
        self._phase = "begun"
        self._added = {}
        self._registered = False

    def produce(
        self,
        topic: str,
        value: bytes | None = None,
        key: bytes | None = None,
        partition: int = -1,
        on_delivery: Callable[..., None] | None = None,
        timestamp: int = 0,
        headers: Any = None,
    ) -> None:
        """Enqueue one record."""
        self._process.effect("produce")
        if self._phase != "begun":
            self._check()
            raise KafkaException(KafkaError(KafkaError._STATE, f"produce in {self._phase}"))
        if partition < 0:
            partition = partition_of(key or b"", len(self._world.broker.topics[topic]))
        payload = Payload(key, value, list(headers or ()), timestamp)
        queue = self._queues.setdefault((topic, partition), deque())
        queue.append(_Queued(payload, on_delivery, self._world.loop.time()))
        self._waiting += 1
        if self._sender is None or self._sender.done():
            self._sender = self._process.spawn(self._send())

    def produce_batch(self, topic: str, messages: list[dict[str, Any]], partition: int = -1) -> int:
        """Enqueue records of one partition, stamped with the client's own clock."""
        for row in messages:
            self.produce(topic, row["value"], row["key"], partition, row.get("callback"))
        return len(messages)

    def __len__(self) -> int:
        return self._waiting

    async def _send(self) -> None:
        await asyncio.sleep(self._linger)
        while self._queues and self._error is None:
            places = self._world.faults.shuffled(list(self._queues))
            try:
                new = [place for place in places if place not in self._added]
                if new:
                    await self._ask(self._coordinator, "AddPartitionsToTxn", self._adding(new))
                    self._added.update(dict.fromkeys(new))
                    self._registered = True
                for place in places:
                    await self._send_batch(place)
            except Refused as error:
                self._fail_all(error.code)
        if self._error is not None:
            self._drop(self._error)

    def _adding(self, places: list[Place]) -> Callable[[], None]:
        pid, epoch = self._pid, self._epoch
        return lambda: self._world.broker.coordinator.add_places(self.slot, pid, epoch, places)

    async def _send_batch(self, place: Place) -> None:
        queue = self._queues.pop(place)
        pid, epoch, sequence = self._pid, self._epoch, self._sequences.get(place, 0)
        payloads = [queued.payload for queued in queue]

        def handle() -> int:
            return self._world.broker.produce(place, pid, epoch, sequence, payloads)

        self._sequences[place] = sequence + len(payloads)
        while True:
            if self._world.loop.time() - queue[0].at > self._patience:
                self._error = abortable(KafkaError._MSG_TIMED_OUT, "produce")
                self._report(place, queue, None, self._error)
                return
            try:
                base = await self._leader.request("Produce", handle)
            except Cut:
                await asyncio.sleep(RECONNECT_SECONDS)
                continue
            except Refused as error:
                if error.code in PASSING:
                    await asyncio.sleep(RETRY_SECONDS)
                    continue
                self._queues.setdefault(place, deque()).extendleft(reversed(queue))
                raise
            self._report(place, queue, base, None)
            return

    def _report(
        self, place: Place, queue: deque[_Queued], base: int | None, error: KafkaError | None
    ) -> None:
        for index, queued in enumerate(queue):
            self._waiting -= 1
            if queued.report is not None:
                offset = None if base is None else base + index
                message = SimMessage(*place, offset, queued.payload, None)
                self._reports.append((queued.report, error, message))
        if not self._waiting and self._empty is not None and not self._empty.done():
            self._empty.set_result(None)

    def _fail_all(self, code: int) -> None:
        self._error = fatal(code, "produce") if code in _ENDS else abortable(code, "produce")

    def _drop(self, error: KafkaError) -> None:
        for place, queue in list(self._queues.items()):
            self._report(place, queue, None, error)
        self._queues.clear()

    def poll(self, timeout: float = 0) -> int:
        """Hand out log lines and delivery reports."""
        self._process.effect("poll")
        if timeout > 0 and not on_loop():
            self._process.blocking(asyncio.sleep(timeout))
        return self._serve()

    def _serve(self) -> int:
        while self._lines:
            self._logger.info(self._lines.popleft())
        count = len(self._reports)
        while self._reports:
            report, error, message = self._reports.popleft()
            report(error, message)
        return count

    def flush(self, timeout: float = -1) -> int:
        """Wait until nothing is queued or under way; return how much still is."""
        self._process.effect("flush")
        if self._waiting:
            self._empty = self._world.loop.create_future()
            self._process.blocking(within(self._empty, timeout))
        self._serve()
        self._process.effect("flushed")
        return self._waiting

    def purge(self) -> None:
        """Drop what is queued; what is under way stays on the wire."""
        self._process.effect("purge")
        if self._sender is not None and not self._sender.done():
            self._sender.cancel()
        self._queues.clear()
        self._waiting = 0

    def send_offsets_to_transaction(self, offsets: Any, metadata: Any, timeout: float) -> None:
        """Put the offsets into the transaction."""
        self._check()
        group = metadata.group
        pid, epoch = self._pid, self._epoch
        rows = [((tp.topic, tp.partition), tp.offset, tp.metadata or "") for tp in offsets]
        broker = self._world.broker

        async def work() -> None:
            await self._ask(
                self._coordinator,
                "AddOffsetsToTxn",
                lambda: broker.coordinator.add_group(self.slot, pid, epoch, group),
            )
            self._registered = True
            await self._ask(
                self._offsets,
                "TxnOffsetCommit",
                lambda: broker.group(group).commit_in(pid, epoch, metadata, rows),
            )

        self._run("send_offsets_to_transaction", work, timeout)

    def commit_transaction(self, timeout: float) -> None:
        """Flush and commit."""
        if self._waiting:
            self.flush(timeout)
        self._check()
        self._run("commit_transaction", lambda: self._end(commit=True), timeout)
        self._phase = "ready"

    def abort_transaction(self, timeout: float) -> None:
        """Abort: whatever was sent does not count."""
        if self._phase == "fatal":
            self._check()
        self._run("abort_transaction", lambda: self._end(commit=False), timeout)
        self._error = None
        self._phase = "ready"

    async def _end(self, *, commit: bool) -> None:
        pid, epoch = self._pid, self._epoch
        if self._registered:
            await self._ask(
                self._coordinator,
                "EndTxn",
                lambda: self._world.broker.coordinator.end(self.slot, pid, epoch, commit=commit),
            )
        if not commit and self._added and self._purged:
            # Purged records may be under way with sequences that nobody knows: librdkafka takes a
            # new epoch then, and only then.
            await self._init()

    @property
    def _purged(self) -> bool:
        return self._sender is not None and self._sender.cancelled()
