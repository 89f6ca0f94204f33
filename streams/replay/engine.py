"""The engine of a replay: the same delivery and tables, and no way out but into memory."""

from __future__ import annotations

from typing import Any, NamedTuple, NoReturn

from streams.engine.batch import Output, PartitionBatch
from streams.engine.clientlog import admin_client
from streams.engine.deadletters import dead_letter, verdict_of
from streams.engine.declare import partition_counts
from streams.engine.decoding import decoders_of
from streams.engine.delivery import Delivery
from streams.engine.effects import discard
from streams.engine.errors import EngineError
from streams.engine.event import Event, Message
from streams.engine.execution import changelog_rows, tick_event
from streams.engine.partitioner import partition_of, whole_key
from streams.engine.sender import output_of
from streams.engine.store.memory import MemoryTable


class Derived(NamedTuple):
    """One output that a replay derived: what was committed for the same cause must equal it."""

    topic: str
    partition: int
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes | None]]
    timestamp_ms: int

    @property
    def cause(self) -> str:
        """What it answers: the last header, which the engine adds."""
        return (self.headers[-1][1] or b"").decode()


class ReplayEngine:
    """Feeds journaled runs to an app's agents; what they send is kept, not sent.

    There is no producer, no group and no effect after a commit here: a replay cannot reach a venue.
    """

    def __init__(self, app: Any) -> None:
        self.app = app
        self.settings = app.engine_settings
        self.name = app.conf.id
        self.delivery = Delivery(list(app.agents.values()))
        self.tables = sorted(app.tables.values(), key=lambda table: table.name)
        self._place = None if self.settings.partition_key is whole_key else self.place
        self.code_version: str | None = None
        """Version of the code that wrote the transaction in hand."""
        self._decoders = decoders_of(app)
        self._counts: dict[str, int] = {}
        self._admin = admin_client(self.settings)
        app.engine = self

    async def begin(self) -> None:
        """Start the agents on empty tables."""
        self.app.finalize()
        await self.delivery.restart()

    def reset(self) -> None:
        """Forget tables and global values: another partition's history begins."""
        for table in self.tables:
            table.store = MemoryTable(table)
        for table in self.app.global_tables.values():
            table.rows.clear()
            table.gone.clear()
            table.version += 1

    async def end(self) -> None:
        """Stop the agents."""
        for agent in self.delivery.agents:
            await agent.end()

    # -- what topics and agents call

    def count_of(self, topic: str) -> int:
        """Return the number of partitions of a topic."""
        if topic not in self._counts:
            found = partition_counts(self._admin, {topic})
            if topic not in found:
                raise EngineError(f"topic {topic} is not there")
            self._counts.update(found)
        return self._counts[topic]

    def send_inside(
        self,
        event: Event,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        partition: int | None,
        headers: list[tuple[str, bytes | None]],
        timestamp_ms: int | None,
    ) -> None:
        """Keep an output: the batch has it."""
        output_of(event, topic, key, value, partition, headers, timestamp_ms, self._place)

    def place(self, topic: str, key: bytes) -> int:
        """Return the partition of a key by the application's rule, as the live engine does."""
        return partition_of(self.settings.partition_key(key), self.count_of(topic))

    def derived(self, output: Output) -> Derived:
        """Return an output with the partition that the client gives it."""
        topic, partition, key, value, headers, stamp = output
        if partition < 0:
            partition = partition_of(key or b"", self.count_of(topic))
        return Derived(topic, partition, key, value, headers, stamp)

    async def send_outside(self, topic: str, *_: Any) -> NoReturn:
        """Refuse: nothing leaves a replay."""
        raise EngineError(
            f"a replay sends nothing, and {topic} was to be sent to outside of an event"
        )

    def agent_failed(self, agent: Any, error: BaseException) -> None:
        """Note a failure of an agent with nothing in hand."""
        self.delivery.failure = (agent, error)

    # -- one transaction

    def mention(self, globals_: list[list[Any]]) -> None:
        """Set global values as the live batch read them."""
        for table, key, value in globals_:
            self.app.global_tables[table].apply(
                bytes.fromhex(key), None if value is None else bytes.fromhex(value)
            )

    async def run(
        self, batch: PartitionBatch, inputs: list[tuple[list[Any], list[Message]]]
    ) -> list[Derived]:
        """Process a journaled transaction: its runs, each with its records.

        Returns:
            What the agents sent, in the order of cause.
        """
        for run, messages in inputs:
            if run[0] == "records":
                batch.take(messages)
                await self.delivery.run([self._event(batch, m) for m in messages])
            elif run[0] == "dead":
                batch.bury(messages[0], run[3])
                verdict = verdict_of(run[3:])
                batch.sent.append(
                    dead_letter(self.name, batch, messages[0], verdict, self.code_version)
                )
            else:
                batch.tick(run[1])
                await self.delivery.run([tick_event(self.app, batch, run[1])])
        discard(batch.after_commit)
        self._settle(batch)
        return [self.derived(output) for output in batch.sent]

    def _event(self, batch: PartitionBatch, message: Message) -> Event:
        return self._decoders[message.topic].event(message, batch)

    def _settle(self, batch: PartitionBatch) -> None:
        for table in self.tables:
            writes = batch.writes.get(table.name)
            if writes:
                topic = table.changelog_topic.get_topic_name()
                batch.changelog.changes(topic, changelog_rows(table, writes))
                table.store.commit(batch.partition, writes)
