"""The hold workload on an engine that lacks one feature: only to measure what the feature costs.

`BENCH_WITHOUT` is `journal` (no journal, no digests), `cause` (no cause header) or `overlap` (no batch begun while
the last one commits). For the first two the engine has no switch: a run without them can be neither replayed nor audited.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from typing import Any

from streams.engine import batch, execution, sending
from streams.engine.event import Event
from streams.engine.journal import GENESIS
from tests.bench.hold_fillonce import app

__all__ = ["app"]

Headers = list[tuple[str, bytes | None]]


def replace(owner: Any, name: str, by: Any) -> None:
    """Put something in the place of a part of the engine, which must be there."""
    if not hasattr(owner, name):
        raise SystemExit(f"{owner.__name__} has no {name} any more: nothing would be left out")
    setattr(owner, name, by)


class NoDigest:
    """Takes everything in, and makes nothing of it."""

    count = 0

    def inputs(self, messages: Any) -> None:
        """Ignore messages."""

    outputs = inputs

    def changes(self, topic: str, rows: Any) -> None:
        """Ignore changelog records."""

    def hexdigest(self) -> str:
        """Return nothing."""
        return ""


class Forgetful(list[Any]):
    """A list that keeps nothing: outputs are kept for their digest alone."""

    def append(self, _: Any) -> None:
        """Forget it."""


def take(self: Any, messages: Sequence[Any]) -> None:
    """Note that there was something, and no runs."""
    self.taken = messages


def without_journal() -> None:
    """Leave out runs, digests and the journal's records."""
    begin, produce = batch.PartitionBatch.__init__, sending.Sending.produce

    def begin_forgetful(self: Any, *given: Any, **named: Any) -> None:
        begin(self, *given, **named)
        self.sent = Forgetful()

    def produce_no_journal(self: Any, topic: str, *rest: Any, **named: Any) -> None:
        if topic != self.journal_topic:
            produce(self, topic, *rest, **named)

    replace(batch, "Digest", NoDigest)
    replace(batch.PartitionBatch, "__init__", begin_forgetful)
    replace(batch.PartitionBatch, "take", take)
    replace(execution, "journal_record", lambda *_: {"head": GENESIS})
    replace(sending.Sending, "produce", produce_no_journal)


def output_without_cause(
    event: Event,
    topic: str,
    key: bytes | None,
    value: bytes | None,
    partition: int | None,
    headers: Headers,
    timestamp_ms: int | None,
    place: Any,
) -> Any:
    """Do what the engine's `output_of` does but for the header."""
    event.effects += 1
    if partition is None:
        partition = -1 if place is None else place(topic, key)
    stamp = event.batch.now_millis if timestamp_ms is None else timestamp_ms
    output = (topic, partition, key, value, headers, stamp)
    event.batch.sent.append(output)
    return output


match os.environ.get("BENCH_WITHOUT", ""):
    case "journal":
        without_journal()
    case "cause":
        replace(sending, "output_of", output_without_cause)
    case "overlap":
        app.engine_settings = dataclasses.replace(app.engine_settings, overlap=False)
    case "":
        pass
    case other:
        raise SystemExit(f"BENCH_WITHOUT is journal, cause or overlap, not {other!r}")
