"""The micro-batch loop: poll, merge, deliver, barrier, commit."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from secrets import token_hex
from typing import Any

from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient
from mode import Service

from streams.engine import declare, recovery
from streams.engine.batch import Output, PartitionBatch
from streams.engine.buffers import Buffers
from streams.engine.client import Client, Watchdog
from streams.engine.delivery import Delivery
from streams.engine.effects import AfterCommit, discard
from streams.engine.errors import (
    AbortBatch,
    AgentFailed,
    EngineError,
    FencedError,
    OutcomeUnknown,
    RestartError,
)
from streams.engine.event import Event
from streams.engine.execution import Execution
from streams.engine.journal import PartitionState
from streams.engine.messages import client_headers
from streams.engine.poison import Poison
from streams.engine.sender import OutsideSender, output_of
from streams.engine.settings import BATCH_SECONDS, COMMIT_SECONDS
from streams.engine.store.memory import DELETED
from streams.engine.transaction import Protocol, State

log = logging.getLogger(__name__)

CATCH_UP_SECONDS = 0.2
"""How long a batch waits for the other topics of its partitions while behind."""


class Engine(Service):
    """One worker's engine: the only owner of its consumer, its producer and its tables."""

    def __init__(self, app: Any, **options: Any) -> None:
        super().__init__(**options)
        self.app = app
        self.settings = app.engine_settings
        self.name = app.conf.id
        self.boot = token_hex(8)
        self.protocol = Protocol()
        self.watchdog = Watchdog()
        self.client = Client(self.name, self.settings, self.watchdog)
        self.delivery = Delivery(list(app.agents.values()))
        self.buffers = Buffers()
        self.poison = Poison(self.settings.poison_retries)
        self.parts: dict[int, PartitionState] = {}
        self.tables = list(app.tables.values())
        self.counts: dict[str, int] = {}
        self.outside = OutsideSender(self.settings, self.count_of)
        self.execution = Execution(self)
        self.committed_transactions = 0
        self.aborted_transactions = 0
        self.records_processed = 0
        self._epoch = -1
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="kafka")
        self._restorer = ThreadPoolExecutor(1, thread_name_prefix="restore")
        self._globals: recovery.GlobalReader | None = None
        self._effects: AfterCommit | None = None
        self._open = False
        self._quiet_since = time.monotonic()
        self._finished = asyncio.Event()
        self._admin: AdminClient | None = None
        self._sources: list[asyncio.Task[None]] = []
        self.topics = sorted(
            {t for agent in app.agents.values() if agent.clock is None for t in agent.input_topics}
        )

    # -- what topics and agents call

    def count_of(self, topic: str) -> int:
        """Return the number of partitions of a topic."""
        count = self.counts.get(topic)
        if count is None:
            if self._admin is None:
                self._admin = AdminClient(self.settings.common())
            found = declare.partition_counts(self._admin, {topic})
            if topic not in found:
                raise EngineError(f"topic {topic} is not there")
            count = self.counts[topic] = found[topic]
        return count

    def send_inside(self, event: Event, topic: str, *parts: Any) -> None:
        """Add a record to the open transaction."""
        key, value, partition, headers, stamp = parts
        output = output_of(
            event, topic, key, value, partition, headers, stamp, self.count_of, self.settings
        )
        event.batch.sent(output)
        self.produce(output)

    async def send_outside(self, topic: str, *parts: Any) -> Any:
        """Send a record apart from any transaction."""
        return await self.outside.send(topic, *parts)

    def agent_failed(self, agent: Any, error: BaseException) -> None:
        """Note a failure of an agent that had nothing in hand; the next batch reports it."""
        self.delivery.failure = (agent, error)

    def produce(self, output: Output, on_delivery: Callable[..., None] | None = None) -> None:
        """Enqueue a record, in a transaction that is begun when the first one comes."""
        self.ensure_open()
        options: dict[str, Any] = {} if on_delivery is None else {"on_delivery": on_delivery}
        deadline = time.monotonic() + 2.0
        while True:
            try:
                self.client.producer.produce(
                    output.topic,
                    output.value,
                    output.key,
                    output.partition,
                    timestamp=output.timestamp_ms,
                    headers=client_headers(output.headers),
                    **options,
                )
            except BufferError:
                self.client.producer.poll(0.05)
                if time.monotonic() > deadline:
                    raise AbortBatch("the producer's queue stayed full for 2 s") from None
            else:
                return

    def ensure_open(self) -> None:
        """Begin the transaction unless it is."""
        if not self._open:
            self.client.begin()
            self._open = True

    # -- life

    async def on_start(self) -> None:
        """Connect, check topics, load global tables, join the group."""
        self._effects = AfterCommit(self.settings.effects_max)
        self.delivery.agents = sorted(self.app.agents.values(), key=lambda agent: agent.name)
        self.delivery.connect()
        self.execution.prepare()
        self.add_future(self._main())

    async def on_stop(self) -> None:
        """Let the batch in hand end, then leave."""
        await asyncio.wait_for(self._finished.wait(), timeout=25.0)

    async def _kafka(self, fun: Callable[..., Any], *args: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._thread, fun, *args)

    async def _main(self) -> None:
        try:
            await self._connect()
            self.app.ready.set()
            while not self.should_stop:
                await self._turn()
            await self._leave()
        except asyncio.CancelledError:
            raise
        except FencedError as error:
            await self._fenced(error)
        except EngineError as error:
            self._die(error, int(error.exit_code))
        except Exception as error:
            log.exception("the engine failed")
            self._die(error, 1)
        finally:
            self._finished.set()

    def _die(self, error: BaseException, code: int) -> None:
        log.critical("%s stops: %s (exit %d)", self.name, error, code)
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(code)

    async def _fenced(self, error: BaseException) -> None:
        """Tell a lost slot from a time-out: the consumer knows within seconds whether another holds it."""
        deadline = time.monotonic() + 5.0
        while self.topics and time.monotonic() < deadline:
            try:
                await self._kafka(self.client.fetch, 0.2, 1)
            except FencedError as confirmed:
                self._die(confirmed, 70)
            if self.client.lost:
                self._die(error, 70)
        self._die(error, 75 if self.topics else 70)

    async def _connect(self) -> None:
        sources = [declare.Wanted(t, self._declared(t)) for t in self.topics]
        own = [
            declare.Wanted(table.changelog_topic.get_topic_name(), None, compact=True, ours=True)
            for table in self.tables
        ]
        if self.topics:
            own.append(declare.Wanted(self.journal_topic, None, ours=True))
            own += [declare.Wanted(f"{t}.dlq", None, ours=True) for t in self.topics]
        globals_ = [
            declare.Wanted(t.topic.get_topic_name(), t.topic.partitions or 1, compact=True)
            for t in self.app.global_tables.values()
        ]
        _, self.counts = await self._kafka(
            declare.ensure, sources, [*own, *globals_], self.settings
        )
        await self._kafka(self.client.open_producer)
        self._globals = recovery.GlobalReader(list(self.app.global_tables.values()), self.settings)
        await self._kafka(self._globals.load)
        if self.topics:
            self.protocol.move(State.RESTORING)
            await self._kafka(self.client.subscribe, self.topics)
        else:
            self.protocol.move(State.IDLE)
        for source in self.app.sources.values():
            self._sources.append(asyncio.create_task(self._run_source(source)))

    async def _run_source(self, source: Any) -> None:
        try:
            await source.run()
        except FencedError as error:
            self._die(error, 70)
        except EngineError as error:
            self._die(error, int(error.exit_code))
        except asyncio.CancelledError:
            raise
        except Exception as error:
            log.exception("source %s failed", source.name)
            self._die(error, 1)

    def _declared(self, name: str) -> int | None:
        for agent in self.app.agents.values():
            if agent.clock is None and name in agent.input_topics:
                partitions: int | None = agent.channel.partitions
                return partitions
        return None

    @property
    def journal_topic(self) -> str:
        """Topic of the journal."""
        return f"{self.name}.journal"

    async def _leave(self) -> None:
        self.protocol.state = (
            State.IDLE if self.protocol.state is State.RESTORING else self.protocol.state
        )
        self.protocol.move(State.STOPPING)
        for task in self._sources:
            task.cancel()
        if self._effects is not None:
            await self._effects.cancel()
        await self._kafka(self.client.close)
        if self._globals is not None:
            await self._kafka(self._globals.close)
        self.watchdog.close()

    # -- one turn

    async def _turn(self) -> None:
        if not self.topics:
            await asyncio.sleep(0.1)
            return
        room = max(self.settings.batch_max - self.buffers.count, 1)
        wait = 0.0 if self.buffers.count else self.execution.patience(self._idle_due())
        records, ends = await self._kafka(self.client.fetch, wait, room)
        if self.client.epoch != self._epoch:
            await self._reassign()
            return
        self.buffers.add(records)
        self._note_ends(ends)
        if records:
            await self._catch_up()
            if self.client.epoch != self._epoch:
                await self._reassign()
                return
        await self._kafka_globals()
        ticks = self.execution.due_ticks()
        if self.buffers.count or ticks:
            await self._batch(ticks)
        elif self._idle_due():
            await self._idle_commit()

    async def _kafka_globals(self) -> None:
        if self._globals is not None and self.app.global_tables:
            await self._kafka(self._globals.advance)

    async def _catch_up(self) -> None:
        """Wait for the other topics of the partitions in hand, while they have unread records."""
        if len(self.topics) == 1:
            return
        deadline = time.monotonic() + CATCH_UP_SECONDS
        while time.monotonic() < deadline and self.buffers.count < self.settings.batch_max:
            lagging = [
                (topic, part.partition)
                for part in self.parts.values()
                for topic in self.topics
                if not self.buffers.has(topic, part.partition)
                and self.client.behind(topic, part.partition, part.positions.get(topic, 0))
            ]
            if not lagging:
                return
            records, ends = await self._kafka(self.client.fetch, 0.01, self.settings.batch_max)
            if self.client.epoch != self._epoch:
                return
            self.buffers.add(records)
            self._note_ends(ends)

    def _note_ends(self, ends: list[tuple[str, int, int]]) -> None:
        """A partition read to its end stands past the commit markers behind its last record."""
        for topic, partition, position in ends:
            part = self.parts.get(partition)
            if part is not None and not self.buffers.has(topic, partition):
                part.positions[topic] = max(part.positions.get(topic, 0), position)
                self._quiet_since = time.monotonic()

    def _idle_due(self) -> bool:
        if self.buffers.count:
            return False
        return any(part.positions != part.committed for part in self.parts.values())

    async def _idle_commit(self) -> None:
        """Commit positions that have passed a marker, so that committed equals the last stable offset."""
        if time.monotonic() - self._quiet_since < self.settings.idle_commit_ms / 1000:
            return
        moved = [p for p in self.parts.values() if p.positions != p.committed]
        self.protocol.move(State.OPEN)
        self.ensure_open()
        try:
            await self._commit(moved, {})
        except AbortBatch as error:
            await self._abort(error, {})

    # -- assignment

    async def _reassign(self) -> None:
        """Restore the partitions that are ours now, while polling goes on; then read from the offsets."""
        if self.protocol.state is not State.RESTORING:
            self.protocol.move(State.RESTORING)
        if self._effects is not None:
            await self._effects.cancel()
        epoch = self._epoch = self.client.epoch
        self.buffers.clear()
        if not self.client.assigned:
            self.parts = {}
            return
        partitions = sorted({partition for _, partition in self.client.assigned})
        wanted = [(topic, partition) for topic in self.topics for partition in partitions]
        committed = await self._kafka(self.client.committed, wanted)
        restoring = asyncio.get_running_loop().run_in_executor(
            self._restorer, recovery.restore, self.tables, partitions, self.settings
        )
        while not restoring.done() and self.client.epoch == epoch:
            await self._kafka(self.client.fetch, 0.05, 1)
        count = await restoring
        if self.client.epoch != epoch:
            return
        starts = await self._kafka(self._start_offsets, wanted, committed)
        self.parts = {}
        for partition in partitions:
            part = self.parts[partition] = PartitionState(partition)
            part.resume([committed[topic, partition][1] for topic in self.topics])
            part.positions = {topic: starts[topic, partition] for topic in self.topics}
            part.committed = {topic: committed[topic, partition][0] for topic in self.topics}
        await self._kafka(self.client.start_at, [(t, p, o) for (t, p), o in starts.items()])
        await self.delivery.restart()
        self.execution.reset_clocks(partitions)
        self.protocol.move(State.IDLE)
        self._quiet_since = time.monotonic()
        log.info(
            "%s owns partitions %s; %d changelog records restored", self.name, partitions, count
        )

    def _start_offsets(
        self, wanted: list[tuple[str, int]], committed: dict[tuple[str, int], tuple[int, str]]
    ) -> dict[tuple[str, int], int]:
        starts = {}
        for tp in wanted:
            offset = committed[tp][0]
            if offset < 0:
                low, high = self.client.bounds(*tp)
                offset = low if self.settings.start_from == "earliest" else high
            starts[tp] = offset
        return starts

    # -- the batch

    async def _batch(self, ticks: list[tuple[int, float]]) -> None:
        self.protocol.move(State.OPEN)
        epoch = self._epoch
        now = self.settings.clock.now_micros()
        batches: dict[int, PartitionBatch] = {}
        self.watchdog.arm("batch", BATCH_SECONDS + COMMIT_SECONDS)
        try:
            try:
                async with asyncio.timeout(BATCH_SECONDS):
                    handed = await self.execution.run(batches, now, ticks)
            except TimeoutError:
                raise AbortBatch(
                    f"the batch did not end within {BATCH_SECONDS:g} s; {self.execution.who()}"
                ) from None
            live = {p: b for p, b in batches.items() if b.leaves_a_trace}
            for partition in sorted(set(batches) - set(live)):
                self._after(batches[partition])
            if not live:
                if self._open:
                    raise AbortBatch("a transaction was begun for nothing")
                self.protocol.move(State.IDLE)
                return
            self.execution.seal(live)
            for message in handed:
                self.parts[message.partition].positions[message.topic] = message.offset + 1
            if self.client.epoch != epoch:
                raise AbortBatch("the assignment changed inside a batch")
            await self._commit([self.parts[p] for p in live], live)
            if self.poison:
                for message in handed:
                    self.poison.settle(message)
            self.records_processed += len(handed)
        except AbortBatch as error:
            await self._abort(error, batches)
        finally:
            self.watchdog.disarm("batch")

    async def _commit(self, parts: list[PartitionState], live: dict[int, PartitionBatch]) -> None:
        offsets = [
            TopicPartition(topic, part.partition, position, part.mark(self.boot))
            for part in parts
            for topic, position in part.positions.items()
        ]
        # Taken in the batch's assignment epoch: nothing of the consumer is called while a batch is open.
        metadata = await self._kafka(self.client.metadata)
        try:
            await self._kafka(
                self.client.commit,
                offsets,
                metadata,
                COMMIT_SECONDS,
                lambda name: self.protocol.move(State(name)),
            )
        except OutcomeUnknown as error:
            if not await self._happened(parts):
                raise AbortBatch(str(error)) from error
        self._open = False
        self.protocol.move(State.IDLE) if self.protocol.state is not State.IDLE else None
        self.committed_transactions += 1
        for part in parts:
            part.committed = dict(part.positions)
        self.execution.settle(live)
        for partition in sorted(live):
            self._after(live[partition])
        self._quiet_since = time.monotonic()
        if self.client.tainted:
            self.protocol.move(State.RECYCLING)
            await self._kafka(self.client.recycle)
            self.protocol.move(State.IDLE)

    async def _happened(self, parts: list[PartitionState]) -> bool:
        """Settle an unknown outcome: the new producer's epoch ends it, the committed mark tells which way."""
        self.protocol.move(State.UNKNOWN)
        self.protocol.move(State.RECYCLING)
        await self._kafka(self.client.recycle)
        wanted = [(topic, part.partition) for part in parts for topic in part.positions]
        committed = await self._kafka(self.client.committed, wanted)
        happened = all(
            committed[topic, part.partition] == (position, part.mark(self.boot))
            for part in parts
            for topic, position in part.positions.items()
        )
        log.warning("a commit's outcome was unknown; the committed offsets say: %s", happened)
        if happened:
            self.protocol.move(State.IDLE)
            self._open = False
        return happened

    def _after(self, batch: PartitionBatch) -> None:
        if batch.after_commit and self._effects is not None:
            self._effects.start(batch.after_commit)

    async def _abort(self, error: AbortBatch, batches: dict[int, PartitionBatch]) -> None:
        """Drop all of the transaction, recycle the producer, restart the agents, rewind."""
        log.warning("transaction aborted: %s", error)
        self.aborted_transactions += 1
        for batch in batches.values():
            discard(batch.after_commit)
        if self.protocol.state is not State.RECYCLING:
            self.protocol.move(State.ABORTING)
            if self._open:
                await self._kafka(self.client.abort)
            self.protocol.move(State.RECYCLING)
            await self._kafka(self.client.recycle)
        self._open = False
        if isinstance(error, AgentFailed):
            await self.execution.judge(error)
        self.protocol.move(State.RESTORING)
        self._epoch = -1
        await self._reassign()


__all__ = ["DELETED", "Engine", "RestartError"]
