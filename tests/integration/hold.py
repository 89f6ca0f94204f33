"""The hold workload: its orders, and what must come of them, computed without the engine."""

from __future__ import annotations

import json
import random
import threading
from collections import defaultdict
from typing import Any

from tests.integration.oracle import Oracle

ACCOUNTS, RATE = 1_000, 2_000


class Hold:
    """Topics of one run of the workload, its orders, and what must come of them."""

    def __init__(self, oracle: Oracle, prefix: str, seed: int, count: int) -> None:
        self.oracle = oracle
        self.group = f"{prefix}hold"
        self.input = oracle.create(f"{prefix}order", 4)
        self.output = oracle.create(f"{prefix}decision", 4)
        self.changelog = f"{self.group}-balances-changelog"
        self.journal = f"{self.group}.journal"
        chance = random.Random(seed)
        self.orders: list[dict[str, Any]] = [
            {
                "order_id": f"o-{number:06d}",
                "account": f"A-{chance.randrange(ACCOUNTS):04d}",
                "quantity": chance.randrange(1, 5_000) * (1_000 if chance.random() < 0.9 else 999),
                "price": chance.randrange(10**8, 10**13),
            }
            for number in range(count)
        ]
        self.written = 0
        self.rate: float = RATE
        self.allowed = count + 1

    @property
    def environment(self) -> dict[str, str]:
        """What the app is told."""
        return {
            "HOLD_APP": self.group,
            "HOLD_ORDERS": self.input,
            "HOLD_DECISIONS": self.output,
            "FILLONCE_KAFKA__BOOTSTRAP": self.oracle.bootstrap,
        }

    @property
    def topics(self) -> list[str]:
        """Every topic of it."""
        return [self.input, self.output, self.changelog, self.journal, f"{self.input}.dlq"]

    def feed(self, *, rate: float | None = 0) -> None:
        """Write the orders at the rate, no further than allowed: each kill is to find some."""
        producer, pause = self.oracle.producer(), threading.Event()
        for order in self.orders:
            while True:
                try:
                    producer.produce(self.input, json.dumps(order), order["account"])
                    break
                except BufferError:
                    producer.poll(0.1)
            self.written += 1
            if self.written % 20 == 0:
                producer.poll(0)
                if rate is not None:
                    pause.wait(20 / (rate or self.rate))
                while self.written >= self.allowed:
                    pause.wait(0.01)
        assert producer.flush(30) == 0

    def settled(self) -> bool:
        """Whether all is processed and nothing is open."""
        return self.oracle.settled(self.group, [self.input], self.topics[1:])

    def expected(self) -> tuple[dict[str, list[tuple[str, bool, str, int]]], dict[str, int]]:
        """By account: the decisions in order, and what is held in the end."""
        decisions: dict[str, list[tuple[str, bool, str, int]]] = defaultdict(list)
        held: dict[str, int] = defaultdict(int)
        for order in self.orders:
            account, quantity = order["account"], order["quantity"]
            cost = quantity * order["price"] // 100_000_000
            reason = ""
            if quantity % 1_000:
                reason = "lot_size"
            elif held[account] + cost > 10**15:
                reason = "insufficient_available_balance"
            else:
                held[account] += cost
            fact = (order["order_id"], not reason, reason, 0 if reason else cost)
            decisions[account].append(fact)
        return dict(decisions), {k: v for k, v in held.items() if v}

    def check(self) -> None:
        """Compare what is in the topics with what must be there, record by record."""
        decisions, balances = self.expected()
        found: dict[str, list[tuple[str, bool, str, int]]] = defaultdict(list)
        sums: dict[str, int] = defaultdict(int)
        causes = set()
        rows = self.oracle.read(self.output)
        for row in rows:
            fact = json.loads(row.value or b"")
            assert row.key == fact["account"].encode()
            found[fact["account"]].append(
                (fact["order_id"], fact["accepted"], fact["reason"], fact["held"])
            )
            sums[fact["account"]] += fact["held"]
            causes.add(dict(row.headers)["cause"])
        assert len(rows) == len(self.orders)
        assert dict(found) == decisions
        assert len(causes) == len(rows)
        folded = self.oracle.fold(self.changelog)
        table = {k.decode(): int(v) for rows in folded.values() for k, v in rows.items()}
        assert table == balances == {k: v for k, v in sums.items() if v}
        assert self.oracle.read(f"{self.input}.dlq") == []
        self.check_journal()

    def check_journal(self) -> None:
        """Every order stands in the journal once, in offset order, the sequence without gap."""
        following: dict[int, int] = defaultdict(int)
        sequence: dict[int, int] = defaultdict(int)
        for row in self.oracle.read(self.journal):
            record = json.loads(row.value or b"")
            sequence[row.partition] += 1
            assert record["sequence"] == sequence[row.partition]
            for kind, topic, first, last in record["runs"]:
                assert (kind, topic) == ("records", self.input)
                assert first == following[row.partition]
                following[row.partition] = last + 1
        ends = self.oracle.ends([self.input], stable=True)
        assert {p: n for (_, p), n in ends.items()} == dict(following)
