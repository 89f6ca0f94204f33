"""Which partitions are this worker's: restored when they come, read on from their committed offsets."""

from __future__ import annotations

import asyncio
import logging

from streams.engine import recovery
from streams.engine.failpoints import failpoint
from streams.engine.journal import PartitionState
from streams.engine.sending import Sending
from streams.engine.transaction import State

log = logging.getLogger(__name__)

Committed = dict[tuple[str, int], tuple[int, str]]
"""Committed offset and its metadata by topic and partition."""


class Assignment(Sending):
    """Takes partitions over, and goes back to what is committed after an abort."""

    async def _reassign(self) -> None:
        """Restore the partitions that are ours now, while polling goes on; then read from the offsets."""
        if self.protocol.state is not State.RESTORING:
            self.protocol.move(State.RESTORING)
        if self._effects is not None:
            await self._effects.cancel()
        epoch = self._epoch = self.client.epoch
        self._drop_ahead()
        self.buffers.clear()
        self._reached.clear()
        self.parts = {}
        self.execution.reset_clocks([])
        if not self.client.assigned:
            self.stores.attach(())
            return
        partitions = sorted({partition for _, partition in self.client.assigned})
        wanted = [(topic, partition) for topic in self.topics for partition in partitions]
        committed = await self._kafka(self.client.committed, wanted)

        def over() -> bool:
            return self.should_stop or self.client.epoch != epoch

        restoring = asyncio.ensure_future(
            self._restorer.run(
                recovery.restore, self.stores, self.tables, partitions, self.settings, over
            )
        )
        while not restoring.done() and not over():
            await self._kafka(self.client.fetch, 0.05, 1)
        count = await restoring
        if over():
            return
        failpoint("after_restore")
        await self._start(partitions, committed)
        log.info(
            "%s owns partitions %s; %d changelog records restored", self.name, partitions, count
        )

    async def _rewind(self) -> None:
        """Read again from the committed offsets, after an abort: the stores hold committed data and need nothing."""
        if self.client.epoch != self._epoch:
            await self._reassign()
            return
        partitions = sorted(self.parts)
        self._drop_ahead()
        self.buffers.clear()
        self._reached.clear()
        wanted = [(topic, partition) for topic in self.topics for partition in partitions]
        committed = await self._kafka(self.client.committed, wanted)
        if self.client.epoch != self._epoch:
            await self._reassign()
            return
        await self._start(partitions, committed)

    def _drop_ahead(self) -> None:
        """Forget what was begun ahead: it is read again from the committed offsets, by whoever owns them."""
        self.delivery.bury()
        if self._ahead is not None:
            self._ahead.drop()
            self._ahead = None

    async def _start(self, partitions: list[int], committed: Committed) -> None:
        """Go on from the committed offsets, with the chains that they tell of and with new agents."""
        wanted = [(topic, partition) for topic in self.topics for partition in partitions]
        starts = await self._kafka(self._start_offsets, wanted, committed)
        self.parts = {}
        for partition in partitions:
            part = self.parts[partition] = PartitionState(partition)
            part.resume([committed[topic, partition][1] for topic in self.topics])
            part.positions = {topic: starts[topic, partition] for topic in self.topics}
            part.committed = {topic: committed[topic, partition][0] for topic in self.topics}
        await self._kafka(self.client.start_at, [(t, p, o) for (t, p), o in starts.items()])
        # Once for each assignment: taken after a rebalance that nobody has seen yet it could carry the newer
        # generation, and the offsets of the older one would be accepted.
        self._metadata = await self._kafka(self.client.metadata)
        await self.delivery.restart()
        self.execution.assigned(partitions)
        self.protocol.move(State.IDLE)
        self._quiet_since = self._now()

    def _start_offsets(
        self, wanted: list[tuple[str, int]], committed: Committed
    ) -> dict[tuple[str, int], int]:
        starts = {}
        for tp in wanted:
            offset = committed[tp][0]
            if offset < 0:
                low, high = self.client.bounds(*tp)
                offset = low if self.settings.start_from == "earliest" else high
            starts[tp] = offset
        return starts

    def _note_ends(self, ends: list[tuple[str, int, int]]) -> None:
        """A partition read to its end stands past the commit markers behind its last record.

        An end that comes together with records is told once only: it is kept until they are handed out.
        """
        self._reached.update({(topic, partition): at for topic, partition, at in ends})
        for (topic, partition), position in list(self._reached.items()):
            ahead = self._ahead is not None and partition in self._ahead.batches
            if ahead or self.buffers.has(topic, partition):
                continue
            del self._reached[topic, partition]
            part = self.parts.get(partition)
            if part is not None and position > part.positions.get(topic, 0):
                part.positions[topic] = position
                self._quiet_since = self._now()
