"""The journal: what a transaction processed, in which order, with which clock and globals, chained."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any, Protocol

from streams.engine.batch import PartitionBatch

GENESIS = "0" * 64
"""Head before the first record of a partition."""


class JournalCodec(Protocol):
    """How journal records are written; applications may pass one of their own."""

    def encode(self, record: dict[str, Any]) -> bytes:
        """Return the record's bytes."""
        ...

    def decode(self, data: bytes) -> dict[str, Any]:
        """Return the record of bytes."""
        ...


class JsonCodec:
    """Journal records as canonical JSON: sorted keys, no blanks."""

    def encode(self, record: dict[str, Any]) -> bytes:
        """Return the record's bytes."""
        return json.dumps(record, sort_keys=True, separators=(",", ":")).encode()

    def decode(self, data: bytes) -> dict[str, Any]:
        """Return the record of bytes.

        Raises:
            ValueError: the bytes are no JSON object.
        """
        record = json.loads(data)
        if not isinstance(record, dict):
            raise ValueError("a journal record is a JSON object")
        return record


def head_of(previous: str, record: dict[str, Any]) -> str:
    """Return SHA-256 over the previous head and the record without its own, as hex."""
    body = {name: value for name, value in record.items() if name != "head"}
    return hashlib.sha256(previous.encode() + JsonCodec().encode(body)).hexdigest()


@dataclass(slots=True)
class PartitionState:
    """What the engine knows of a partition between transactions."""

    partition: int
    sequence: int = 0
    head: str = GENESIS
    last_now: int = 0
    counts: str = ""
    introduced: bool = False
    positions: dict[str, int] = field(default_factory=dict)
    committed: dict[str, int] = field(default_factory=dict)
    known: dict[tuple[str, bytes], int] = field(default_factory=dict)
    known_scans: dict[str, int] = field(default_factory=dict)

    def mark(self, boot: str) -> str:
        """Return the offset metadata that tells a new owner where the chain stands."""
        counts = f":{self.counts}" if self.counts else ""
        return f"{boot}:{self.sequence}:{self.head}:{self.last_now}{counts}"

    def resume(self, marks: list[str]) -> None:
        """Take the newest of the marks committed with the partition's source topics."""
        best = (-1, GENESIS, 0, "")
        for mark in marks:
            parts = mark.split(":")
            if len(parts) in (4, 5) and parts[1].isdigit() and parts[3].isdigit():
                best = max(best, (int(parts[1]), parts[2], int(parts[3]), "".join(parts[4:])))
        if best[0] < 0:
            best = (0, GENESIS, 0, "")
        self.sequence, self.head, self.last_now, self.counts = best
        self.introduced = False
        self.known, self.known_scans = {}, {}


def journal_record(
    batch: PartitionBatch, state: PartitionState, boot: str, config: dict[str, Any] | None
) -> dict[str, Any]:
    """Return the journal record of one partition's share of a transaction, with its head."""
    record: dict[str, Any] = {
        "boot": boot,
        "partition": batch.partition,
        "sequence": batch.sequence,
        "now": batch.now_micros,
        "runs": batch.runs,
        "globals": [
            [table, key.hex(), None if value is None else value.hex()]
            for table, key, value in batch.mentions
        ],
        "inputs": batch.inputs.hexdigest(),
        "input_count": len(batch.taken),
        "outputs": batch.outputs.hexdigest(),
        "output_count": len(batch.sent),
        "changelog": batch.changelog.hexdigest(),
        "change_count": batch.changelog.count,
    }
    if config is not None:
        record["config"] = config
    record["head"] = head_of(state.head, record)
    return record
