"""Hands a partition's run to the agents and waits at the barrier; worker and replay share it."""

from __future__ import annotations

import asyncio
from typing import Any

from streams.engine.errors import AgentFailed, ConfigError, DeadEvent, EngineError, RecordRefused
from streams.engine.event import Event


class Delivery:
    """Which streams read which topic, and how events reach them in order."""

    def __init__(self, agents: list[Any]) -> None:
        self.agents = sorted(agents, key=lambda agent: agent.name)
        self._streams: dict[str, list[Any]] = {}
        self.failure: tuple[Any, BaseException] | None = None
        self._only_reader: Any = None

    def connect(self) -> None:
        """Look up the agents' new streams; after every start of the agents."""
        self.failure = None
        self._streams = {}
        for agent in self.agents:
            for topic in agent.input_topics:
                self._streams.setdefault(topic, []).append(agent)
        self._only_reader = self.agents[0] if len(self.agents) == 1 else None

    def bury(self) -> None:
        """End the events in the agents' hands: an agent that hung and wakes up now sends and writes no more."""
        for agent in self.agents:
            event = getattr(agent.engine_stream, "current_event", None)
            if event is not None:
                event.alive = False
                event.batch.overlay_limit = -1.0  # the stream hands over nothing more of its run

    async def restart(self) -> None:
        """Give every agent a new generator and a new stream."""
        for agent in self.agents:
            await agent.end()
        for agent in self.agents:
            await agent.begin()
        self.connect()

    async def run(self, events: list[Event]) -> int:
        """Hand events over in order; return when every agent has asked for more.

        A single reader of a topic gets a whole run and iterates by itself; several are handed one
        event after the other, in the order of the agents' names, each finished before the next starts.

        Returns:
            How many were handed over: fewer than came where the batch is full.
        Raises:
            AgentFailed: an agent raised, or ended; `event` is what it had in hand.
        """
        start, count = 0, len(events)
        alone = self._only_reader
        if alone is not None:
            return count - await self._hand(alone, events)
        while start < count:
            readers = self._streams.get(events[start].message.topic)
            if not readers:
                raise ConfigError(f"no agent reads {events[start].message.topic}")
            if len(readers) > 1:
                for agent in readers:
                    again = events[start]
                    again.alive = True
                    await self._hand(agent, [again])
                start += 1
                if events[start - 1].batch.full:
                    return start
                continue
            end = start + 1
            while end < count and self._streams.get(events[end].message.topic) == readers:
                end += 1
            unread = await self._hand(readers[0], events[start:end])
            if unread:
                return end - unread
            start = end
        return count

    async def _hand(self, agent: Any, events: list[Event]) -> int:
        """Hand a run to one agent; return how many it left because the batch is full."""
        if self.failure is not None:
            failed, error = self.failure
            raise AgentFailed(failed.name, None, error) from error
        stream = agent.engine_stream
        try:
            await stream.hand(events)
        except asyncio.CancelledError:
            raise
        except (DeadEvent, RecordRefused) as error:
            raise AgentFailed(agent.name, stream.current_event, error) from error
        except EngineError:
            raise  # the engine failed while the agent sent: no record is to blame
        except Exception as error:
            raise AgentFailed(agent.name, stream.current_event, error) from error
        unread: int = stream.unread
        return unread
