"""What the rounds feed: seeded orders and transfers, closings, audits and poison, as bytes."""

from __future__ import annotations

import json
import random
from typing import NamedTuple

ACCOUNTS = 200
PERIOD = 800
UNDECODABLE = b"\xff\xfe no json"


class Input(NamedTuple):
    """One record to be fed; without a partition its key places it."""

    kind: str
    key: str
    value: bytes
    partition: int | None = None


class Workload:
    """An endless seeded sequence of inputs.

    Two of eight hundred are poison, one that cannot be decoded and one that its agent refuses: far below
    the rate in a partition that stops a worker, and enough for an abort in each thousand.
    """

    def __init__(self, seed: int, *, poison: bool = True, transfers: bool = True) -> None:
        self._chance = random.Random(seed)
        self._poison = poison
        self._transfers = transfers
        self.number = 0

    def take(self, count: int) -> list[Input]:
        """Return the next inputs."""
        return [self._next() for _ in range(count)]

    def audits(self, partitions: int) -> list[Input]:
        """Return one order for each partition that asks for the digest of its table."""
        found = []
        for partition in range(partitions):
            self.number += 1
            order = {"id": f"o-{self.number:07d}", "kind": "audit", "account": "audit", "amount": 0}
            found.append(Input("order", "audit", _bytes(order), partition))
        return found

    def _next(self) -> Input:
        self.number += 1
        number, chance = self.number, self._chance
        account = f"A-{chance.randrange(ACCOUNTS):03d}"
        amount = chance.randrange(1, 10_000)
        if self._poison and number % PERIOD == PERIOD // 2:
            return Input("order", account, UNDECODABLE + str(number).encode())
        if self._transfers and number % 10 == 3:
            transfer = {"id": f"t-{number:07d}", "account": account, "amount": amount}
            return Input("transfer", account, _bytes(transfer))
        kind = "hold"
        if self._poison and number % PERIOD == PERIOD - 1:
            kind = "rude"
        elif number % 13 == 5:
            kind = "close"
        order = {"id": f"o-{number:07d}", "kind": kind, "account": account, "amount": amount}
        return Input("order", account, _bytes(order))


def framed(schema_id: int, value: bytes) -> bytes:
    """Return a value in the Confluent frame: 0, the schema's id, the body."""
    return b"\x00" + schema_id.to_bytes(4, "big") + value


def _bytes(record: dict[str, object]) -> bytes:
    return json.dumps(record, sort_keys=True).encode()
