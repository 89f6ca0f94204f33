"""The stream an agent iterates: it is handed runs by the engine, and tells when it wants more."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, NoReturn

import faust
from faust.streams import _current_event as faust_current_event
from mode.utils.futures import maybe_async

from streams.engine.errors import ConfigError
from streams.engine.event import Event, current, current_event


class Stream(faust.Stream):
    """A Faust stream over the engine: one generator, no queue, no acknowledgements."""

    agent_name: str = ""
    _pending: list[Event] | None = None
    _wanted: asyncio.Future[list[Event]] | None = None
    _finished: asyncio.Future[None] | None = None
    unread: int = 0

    def hand(self, events: list[Event]) -> asyncio.Future[None]:
        """Give a run to the agent.

        Returns:
            A future that is done when the agent has asked for more: no event is then in its hand.
        """
        loop = asyncio.get_running_loop()
        self._finished = finished = loop.create_future()
        if self._wanted is not None and not self._wanted.done():
            self._wanted.set_result(events)
        else:
            self._pending = events
        return finished

    @property
    def was_handed(self) -> bool:
        """Whether a run came to the agent's hands."""
        return self._finished is not None and self._pending is None

    def fail(self, error: BaseException) -> None:
        """Tell who waits for the barrier that the agent cannot reach it."""
        if self._finished is not None and not self._finished.done():
            self._finished.set_exception(error)

    async def _next_run(self) -> list[Event]:
        if self._pending is not None:
            # Handed over before the agent's task ran for the first time: its barrier is still to come.
            events, self._pending = self._pending, None
            return events
        if self._finished is not None and not self._finished.done():
            self._finished.set_result(None)
        self._wanted = asyncio.get_running_loop().create_future()
        return await self._wanted

    async def _iterate(self, *, values: bool) -> AsyncIterator[Any]:
        """Yield event after event: one generator, because each level would cost on every record."""
        enter = current.set
        faust_current_event.set(current_event)  # type: ignore[arg-type] # called as Faust calls its weak reference
        while True:
            run = await self._next_run()
            self.unread = 0
            batch = run[0].batch
            for event in run:
                self.current_event = event  # type: ignore[assignment]
                enter(event)
                if self._processors and not await self._process(event):
                    event.alive = False
                    continue
                try:
                    yield event.value if values else event
                finally:
                    event.alive = False
                if batch.overlay_bytes > batch.overlay_limit:
                    self.unread = len(run) - run.index(event) - 1
                    break
            self.current_event = None
            enter(None)

    async def _process(self, event: Event) -> bool:
        """Run `filter` and other processors; false where one of them skips the event."""
        value = event.value
        try:
            for processor in self._processors:
                value = await maybe_async(processor(value))
        except faust.exceptions.Skip:
            return False
        event.value = value
        return True

    def events(self) -> AsyncIterator[Event]:  # type: ignore[override]
        """Iterate over the stream as events."""
        return self._iterate(values=False)

    def __aiter__(self) -> AsyncIterator[Any]:
        return self._iterate(values=True)

    def _refuse(self, what: str) -> NoReturn:
        raise ConfigError(
            f"agent {self.agent_name}: {what} keeps events across the end of a transaction, "
            "so the engine refuses it; keep what must outlive an event in a table"
        )

    def take(self, *_: Any, **__: Any) -> NoReturn:
        """Refuse: it buffers events across the barrier."""
        self._refuse("stream.take")

    def take_events(self, *_: Any, **__: Any) -> NoReturn:
        """Refuse: it buffers events across the barrier."""
        self._refuse("stream.take_events")

    def take_with_timestamp(self, *_: Any, **__: Any) -> NoReturn:
        """Refuse: it buffers events across the barrier."""
        self._refuse("stream.take_with_timestamp")

    def noack(self, *_: Any, **__: Any) -> NoReturn:
        """Refuse: a transaction commits whole batches."""
        self._refuse("stream.noack")

    def group_by(self, *_: Any, **__: Any) -> NoReturn:
        """Refuse: send to a topic with the new key, and let another agent read that."""
        self._refuse("stream.group_by")

    def through(self, *_: Any, **__: Any) -> NoReturn:
        """Refuse: send to a topic, and let another agent read that."""
        self._refuse("stream.through")

    def join(self, *_: Any, **__: Any) -> NoReturn:
        """Refuse: look the other side up in a table."""
        self._refuse("stream.join")

    combine = left_join = inner_join = outer_join = join
    __and__ = join
