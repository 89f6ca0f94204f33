"""The group coordinator: generations, static and dynamic members, range, pending offsets."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.simulation.errors import (
    FENCED_EPOCH,
    INSTANCE_FENCED,
    NOT_STABLE,
    OLD_GENERATION,
    REBALANCING,
    UNKNOWN_MEMBER,
    Refused,
)

if TYPE_CHECKING:
    from tests.simulation.world import World

Place = tuple[str, int]

FIRST_JOIN_SECONDS = 0.3
"""How long an empty group waits for more members before its first generation."""


@dataclass(frozen=True, slots=True)
class Membership:
    """Who a request says it comes from: the group metadata of a client."""

    group: str
    member: str
    generation: int
    instance: str | None


@dataclass(slots=True)
class Member:
    """One member of a group."""

    name: str
    instance: str | None
    topics: list[str]
    session: float
    seen: float
    joining: asyncio.Future[tuple[str, int, list[Place]]] | None = None
    assignment: list[Place] = field(default_factory=list)


class Group:
    """One consumer group."""

    def __init__(self, world: World, name: str) -> None:
        self._world = world
        self.name = name
        self.generation = 0
        self.members: dict[str, Member] = {}
        self._static: dict[str, str] = {}
        self.rebalancing = False
        self.offsets: dict[Place, tuple[int, str]] = {}
        self.pending: dict[int, dict[Place, tuple[int, str]]] = {}
        self._epochs: dict[int, int] = {}
        self._born = 0

    # -- membership

    def join(
        self, member: str, instance: str | None, topics: list[str], session: float
    ) -> asyncio.Future[tuple[str, int, list[Place]]]:
        """Join or rejoin; the answer is member id, generation and assignment."""
        loop = self._world.loop
        answer: asyncio.Future[tuple[str, int, list[Place]]] = loop.create_future()
        old = self._static.get(instance) if instance is not None else None
        if old is not None and old != member:
            if member:
                raise Refused(INSTANCE_FENCED)
            return self._replace(old, answer)
        if not member:
            self._born += 1
            member = f"{instance or 'member'}-{self._born}"
        known = self.members.get(member)
        if known is None:
            known = Member(member, instance, topics, session, loop.time())
            self.members[member] = known
            if instance is not None:
                self._static[instance] = member
            loop.call_later(session, self._expire, known)
        known.seen = loop.time()
        known.joining = answer
        if not self.rebalancing:
            self.rebalancing = True
            self._world.count("rebalance")
            self._world.trace("rebalance", self.name, member)
            if len(self.members) == 1:
                loop.call_later(FIRST_JOIN_SECONDS, self._complete_if_all)
                return answer
        self._complete_if_all()
        return answer

    def _replace(
        self, old: str, answer: asyncio.Future[tuple[str, int, list[Place]]]
    ) -> asyncio.Future[tuple[str, int, list[Place]]]:
        """Let a new holder of a static slot in: no rebalance, and the old holder is fenced."""
        gone = self.members.pop(old)
        self._born += 1
        name = f"{gone.instance}-{self._born}"
        now = self._world.loop.time()
        new = Member(name, gone.instance, gone.topics, gone.session, now)
        new.assignment = gone.assignment
        self.members[name] = new
        self._static[str(gone.instance)] = name
        self._world.trace("replaced", old, name)
        self._world.loop.call_later(new.session, self._expire, new)
        if gone.joining is not None and not gone.joining.done():
            gone.joining.set_exception(Refused(INSTANCE_FENCED))
        if self.rebalancing:
            new.joining = answer
            self._complete_if_all()
        else:
            answer.set_result((name, self.generation, new.assignment))
        return answer

    def _expire(self, member: Member) -> None:
        if self.members.get(member.name) is not member:
            return
        now = self._world.loop.time()
        waiting = member.joining is not None and not member.joining.done()
        due = (now if waiting else member.seen) + member.session
        if due > now:
            self._world.loop.call_at(due, self._expire, member)
            return
        self._world.count("session expired")
        self._world.trace("expired", member.name)
        self.leave(member.name)

    def leave(self, member: str) -> None:
        """Remove a member."""
        gone = self.members.pop(member, None)
        if gone is None:
            return
        if gone.instance is not None:
            self._static.pop(gone.instance, None)
        if self.members and not self.rebalancing:
            self.rebalancing = True
            self._world.count("rebalance")
        self._complete_if_all()

    def _complete_if_all(self) -> None:
        members = list(self.members.values())
        if not self.rebalancing or not members:
            self.rebalancing = self.rebalancing and bool(members)
            return
        if any(m.joining is None for m in members):
            return
        self.rebalancing = False
        self.generation += 1
        members.sort(key=lambda m: m.instance or m.name)
        self._assign(members)
        now = self._world.loop.time()
        for m in members:
            m.seen = now
            answer, m.joining = m.joining, None
            if answer is not None and not answer.done():
                answer.set_result((m.name, self.generation, m.assignment))

    def _assign(self, members: list[Member]) -> None:
        """Deal partitions out by range, per topic: topics of one count stay together."""
        for m in members:
            m.assignment = []
        for topic in sorted({t for m in members for t in m.topics}):
            takers = [m for m in members if topic in m.topics]
            count = len(self._world.broker.topics[topic])
            each, more = divmod(count, len(takers))
            start = 0
            for index, m in enumerate(takers):
                size = each + (index < more)
                m.assignment += [(topic, p) for p in range(start, start + size)]
                start += size

    def check(self, who: Membership) -> None:
        """Refuse a request that does not come from a member of this generation."""
        if who.instance is not None:
            holder = self._static.get(who.instance)
            if holder is not None and holder != who.member:
                raise Refused(INSTANCE_FENCED)
        if who.member not in self.members:
            raise Refused(UNKNOWN_MEMBER)
        if who.generation != self.generation:
            raise Refused(OLD_GENERATION)

    def has(self, who: Membership) -> bool:
        """Whether a member is one of the current generation."""
        return who.member in self.members and who.generation == self.generation

    def beat(self, who: Membership) -> None:
        """Take a heartbeat."""
        self.check(who)
        self.members[who.member].seen = self._world.loop.time()
        if self.rebalancing:
            raise Refused(REBALANCING)

    # -- offsets

    def commit_in(
        self, pid: int, epoch: int, who: Membership, offsets: list[tuple[Place, int, str]]
    ) -> None:
        """Take offsets into a producer's transaction; only generation and member are checked."""
        if epoch < self._epochs.get(pid, -1):
            raise Refused(FENCED_EPOCH)
        self._world.broker.coordinator.verify(pid, epoch, None, self.name)
        self.check(who)
        self._epochs[pid] = epoch
        pending = self.pending.setdefault(pid, {})
        for place, offset, metadata in offsets:
            pending[place] = (offset, metadata)

    def settle(self, pid: int, epoch: int, *, commit: bool) -> None:
        """Write the marker: the producer's offsets count, or never were."""
        self._epochs[pid] = max(epoch, self._epochs.get(pid, -1))
        pending = self.pending.pop(pid, {})
        if commit:
            self.offsets.update(pending)

    def fetch(self, places: list[Place]) -> dict[Place, tuple[int, str]]:
        """Return committed offsets; refuse while a transaction on one of them is undecided."""
        for pending in self.pending.values():
            if any(place in pending for place in places):
                raise Refused(NOT_STABLE)
        return {place: self.offsets.get(place, (-1001, "")) for place in places}
