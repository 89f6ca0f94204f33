"""What an agent is wired with: topics, tables and codecs of one processor, by their names."""

from __future__ import annotations

from typing import Any

from processors.errors import ConfigError
from processors.records.base import Record
from schemas.codec import Codecs
from streams import tables, topics
from streams.engine import App
from streams.serde import GlobalSchema, RecordSchema
from streams.settings import Settings
from streams.topics import Kind, Topic


class Kit:
    """One processor while it is wired.

    Args:
        app: its app.
        processor: its name.
        settings: the process's settings.
        codecs: the process's codecs.
        replay: whether history is replayed: then there are no ports to the outside, by type.
    """

    def __init__(
        self, app: App, processor: str, settings: Settings, codecs: Codecs, *, replay: bool
    ) -> None:
        self.app = app
        self.processor = processor
        self.settings = settings
        self.codecs = codecs
        self.replay = replay
        self._outputs = {
            topic.name: self._topic(topic, RecordSchema(codecs, topic.record))
            for topic in topics.OUTPUTS[processor]
            if topic.record is not None
        }

    def count(self, kind: Kind) -> int:
        """Return the partitions of the topics of a kind.

        Args:
            kind: which count they share.
        """
        parts = self.settings.partitions
        counts = {Kind.ACCOUNT: parts.account, Kind.INSTRUMENT: parts.instrument, Kind.OTHER: 1}
        return counts[kind]

    def inputs(self) -> Any:
        """Return one channel over everything that the processor reads."""
        read = topics.INPUTS[self.processor]
        models = {topic.name: topic.record for topic in read if topic.record is not None}
        schema = RecordSchema(self.codecs, models)
        names = [topic.name for topic in read]
        return self.app.topic(*names, schema=schema, partitions=self.count(read[0].kind))

    def clock(self, every: float) -> Any:
        """Return the engine's clock as an input.

        Args:
            every: seconds between ticks.
        """
        return self.app.clock(every=every)

    def table(self, name: str) -> Any:
        """Return a table of the processor.

        Args:
            name: as `streams.tables` has it.
        """
        count = self.count(topics.kind_of(self.processor))
        return tables.table(self.app, self.codecs, self.processor, name, count)

    def global_table(self, name: str, topic: Topic) -> Any:
        """Return a compacted topic as a table that every worker reads whole.

        Args:
            name: the table's; it stands in the journal.
            topic: of the catalogue.
        Raises:
            ConfigError: the processor is not said to read it.
        """
        if topic not in topics.GLOBALS[self.processor] or topic.record is None:
            raise ConfigError("a global table is not the processor's", table=topic.name)
        schema = GlobalSchema(self.codecs, topic.record)
        return self.app.GlobalTable(name, changelog_topic=self._topic(topic, schema))

    def output(self, topic: Topic) -> Any:
        """Return the channel of a topic that the processor sends to.

        Args:
            topic: of the catalogue.
        Raises:
            ConfigError: the processor is not said to send to it.
        """
        try:
            return self._outputs[topic.name]
        except KeyError:
            raise ConfigError(
                "a topic is not one of the processor's outputs",
                topic=topic.name,
                processor=self.processor,
            ) from None

    def raw(self, name: str, kind: Kind) -> Any:
        """Return a channel for bytes that are no record of ours, such as dead letters.

        Args:
            name: the topic.
            kind: its count of partitions.
        """
        return self.app.topic(
            name, schema=RecordSchema(self.codecs, {}), partitions=self.count(kind)
        )

    async def send(self, record: Record) -> None:
        """Send a record to its topic, under its key.

        Args:
            record: of a topic that is an output of the processor.
        """
        topic = topics.topic_of(record)
        await self.output(topic).send(key=topic.key_of(record), value=record)

    def _topic(self, topic: Topic, schema: RecordSchema) -> Any:
        return self.app.topic(topic.name, schema=schema, partitions=self.count(topic.kind))
