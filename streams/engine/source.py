"""Sources: records from outside and the cursor that says how far, in one transaction."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer, TopicPartition

from streams.engine.clientlog import WireFaults, admin_client, client_logger
from streams.engine.errors import AbortBatch, EngineError, FencedError, OutcomeUnknown, RestartError
from streams.engine.event import Message
from streams.engine.failpoints import failpoint
from streams.engine.meaning import FENCED, end_of
from streams.engine.partitioner import partition_of
from streams.engine.reader import log_ends, plain_consumer, read_until
from streams.engine.settings import COMMIT_SECONDS, PINNED_PRODUCER

log = logging.getLogger(__name__)

SourceFunction = Callable[[Any], AsyncIterator[tuple[list[Any], Any]]]


class Source:
    """One source of an app: a producer of its own, so that a second holder fences the first."""

    def __init__(self, app: Any, name: str, fun: SourceFunction, cursor_topic: Any) -> None:
        self.app = app
        self.name = name
        self.fun = fun
        self.cursor_topic = cursor_topic
        self.transactions = 0
        self.finished = asyncio.Event()
        self._producer: Producer = None  # type: ignore[assignment]
        runtime = app.engine_settings.runtime
        self._now = runtime.monotonic
        self._thread = runtime.executor(f"source-{name}")
        self._counts: dict[str, int] = {}

    async def _call(self, fun: Callable[..., Any], *args: Any) -> Any:
        return await self._thread.run(fun, *args)

    def _open(self) -> None:
        """Open a producer: whatever the last one left is settled, and nothing of it can land any more."""
        self._faults = WireFaults()
        settings = self.app.engine_settings
        self._producer = settings.runtime.producer(
            {
                **settings.common(),
                **PINNED_PRODUCER,
                "transactional.id": f"{self.app.conf.id}-{self.name}",
            },
            client_logger(f"source {self.name}", self._faults),
        )
        deadline = self._now() + 30.0
        while True:
            try:
                self._producer.init_transactions(10.0)
            except KafkaException as error:
                if not error.args[0].retriable() or self._now() > deadline:
                    raise RestartError(f"source {self.name}: {error.args[0].str()}") from error
            else:
                self._faults_at_open = self._faults.count
                return

    @property
    def _tainted(self) -> bool:
        """Whether the wire failed since the producer was opened; its log lines come while it is polled."""
        self._producer.poll(0)
        return self._faults.count != self._faults_at_open

    def _read_cursor(self) -> Any:
        """Return the newest committed cursor; the fence is up before this reads."""
        settings = self.app.engine_settings
        admin = admin_client(settings)
        topic = self.cursor_topic.get_topic_name()
        count = self._partitions(topic)
        partition = partition_of(self.name.encode(), count)
        found: list[Message] = []

        def take(message: Message) -> None:
            if message.key == self.name.encode():
                found[:] = [message]

        consumer = plain_consumer(settings, "cursor")
        try:
            tp = (topic, partition)
            low, _ = consumer.get_watermark_offsets(TopicPartition(*tp), timeout=10.0)
            ends = log_ends(admin, [tp], runtime=settings.runtime)
            read_until(consumer, {tp: low}, ends, take, 60.0, settings.runtime)
        finally:
            consumer.close()
        if not found or found[0].value is None:
            return None
        return self.cursor_topic.schema.loads_value(self.app, found[0])

    def _partitions(self, topic: str) -> int:
        if topic not in self._counts:
            admin = admin_client(self.app.engine_settings)
            deadline = self._now() + self.app.engine_settings.topic_wait_seconds
            while True:
                found = admin.list_topics(topic, timeout=10.0).topics.get(topic)
                if found is not None and found.error is None and found.partitions:
                    self._counts[topic] = len(found.partitions)
                    break
                if self._now() > deadline:
                    raise EngineError(f"source {self.name}: topic {topic} is not there")
                self.app.engine_settings.runtime.sleep(0.2)
        return self._counts[topic]

    def _send(self, records: list[Any], cursor: Any) -> None:
        """Commit one yield: all of its records and the cursor, or none."""
        now = self.app.engine_settings.clock.now_micros() // 1000
        try:
            if self._tainted:
                # A delayed commit of the last yield would commit half of this one: the same rule as the engine's.
                self._open()
            deadline = self._now() + COMMIT_SECONDS
            self._producer.begin_transaction()
            for topic, key, value, *rest in [*records, (self.cursor_topic, self.name, cursor)]:
                options = rest[0] if rest else {}
                self._produce(topic, key, value, now, **options)
            if self._producer.flush(max(deadline - self._now(), 0.1)):
                raise AbortBatch("records were not delivered in time")
            failpoint("source_flushed")
            while True:
                try:
                    self._producer.commit_transaction(max(deadline - self._now(), 0.1))
                except KafkaException as error:
                    if not error.args[0].retriable() or self._now() > deadline:
                        raise
                else:
                    break
        except SystemError as error:
            raise end_of(f"source {self.name}", error) from error
        except KafkaException as error:
            cause = error.args[0]
            if cause.code() in FENCED and cause.code() != KafkaError._FATAL:  # noqa: SLF001
                raise FencedError(
                    f"source {self.name} is run by another worker: {cause.str()}"
                ) from error
            if cause.fatal():
                raise RestartError(f"source {self.name}: {cause.str()}") from error
            raise OutcomeUnknown(f"source {self.name}: {cause.str()}") from error
        failpoint("source_committed")
        self.transactions += 1

    def _produce(
        self,
        topic: Any,
        key: Any,
        value: Any,
        now: int,
        headers: Any = None,
        timestamp_ms: int | None = None,
        partition: int | None = None,
    ) -> None:
        data_key, data_value, pairs = topic.encode(key, value, headers)
        name = topic.get_topic_name()
        if partition is None:
            if data_key is None:
                raise ValueError(f"{name}: a record needs a key or a partition")
            partition = partition_of(
                self.app.engine_settings.partition_key(data_key), self._partitions(name)
            )
        while True:
            try:
                self._producer.produce(
                    name,
                    data_value,
                    data_key,
                    partition,
                    timestamp=timestamp_ms or now,
                    headers=pairs or None,
                )
            except BufferError:
                self._producer.poll(0.1)
            else:
                return

    async def run(self) -> None:
        """Run until the generator ends: its fence first, then the cursor, then records.

        Raises:
            FencedError: another worker runs this source.
        """
        delay = 0.2
        while True:
            try:
                await self._call(self._open)
                cursor = await self._call(self._read_cursor)
                async for records, position in self.fun(cursor):
                    await self._call(self._send, records, position)
                    delay = 0.2
            except (AbortBatch, OutcomeUnknown) as error:
                # A new producer settles the old transaction; the cursor then tells where to go on.
                log.warning("%s; going on from the committed cursor", error)
                await asyncio.sleep(delay)
                delay = min(delay * 2, 5.0)
            else:
                self.finished.set()
                return
