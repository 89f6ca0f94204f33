"""An admin client: topics, and the ends of logs by isolation level."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Callable
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from confluent_kafka import (
    IsolationLevel,
    KafkaError,
    KafkaException,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import ConfigResource

from tests.simulation.errors import Cut, timed_out
from tests.simulation.loop import on_loop, within
from tests.simulation.network import Connection

if TYPE_CHECKING:
    from tests.simulation.process import Process
    from tests.simulation.world import World


class _Answer:
    """A future that is done."""

    def __init__(self, value: Any) -> None:
        self._value = value

    def result(self, timeout: float | None = None) -> Any:
        """Return the answer, or raise it."""
        if isinstance(self._value, Exception):
            raise self._value
        return self._value


def _description(name: str, count: int | None) -> Any:
    if count is None:
        return KafkaException(KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART))
    number = zlib.crc32(name.encode())
    key = SimpleNamespace(
        get_most_significant_bits=lambda: 1, get_least_significant_bits=lambda: number
    )
    return SimpleNamespace(topic_id=key, partitions=list(range(count)))


class SimAdmin:
    """The calls of confluent_kafka's AdminClient that the engine makes."""

    def __init__(self, world: World, process: Process) -> None:
        self._world = world
        self._process = process
        self._connection = Connection(world, process, f"{process.name}/admin", lambda _: None)

    def _ask(self, name: str, handle: Callable[[], Any], timeout: float) -> Any:
        async def ask() -> Any:
            while True:
                try:
                    return await self._connection.request(name, handle, limbo=False)
                except Cut:
                    await asyncio.sleep(0.1)

        if on_loop():
            # The event loop of all workers is one: a look-up made on it cannot take time here.
            return handle()
        self._process.effect(name)
        task = self._process.spawn(ask())
        if not self._process.blocking(within(task, timeout)):
            task.cancel()
            raise timed_out(name)
        self._process.effect(f"{name} done")
        return task.result()

    def list_topics(self, topic: str | None = None, timeout: float = 10.0) -> Any:
        """Return topics with their partitions."""

        def handle() -> Any:
            return SimpleNamespace(
                topics={
                    name: SimpleNamespace(
                        error=None, partitions={log.number: SimpleNamespace() for log in logs}
                    )
                    for name, logs in self._world.broker.topics.items()
                    if topic in (None, name)
                }
            )

        return self._ask("Metadata", handle, timeout)

    def describe_topics(
        self, topics: TopicCollection, request_timeout: float = 15.0
    ) -> dict[str, Any]:
        """Return id and partitions of topics."""

        def handle() -> dict[str, int | None]:
            known = self._world.broker.topics
            return {n: len(known[n]) if n in known else None for n in topics.topic_names}

        found = self._ask("DescribeTopics", handle, request_timeout)
        return {name: _Answer(_description(name, count)) for name, count in found.items()}

    def describe_configs(
        self, resources: list[ConfigResource], request_timeout: float = 15.0
    ) -> dict[ConfigResource, Any]:
        """Return the settings that the engine asks for."""
        self._ask("DescribeConfigs", lambda: None, request_timeout)
        settings = {
            "cleanup.policy": SimpleNamespace(value="delete"),
            "delete.retention.ms": SimpleNamespace(value="86400000"),
        }
        return {resource: _Answer(settings) for resource in resources}

    def create_topics(self, topics: list[Any], operation_timeout: float = 20.0) -> dict[str, Any]:
        """Create topics."""

        def handle() -> None:
            for topic in topics:
                self._world.broker.create(topic.topic, topic.num_partitions)

        self._ask("CreateTopics", handle, operation_timeout)
        return {topic.topic: _Answer(None) for topic in topics}

    def list_offsets(
        self,
        asked: dict[TopicPartition, Any],
        isolation_level: IsolationLevel = IsolationLevel.READ_UNCOMMITTED,
        request_timeout: float = 15.0,
    ) -> dict[TopicPartition, Any]:
        """Return the end of each log, or its last stable offset."""
        committed = isolation_level == IsolationLevel.READ_COMMITTED

        def handle() -> dict[TopicPartition, int]:
            found = {}
            for tp in asked:
                log = self._world.broker.partition((tp.topic, tp.partition))
                found[tp] = log.stable if committed else log.end
            return found

        ends = self._ask("ListOffsets", handle, request_timeout)
        answers = {}
        for tp, offset in ends.items():
            answers[TopicPartition(tp.topic, tp.partition)] = _Answer(
                SimpleNamespace(offset=offset)
            )
        return answers
