"""A worker's life: connect, check topics, run until told to stop, leave or die with a meaning."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any, NoReturn

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from mode import Service

from streams.engine import declare, recovery
from streams.engine.ahead import Ahead
from streams.engine.buffers import Buffers
from streams.engine.client import Client
from streams.engine.clientlog import admin_client
from streams.engine.delivery import Delivery
from streams.engine.effects import AfterCommit
from streams.engine.errors import (
    ConfigError,
    EngineError,
    Exit,
    FencedError,
    RestartError,
    SlotTakenError,
    UnreachableError,
)
from streams.engine.execution import Execution
from streams.engine.failpoints import failpoint
from streams.engine.journal import PartitionState
from streams.engine.poison import Poison
from streams.engine.sender import OutsideSender
from streams.engine.settings import EngineSettings
from streams.engine.store.choose import state_of
from streams.engine.topicwatch import TopicWatch
from streams.engine.transaction import MOVES, Protocol, State

log = logging.getLogger(__name__)

STOP_SECONDS = 25.0
"""How long a stop may take: a batch, a commit, and the goodbye to the group."""
TOUCH_SECONDS = 60.0
"""How often an idle worker's stores note that they follow their changelogs."""


class Lifecycle(Service):
    """What an engine is made of, and how it starts and ends; `turn` is the engine's."""

    def __init__(self, app: Any, **options: Any) -> None:
        super().__init__(**options)
        self.app = app
        self.settings: EngineSettings = app.engine_settings
        self.name = app.conf.id
        runtime = self.settings.runtime
        self._now = runtime.monotonic
        self.boot = runtime.boot_id()
        self.protocol = Protocol()
        self.watchdog = runtime.watchdog()
        self.client = Client(self.name, self.settings, self.watchdog)
        self.delivery = Delivery(list(app.agents.values()))
        self.buffers = Buffers()
        self.poison = Poison(self.settings.poison_retries, self.settings.poison_backoff)
        self.parts: dict[int, PartitionState] = {}
        self._reached: dict[tuple[str, int], int] = {}
        self.tables = list(app.tables.values())
        self.stores = state_of(self.settings, self.name)
        self._touched = self._now()
        self._watch: TopicWatch | None = None
        self._looked = self._now()
        self._looking: asyncio.Task[None] | None = None
        self.counts: dict[str, int] = {}
        self.outside = OutsideSender(self.settings, self.count_of)
        self.execution = Execution(self)
        self.committed_transactions = 0
        self.aborted_transactions = 0
        self.records_processed = 0
        self._epoch = -1
        self._metadata: Any = None
        self._ahead: Ahead | None = None
        self._thread = runtime.executor("kafka")
        self._restorer = runtime.executor("restore")
        self._looker = runtime.executor("topics")
        self._globals: recovery.GlobalReader | None = None
        self._effects: AfterCommit | None = None
        self._open = False
        self._quiet_since = self._now()
        self._finished = asyncio.Event()
        self._admin: AdminClient | None = None
        self._sources: list[asyncio.Task[None]] = []
        self.topics = sorted(
            {t for agent in app.agents.values() if agent.clock is None for t in agent.input_topics}
        )
        # With several topics a batch first waits for all of them: their order is not begun ahead.
        self._overlaps = self.settings.overlap and len(self.topics) == 1

    def count_of(self, topic: str) -> int:
        """Return the number of partitions of a topic."""
        count = self.counts.get(topic)
        if count is None:
            if self._admin is None:
                self._admin = admin_client(self.settings)
            found = declare.partition_counts(self._admin, {topic})
            if topic not in found:
                raise ConfigError(
                    f"topic {topic} is not there, and an agent sends to it: create it first"
                )
            count = self.counts[topic] = found[topic]
        return count

    async def turn(self) -> None:
        """Do one turn of the loop."""
        raise EngineError("an engine has turns of its own")

    # -- life

    async def on_start(self) -> None:
        """Connect, check topics, load global tables, join the group."""
        self._effects = AfterCommit(self.settings.effects_max)
        self.delivery.agents = sorted(self.app.agents.values(), key=lambda agent: agent.name)
        self.delivery.connect()
        self.execution.prepare()
        self.add_future(self._main())

    async def on_stop(self) -> None:
        """Let the batch in hand end, then leave; what takes longer than 25 s is ended by force."""
        try:
            await asyncio.wait_for(self._finished.wait(), timeout=STOP_SECONDS)
        except TimeoutError as error:
            log.critical(
                "%s did not stop within %g s: %s", self.name, STOP_SECONDS, self.execution.who()
            )
            self._die(error, Exit.TERMINATED)

    def _touch(self) -> None:
        """Keep the time of the stores' last use fresh, so that an idle worker's are not taken for stale."""
        now = self._now()
        if now - self._touched > TOUCH_SECONDS:
            self._touched = now
            self.stores.touch()

    async def _look_before(self, error: BaseException, code: int) -> NoReturn:
        """End the worker; where its topics are no longer what they were, that is the reason to tell."""
        if self._watch is not None:
            try:
                await self._looker.run(self._watch.look)
            except ConfigError as reason:
                self._die(reason, Exit.CONFIG)
            except (EngineError, KafkaException) as other:
                log.info("topics: %s", other)
        self._die(error, code)

    def _look_at_topics(self) -> None:
        """Have a look under way now and then; raise what the last one found."""
        if self._watch is None or self.settings.topic_check_seconds <= 0:
            return
        task = self._looking
        if task is not None and task.done():
            self._looking = None
            if not task.cancelled() and (error := task.exception()) is not None:
                if isinstance(error, ConfigError):
                    raise error
                log.info("topics: %s", error)
        now = self._now()
        if self._looking is None and now - self._looked > self.settings.topic_check_seconds:
            self._looked = now
            self._looking = asyncio.get_running_loop().create_task(
                self._looker.run(self._watch.look)
            )

    async def _kafka(self, fun: Callable[..., Any], *args: Any) -> Any:
        return await self._thread.run(fun, *args)

    async def _main(self) -> None:
        try:
            # Before anything of Kafka: a second process must not fence the one that has the state.
            self.stores.open()
            for table in self.tables:
                table.store = self.stores.table(table)
            await self._connect()
            self.app.ready.set()
            while not self.should_stop:
                await self.turn()
                self._touch()
                self._look_at_topics()
            await self._leave()
        except asyncio.CancelledError:
            raise
        except SlotTakenError as error:
            self._die(error, Exit.FENCED)
        except FencedError as error:
            await self._fenced(error)
        except (RestartError, UnreachableError) as error:
            await self._look_before(error, int(error.exit_code))
        except EngineError as error:
            self._die(error, int(error.exit_code))
        except KafkaException as error:
            # A look-up that nobody answered, such as a log's bounds while the broker is away.
            await self._look_before(error, Exit.RESTART)
        except Exception as error:
            log.exception("the engine failed")
            self._die(error, Exit.FAILED)
        finally:
            self._finished.set()

    def _die(self, error: BaseException, code: int) -> NoReturn:
        log.critical("%s stops: %s (exit %d)", self.name, error, code)
        if code == Exit.FENCED and State.FENCED in MOVES[self.protocol.state]:
            self.protocol.move(State.FENCED)
        self.settings.runtime.exit(code)

    async def _fenced(self, error: BaseException) -> None:
        """Tell a lost slot from a time-out: the consumer knows within seconds whether another holds it.

        Lost partitions prove no other holder: a worker alone that was stopped for longer than its
        session loses them too, and nobody would start it again after a 70.
        """
        if not self.topics:
            self._die(error, Exit.FENCED)
        deadline = self._now() + 5.0
        while self._now() < deadline:
            try:
                await self._kafka(self.client.fetch, 0.2, 1)
            except FencedError as confirmed:
                self._die(confirmed, Exit.FENCED)
            except (EngineError, KafkaException) as other:
                self._die(other, Exit.RESTART)
        self._die(error, Exit.RESTART)

    async def _connect(self) -> None:
        sources = [declare.Wanted(t, self._declared(t)) for t in self.topics]
        own = [
            declare.Wanted(table.changelog_topic.get_topic_name(), None, compact=True, ours=True)
            for table in self.tables
        ]
        if self.topics:
            own.append(declare.Wanted(self.journal_topic, None, ours=True))
            own += [declare.Wanted(f"{t}.dlq", None, ours=True) for t in self.topics]
        globals_ = [
            declare.Wanted(t.topic.get_topic_name(), t.topic.partitions or 1, compact=True)
            for t in self.app.global_tables.values()
        ]
        _, self.counts = await self._kafka(
            declare.ensure, sources, [*own, *globals_], self.settings
        )
        if self.topics:
            watched = [*self.topics, *(t.name for t in own if not t.name.endswith(".dlq"))]
            self._watch = await self._looker.run(TopicWatch, admin_client(self.settings), watched)
        await self._kafka(self.client.open_producer)
        failpoint("after_init")
        self._globals = recovery.GlobalReader(list(self.app.global_tables.values()), self.settings)
        await self._kafka(self._globals.load)
        if self.topics:
            self.protocol.move(State.RESTORING)
            await self._kafka(self.client.subscribe, self.topics)
        else:
            self.protocol.move(State.IDLE)
        for source in self.app.sources.values():
            self._sources.append(asyncio.create_task(self._run_source(source)))

    async def _run_source(self, source: Any) -> None:
        try:
            await source.run()
        except FencedError as error:
            self._die(error, Exit.FENCED)
        except EngineError as error:
            self._die(error, int(error.exit_code))
        except asyncio.CancelledError:
            raise
        except Exception as error:
            log.exception("source %s failed", source.name)
            self._die(error, Exit.FAILED)

    def _declared(self, name: str) -> int | None:
        for agent in self.app.agents.values():
            if agent.clock is None and name in agent.input_topics:
                partitions: int | None = agent.channel.partitions
                return partitions
        return None

    @property
    def journal_topic(self) -> str:
        """Topic of the journal."""
        return f"{self.name}.journal"

    async def _leave(self) -> None:
        self.protocol.move(State.STOPPING)
        if self._ahead is not None:
            self._ahead.drop()
        for task in self._sources:
            task.cancel()
        if self._effects is not None:
            await self._effects.cancel()
        await self._kafka(self.outside.close)
        await self._kafka(self.client.close)
        if self._globals is not None:
            await self._kafka(self._globals.close)
        await self._restorer.run(self.stores.close)
        if self._looking is not None:
            self._looking.cancel()
        for executor in (self._thread, self._restorer, self._looker):
            executor.close()
        self.watchdog.close()
