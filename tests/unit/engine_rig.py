"""The shipped engine over a log in memory: its clock stands in the test's hand, nothing is connected."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any, NoReturn

from confluent_kafka import KafkaError, KafkaException

from streams.engine.errors import RecordRefused
from streams.engine.event import Message
from streams.engine.runtime import SystemRuntime
from streams.engine.transaction import State
from tests.unit.engine_tools import RAW, make_app, message

IN, OUT = "in", "out"
TOO_LARGE, AT_FLUSH = b"too large", b"too large at flush"


class Inline:
    """Runs client calls where they are asked for."""

    async def run(self, fun: Callable[..., Any], *args: Any) -> Any:
        await asyncio.sleep(0)
        return fun(*args)

    def close(self) -> None:
        """Take no more calls."""


class Watchdog:
    """Watches nothing."""

    def arm(self, *_: Any) -> None:
        """Note nothing."""

    def disarm(self, *_: Any) -> None:
        """Note nothing."""

    def close(self) -> None:
        """End nothing."""


class Runtime(SystemRuntime):
    """No thread, no client; time goes on when somebody waits for a record."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def executor(self, name: str) -> Any:
        del name
        return Inline()

    def watchdog(self) -> Any:
        return Watchdog()

    def consumer(self, config: dict[str, Any], logger: logging.Logger) -> NoReturn:
        raise AssertionError(f"nothing is connected: {config} {logger}")

    producer = admin = consumer

    def exit(self, code: int) -> NoReturn:
        raise AssertionError(f"exit {code}")


class Client:
    """Consumer and producer over lists: what is not committed is gone after an abort."""

    def __init__(self, runtime: Runtime, logs: dict[int, list[Message]]) -> None:
        self.runtime = runtime
        self.logs = logs
        self.epoch = 1
        self.assigned = [(IN, p) for p in logs]
        self.lost = self.tainted = False
        self.producer = self
        self.offsets: dict[int, tuple[int, str]] = {}
        self.sent: list[tuple[str, int, Any, Any, Any]] = []
        self.pending: list[tuple[str, int, Any, Any, Any]] = []
        self.positions: dict[int, int] = {}
        self.paused: set[int] = set()
        self.calls = self.aborts = self.idle_calls = 0

    def produce(
        self, topic: str, value: Any, key: Any, partition: int, headers: Any = None, **_: Any
    ) -> None:
        if value == TOO_LARGE:
            raise KafkaException(KafkaError(KafkaError.MSG_SIZE_TOO_LARGE))
        self.pending.append((topic, partition, key, value, headers))

    def produce_batch(self, topic: str, rows: list[dict[str, Any]], partition: int) -> int:
        self.pending += [(topic, partition, row["key"], row["value"], None) for row in rows]
        return len(rows)

    def begin(self) -> None:
        assert not self.pending

    def metadata(self) -> None:
        """There is no group."""

    def commit(self, offsets: list[Any], _: Any, __: float, moved: Callable[[str], None]) -> None:
        if any(value == AT_FLUSH for *_, value, _ in self.pending):
            raise RecordRefused("send_offsets_to_transaction: message size too large")
        for state in ("FLUSHED", "OFFSETS_SENT", "COMMITTING"):
            moved(state)
        self.sent += self.pending
        self.pending = []
        self.offsets |= {tp.partition: (tp.offset, tp.metadata) for tp in offsets}

    def abort(self) -> None:
        self.aborts += 1
        self.pending = []

    def recycle(self) -> None:
        """Nothing is under way that could land later."""

    def committed(self, wanted: list[tuple[str, int]]) -> dict[tuple[str, int], tuple[int, str]]:
        return {(t, p): self.offsets.get(p, (-1, "")) for t, p in wanted}

    def bounds(self, _: str, partition: int) -> tuple[int, int]:
        return 0, len(self.logs[partition])

    def behind(self, *_: Any) -> bool:
        return False

    def start_at(self, offsets: list[tuple[str, int, int]]) -> None:
        self.positions = {p: o for _, p, o in offsets}

    def hold(self, _: list[str], held: set[int]) -> None:
        self.paused = set(held)

    def fetch(self, wait: float, room: int) -> tuple[list[Message], list[Any]]:
        self.calls += 1
        found: list[Message] = []
        for partition, log in self.logs.items():
            if partition in self.positions and partition not in self.paused:
                at = self.positions[partition]
                rows = log[at : at + room - len(found)]
                self.positions[partition] = at + len(rows)
                found += rows
        if not found:
            self.idle_calls += 1
            self.runtime.now += max(wait, 1e-4)
        return found, []


