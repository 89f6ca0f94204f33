"""The hold workload on an engine that lacks one feature: only to measure what the feature costs.

`BENCH_WITHOUT` is `journal` (no journal, no digests) or `cause` (no cause header). What this removes, the
engine does not offer to remove: a run without it can be neither replayed nor audited.
"""

from __future__ import annotations

import os
from typing import Any

from streams.engine import loop, sender, topic
from streams.engine.batch import Output, PartitionBatch
from streams.engine.partitioner import partition_of
from tests.bench.hold_fillonce import app

__all__ = ["app"]


def take(self: Any, message: Any, kind: str, reason: str = "") -> None:
    self.input_count += 1


def sent(self: Any, output: Any) -> None:
    self.output_count += 1


def changed(self: Any, topic: str, key: bytes, value: bytes | None) -> None:
    self.change_count += 1


def without_journal() -> None:
    """Leave out the runs, the three digests and the journal's records."""
    for method in (take, sent, changed):
        if method.__name__ not in vars(PartitionBatch):
            raise SystemExit(f"the engine's batch has no {method.__name__} to leave out")
        setattr(PartitionBatch, method.__name__, method)
    produce = loop.Engine.produce

    def produce_all_but_the_journal(self: Any, output: Any, *rest: Any, **named: Any) -> Any:
        if output.topic != self.journal_topic:
            return produce(self, output, *rest, **named)
        return None

    setattr(loop.Engine, "produce", produce_all_but_the_journal)  # noqa: B010 - a method is no variable to mypy


def output_without_cause(
    event: Any,
    topic: str,
    key: bytes | None,
    value: bytes | None,
    partition: int | None,
    headers: list[tuple[str, bytes | None]],
    timestamp_ms: int | None,
    count: Any,
    settings: Any,
) -> Output:
    batch = event.batch
    event.effects += 1
    if partition is None:
        partition = partition_of(settings.partition_key(key), count(topic))
    stamp = batch.now_micros // 1000 if timestamp_ms is None else timestamp_ms
    return Output(topic, partition, key, value, headers, stamp, "")


def without_cause() -> None:
    """Leave the cause out of the outputs' headers."""
    users = [
        module for module in (loop, topic) if getattr(module, "output_of", None) is sender.output_of
    ]
    if not users:
        raise SystemExit(
            "the engine makes its outputs in another place: there is nothing to leave out"
        )
    for module in users:
        setattr(module, "output_of", output_without_cause)  # noqa: B010 - it is there, which mypy cannot know


match os.environ.get("BENCH_WITHOUT", ""):
    case "journal":
        without_journal()
    case "cause":
        without_cause()
    case "":
        pass
    case other:
        raise SystemExit(f"BENCH_WITHOUT is journal or cause, not {other!r}")
