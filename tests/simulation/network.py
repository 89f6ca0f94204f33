"""The simulated wire: connections keep order; they are cut, and frames stay in limbo behind the cut."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tests.simulation.errors import FENCES, Cut, Refused

if TYPE_CHECKING:
    from tests.simulation.process import Process
    from tests.simulation.world import World

REQUEST_SECONDS = 60.0
"""librdkafka's socket.timeout.ms: then the client tells REQTMOUT and reconnects."""


class Connection:
    """One client's connection to one broker role: requests arrive in the order they were sent.

    A cut leaves each request under way in one of three fates: never arrived, done without an
    answer, or in limbo: the broker reads the frame later, when the client has long moved on.
    """

    def __init__(
        self,
        world: World,
        process: Process,
        name: str,
        tell: Callable[[str], None],
        patience: float = REQUEST_SECONDS,
    ) -> None:
        self._world = world
        self._process = process
        self.name = name
        self._tell = tell
        self._patience = patience
        self._arrival = 0.0
        self._answered = 0.0
        self._dark_until = 0.0
        self._under_way: dict[asyncio.Future[Any], None] = {}
        self.closed = False

    async def request(self, api: str, handle: Callable[[], Any], *, limbo: bool = True) -> Any:
        """Send one request and wait for its answer.

        Args:
            api: names it in traces and faults.
            handle: what the broker does when the frame arrives; it may return a future.
            limbo: whether a delayed second copy of it is allowed by the model.
        Raises:
            Cut: the connection ended, or no answer came in time.
            Refused: the broker's error.
        """
        world, loop = self._world, self._world.loop
        await self._process.gate()
        answer = loop.create_future()
        self._under_way[answer] = None
        now = loop.time()
        fate = "hung" if now < self._dark_until else world.faults.fate(api, limbo=limbo)
        if fate == "hung":
            self._dark_until = max(self._dark_until, now + world.faults.dark_seconds(api))
        self._arrival = max(self._arrival, now + world.faults.delay(api))
        arrival = self._arrival
        if fate != "ok":
            world.trace("fate", self.name, api, fate)
            world.count(fate)
        if fate == "limbo":
            loop.call_at(now + world.faults.limbo_seconds(), self._late, api, handle)
            loop.call_at(arrival, self.cut)
        elif fate == "lost":
            loop.call_at(arrival, self.cut)
        elif fate == "unanswered":
            loop.call_at(arrival, self._arrive, api, handle, None)
            loop.call_at(arrival + world.faults.delay(), self.cut)
        elif fate == "hung":
            loop.call_at(now + world.faults.hung_seconds(), self._late, api, handle)
            loop.call_at(now + self._patience, self._expired, api, answer)
        else:
            loop.call_at(arrival, self._arrive, api, handle, answer)
        try:
            return await answer
        finally:
            self._under_way.pop(answer, None)
            await self._process.gate()

    def _late(self, api: str, handle: Callable[[], Any]) -> None:
        """Let a frame in limbo arrive: nobody waits for its answer."""
        self._arrive(f"late {api}", handle, None)

    def _arrive(
        self, api: str, handle: Callable[[], Any], answer: asyncio.Future[Any] | None
    ) -> None:
        try:
            value = handle()
        except Refused as error:
            self._world.trace("refused", self.name, api, str(error))
            if error.code in FENCES and self._process.pauses:
                self._world.count("zombie refused")
            self._answer(answer, None, error)
            return
        if api != "Fetch":
            self._world.trace("done", self.name, api)
        if isinstance(value, asyncio.Future):
            value.add_done_callback(lambda done: self._later(answer, done))
        else:
            self._answer(answer, value, None)

    def _later(self, answer: asyncio.Future[Any] | None, done: asyncio.Future[Any]) -> None:
        if done.cancelled():
            return
        error = done.exception()
        self._answer(answer, None if error else done.result(), error)

    def _answer(
        self, answer: asyncio.Future[Any] | None, value: Any, error: BaseException | None
    ) -> None:
        if answer is None or answer.done():
            return
        loop = self._world.loop
        self._answered = max(self._answered, loop.time() + self._world.faults.delay())
        loop.call_at(self._answered, self._deliver, answer, value, error)

    @staticmethod
    def _deliver(answer: asyncio.Future[Any], value: Any, error: BaseException | None) -> None:
        if answer.done():
            return
        if error is None:
            answer.set_result(value)
        else:
            answer.set_exception(error)

    def _expired(self, api: str, answer: asyncio.Future[Any]) -> None:
        if not answer.done():
            self._tell(
                f"REQTMOUT [{self.name}]: timed out {api} in flight (after {self._patience * 1000:.0f}ms)"
            )
            self.cut()

    def cut(self) -> None:
        """End the connection; the client opens another by itself."""
        if self.closed or not self._process.alive:
            return
        self._tell(f"FAIL [{self.name}]: Disconnected (after 0ms in state UP)")
        self._arrival = self._answered = 0.0
        for answer in list(self._under_way):
            if not answer.done():
                answer.set_exception(Cut(self.name))

    def close(self) -> None:
        """Forget the connection: its client is gone, its frames are not."""
        self.closed = True
        for answer in list(self._under_way):
            answer.cancel()
