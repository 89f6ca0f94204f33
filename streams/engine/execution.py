"""What happens between begin and commit: events out of records, clock ticks, changelogs, journal."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from streams.engine.ahead import Ahead
from streams.engine.batch import PartitionBatch
from streams.engine.deadletters import dead_letter, noted
from streams.engine.decoding import Decoder, decoders_of
from streams.engine.digest import TOPIC
from streams.engine.errors import (
    AbortBatch,
    AgentFailed,
    NoCulprit,
    RecordRefused,
    UnreadableHeaders,
)
from streams.engine.event import CLOCK, ClockTick, Event, Message, size_of
from streams.engine.failpoints import failpoint
from streams.engine.journal import journal_record
from streams.engine.judge import Judge
from streams.engine.messages import UNREADABLE
from streams.engine.poison import Verdict
from streams.engine.settings import BATCH_SECONDS
from streams.engine.store.port import DELETED, Changes

log = logging.getLogger(__name__)

AHEAD_CHUNK = 250
"""Records handed out ahead before the commit under way is looked at again."""
CHUNK = 1_000
"""Records handed out before the batch's age is looked at again."""


def tick_message(partition: int, sequence: int, every: float, now_micros: int) -> Message:
    """Return the pseudo record of a clock tick: its offset is the journal's sequence."""
    return Message(f"{CLOCK}/{every:g}", partition, sequence, now_micros // 1000, None, None, None)


class Execution:
    """Runs batches of one engine; worker state stays with the engine."""

    def __init__(self, engine: Any) -> None:
        self.engine = engine
        self.app = engine.app
        self._monotonic = engine.settings.runtime.monotonic
        self.judge = Judge(engine)
        self.refused: NoCulprit | None = None
        self._taken: list[Message] = []
        self._ticked = False
        self._decoders: dict[str, Decoder] = {}
        self._due: dict[tuple[int, float], float] = {}

    def prepare(self) -> None:
        """Look up how each topic is read."""
        self._decoders = decoders_of(self.app)

    # -- clock

    def assigned(self, partitions: list[int]) -> None:
        """Go on with the partitions that are ours now: their counts and clocks."""
        self.judge.assigned(partitions)
        self.reset_clocks(partitions)

    def reset_clocks(self, partitions: list[int]) -> None:
        """Start the clocks of the partitions that are ours now."""
        now = self._monotonic()
        self._due = {(p, every): now + every for p in partitions for every in self._periods()}

    def _periods(self) -> list[float]:
        return sorted(
            {agent.clock.every for agent in self.app.agents.values() if agent.clock is not None}
        )

    def patience(self, idle_wait: float | None) -> float:
        """Return how long a poll may wait, in seconds.

        Args:
            idle_wait: until positions past a commit marker are to be committed; None for none.
        """
        waits = [0.5 if idle_wait is None else idle_wait]
        if self._due and idle_wait is None:
            waits.append(max(min(self._due.values()) - self._monotonic(), 0.0))
        held = self.judge.holds.wait()
        return min(waits) if held is None else min(*waits, held)

    def due_ticks(self) -> list[tuple[int, float]]:
        """Return the ticks that are due, and set when the next ones are."""
        now = self._monotonic()
        due = sorted(mark for mark, at in self._due.items() if at <= now)
        for mark in due:
            self._due[mark] = now + mark[1]
        return due

    # -- a batch

    def batch_of(
        self, batches: dict[int, PartitionBatch], partition: int, now: int
    ) -> PartitionBatch:
        """Return the partition's share of the open transaction; its `now` never goes back."""
        batch = batches.get(partition)
        if batch is None:
            part = self.engine.parts[partition]
            batch = batches[partition] = PartitionBatch(
                self.engine.name,
                partition,
                part.sequence + 1,
                max(now, part.last_now),
                part.known,
                part.known_scans,
                self.engine.settings.overlay_bytes - sum(b.overlay_bytes for b in batches.values()),
            )
        return batch

    async def run(
        self,
        batches: dict[int, PartitionBatch],
        now: int,
        ticks: list[tuple[int, float]],
        before: list[Message],
    ) -> list[Message]:
        """Hand out one batch up to the barrier.

        Args:
            batches: filled on the way.
            now: its wall time, microseconds since the epoch.
            ticks: of the clocks that are due.
            before: records of it that were handed out ahead.
        Returns:
            The records that were handed out; those that were not go back to the front.
        """
        engine, poison = self.engine, self.engine.poison
        self.refused = None
        apart = ticks and poison.ticks_apart
        limit = 0 if apart else poison.limit or engine.settings.batch_max
        size = engine.settings.batch_bytes - size_of(before)
        taken = engine.buffers.take(
            max(limit - len(before), 0), size, poison.suspect if poison else None
        )
        self._taken = [*before, *(m for each in taken.values() for m in each)]
        self._ticked = bool(ticks)
        handed = list(before)
        deadline = self._monotonic() + BATCH_SECONDS / 2
        for partition, messages in taken.items():
            for start in range(0, len(messages), CHUNK):
                if self._monotonic() > deadline:
                    engine.buffers.put_back(messages[start:])
                    break
                chunk = messages[start : start + CHUNK]
                count = await self._hand_out(self.batch_of(batches, partition, now), chunk)
                handed += chunk[:count]
                if count < len(chunk):
                    engine.buffers.put_back(messages[start + count :])
                    break
        for partition, every in ticks:
            if partition in engine.parts:
                await self._tick(self.batch_of(batches, partition, now), every)
        return handed

    def took(self, messages: list[Message]) -> None:
        """Note the records of the open batch: one of them is at fault if it fails now."""
        self._taken, self._ticked = list(messages), False

    async def run_ahead(
        self, ahead: Ahead, live: dict[int, PartitionBatch], now: int, over: Callable[[], bool]
    ) -> None:
        """Hand out records of the next batch until the last one's commit is over.

        Nothing is judged here: it ends before a record that cannot be decoded.

        Args:
            ahead: filled on the way.
            live: the batch that is being committed.
            now: wall time of the next batch.
            over: whether that commit is.
        """
        buffers, most = self.engine.buffers, self.engine.settings.batch_max
        room = self.engine.settings.batch_bytes
        while not over() and room > 0 and len(ahead.handed) < most:
            taken = buffers.take(min(AHEAD_CHUNK, most - len(ahead.handed)), room, None)
            full = not taken
            for partition, messages in taken.items():
                count = 0
                if not full:
                    batch = self.batch_of(ahead.batches, partition, now)
                    batch.below = live[partition].writes if partition in live else None
                    count = await self._hand_ahead(batch, messages)
                ahead.handed += messages[:count]
                room -= size_of(messages)
                if count < len(messages):
                    buffers.put_back(messages[count:])
                    full = True
            if full:
                return

    async def _hand_ahead(self, batch: PartitionBatch, messages: list[Message]) -> int:
        """Hand records over up to the first that is not to be decoded; return how many."""
        events = self._plain_events(batch, messages)
        if events is None:
            events = []
            for message in messages:
                try:
                    events.append(self._decoders[message.topic].event(message, batch))
                except Exception:  # noqa: BLE001 - whatever a codec raises, it is judged when its turn comes
                    break
        return await self._deliver(batch, messages[: len(events)], events)

    async def _hand_out(self, batch: PartitionBatch, messages: list[Message]) -> int:
        """Hand records of one partition to the agents, or to the dead letters.

        Returns:
            How many; fewer where one has to wait for a neighbour, and the rest behind it, or where the
            batch is full.
        """
        if not self.engine.poison:
            events = self._plain_events(batch, messages)
            if events is not None:
                return await self._deliver(batch, messages, events)
        good: list[Message] = []
        events = []
        count = 0
        for message in messages:
            judged = self._judged(batch, message)
            if judged is None:
                break
            if isinstance(judged, Event):
                good.append(message)
                events.append(judged)
                continue
            done = await self._deliver(batch, good, events)
            count += done
            if done < len(good):
                return count
            good, events = [], []
            self.dead_letter(batch, message, judged)
            count += 1
        return count + await self._deliver(batch, good, events)

    def _plain_events(self, batch: PartitionBatch, messages: list[Message]) -> list[Event] | None:
        """Return the events of messages of one topic whose bytes are not to be decoded; None for all others."""
        if len(set(map(TOPIC, messages))) != 1:
            return None
        headers = [m.headers for m in messages if m.headers is not None]
        if headers and any(each is UNREADABLE for each in headers):
            return None
        return self._decoders[messages[0].topic].plain(messages, batch)

    def _judged(self, batch: PartitionBatch, message: Message) -> Event | Verdict | None:
        """Return a message's event, or why it goes to the dead letters; None where it has to wait."""
        verdict = self.engine.poison.verdict(message)
        if verdict is not None:
            found: Verdict = verdict
            return found
        try:
            if message.headers is UNREADABLE:
                raise UnreadableHeaders("the name of a header is no UTF-8")
            return self._decoders[message.topic].event(message, batch)
        except Exception as error:  # noqa: BLE001 - whatever a codec raises is judged
            return self.judge.unreadable(message, error)

    async def _deliver(
        self, batch: PartitionBatch, messages: list[Message], events: list[Event]
    ) -> int:
        """Hand events over and note their messages as inputs; return how many were taken."""
        if not events:
            return 0
        count = await self.engine.delivery.run(events)
        batch.take(messages if count == len(messages) else messages[:count])
        return int(count)

    def dead_letter(self, batch: PartitionBatch, message: Message, verdict: Verdict) -> None:
        """Send a record to the dead letters of its topic, in the same transaction."""
        batch.bury(message, verdict.reason)
        batch.runs[-1][3:] = noted(verdict)
        self.judge.admit(batch, message, verdict)
        log.error(
            "dead letter: %s[%d]@%d: %s",
            message.topic,
            message.partition,
            message.offset,
            verdict.reason,
        )
        version = self.judge.code_version
        output = dead_letter(self.engine.name, batch, message, verdict, version)
        try:
            self.engine.produce(*output)
        except RecordRefused:
            if verdict.bare:
                raise
            verdict = replace(verdict, bare=True)
            batch.runs[-1][3:] = noted(verdict)
            output = dead_letter(self.engine.name, batch, message, verdict, version)
            self.engine.produce(*output)
            self.refused = None
        batch.sent.append(output)
        failpoint("after_dead_letter")

    async def _tick(self, batch: PartitionBatch, every: float) -> None:
        before = (batch.mutations, len(batch.sent))
        batch.tick(every)
        await self.engine.delivery.run([tick_event(self.app, batch, every)])
        if before == (batch.mutations, len(batch.sent)):
            batch.runs.pop()

    def overdue(self) -> AbortBatch:
        """Return the error of a batch that did not end in time, with who has which event in hand."""
        text = f"the batch did not end within {BATCH_SECONDS:g} s"
        for agent in self.engine.delivery.agents:
            event = getattr(agent.engine_stream, "current_event", None)
            if event is not None:
                return AgentFailed(
                    agent.name, event, TimeoutError(f"{text} while it had {event!r} in hand")
                )
        return NoCulprit(f"{text}; no agent had an event in hand")

    def who(self) -> str:
        """Return in words who is at fault while a batch does not end."""
        return str(self.overdue())

    # -- commit

    def seal(self, live: dict[int, PartitionBatch]) -> None:
        """Write changelogs, the last value of each key, and the journal.

        Raises:
            StoreError: the store has failed, and an agent has kept quiet about it.
            NoCulprit: Kafka refuses one of the batch's records, and an agent has kept quiet about it.
        """
        if self.refused is not None:
            raise self.refused
        self.engine.stores.check()
        for partition in sorted(live):
            batch, part = live[partition], self.engine.parts[partition]
            for table in sorted(self.engine.tables, key=lambda table: table.name):
                writes = batch.writes.get(table.name)
                if writes:
                    self._write_changelog(batch, table, writes)
            failpoint("after_changelog")
            config = None if part.introduced else dict(self.engine.settings.describe)
            record = journal_record(batch, part, self.engine.boot, config)
            part.sequence, part.head, part.last_now = (
                batch.sequence,
                record["head"],
                batch.now_micros,
            )
            part.counts = self.judge.counted(batch, part.head)
            self.engine.produce(
                self.engine.journal_topic,
                partition,
                str(partition).encode(),
                self.engine.settings.journal_codec.encode(record),
                None,
                batch.now_millis,
            )
            failpoint("after_journal")

    def _write_changelog(self, batch: PartitionBatch, table: Any, writes: dict[Any, Any]) -> None:
        topic = table.changelog_topic.get_topic_name()
        rows = batch.rows[table.name] = changelog_rows(table, writes)
        table.weigh(rows)
        batch.changelog.changes(topic, rows)
        self.engine.produce_all(
            topic, batch.partition, rows, batch.now_millis, self._noting(table, batch.partition)
        )

    @staticmethod
    def _noting(table: Any, partition: int) -> Callable[[Any, Any], None]:
        def note(error: Any, message: Any) -> None:
            if error is None:
                table.store.delivered[partition] = message.offset() + 1

        return note

    def settle(self, live: dict[int, PartitionBatch]) -> None:
        """Move overlays to the stores and what was mentioned to the partitions: the commit has happened."""
        self.judge.settle(sorted(live), len(self._taken))
        self._taken = []
        for partition, batch in live.items():
            part = self.engine.parts[partition]
            part.introduced = True
            part.known.update(batch.mentioned)
            part.known_scans.update(batch.scanned)
            changes = [
                Changes(
                    table.name,
                    batch.writes[table.name],
                    batch.rows[table.name],
                    table.store.delivered.pop(partition, None),
                )
                for table in self.engine.tables
                if batch.writes.get(table.name)
            ]
            if changes:
                self.engine.stores.commit(partition, changes)
                failpoint("mid_store")

    async def failed(self, error: AbortBatch) -> None:
        """Decide what becomes of the batch's records, now that it is aborted.

        Raises:
            EngineError: the policy or the error says that the worker stops.
        """
        await self.judge.judge(error, self._taken, ticks=self._ticked)

    def waiting(self) -> set[int]:
        """Return the partitions that are held now; those whose time has come are tried again."""
        for partition in self.judge.holds.due():
            self.engine.buffers.release(partition)
        return self.judge.holds.held


def tick_event(app: Any, batch: PartitionBatch, every: float) -> Event:
    """Return the event of a clock tick."""
    message = tick_message(batch.partition, batch.sequence, every, batch.now_micros)
    return Event(app, None, ClockTick(batch.now, every), message, batch)


def changelog_rows(table: Any, writes: dict[Any, Any]) -> list[tuple[bytes, bytes | None]]:
    """Return a table's writes as changelog records, in the order in which their keys were first written."""
    key, value = table.dump_key, table.dump_value
    return [(key(k), None if v is DELETED else value(v)) for k, v in writes.items()]
