"""What must be true, checked at every commit that the coordinator decides, and once more at the end.

It knows the logs, not the engine: for each source partition in a transaction, the inputs between the
old and the new committed offset, in the order of the journal record, must lead to exactly the
decisions, dead letters and changelog records of that transaction; nothing else may be in it.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from tests.simulation.partition import Entry, Partition
from tests.simulation.workload import NAME, Reference, poison

if TYPE_CHECKING:
    from tests.simulation.transactions import Transaction
    from tests.simulation.world import World

Row = tuple[str, bytes | None, bytes | None]
"""Topic, key and value of one record."""


class Anomaly(AssertionError):
    """History is not what it must be."""


def need(truth: bool, name: str, *facts: object) -> None:
    """Raise an anomaly of this name unless it is true."""
    if not truth:
        raise Anomaly(": ".join([name, *map(str, facts)]))


class Unit:
    """One source partition: what was committed of it so far."""

    def __init__(self, world: World, number: int) -> None:
        self._world = world
        self.number = number
        self.reference = Reference()
        self.offsets: dict[str, int] = {}
        self.sequence = 0
        self.head = "0" * 64
        self.rows: list[Row] = []
        self._read: dict[str, int] = {}

    def commit(
        self, offsets: dict[str, tuple[int, str]], found: list[Entry], topics: list[str]
    ) -> None:
        """Check one transaction's share: offsets by topic, and its records with their topics."""
        for topic, (offset, _) in offsets.items():
            need(offset >= self.offsets.get(topic, 0), "nonmonotonic offset", topic, offset)
        actual: dict[str, list[Entry]] = {}
        for entry, topic in zip(found, topics, strict=True):
            actual.setdefault(topic, []).append(entry)
        journal = actual.pop(f"{NAME}.journal", [])
        need(len(journal) == bool(actual or journal), "torn: records without a journal record")
        expected: list[Row] = []
        if journal:
            need(len(journal) == 1, "torn: two journal records in one transaction")
            expected = self._follow(_payload(journal[0]).value or b"", offsets)
        for topic, (offset, _) in offsets.items():
            need(
                offset >= self._read.get(topic, 0), "inconsistent offset: behind the journal", topic
            )
            missed = self._inputs(topic, offset)
            need(not missed, "poll-skip: committed past inputs", topic, [e.offset for e in missed])
            self.offsets[topic] = offset
        self._compare(expected, actual)

    def _compare(self, expected: list[Row], actual: dict[str, list[Entry]]) -> None:
        wanted: dict[str, list[Row]] = {}
        for row in expected:
            wanted.setdefault(row[0], []).append(row)
        for topic in sorted(wanted.keys() | actual.keys()):
            rows = [(topic, p.key, p.value) for p in map(_payload, actual.get(topic, []))]
            need(rows == wanted.get(topic, []), "wrong records", topic, rows, wanted.get(topic))
        self.rows += expected

    def _inputs(self, topic: str, upto: int) -> list[Entry]:
        log = self._log(topic)
        found, _ = log.read(self._read.get(topic, 0), 1_000_000, min(upto, log.stable))
        self._read[topic] = max(upto, self._read.get(topic, 0))
        return found

    def _log(self, topic: str) -> Partition:
        return self._world.broker.topics[topic][self.number]

    def _follow(self, data: bytes, offsets: dict[str, tuple[int, str]]) -> list[Row]:
        """Go through a journal record and return what must be in its transaction."""
        record = json.loads(data)
        self._chain(record, offsets)
        expected: list[Row] = []
        changed: dict[str, int | None] = {}
        for run in record["runs"]:
            if run[0] == "clock":
                decisions, rows = self.reference.tick()
                expected += [("decision", k.encode(), v) for k, v in decisions]
                changed.update(rows)
                continue
            topic, first, last = run[1], run[2], run[3] if run[0] == "records" else run[2]
            inputs = self._inputs(topic, last + 1)
            need(bool(inputs), "journal names no input", run)
            need(inputs[0].offset == first, "poll-skip in the journal", run, inputs[0].offset)
            for entry in inputs:
                payload = _payload(entry)
                value = payload.value or b""
                if run[0] == "dead":
                    wrong = poison(topic, value)
                    need(wrong is not None and run[3].startswith(wrong), "sound, yet dead", run)
                    expected.append((f"{topic}.dlq", payload.key, value))
                    self._world.count(f"dead letter {wrong}")
                    continue
                need(poison(topic, value) is None, "poison was processed", run)
                decisions, rows = self.reference.step(topic, value)
                expected += [("decision", k.encode(), v) for k, v in decisions]
                changed.update(rows)
        for account, held in changed.items():
            value = None if held is None else str(held).encode()
            expected.append((f"{NAME}-balances-changelog", account.encode(), value))
        return expected

    def _chain(self, record: dict[str, Any], offsets: dict[str, tuple[int, str]]) -> None:
        need(record["sequence"] == self.sequence + 1, "journal: gap", record["sequence"])
        body = {name: value for name, value in record.items() if name != "head"}
        text = json.dumps(body, sort_keys=True, separators=(",", ":"))
        head = hashlib.sha256((self.head + text).encode()).hexdigest()
        need(record["head"] == head, "journal: the chain is broken", record["sequence"])
        need(record["partition"] == self.number, "journal: another partition", record)
        self.sequence, self.head = record["sequence"], head
        mark = f"{record['boot']}:{self.sequence}:{head}:{record['now']}"
        for _, metadata in offsets.values():
            told = metadata == mark or metadata.startswith(f"{mark}:")
            need(told, "the offsets' mark is not the journal's", metadata, mark)


