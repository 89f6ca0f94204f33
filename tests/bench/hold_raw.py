"""The hold workload as a bare transactional loop on confluent-kafka: what no framework can beat by much.

Batches as large as the engine's, and the same place of offsets before the commit; but no restore, no
rebalance, no journal, no recovery of any error.
"""

from __future__ import annotations

import sys
from typing import Any

from confluent_kafka import Consumer, Producer, TopicPartition

from tests.bench.avro_hold import BOOTSTRAP, DECISIONS, GROUP, ORDERS, step

BATCH = 5_000


def main() -> int:
    consumer = Consumer(
        {
            "bootstrap.servers": BOOTSTRAP,
            "group.id": GROUP,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
        }
    )
    producer = Producer(
        {
            "bootstrap.servers": BOOTSTRAP,
            "transactional.id": GROUP,
            "partitioner": "murmur2",
            "linger.ms": 5,
            "queue.buffering.max.messages": 1_000_000,
        }
    )
    producer.init_transactions()
    consumer.subscribe([ORDERS])
    changelog = f"{GROUP}-balances-changelog"
    balances: dict[bytes, bytes] = {}
    while True:
        first = consumer.poll(0.5)
        if first is None:
            continue
        producer.begin_transaction()
        positions: dict[tuple[str, int], int] = {}
        messages: list[Any] = [first, *consumer.consume(BATCH - 1, 0)]
        for message in messages:
            if message.error():
                raise SystemExit(message.error().str())
            key, partition = message.key(), message.partition()
            _, decision, held = step(message.value(), balances.get(key))
            if held is not None:
                balances[key] = held
                producer.produce(changelog, held, key, partition)
            producer.produce(DECISIONS, decision, key)
            positions[message.topic(), partition] = message.offset() + 1
        producer.flush()
        producer.send_offsets_to_transaction(
            [TopicPartition(topic, number, at) for (topic, number), at in positions.items()],
            consumer.consumer_group_metadata(),
        )
        producer.commit_transaction()


if __name__ == "__main__":
    sys.exit(main())
