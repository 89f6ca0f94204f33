"""The reference: what must come of the inputs, by a pure fold that shares nothing with the app.

The same rules as `tests/chaos/app.py`, said once more: an order of a multiple of seven is refused, so is
one that would lift the balance over the limit; a closing removes the row; what cannot be read is dead.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from tests.integration.oracle import Row

LIMIT = 100_000
Place = tuple[str, int, int]
"""Topic, partition, offset."""


@dataclass(frozen=True, slots=True)
class Fact:
    """One record that must be there, once."""

    topic: str
    partition: int
    key: bytes
    value: bytes
    cause: str
    source: Place


@dataclass
class Expected:
    """Everything that must come of the inputs."""

    outputs: list[Fact] = field(default_factory=list)
    dead: list[Fact] = field(default_factory=list)
    tables: dict[str, dict[int, dict[bytes, bytes]]] = field(default_factory=dict)
    inputs: dict[tuple[str, int], int] = field(default_factory=dict)
    held: dict[bytes, int] = field(default_factory=dict)
    """Sum of what the decisions hold and release, by account."""


class Model:
    """The fold over one run's inputs.

    Args:
        plan: names of the run's topics and of its group, as the runner wrote them down.
    """

    def __init__(self, plan: dict[str, Any]) -> None:
        self.group: str = plan["group"]
        self.order: str = plan["order"]
        self.transfer: str = plan["transfer"]
        self.decision: str = plan["decision"]
        self.receipt: str = plan["receipt"]
        self.tables: dict[str, str] = plan["tables"]
        self.frame: int = plan.get("frame", 0)
        self.expected = Expected(tables={topic: {} for topic in self.tables.values()})

    def fold(self, rows: Iterable[Row]) -> Expected:
        """Return what must come of the inputs, given in the order of their offsets."""
        for row in rows:
            place = (row.topic, row.partition)
            self.expected.inputs[place] = row.offset + 1
            if row.topic == self.transfer:
                self._transfer(row)
            else:
                self._order(row)
        return self.expected

    def _table(self, name: str, partition: int) -> dict[bytes, bytes]:
        return self.expected.tables[self.tables[name]].setdefault(partition, {})

    def _say(self, into: list[Fact], topic: str, row: Row, value: bytes) -> None:
        cause = f"{self.group}|{row.topic}|{row.partition}|{row.offset}|0"
        source = (row.topic, row.partition, row.offset)
        into.append(Fact(topic, row.partition, row.key or b"", value, cause, source))

    def _transfer(self, row: Row) -> None:
        transfer = json.loads(row.value or b"")
        table, key = self._table("deposits", row.partition), row.key or b""
        total = int(table.get(key, b"0")) + int(transfer["amount"])
        table[key] = b"%d" % total
        answer = {"id": transfer["id"], "total": total}
        self._say(self.expected.outputs, self.receipt, row, _json(answer))

    def _order(self, row: Row) -> None:
        try:
            order = json.loads((row.value or b"")[self.frame :])
        except ValueError:
            order = {"kind": "rude"}
        if order["kind"] == "rude":
            self._say(self.expected.dead, f"{row.topic}.dlq", row, row.value or b"")
            return
        table = self._table("balances", row.partition)
        if order["kind"] == "audit":
            answer = {"id": order["id"], "kind": "audit", **digest_of(table)}
        else:
            answer = self._decide(order, table)
        self._say(self.expected.outputs, self.decision, row, _json(answer))

    def _decide(self, order: dict[str, Any], table: dict[bytes, bytes]) -> dict[str, Any]:
        key = order["account"].encode()
        before = int(table.get(key, b"0"))
        after, reason = before + order["amount"], ""
        if order["kind"] == "close":
            after = 0
            table.pop(key, None)
        elif order["amount"] % 7 == 0 or after > LIMIT:
            reason = "limit" if order["amount"] % 7 else "lot"
            after = before
        else:
            table[key] = b"%d" % after
        self.expected.held[key] = self.expected.held.get(key, 0) + after - before
        facts = {name: order[name] for name in ("id", "kind", "account")}
        return {**facts, "reason": reason, "held": after - before, "balance": after}


def digest_of(table: dict[bytes, bytes]) -> dict[str, Any]:
    """Return number and digest of rows, in the order of key bytes."""
    digest = hashlib.sha256()
    for key in sorted(table):
        digest.update(key + b"=" + table[key] + b";")
    return {"rows": len(table), "digest": digest.hexdigest()}


def by_key(facts: Iterable[Fact]) -> dict[tuple[str, bytes], list[Fact]]:
    """Return facts by topic and key, in their order."""
    found: dict[tuple[str, bytes], list[Fact]] = defaultdict(list)
    for fact in facts:
        found[fact.topic, fact.key].append(fact)
    return found


def _json(record: dict[str, Any]) -> bytes:
    return json.dumps(record, sort_keys=True).encode()
