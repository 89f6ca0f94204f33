"""Agents without Faust's actors: one task each, and every failure goes to the engine."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable
from contextlib import suppress
from typing import Any, NoReturn

import faust

from streams.engine.clock import ClockInput
from streams.engine.errors import ConfigError
from streams.engine.event import current


class AgentEnded(RuntimeError):
    """The agent's function returned; it is to iterate its stream for ever."""


class Agent(faust.Agent):
    """A Faust agent run as one task, restarted by the engine at each assignment and abort."""

    engine_stream: Any = None
    _task: asyncio.Task[None] | None = None
    _clock: ClockInput | None = None

    def __init__(self, fun: Any, *, channel: Any = None, **options: Any) -> None:
        name = options.get("name") or fun.__name__
        if options.get("concurrency", 1) not in (None, 1):
            raise ConfigError(
                f"agent {name}: concurrency above 1 is refused: order within a partition is the promise"
            )
        if options.get("isolated_partitions"):
            raise ConfigError(
                f"agent {name}: isolated_partitions is refused: every stream sees one partition at a time"
            )
        if channel is None:
            raise ConfigError(
                f"agent {name}: name its topic; an agent's own channel has no history to replay"
            )
        if isinstance(channel, ClockInput):
            self._clock, channel = channel, None
        elif not isinstance(channel, (str, faust.Topic)):
            raise ConfigError(
                f"agent {name}: in-memory channels are refused: they have no history to replay"
            )
        super().__init__(fun, channel=channel, **options)

    @property
    def input_topics(self) -> list[str]:
        """Names of what it reads: topics, or a clock's pseudo topic."""
        return list(self._clock.topics) if self._clock else self.get_topic_names()

    @property
    def clock(self) -> ClockInput | None:
        """The clock it reads, if it does."""
        return self._clock

    def get_topic_names(self) -> list[str]:
        """Return the topics it reads; none for a clock."""
        channel: Any = self.channel
        return [] if self._clock else list(channel.topics)

    @property
    def was_handed(self) -> bool:
        """Whether its stream has been handed records, or a tick, since it began."""
        return bool(getattr(self.engine_stream, "was_handed", False))

    async def on_start(self) -> None:
        """Start the task."""
        await self.begin()

    async def on_stop(self) -> None:
        """End the task."""
        await self.end()

    async def begin(self) -> None:
        """Make a new stream and a new generator: nothing but tables outlives a batch."""
        make: Any = self.app.conf.Stream
        self.engine_stream = stream = make(
            self._clock or self.channel, app=self.app, beacon=self.beacon
        )
        stream.agent_name = self.name
        current.set(None)
        self._task = asyncio.get_running_loop().create_task(
            self._run(stream), name=f"agent {self.name}"
        )

    async def end(self) -> None:
        """Cancel the task and wait until it is gone."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            await asyncio.sleep(0)

    async def _run(self, stream: Any) -> None:
        try:
            result = self.fun(stream)
            if isinstance(result, AsyncIterable):
                async for value in result:
                    await self._delegate_to_sinks(value)
            else:
                await result
            raise AgentEnded(f"agent {self.name} returned; it is to iterate its stream for ever")
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, the engine decides what follows
            stream.fail(error)
            app: Any = self.app
            app.engine.agent_failed(self, error)

    def _refuse(self, what: str) -> NoReturn:
        raise ConfigError(
            f"agent {self.name}: {what} is refused: send to a topic, and read the answer from one"
        )

    async def ask(self, *_: Any, **__: Any) -> NoReturn:
        """Refuse: a reply would have to cross the end of the transaction."""
        self._refuse("ask")

    async def ask_nowait(self, *_: Any, **__: Any) -> NoReturn:
        """Refuse: a reply would have to cross the end of the transaction."""
        self._refuse("ask_nowait")

    map = kvmap = join = kvjoin = ask  # type: ignore[assignment]

    async def send(self, *, key: Any = None, value: Any = None, **options: Any) -> Any:
        """Send to the agent's topic."""
        return await self.channel.send(key=key, value=value, **options)

    async def cast(self, value: Any = None, *, key: Any = None, **options: Any) -> Any:
        """Send to the agent's topic."""
        return await self.channel.send(key=key, value=value, **options)
