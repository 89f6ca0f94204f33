"""The simulated broker: topics, what requests do, and the coordinators."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tests.simulation.errors import Refused
from tests.simulation.groups import Group
from tests.simulation.partition import Entry, Partition, Payload
from tests.simulation.transactions import Coordinator

if TYPE_CHECKING:
    from tests.simulation.world import World

Place = tuple[str, int]
Fetched = dict[Place, tuple[list[Entry], int, int]]

NO_SUCH_TOPIC = 3
FETCH_RECORDS = 200
"""Most records of one partition in one answer."""


class Broker:
    """One broker, one cluster."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.topics: dict[str, list[Partition]] = {}
        self.coordinator = Coordinator(world)
        self.groups: dict[str, Group] = {}

    def create(self, topic: str, count: int) -> None:
        """Create a topic, unless it is there."""
        if topic not in self.topics:
            self.topics[topic] = [Partition(topic, number) for number in range(count)]

    def partition(self, place: Place) -> Partition:
        """Return one partition's log.

        Raises:
            Refused: there is no such topic.
        """
        if place[0] not in self.topics:
            raise Refused(NO_SUCH_TOPIC)
        return self.topics[place[0]][place[1]]

    def group(self, name: str) -> Group:
        """Return a group, made when it is first asked for."""
        found = self.groups.get(name)
        if found is None:
            found = self.groups[name] = Group(self._world, name)
        return found

    def produce(
        self, place: Place, pid: int, epoch: int, sequence: int, payloads: list[Payload]
    ) -> int:
        """Append a transactional batch."""
        log = self.partition(place)
        if pid not in log.open:
            self.coordinator.verify(pid, epoch, place, None)
        return log.append(payloads, pid, epoch, sequence, transactional=True)

    def fetch(self, positions: dict[Place, int], hold: float) -> asyncio.Future[Fetched]:
        """Return committed records as soon as there are some, or what there is after `hold` seconds."""
        loop = self._world.loop
        answer: asyncio.Future[Fetched] = loop.create_future()
        if hold <= 0 or self._news(positions):
            answer.set_result(self._read(positions))
            return answer
        waiter: asyncio.Future[None] = loop.create_future()

        def wake(_: object = None) -> None:
            if not answer.done():
                answer.set_result(self._read(positions))

        waiter.add_done_callback(wake)
        for place in positions:
            self.partition(place).wait(waiter)
        loop.call_later(hold, wake)
        return answer

    def _news(self, positions: dict[Place, int]) -> bool:
        return any(
            not 0 <= at <= self.partition(place).end or at < self.partition(place).stable
            for place, at in positions.items()
        )

    def _read(self, positions: dict[Place, int]) -> Fetched:
        found: Fetched = {}
        for place, at in positions.items():
            log = self.partition(place)
            if not 0 <= at <= log.end:
                found[place] = ([], -1, log.stable)
                continue
            records, after = log.read(at, FETCH_RECORDS)
            found[place] = (records, after, log.stable)
        return found
