"""The orders of a run, and what must come of each, computed apart from every system."""

from __future__ import annotations

import random
from array import array
from collections.abc import Iterator

from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition

from tests.bench.avro_hold import BALANCE, DECISION, LOT, OPENING, ORDER, Datum, decode, encode

ACCOUNTS = 10_000
PRICE = 11_548_000_000_000


def producer(bootstrap: str, linger_ms: float = 20) -> Producer:
    """Return a producer that places keys as every system here does."""
    return Producer(
        {
            "bootstrap.servers": bootstrap,
            "enable.idempotence": True,  # else a retry changes the order, and what must come of it
            "partitioner": "murmur2_random",
            "linger.ms": linger_ms,
            "queue.buffering.max.messages": 500_000,
            "log_level": 0,
        }
    )


def produce(out: Producer, topic: str, value: bytes, key: str) -> None:
    """Hand one record to the client, waiting while its queue is full."""
    while True:
        try:
            out.produce(topic, value, key)
        except BufferError:
            out.poll(0.1)
        else:
            return


def order(number: int, account: str, quantity: int) -> Datum:
    """Return one order; its id is its number."""
    return {
        "order_id": f"{number:032x}",
        "account": account,
        "symbol": "BTC/USDT",
        "side": "BUY",
        "quantity": quantity,
        "price": PRICE,
        "time": number,
    }


class Orders:
    """Seeded orders on `accounts` accounts: a tenth with a wrong lot, and accounts that run dry."""

    def __init__(self, seed: int, count: int, accounts: int = ACCOUNTS) -> None:
        self.count = count
        self.accounts = accounts
        self._seed = seed
        self.reserved = array("q")
        self.available = array("q")

    def __iter__(self) -> Iterator[Datum]:
        chance = random.Random(self._seed)
        for number in range(self.count):
            lots = chance.randrange(1, 100)
            quantity = lots * LOT if chance.random() < 0.9 else lots * LOT - 1
            yield order(number, f"account-{chance.randrange(self.accounts)}", quantity)

    def feed(self, bootstrap: str, topic: str) -> None:
        """Write them all, and note what each decision must say."""
        out = producer(bootstrap)
        left: dict[str, int] = {}
        for one in self:
            account, quantity = one["account"], one["quantity"]
            cost = quantity * one["price"] // 10**8
            free = left.get(account, OPENING)
            held = cost if quantity % LOT == 0 and cost <= free else 0
            left[account] = free - held
            self.reserved.append(held)
            self.available.append(free - held)
            produce(out, topic, encode(ORDER, one), account)
        if out.flush(60):
            raise SystemExit("the broker did not take the orders within 60 s")

    def judge(self, bootstrap: str, topic: str, partitions: int) -> dict[str, int]:
        """Read the committed decisions and count: distinct ones, duplicates, wrong ones."""
        seen = bytearray(self.count)
        duplicates = wrong = 0
        for data in values(bootstrap, topic, partitions):
            decision = decode(DECISION, data)
            number = int(decision["order_id"], 16)
            duplicates += seen[number]
            seen[number] = 1
            wrong += (decision["reserved"], decision["available"]) != (
                self.reserved[number],
                self.available[number],
            )
        return {"distinct": sum(seen), "duplicates": duplicates, "wrong": wrong}


def fill(bootstrap: str, changelog: str, keys: int) -> None:
    """Write so many untouched accounts into a changelog, for a system to restore."""
    out = producer(bootstrap)
    balance = encode(BALANCE, {"total": OPENING, "reserved": 0, "n": 0})
    for number in range(keys):
        produce(out, changelog, balance, f"account-{number}")
    if out.flush(60):
        raise SystemExit("the broker did not take the changelog within 60 s")


def values(bootstrap: str, topic: str, partitions: int) -> Iterator[bytes]:
    """Yield the values of a topic's committed records up to its end."""
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "bench-judge",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "enable.partition.eof": True,
            "log_level": 0,
        }
    )
    try:
        consumer.assign([TopicPartition(topic, number, 0) for number in range(partitions)])
        ended: set[int] = set()
        while len(ended) < partitions:
            for message in consumer.consume(5_000, 0.2):
                error = message.error()
                if error is None:
                    yield message.value() or b""
                elif error.code() == KafkaError._PARTITION_EOF:
                    ended.add(message.partition() or 0)
                elif not error.retriable():
                    raise SystemExit(f"{topic} cannot be read: {error.str()}")
    finally:
        consumer.close()
