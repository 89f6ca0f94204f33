"""The next batch, begun while the last one commits: nothing of it leaves the process before that is done."""

from __future__ import annotations

from dataclasses import dataclass, field

from streams.engine.batch import PartitionBatch
from streams.engine.effects import discard
from streams.engine.errors import AbortBatch
from streams.engine.event import Message


@dataclass(slots=True)
class Ahead:
    """What agents have made of records that wait for their own transaction.

    They read through the writes of the transaction that is being committed. If that one is aborted,
    all of this is dropped with it.
    """

    batches: dict[int, PartitionBatch] = field(default_factory=dict)
    handed: list[Message] = field(default_factory=list)
    error: AbortBatch | None = None
    """Why the batch is to be aborted as soon as it is its turn."""

    def settle(self) -> None:
        """The transaction before has committed: its writes are in the stores."""
        for batch in self.batches.values():
            batch.below = None

    def drop(self) -> None:
        """Forget it: its records are read again."""
        for batch in self.batches.values():
            discard(batch.after_commit)
