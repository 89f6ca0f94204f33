"""A consumer that behaves like librdkafka's: callbacks inside poll and consume, heartbeats beside them."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from confluent_kafka import KafkaError, KafkaException, TopicPartition

from tests.simulation.errors import (
    INSTANCE_FENCED,
    PASSING,
    REBALANCING,
    UNKNOWN_MEMBER,
    Cut,
    Refused,
    timed_out,
)
from tests.simulation.groups import Membership
from tests.simulation.loop import within
from tests.simulation.network import Connection
from tests.simulation.records import SimMessage

if TYPE_CHECKING:
    from tests.simulation.process import Process
    from tests.simulation.world import World

Place = tuple[str, int]
RECONNECT_SECONDS = 0.1
LOOK_SECONDS = 0.00005
QUEUE_RECORDS = 2_000
"""Above this, nothing more is fetched until the application has taken some."""


class _Change:
    """A change of the assignment that waits for the application's next poll."""

    __slots__ = ("done", "kind", "places")

    def __init__(self, kind: str, places: list[Place], done: asyncio.Future[None]) -> None:
        self.kind = kind
        self.places = places
        self.done = done


class SimConsumer:
    """The calls of confluent_kafka.Consumer that the engine makes."""

    def __init__(
        self, world: World, process: Process, config: dict[str, Any], logger: logging.Logger
    ) -> None:
        self._world = world
        self._process = process
        self._group: str = config["group.id"]
        self._instance: str | None = config.get("group.instance.id")
        self._session = config.get("session.timeout.ms", 45_000) / 1000
        self._pace = world.options.heartbeat
        self._hold = config.get("fetch.wait.max.ms", 500) / 1000
        lines: deque[str] = deque(maxlen=10)
        patience = config.get("socket.timeout.ms", 60_000) / 1000
        name = process.name
        self._fetcher = Connection(world, process, f"{name}/fetch", lines.append, patience)
        self._coordinator = Connection(world, process, f"{name}/group", lines.append, patience)
        self._queue: deque[SimMessage | _Change] = deque()
        self._news: asyncio.Future[None] | None = None
        self._room: asyncio.Future[None] | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._fetching: asyncio.Task[None] | None = None
        self._positions: dict[Place, int] = {}
        self._told_end: dict[Place, int] = {}
        self._ends: dict[Place, int] = {}
        self._topics: list[str] = []
        self._calls: dict[str, Callable[..., None]] = {}
        self._member = ""
        self._generation = -1
        self._owned: list[Place] = []
        self._closed = False
        self._changes = 0

    # -- the queue towards the application

    def _put(self, item: SimMessage | _Change, at: int | None = None) -> None:
        self._queue.insert(len(self._queue) if at is None else at, item)
        if self._news is not None and not self._news.done():
            self._news.set_result(None)

    def _take(self) -> SimMessage | None:
        """Take the next message; serve changes of the assignment on the way."""
        while self._queue:
            item = self._queue.popleft()
            if isinstance(item, SimMessage):
                if len(self._queue) < QUEUE_RECORDS and self._room is not None:
                    room, self._room = self._room, None
                    if not room.done():
                        room.set_result(None)
                return item
            self._serve(item)
        return None

    def _serve(self, change: _Change) -> None:
        self._process.effect(change.kind)
        self._changes += change.kind != "assign"
        self._world.trace(change.kind, self._process.name, *change.places)
        call = self._calls.get(f"on_{change.kind}") or self._calls.get("on_revoke")
        if call is not None:
            call(self, [TopicPartition(*place) for place in change.places])
        if not change.done.done():
            change.done.set_result(None)

    def poll(self, timeout: float = -1) -> SimMessage | None:
        """Return one record, end or error, or None when the time is over."""
        self._process.effect("consumer.poll")
        found = self._wait(timeout)
        self._process.effect("consumer.polled")
        return found

    def _wait(self, timeout: float) -> SimMessage | None:
        deadline = self._world.loop.time() + timeout
        while True:
            found = self._take()
            left = deadline - self._world.loop.time()
            if found is not None:
                return found
            if left <= 0:
                # A look costs time too, or a loop of them would stand still.
                if timeout <= 0:
                    self._process.blocking(asyncio.sleep(LOOK_SECONDS))
                return None
            self._news = self._world.loop.create_future()
            self._process.blocking(within(self._news, left))

    def consume(self, num_messages: int = 1, timeout: float = -1) -> list[SimMessage]:
        """Return so many messages, or what is there when the time is over."""
        self._process.effect("consume")
        if self._closed:
            raise RuntimeError("the consumer is closed")
        deadline = self._world.loop.time() + timeout
        found: list[SimMessage] = []
        changes = self._changes
        while len(found) < num_messages:
            message = self._wait(max(deadline - self._world.loop.time(), 0.0))
            if timeout == 0 and changes != self._changes:
                changes = self._changes
                self._world.count("revoke inside a drain")
            if message is None:
                break
            found.append(message)
            if timeout == 0 and self._world.faults.breaks_a_drain():
                break
        return found

    # -- what is read

    def assign(self, partitions: list[TopicPartition]) -> None:
        """Read these partitions from their offsets; forget what was read of others."""
        self._process.effect("assign")
        self._stop_fetching()
        self._positions = {(tp.topic, tp.partition): tp.offset for tp in partitions}
        if self._positions:
            self._fetching = self._process.spawn(self._fetch())

    def unassign(self) -> None:
        """Read nothing."""
        self._stop_fetching()
        self._positions = {}

    def _stop_fetching(self) -> None:
        if self._fetching is not None:
            self._fetching.cancel()
            self._fetching = None
        self._queue = deque(i for i in self._queue if isinstance(i, _Change))
        self._told_end = {}

    async def _fetch(self) -> None:
        while True:
            wanted = dict(self._positions)
            fetch = partial(self._world.broker.fetch, wanted, self._hold)
            try:
                found = await self._fetcher.request("Fetch", fetch)
            except Cut:
                await asyncio.sleep(RECONNECT_SECONDS)
                continue
            for place, (entries, after, stable) in found.items():
                self._arrived(place, entries, after, stable)
            if len(self._queue) > QUEUE_RECORDS:
                self._room = self._world.loop.create_future()
                await self._room

    def _arrived(self, place: Place, entries: list[Any], after: int, stable: int) -> None:
        self._ends[place] = stable
        if after < 0:
            code = KafkaError._AUTO_OFFSET_RESET
            self._put(SimMessage(*place, self._positions[place], None, KafkaError(code)))
            return
        for entry in entries:
            self._put(SimMessage(*place, entry.offset, entry.payload, None))
        self._positions[place] = after
        if not entries and after >= stable and self._told_end.get(place) != after:
            self._told_end[place] = after
            code = KafkaError._PARTITION_EOF
            self._put(SimMessage(*place, after, None, KafkaError(code)))

    # -- the group

    def subscribe(
        self,
        topics: list[str],
        on_assign: Callable[..., None],
        on_revoke: Callable[..., None],
        on_lost: Callable[..., None],
    ) -> None:
        """Join the group."""
        self._process.effect("subscribe")
        self._topics = topics
        self._calls = {"on_assign": on_assign, "on_revoke": on_revoke, "on_lost": on_lost}
        self._tasks.append(self._process.spawn(self._belong()))

    @property
    def me(self) -> Membership:
        """Who this member is in its current generation."""
        return Membership(self._group, self._member, self._generation, self._instance)

    async def _belong(self) -> None:
        broker, loop = self._world.broker, self._world.loop
        if self._instance is None:
            # A dynamic member is known by the id it was given before it joins (KIP-394).
            self._member = f"{self._process.name}-{loop.time():.6f}"
        while True:
            try:
                self._member, self._generation, places = await self._coordinator.request(
                    "JoinGroup",
                    lambda: broker.group(self._group).join(
                        self._member, self._instance, self._topics, self._session
                    ),
                    limbo=False,
                )
            except Cut:
                await asyncio.sleep(RECONNECT_SECONDS)
                continue
            except Refused as error:
                if error.code == INSTANCE_FENCED:
                    self._fenced(error.code)
                    return
                continue
            await self._change("assign", places)
            self._owned = places
            if not await self._heartbeats():
                return

    async def _change(self, kind: str, places: list[Place]) -> None:
        done: asyncio.Future[None] = self._world.loop.create_future()
        # It overtakes some of the records that wait, as ops of another thread do.
        behind = self._world.faults.chance.randint(0, 6)
        self._put(_Change(kind, places, done), min(behind, len(self._queue)))
        await done

    async def _heartbeats(self) -> bool:
        """Tell the group that this member lives, until it has to join again; false when it may not."""
        loop = self._world.loop
        heard = loop.time()
        while True:
            await asyncio.sleep(self._pace)
            await self._process.gate()
            beat = partial(self._world.broker.group(self._group).beat, self.me)
            code = None
            try:
                await self._coordinator.request("Heartbeat", beat)
                heard = loop.time()
            except Cut:
                pass
            except Refused as error:
                code = error.code
            if code == INSTANCE_FENCED:
                self._fenced(code)
                return False
            if code == REBALANCING:
                await self._change("revoke", self._owned)
                return True
            if code is not None or loop.time() - heard > self._session:
                self._world.count("partitions lost")
                if code == UNKNOWN_MEMBER and self._instance is not None:
                    self._member = ""
                await self._change("lost", self._owned)
                return True

    def _fenced(self, code: int) -> None:
        self._world.count("member fenced")
        self._put(SimMessage(None, None, None, None, KafkaError(code, "fenced", True)))

    def consumer_group_metadata(self) -> Membership:
        """Return who this member is in its current generation."""
        self._process.effect("consumer_group_metadata")
        return self.me

    # -- look-ups

    def _ask(self, name: str, handle: Callable[[], Any], timeout: float) -> Any:
        async def ask() -> Any:
            while True:
                try:
                    return await self._coordinator.request(name, handle)
                except Cut:
                    await asyncio.sleep(RECONNECT_SECONDS)
                except Refused as error:
                    if error.code not in PASSING:
                        raise
                    self._world.count("unstable offsets")
                    await asyncio.sleep(RECONNECT_SECONDS)

        self._process.effect(name)
        task = self._process.spawn(ask())
        if not self._process.blocking(within(task, timeout)):
            task.cancel()
            raise timed_out(name)
        self._process.effect(f"{name} done")
        return task.result()

    def committed(self, partitions: list[TopicPartition], timeout: float) -> list[TopicPartition]:
        """Return stable committed offsets; wait while a transaction on them is undecided."""
        places = [(tp.topic, tp.partition) for tp in partitions]
        group = self._world.broker.group(self._group)
        found = self._ask("OffsetFetch", lambda: group.fetch(places), timeout)
        answers = []
        for place in places:
            offset, metadata = found[place]
            tp = TopicPartition(*place, offset, metadata)
            answers.append(tp)
        return answers

    def get_watermark_offsets(
        self, partition: TopicPartition, timeout: float = 10.0, *, cached: bool = False
    ) -> tuple[int, int]:
        """Return first and last stable offset, as a read_committed client sees them."""
        place = (partition.topic, partition.partition)
        if cached:
            return (0, self._ends.get(place, -1001))
        log = self._world.broker.partition(place)
        found: tuple[int, int] = self._ask("ListOffsets", lambda: (log.start, log.stable), timeout)
        return found

    def close(self) -> None:
        """Leave: a static member stays in the group until its session ends."""
        self._process.effect("consumer.close")
        self._closed = True
        for task in self._tasks:
            task.cancel()
        self._stop_fetching()
        if self._member and self._instance is None:
            member = self._member
            try:
                self._ask(
                    "LeaveGroup", lambda: self._world.broker.group(self._group).leave(member), 5.0
                )
            except KafkaException:
                self._world.count("left without an answer")
        self._fetcher.close()
        self._coordinator.close()
