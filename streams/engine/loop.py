"""The micro-batch loop: poll, merge, deliver, barrier, commit."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from confluent_kafka import KafkaException, TopicPartition

from streams.engine import recovery
from streams.engine.batch import Output, PartitionBatch
from streams.engine.client import end_of
from streams.engine.effects import discard
from streams.engine.errors import AbortBatch, AgentFailed, OutcomeUnknown
from streams.engine.event import Event
from streams.engine.failpoints import failpoint
from streams.engine.journal import PartitionState
from streams.engine.lifecycle import Lifecycle
from streams.engine.messages import client_headers
from streams.engine.sender import output_of
from streams.engine.settings import BATCH_SECONDS, COMMIT_SECONDS
from streams.engine.transaction import State

log = logging.getLogger(__name__)

CATCH_UP_SECONDS = 0.2
"""How long a batch waits for the other topics of its partitions while behind."""


class Engine(Lifecycle):
    """One worker's engine: the only owner of its consumer, its producer and its tables."""

    # -- what topics and agents call

    def send_inside(self, event: Event, topic: str, *parts: Any) -> None:
        """Add a record to the open transaction."""
        key, value, partition, headers, stamp = parts
        output = output_of(
            event, topic, key, value, partition, headers, stamp, self.count_of, self.settings
        )
        event.batch.sent(output)
        self.produce(output)
        failpoint("mid_batch")

    async def send_outside(self, topic: str, *parts: Any) -> Any:
        """Send a record apart from any transaction."""
        return await self.outside.send(topic, *parts)

    def agent_failed(self, agent: Any, error: BaseException) -> None:
        """Note a failure of an agent that had nothing in hand; the next batch reports it."""
        self.delivery.failure = (agent, error)

    def produce(self, output: Output, on_delivery: Callable[..., None] | None = None) -> None:
        """Enqueue a record, in a transaction that is begun when the first one comes."""
        fresh = not self._open
        self.ensure_open()
        options: dict[str, Any] = {} if on_delivery is None else {"on_delivery": on_delivery}
        deadline = self._now() + 2.0
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
            except KafkaException as error:
                raise end_of("produce", error) from error
            except BufferError:
                self.client.producer.poll(0.05)
                if self._now() > deadline:
                    raise AbortBatch("the producer's queue stayed full for 2 s") from None
            else:
                break
        if fresh:
            failpoint("after_begin")

    def ensure_open(self) -> None:
        """Begin the transaction unless it is."""
        if not self._open:
            self.client.begin()
            self._open = True

    # -- one turn

    async def turn(self) -> None:
        """Poll, and run what came as one transaction."""
        if not self.topics:
            await asyncio.sleep(0.1)
            return
        room = max(self.settings.batch_max - self.buffers.count, 1)
        wait = 0.0 if self.buffers.count else self.execution.patience(self._idle_wait())
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
            failpoint("after_poll")
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
        deadline = self._now() + CATCH_UP_SECONDS
        while self._now() < deadline and self.buffers.count < self.settings.batch_max:
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
        """A partition read to its end stands past the commit markers behind its last record.

        An end that comes together with records is told once only: it is kept until they are handed out.
        """
        self._reached.update({(topic, partition): at for topic, partition, at in ends})
        for (topic, partition), position in list(self._reached.items()):
            if self.buffers.has(topic, partition):
                continue
            del self._reached[topic, partition]
            part = self.parts.get(partition)
            if part is not None and position > part.positions.get(topic, 0):
                part.positions[topic] = position
                self._quiet_since = self._now()

    def _idle_due(self) -> bool:
        if self.buffers.count:
            return False
        return any(part.positions != part.committed for part in self.parts.values())

    def _idle_wait(self) -> float | None:
        if not self._idle_due():
            return None
        quiet = self._now() - self._quiet_since
        return max(self.settings.idle_commit_ms / 1000 - quiet, 0.001)

    async def _idle_commit(self) -> None:
        """Commit positions that have passed a marker, so that committed equals the last stable offset."""
        if self._now() - self._quiet_since < self.settings.idle_commit_ms / 1000:
            return
        moved = [p for p in self.parts.values() if p.positions != p.committed]
        metadata = self.client.metadata()
        self.protocol.move(State.OPEN)
        self.ensure_open()
        failpoint("idle_commit")
        try:
            await self._commit(moved, {}, metadata)
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
        self._reached.clear()
        if not self.client.assigned:
            self.parts = {}
            return
        partitions = sorted({partition for _, partition in self.client.assigned})
        wanted = [(topic, partition) for topic in self.topics for partition in partitions]
        committed = await self._kafka(self.client.committed, wanted)
        restoring = asyncio.ensure_future(
            self._restorer.run(recovery.restore, self.tables, partitions, self.settings)
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
        failpoint("after_restore")
        await self.delivery.restart()
        self.execution.reset_clocks(partitions)
        self.protocol.move(State.IDLE)
        self._quiet_since = self._now()
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
        # Of the batch's own assignment epoch: taken later it could carry a newer generation.
        metadata = self.client.metadata()
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
            failpoint("after_barrier")
            self.execution.seal(live)
            for message in handed:
                self.parts[message.partition].positions[message.topic] = message.offset + 1
            if self.client.epoch != epoch:
                raise AbortBatch("the assignment changed inside a batch")
            await self._commit([self.parts[p] for p in live], live, metadata)
            if self.poison:
                for message in handed:
                    self.poison.settle(message)
            self.records_processed += len(handed)
        except AbortBatch as error:
            await self._abort(error, batches)
        finally:
            self.watchdog.disarm("batch")

    async def _commit(
        self, parts: list[PartitionState], live: dict[int, PartitionBatch], metadata: Any
    ) -> None:
        offsets = [
            TopicPartition(topic, part.partition, position, part.mark(self.boot))
            for part in parts
            for topic, position in part.positions.items()
        ]
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
        failpoint("before_store")
        self.execution.settle(live)
        failpoint("after_store")
        for partition in sorted(live):
            self._after(live[partition])
        self._quiet_since = self._now()
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
