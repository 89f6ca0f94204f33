"""How records get into the open transaction: an agent's sends, changelogs, the journal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from confluent_kafka import KafkaException

from streams.engine.errors import AbortBatch, NoCulprit
from streams.engine.event import Event
from streams.engine.failpoints import armed, failpoint
from streams.engine.lifecycle import Lifecycle
from streams.engine.meaning import end_of
from streams.engine.messages import Headers
from streams.engine.partitioner import partition_of, whole_key
from streams.engine.sender import output_of


class Sending(Lifecycle):
    """The way out: one producer, and a transaction that begins with its first record."""

    def __init__(self, app: Any, **options: Any) -> None:
        super().__init__(app, **options)
        # Kafka's own rule is the client's, which computes it quicker.
        self._place = None if self.settings.partition_key is whole_key else self.place
        self._running_ahead = False
        self._send: Callable[..., None] = self.ensure_open

    # -- what topics and agents call

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
        """Add a record to the open transaction."""
        if topic not in self.counts:
            self.count_of(topic)
        output = output_of(event, topic, key, value, partition, headers, timestamp_ms, self._place)
        if not self._running_ahead:  # else its own transaction is not begun yet: the batch has it
            if not self._open:
                self.ensure_open()
            try:
                # What `produce` does, once more: a call less on the path of every record.
                self._send(topic, value, key, output[1], timestamp=output[5], headers=headers)
            except (KafkaException, BufferError):
                self.produce(*output)
        if armed.name:
            failpoint("mid_batch")

    def place(self, topic: str, key: bytes) -> int:
        """Return the partition of a key by the application's rule."""
        return partition_of(self.settings.partition_key(key), self.count_of(topic))

    async def send_outside(self, topic: str, *parts: Any) -> Any:
        """Send a record apart from any transaction."""
        return await self.outside.send(topic, *parts)

    def agent_failed(self, agent: Any, error: BaseException) -> None:
        """Note a failure of an agent that had nothing in hand; the next batch reports it."""
        self.delivery.failure = (agent, error)

    def produce(
        self,
        topic: str,
        partition: int,
        key: bytes | None,
        value: bytes | None,
        headers: Headers | None,
        timestamp_ms: int,
        on_delivery: Callable[..., None] | None = None,
    ) -> None:
        """Enqueue a record, in a transaction that is begun when the first one comes."""
        if not self._open:
            self.ensure_open()
        try:
            if on_delivery is None:
                self._send(
                    topic, value, key, partition, timestamp=timestamp_ms, headers=headers or None
                )
            else:
                self._send(topic, value, key, partition, on_delivery, timestamp=timestamp_ms)
        except KafkaException as error:
            end = end_of(f"produce to {topic}", error)
            if isinstance(end, NoCulprit):
                self.execution.refused = end
            raise end from error
        except BufferError:
            self._make_room()
            self.produce(topic, partition, key, value, headers, timestamp_ms, on_delivery)

    def produce_all(
        self,
        topic: str,
        partition: int,
        rows: list[tuple[bytes, bytes | None]],
        timestamp_ms: int,
        on_delivery: Callable[..., None],
    ) -> None:
        """Enqueue many records of one partition without headers, in one call of the client.

        Args:
            topic: where to.
            partition: the one of all of them.
            rows: key and value; null is a tombstone.
            timestamp_ms: for those that the client takes one by one; a batch of it stamps them with its own clock.
            on_delivery: told of the last one only: a callback a record would cost more than the record.
        """
        if not rows:
            return
        self.ensure_open()
        batch: list[dict[str, Any]] = [{"key": key, "value": value} for key, value in rows]
        batch[-1]["callback"] = on_delivery
        try:
            count = self.client.producer.produce_batch(topic, batch, partition)
        except KafkaException as error:
            raise end_of("produce", error) from error
        except BufferError:
            count = 0
        if count < len(batch):
            for row in batch:
                if count == 0 or "_error" in row:
                    self.produce(
                        topic,
                        partition,
                        row["key"],
                        row["value"],
                        None,
                        timestamp_ms,
                        row.get("callback"),
                    )

    def _make_room(self) -> None:
        """Wait until the client's queue has taken what it holds a little further.

        Raises:
            AbortBatch: it stays full.
        """
        deadline = self._now() + 2.0
        producer = self.client.producer
        before = len(producer)
        while len(producer) >= before:
            producer.poll(0.05)
            if self._now() > deadline:
                raise AbortBatch("the producer's queue stayed full for 2 s")

    def ensure_open(self) -> None:
        """Begin the transaction unless it is."""
        if not self._open:
            self.client.begin()
            self._send = self.client.producer.produce
            self._open = True
            failpoint("after_begin")
