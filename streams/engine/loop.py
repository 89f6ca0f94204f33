"""The micro-batch loop: poll, merge, deliver, barrier, commit."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from confluent_kafka import TopicPartition

from streams.engine.ahead import Ahead
from streams.engine.assignment import Assignment
from streams.engine.batch import PartitionBatch
from streams.engine.effects import discard
from streams.engine.errors import AbortBatch, EngineError, OutcomeUnknown
from streams.engine.event import Message
from streams.engine.failpoints import failpoint
from streams.engine.journal import PartitionState
from streams.engine.settings import BATCH_SECONDS, COMMIT_SECONDS
from streams.engine.transaction import State

log = logging.getLogger(__name__)

CATCH_UP_SECONDS = 0.2
"""How long a batch waits for the other topics of its partitions while behind."""


class Engine(Assignment):
    """One worker's engine: the only owner of its consumer, its producer and its tables."""

    # -- one turn

    async def turn(self) -> None:
        """Poll, and run what came as one transaction."""
        if not self.topics:
            await asyncio.sleep(0.1)
            return
        if self.execution.judge.holds:
            await self._kafka(self.client.hold, self.topics, self.execution.waiting())
        ready = self.buffers.ready
        room = max(self.settings.batch_max * (2 if self._overlaps else 1) - ready, 1)
        waits = not ready and self._ahead is None
        wait = self.execution.patience(self._idle_wait()) if waits else 0.0
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
        if self._ahead is None:  # what was begun ahead has read them as they are
            await self._kafka_globals()
        ticks = self.execution.due_ticks()
        if self.buffers.ready or ticks or self._ahead is not None:
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
                if part.partition not in self.buffers.held
                and not self.buffers.has(topic, part.partition)
                and self.client.behind(topic, part.partition, part.positions.get(topic, 0))
            ]
            if not lagging:
                return
            records, ends = await self._kafka(self.client.fetch, 0.01, self.settings.batch_max)
            if self.client.epoch != self._epoch:
                return
            self.buffers.add(records)
            self._note_ends(ends)

    def _idle_due(self) -> bool:
        if self.buffers.ready:
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
        await self._settle_wire()
        moved = [p for p in self.parts.values() if p.positions != p.committed]
        self.protocol.move(State.OPEN)
        self.ensure_open()
        failpoint("idle_commit")
        try:
            await self._commit(moved, {})
        except AbortBatch as error:
            await self._abort(error, {})

    # -- the batch

    async def _settle_wire(self) -> None:
        """Open a new producer where a request of the last one may be under way still; before each begin."""
        if self.client.tainted:
            self.protocol.move(State.RECYCLING)
            await self._kafka(self.client.recycle)
            self.protocol.move(State.IDLE)

    async def _batch(self, ticks: list[tuple[int, float]]) -> None:
        await self._settle_wire()
        self.protocol.move(State.OPEN)
        now = self.settings.clock.now_micros()
        batches: dict[int, PartitionBatch] = {}
        self.watchdog.arm("batch", BATCH_SECONDS + COMMIT_SECONDS, self.execution.who)
        try:
            await self._process(batches, now, ticks)
        except AbortBatch as error:
            aborted: AbortBatch | None = error
        else:
            aborted = None
        finally:
            self.watchdog.disarm("batch")
        if aborted is not None:
            await self._abort(aborted, batches)

    async def _process(
        self,
        batches: dict[int, PartitionBatch],
        now: int,
        ticks: list[tuple[int, float]],
    ) -> None:
        """Run a batch from the first event to the commit; `batches` is filled on the way."""
        epoch = self._epoch
        before = self._take_up(batches)
        try:
            async with asyncio.timeout(BATCH_SECONDS):
                handed = await self.execution.run(batches, now, ticks, before)
        except TimeoutError:
            raise self.execution.overdue() from None
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
        await self._commit([self.parts[p] for p in live], live)
        if self.poison:
            for message in handed:
                self.poison.settle(message)
        self.records_processed += len(handed)

    async def _commit(self, parts: list[PartitionState], live: dict[int, PartitionBatch]) -> None:
        offsets = [
            TopicPartition(topic, part.partition, position, part.mark(self.boot))
            for part in parts
            for topic, position in part.positions.items()
        ]
        committing = asyncio.ensure_future(
            self._kafka(
                self.client.commit,
                offsets,
                self._metadata,
                COMMIT_SECONDS,
                lambda name: self.protocol.move(State(name)),
            )
        )
        failed = await self._run_ahead(live, committing.done)
        try:
            await committing
        except OutcomeUnknown as error:
            if not await self._happened(parts):
                raise AbortBatch(str(error)) from error
        self._open = False
        if self.protocol.state is not State.IDLE:
            self.protocol.move(State.IDLE)
        self.committed_transactions += 1
        for part in parts:
            part.committed = dict(part.positions)
        failpoint("before_store")
        self.execution.settle(live)
        if self._ahead is not None:
            self._ahead.settle()
        failpoint("after_store")
        for partition in sorted(live):
            self._after(live[partition])
        self._quiet_since = self._now()
        if failed is not None:
            raise failed

    async def _run_ahead(
        self, live: dict[int, PartitionBatch], over: Callable[[], bool]
    ) -> EngineError | None:
        """Begin the next batch while this one commits; return what ends the worker once that is done."""
        poison = self.poison
        searching = poison or poison.limit is not None or self.execution.judge.holds
        if not self._overlaps or searching or not self.buffers.ready:
            return None
        ahead = self._ahead = Ahead()
        self._running_ahead = True
        try:
            async with asyncio.timeout(BATCH_SECONDS):
                now = self.settings.clock.now_micros()
                await self.execution.run_ahead(ahead, live, now, over)
        except TimeoutError:
            ahead.error = self.execution.overdue()
        except AbortBatch as error:
            ahead.error = error
        except EngineError as error:
            return error
        finally:
            self._running_ahead = False
        if not ahead.handed and ahead.error is None:
            self._ahead = None
        return None

    def _take_up(self, batches: dict[int, PartitionBatch]) -> list[Message]:
        """Make what was begun ahead a part of the open transaction; return its records."""
        ahead, self._ahead = self._ahead, None
        if ahead is None:
            return []
        batches.update(ahead.batches)
        self.execution.took(ahead.handed)
        if ahead.error is not None:
            raise ahead.error
        for batch in ahead.batches.values():
            for output in batch.sent:
                self.produce(*output)
        return ahead.handed

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
        self.delivery.bury()
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
        await self.execution.failed(error)
        self.protocol.move(State.RESTORING)
        await self._rewind()
