"""The Faust application whose transport, tables and streams are the engine's."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

import faust
from faust.app.base import BootStrategy as FaustBootStrategy

from streams.engine.agent import Agent
from streams.engine.clock import ClockInput
from streams.engine.errors import ConfigError
from streams.engine.runtime import SystemRuntime
from streams.engine.settings import EngineSettings, require_name
from streams.engine.source import Source
from streams.engine.stream import Stream
from streams.engine.table import GlobalTable, Table
from streams.engine.topic import Topic

_ENGINE_NAMES = frozenset(EngineSettings.__dataclass_fields__)


class BootStrategy(FaustBootStrategy):
    """Starts agents and engine; none of Faust's Kafka services."""

    def kafka_producer(self) -> Iterable[Any]:
        """Return nothing: the engine has the producer."""
        return []

    def kafka_consumer(self) -> Iterable[Any]:
        """Return nothing: the engine has the consumer."""
        return []

    def kafka_conductor(self) -> Iterable[Any]:
        """Return nothing: the engine hands events to streams."""
        return []

    def tables(self) -> Iterable[Any]:
        """Return nothing: the engine restores tables."""
        return []

    def web_components(self) -> Iterable[Any]:
        """Return nothing: Faust's cache is not used."""
        return []

    def agents(self) -> Iterable[Any]:
        """Return the agents, then the engine that feeds them."""
        return [self.app.agents, self.app.engine]  # type: ignore[attr-defined]


class App(faust.App):
    """A Faust app on the transactional engine.

    Args:
        id: name of the app: its consumer group, and the prefix of its transactional ids and topics.
        broker: `kafka://host:port` or `host:port`, several joined by commas or semicolons.
        options: settings of the engine (`EngineSettings`) by name; all else goes to Faust.
    Raises:
        ConfigError: an option that the engine refuses.
    """

    BootStrategy = BootStrategy

    def __init__(self, id: str, *, broker: str = "127.0.0.1:9092", **options: Any) -> None:  # noqa: A002 - Faust's name
        if options.get("processing_guarantee") not in (None, "exactly_once"):
            raise ConfigError("processing_guarantee: the engine knows exactly_once only")
        require_name("the app's id", id)
        ours = {name: options.pop(name) for name in list(options) if name in _ENGINE_NAMES}
        bootstrap = ",".join(
            part.removeprefix("kafka://").removeprefix("aiokafka://")
            for part in broker.replace(";", ",").split(",")
        )
        self.engine_settings = EngineSettings(bootstrap=bootstrap, **ours)
        self.sources: dict[str, Source] = {}
        self.clocks: dict[float, ClockInput] = {}
        self.global_tables: dict[str, GlobalTable] = {}
        self._engine: Any = None
        self.ready = asyncio.Event()
        options.setdefault("web_enabled", False)
        options.setdefault("autodiscover", False)
        options.setdefault("store", "memory://")
        super().__init__(
            id,
            broker=f"kafka://{bootstrap}",
            Stream=Stream,
            Topic=Topic,
            Table=Table,
            Agent=Agent,
            **options,
        )

    @property
    def engine(self) -> Any:
        """The engine: live by default, or what a replay has put in its place."""
        if self._engine is None:
            from streams.engine.loop import Engine

            self._engine = Engine(self)
        return self._engine

    @engine.setter
    def engine(self, engine: Any) -> None:
        self._engine = engine

    async def on_start(self) -> None:
        """Call every time the app starts."""
        self.finalize()

    async def on_stop(self) -> None:
        """Stop; a second signal ends the process without waiting."""
        runtime = self.engine_settings.runtime
        if isinstance(runtime, SystemRuntime):
            runtime.end_on_signal()

    async def _wait_for_table_recovery_completed(self) -> bool:
        return bool(await self.wait_for_stopped(self.ready.wait()))

    def _create_directories(self) -> None:
        """Create no folders: Faust's data folder holds nothing of the engine's."""

    def clock(self, every: float = 1.0) -> ClockInput:
        """Return an agent input of one ClockTick per owned partition every so many seconds."""
        if every not in self.clocks:
            self.clocks[every] = ClockInput(self, every)
        return self.clocks[every]

    def GlobalTable(  # type: ignore[override]  # noqa: N802 - Faust's name
        self, name: str, *, changelog_topic: Any, **_: Any
    ) -> Any:
        """Return a read-only table of a compacted topic, read whole by every worker."""
        if name in self.global_tables:
            raise ConfigError(f"global table {name} is there already")
        self.global_tables[name] = GlobalTable(self, name, changelog_topic)
        return self.global_tables[name]

    def SetTable(self, name: str, **_: Any) -> Any:  # noqa: N802 - Faust's name
        """Refuse: keep a frozenset in a table."""
        raise ConfigError(f"set table {name} is refused: keep a frozenset in a table")

    SetGlobalTable = SetTable

    def source(self, name: str, *, cursor_topic: Any) -> Callable[[Any], Source]:
        """Declare a source: an async generator function of (records, cursor).

        The function gets the last committed cursor, or None. Each yield is one transaction: a list of
        (topic, key, value) or (topic, key, value, options of `Topic.send`), and the new cursor.
        """

        def declare(fun: Any) -> Source:
            self.sources[name] = Source(self, name, fun, cursor_topic)
            return self.sources[name]

        return declare

    def table_route(self, *_: Any, **__: Any) -> Any:
        """Refuse: Faust's router needs its partition assignor."""
        raise ConfigError("table_route is refused: ask the worker that owns the partition")

    def topic(self, *topics: str, pattern: Any = None, **options: Any) -> Any:
        """Declare a topic; patterns are refused, because a unit's topics are fixed."""
        if pattern is not None:
            raise ConfigError("pattern subscriptions are refused: a processor's topics are named")
        return super().topic(*topics, **options)