class Oracle:
    """All source partitions of the run."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.units = [Unit(world, number) for number in range(world.options.partitions)]
        self.commits = 0
        self._seen: dict[tuple[str, int], tuple[list[int], int]] = {}
        world.broker.coordinator.on_commit.append(self.committed)

    def committed(self, txn: Transaction) -> None:
        """Check a transaction at the moment its commit is decided."""
        try:
            self._committed(txn)
        except (Anomaly, ValueError, KeyError, TypeError) as error:
            self._world.anomaly(f"{type(error).__name__} {error} in a transaction of {txn.name}")

    def _committed(self, txn: Transaction) -> None:
        broker = self._world.broker
        self.commits += 1
        offsets: dict[int, dict[str, tuple[int, str]]] = {}
        for (topic, number), mark in broker.group(NAME).pending.get(txn.pid, {}).items():
            offsets.setdefault(number, {})[topic] = mark
        records: dict[int, tuple[list[Entry], list[str]]] = {}
        for topic, number in txn.places:
            for entry in broker.partition((topic, number)).undecided(txn.pid):
                entries, topics = records.setdefault(number, ([], []))
                entries.append(entry)
                topics.append(topic)
        need(records.keys() <= offsets.keys(), "committed without offsets", sorted(records))
        for number in sorted(offsets):
            entries, topics = records.get(number, ([], []))
            self.units[number].commit(offsets[number], entries, topics)

    def watch(self) -> None:
        """Read on, as a concurrent reader does."""
        for logs in self._world.broker.topics.values():
            for log in logs:
                seen, upto = self._seen.get(log.place, ([], 0))
                more, after = log.read(upto, 10**9)
                seen += [entry.offset for entry in more]
                self._seen[log.place] = (seen, after)

    def settled(self) -> bool:
        """Whether every input is committed and nothing is open."""
        group = self._world.broker.group(NAME)
        topics = self._world.broker.topics
        if group.pending or any(log.open for logs in topics.values() for log in logs):
            return False
        return all(
            group.offsets.get(log.place, (0, ""))[0] >= log.end
            for topic in self._world.inputs
            for log in topics[topic]
        )

    def open_business(self) -> str:
        """Return in words what is not settled."""
        group = self._world.broker.group(NAME)
        facts = [f"pending offsets of {sorted(group.pending)}"] if group.pending else []
        for logs in self._world.broker.topics.values():
            facts += [
                f"{log.place} is stable to {log.stable} of {log.end}" for log in logs if log.open
            ]
        for topic in self._world.inputs:
            for log in self._world.broker.topics[topic]:
                at = group.offsets.get(log.place, (0, ""))[0]
                facts += [f"{log.place} is committed to {at} of {log.end}"] * (at < log.end)
        return ", ".join(facts)

    def final(self) -> None:
        """Read everything again, as committed, and compare it with what was to be there."""
        self.watch()
        for logs in self._world.broker.topics.values():
            for log in logs:
                offsets = [entry.offset for entry in log.read(0, 10**9)[0]]
                need(offsets == self._seen[log.place][0], "a reader saw another history", log.place)
        for unit in self.units:
            for topic in sorted({row[0] for row in unit.rows} | {"decision"}):
                log = self._world.broker.topics[topic][unit.number]
                found = [(topic, _payload(e).key, _payload(e).value) for e in log.read(0, 10**9)[0]]
                wanted = [row for row in unit.rows if row[0] == topic]
                need(found == wanted, "the topic is not the sum of its commits", log.place)
            rows: dict[str, int] = {}
            for entry in self._world.broker.topics[f"{NAME}-balances-changelog"][unit.number].read(
                0, 10**9
            )[0]:
                payload = _payload(entry)
                account = (payload.key or b"").decode()
                if payload.value is None:
                    rows.pop(account, None)
                else:
                    rows[account] = int(payload.value)
            need(rows == unit.reference.rows, "changelog and reference differ", unit.number)


def _payload(entry: Entry) -> Any:
    return entry.payload
