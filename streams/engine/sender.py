"""Where sends go: into the open transaction, or through an idempotent producer of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from confluent_kafka import KafkaException, Producer

from streams.engine.batch import Output
from streams.engine.clientlog import client_logger
from streams.engine.errors import UnreachableError
from streams.engine.event import Event
from streams.engine.messages import client_headers
from streams.engine.partitioner import partition_of
from streams.engine.settings import PINNED_PRODUCER, EngineSettings


def output_of(
    event: Event,
    topic: str,
    key: bytes | None,
    value: bytes | None,
    partition: int | None,
    headers: list[tuple[str, bytes | None]],
    timestamp_ms: int | None,
    place: Callable[[str, bytes], int] | None,
) -> Output:
    """Return an event's output with its cause: processor, source position, index of the effect.

    Args:
        event: what the agent has in hand; counts its effects.
        topic: where to.
        key: its bytes.
        value: its bytes; None is a tombstone.
        partition: None is that of the key.
        headers: taken over: the cause is added to this list.
        timestamp_ms: None is the batch's `now`.
        place: gives the partition of a key; None leaves it to the client, by Kafka's own rule: -1.
    """
    batch = event.batch
    message = event.message
    effect = event.effects
    event.effects = effect + 1
    if partition is None:
        if key is None:
            raise ValueError(f"{topic}: a record needs a key or a partition")
        partition = -1 if place is None else place(topic, key)
    prefix = batch.prefixes.get(message.topic) or batch.prefix(message.topic)
    headers.append(("cause", f"{prefix}{message.offset}|{effect}".encode()))
    stamp = batch.now_millis if timestamp_ms is None else timestamp_ms
    output = (topic, partition, key, value, headers, stamp)
    batch.sent.append(output)
    return output


class OutsideSender:
    """Sends without an event: start-up, web, answers after a commit. Never in a transaction."""

    def __init__(self, settings: EngineSettings, count: Callable[[str], int]) -> None:
        self._settings = settings
        self._count = count
        self._producer: Producer | None = None
        self._making = threading.Lock()
        self._closed = threading.Event()
        self._thread = ThreadPoolExecutor(8, thread_name_prefix="outside")

    async def send(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        partition: int | None,
        headers: list[tuple[str, bytes | None]],
        timestamp_ms: int | None,
    ) -> Any:
        """Send one record and return when the broker has it."""
        return await asyncio.get_running_loop().run_in_executor(
            self._thread, self._send, topic, key, value, partition, headers, timestamp_ms
        )

    def _send(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        partition: int | None,
        headers: list[tuple[str, bytes | None]],
        timestamp_ms: int | None,
    ) -> Any:
        producer = self._get()
        if partition is None:
            if key is None:
                raise ValueError(f"{topic}: a record needs a key or a partition")
            partition = partition_of(self._settings.partition_key(key), self._count(topic))
        done: list[Any] = []
        told = threading.Event()

        def delivered(error: Any, message: Any) -> None:
            done.append((error, message))
            told.set()

        stamp = timestamp_ms or self._settings.clock.now_micros() // 1000
        producer.produce(
            topic,
            value,
            key,
            partition,
            timestamp=stamp,
            headers=client_headers(headers),
            on_delivery=delivered,
        )
        if not told.wait(35.0):
            raise UnreachableError(f"{topic}: the broker did not take a record within 35 s")
        error, message = done[0]
        if error is not None:
            raise KafkaException(error)
        return message

    def _get(self) -> Producer:
        with self._making:
            if self._producer is None:
                config = {
                    k: v for k, v in PINNED_PRODUCER.items() if not k.startswith("transaction")
                }
                # Each send is waited for, so nothing is gained by lingering.
                config |= {"message.timeout.ms": 30_000, "linger.ms": 0}
                self._producer = Producer(
                    {**self._settings.common(), **config}, logger=client_logger("outside")
                )
                # One thread takes the broker's words, so that each sender hears its own at once.
                threading.Thread(
                    target=self._listen, args=(self._producer,), name="outside", daemon=True
                ).start()
            return self._producer

    def _listen(self, producer: Producer) -> None:
        while not self._closed.is_set():
            producer.poll(0.1)

    def close(self) -> None:
        """Wait for what is under way."""
        self._thread.shutdown(wait=True)
        self._closed.set()
