"""A warehouse, on the engine: parcels come in and are picked, and no item is ever promised twice.

There is no trading in it. Movements come from `warehouse.movement`, confirmations go to `warehouse.confirmation`, table
`stock` keeps what lies there, and every ten seconds items that run low are reported to `warehouse.shortage`.

    fillonce up                                              # and the `export` line that it prints
    python -m examples.warehouse feed 1000                   # a thousand movements
    fillonce run --app examples.warehouse:app --until-idle
    fillonce replay verify --app examples.warehouse:app      # derive every confirmation again, and compare
"""

from __future__ import annotations

import json
import os
import sys
from random import Random

from streams.engine import App

BROKER = os.environ.get("FILLONCE_KAFKA__BOOTSTRAP", "127.0.0.1:9092")
PREFIX = os.environ.get("WAREHOUSE_PREFIX", "")
LOW = 5

app = App(
    f"{PREFIX}warehouse",
    broker=BROKER,
    instance_id=os.environ.get("WAREHOUSE_INSTANCE", "0"),
    store=os.environ.get("WAREHOUSE_STORE", "memory://"),
)


def topic(name: str):  # type: ignore[no-untyped-def]  # noqa: ANN201 - Faust's own topic type
    """Return a topic of text keys and JSON values."""
    return app.topic(
        f"{PREFIX}warehouse.{name}",
        key_type=str,
        key_serializer="raw",
        value_serializer="json",
        partitions=4,
    )


movements, confirmations, shortages = topic("movement"), topic("confirmation"), topic("shortage")
stock = app.Table("stock", key_type=str, value_type=int, partitions=4)


@app.agent(movements, name="warehouse")
async def move(stream):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201 - Faust hands in its own stream type
    """Key item: stock and confirmation commit together with the movement's offset."""
    async for event in stream.events():
        item, count = event.key, event.value["count"]
        there = stock.get(item, 0)
        granted = count if count > 0 else -min(-count, there)
        stock[item] = there + granted
        await confirmations.send(key=item, value={"id": event.value["id"], "granted": granted})


@app.agent(app.clock(every=float(os.environ.get("WAREHOUSE_CLOCK", "10"))), name="shortages")  # type: ignore[arg-type] # Faust knows topics only
async def report(stream):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201 - Faust hands in its own stream type
    """The clock is an input on record: a replay reports the same items at the same times."""
    async for event in stream.events():
        for item, count in stock.items():
            if count < LOW:
                await shortages.send(key=item, value={"left": count, "at": event.now.isoformat()})


def feed(count: int, seed: int = 1) -> None:
    """Create the topics where they are missing, and write movements of a hundred items: three of four are picks."""
    from confluent_kafka import KafkaError, KafkaException, Producer
    from confluent_kafka.admin import AdminClient, NewTopic

    admin = AdminClient({"bootstrap.servers": BROKER})
    names = [f"{PREFIX}warehouse.{name}" for name in ("movement", "confirmation", "shortage")]
    for made in admin.create_topics([NewTopic(name, 4, 1) for name in names]).values():
        try:
            made.result(30)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise SystemExit(f"Kafka at {BROKER}: {error.args[0].str()}") from error
    producer = Producer({"bootstrap.servers": BROKER, "partitioner": "murmur2"})
    chance = Random(seed)  # noqa: S311 - a feed that can be repeated
    for number in range(count):
        size = chance.randrange(1, 9)
        value = {"id": f"m-{number}", "count": size * 2 if chance.random() < 0.25 else -size}
        producer.produce(names[0], json.dumps(value), f"item-{chance.randrange(100)}")
    if producer.flush(30):
        raise SystemExit("Kafka did not take every movement within 30 s")


if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[1] != "feed" or not sys.argv[2].isdigit():
        raise SystemExit("usage: python -m examples.warehouse feed COUNT")
    feed(int(sys.argv[2]))