class Refusing:
    """A topic's decoder that asks a test first."""

    def __init__(self, inner: Any, refuse: Callable[[Message], None]) -> None:
        self.inner = inner
        self.refuse = refuse

    def plain(self, *_: Any) -> None:
        """Nothing is taken undecoded."""

    def event(self, record: Message, batch: Any) -> Any:
        self.refuse(record)
        return self.inner.event(record, batch)


Act = Callable[[Any], Any]


class Rig:
    """One worker over partitions of records; `act` is what its agent does with each event."""

    def __init__(
        self, logs: dict[int, list[Message]], act: Act, *, schema: Any = None, **settings: Any
    ) -> None:
        self.logs = logs
        self.refuse: Callable[[Message], None] | None = None
        """Raises for what cannot be decoded."""
        self.runtime = Runtime()
        settings.setdefault("poison_backoff", 0.0)
        settings.setdefault("dead_letter_rate", 0.0)
        settings.setdefault("dead_letter_run", 0)
        app: Any = make_app(runtime=self.runtime, **settings)

        async def agent(stream: Any) -> None:
            async for event in stream.events():
                await act(event)

        kind = RAW if schema is None else {"schema": schema}
        app.agent(app.topic(IN, **kind), name="agent")(agent)
        self.app = app
        self.engine = app.engine
        self.client = self.engine.client = Client(self.runtime, logs)

    async def begin(self) -> None:
        """Start as a worker does, short of connecting."""
        engine = self.engine
        engine.counts = {OUT: 1, IN: len(self.logs)}
        engine.delivery.agents = list(self.app.agents.values())
        engine.execution.prepare()
        if self.refuse is not None:
            decoders = engine.execution._decoders
            decoders[IN] = Refusing(decoders[IN], self.refuse)
        engine.protocol.move(State.RESTORING)

    async def turns(self, until: Callable[[], bool], most: int = 2_000) -> None:
        """Run the loop until something is so."""
        for _ in range(most):
            if until():
                return
            await self.engine.turn()
        raise AssertionError("it did not come to pass")

    async def drain(self) -> None:
        """Run until every record is committed."""
        await self.begin()
        await self.turns(self.done)
        await self.end()

    def done(self) -> bool:
        """Whether every record is committed."""
        return all(self.client.offsets.get(p, (0,))[0] == len(log) for p, log in self.logs.items())

    async def end(self) -> None:
        """End the agents."""
        for agent in self.app.agents.values():
            await agent.end()

    def values(self, topic: str, partition: int | None = None) -> list[Any]:
        """Committed values of a topic, in order."""
        return [v for t, p, _, v, _ in self.client.sent if t == topic and partition in (None, p)]

    def facts(self, topic: str = f"{IN}.dlq") -> list[dict[str, str]]:
        """Facts of the committed dead letters, in order."""
        return [
            {n.removeprefix("dlq."): v.decode() for n, v in headers if n.startswith("dlq.")}
            for t, *_, headers in self.client.sent
            if t == topic
        ]


def log_of(values: list[bytes], partition: int = 0) -> list[Message]:
    """Records of one partition, offsets from 0."""
    return [message(IN, partition, n, n, b"k", value) for n, value in enumerate(values)]
