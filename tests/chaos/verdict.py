"""Anomalies by Jepsen's names: what is in the topics against what must be there. Pure.

Audit answers have one key per partition ("audit"), so keys are told apart by partition too.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from tests.chaos.model import Expected, Fact, Place
from tests.integration.oracle import Row

NAMES = (
    "G1a",  # a record, or a value, that no committed input explains
    "lost-write",  # an input was processed, and a record that it must give is not there
    "duplicate",  # one record twice
    "poll-skip",  # the group has passed an input that nobody has processed
    "nonmonotonic",  # records of a key in another order; a reader's view that changes; a clock that goes back
    "torn",  # parts of one transaction disagree: outputs, changelog, journal, dead letters
    "inconsistent-offset",  # a committed offset that is not where the processing stands
    "unsettled",  # a transaction stays open, or inputs stay unprocessed, past the time-out
)

Series = dict[tuple[str, int, bytes], list[tuple[str, bytes, Place]]]
Identity = Callable[[Row], str]


@dataclass
class Verdict:
    """Counts of anomalies, each with its first example."""

    counts: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)

    def add(self, name: str, example: str, count: int = 1) -> None:
        """Note anomalies of one kind."""
        if count:
            self.counts[name] += count
            self.examples.setdefault(name, example[:400])

    @property
    def total(self) -> int:
        """Number of anomalies."""
        return sum(self.counts.values())

    def as_json(self) -> dict[str, Any]:
        """Return each kind's count and first example."""
        return {
            name: {"count": self.counts[name], "example": self.examples.get(name)} for name in NAMES
        }


def by_cause(row: Row) -> str:
    """Name a record by the input and effect that it says it comes from."""
    return (dict(row.headers).get("cause") or b"no cause").decode(errors="replace")


def by_id(row: Row) -> str:
    """Name a record by the id in its value: for engines that write no cause."""
    return str(json.loads(row.value or b"{}").get("id"))


def compare(
    facts: list[Fact],
    rows: list[Row],
    kind_of_loss: Callable[[Place], str],
    verdict: Verdict,
    identity: Identity = by_cause,
) -> None:
    """Compare records with facts, key by key: value, order, multiplicity.

    Args:
        facts: what must be there, in order.
        rows: what is there, in the order of offsets.
        kind_of_loss: what it is called that nothing came of an input.
        verdict: takes the anomalies.
        identity: what names a record.
    """
    wanted: Series = defaultdict(list)
    for fact in facts:
        name = fact.cause
        if identity is by_id:
            name = str(json.loads(fact.value)["id"])
        wanted[fact.topic, fact.partition, fact.key].append((name, fact.value, fact.source))
    found: dict[tuple[str, int, bytes], list[tuple[str, Row]]] = defaultdict(list)
    for row in rows:
        found[row.topic, row.partition, row.key or b""].append((identity(row), row))
    for place in sorted({*wanted, *found}):
        _compare_key(wanted.get(place, []), found.get(place, []), kind_of_loss, verdict)


def _compare_key(
    wanted: list[tuple[str, bytes, Place]],
    found: list[tuple[str, Row]],
    kind_of_loss: Callable[[Place], str],
    verdict: Verdict,
) -> None:
    values = {name: value for name, value, _ in wanted}
    seen = Counter(name for name, _ in found)
    for name, row in found:
        where = f"{row.topic}[{row.partition}]@{row.offset}"
        if name not in values:
            verdict.add("G1a", f"{where}: no input explains {name} {row.value!r}")
        elif row.value != values[name]:
            verdict.add("G1a", f"{where}: {row.value!r} where {values[name]!r} is right")
    for name, count in seen.items():
        if name in values and count > 1:
            verdict.add("duplicate", f"{name} stands there {count} times", count - 1)
    for name, value, source in wanted:
        if name not in seen:
            verdict.add(kind_of_loss(source), f"{source}: {value!r} is nowhere")
    # The first time each known record comes, against the order of the inputs.
    order = list(dict.fromkeys(name for name, _ in found if name in values))
    right = [name for name, _, _ in wanted if name in seen]
    for at, (name, other) in enumerate(zip(order, right, strict=True)):
        if name != other:
            verdict.add("nonmonotonic", f"{name} comes where {other} should, as number {at}")
            break


def compare_tables(
    expected: Expected, folded: dict[str, dict[int, dict[bytes, bytes]]], verdict: Verdict
) -> None:
    """Compare changelogs, folded from their start, with the reference's tables."""
    for topic, partitions in expected.tables.items():
        for partition in sorted({*partitions, *folded.get(topic, {})}):
            right = partitions.get(partition, {})
            there = folded.get(topic, {}).get(partition, {})
            for key in sorted({*right, *there}):
                if right.get(key) != there.get(key):
                    verdict.add(
                        "torn",
                        f"{topic}[{partition}] {key!r}: {there.get(key)!r} where {right.get(key)!r} is right",
                    )


def conserve(rows: Iterable[Row], balances: dict[bytes, int], verdict: Verdict) -> None:
    """Check that what each account's decisions hold and release adds up to its row.

    Args:
        rows: decisions.
        balances: the changelog's rows, folded, of all partitions.
        verdict: takes the anomalies.
    """
    sums: Counter[bytes] = Counter()
    for row in rows:
        fact = json.loads(row.value or b"{}")
        if "held" in fact:
            sums[str(fact["account"]).encode()] += int(fact["held"])
    for account in sorted({*sums, *balances}):
        if sums[account] != balances.get(account, 0):
            verdict.add(
                "torn",
                f"{account!r}: decisions hold {sums[account]}, the table {balances.get(account, 0)}",
            )


def prefix(
    live: dict[tuple[str, int], list[tuple[int, str]]],
    final: dict[tuple[str, int], list[tuple[int, str]]],
    verdict: Verdict,
) -> None:
    """Check that what a concurrent reader saw is the beginning of the final view.

    Args:
        live: (offset, digest) of each record in the order of reading, by topic and partition.
        final: the same of a reader that came when all was over.
        verdict: takes the anomalies.
    """
    for place, seen in live.items():
        whole = final.get(place, [])
        known = set(whole)
        for at, record in enumerate(seen):
            if record not in known:
                verdict.add("G1a", f"{place}@{record[0]} was read, and is not there any more")
            elif whole[at : at + 1] != [record]:
                verdict.add("nonmonotonic", f"{place}@{record[0]} was read as number {at}")
                break
