"""Records fetched but not handed out yet, and in which order a batch takes them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from streams.engine.event import Message


class Buffers:
    """Fetched records by partition and topic; offset order within a topic never changes."""

    def __init__(self) -> None:
        self._by_partition: dict[int, dict[str, deque[Message]]] = {}
        self.count = 0

    def add(self, messages: list[Message]) -> None:
        """Append fetched records."""
        for m in messages:
            topics = self._by_partition.setdefault(m.partition, {})
            queue = topics.get(m.topic)
            if queue is None:
                queue = topics[m.topic] = deque()
            queue.append(m)
        self.count += len(messages)

    def put_back(self, messages: list[Message]) -> None:
        """Return records that were taken and not handed out: to the front, in their order."""
        for m in reversed(messages):
            self._by_partition[m.partition][m.topic].appendleft(m)
        self.count += len(messages)

    def clear(self) -> None:
        """Forget all: the positions are set anew."""
        self._by_partition.clear()
        self.count = 0

    def has(self, topic: str, partition: int) -> bool:
        """Whether records of a topic's partition are waiting."""
        return bool(self._by_partition.get(partition, {}).get(topic))

    def partitions(self) -> list[int]:
        """Return the partitions with records, in order."""
        return sorted(p for p, topics in self._by_partition.items() if any(topics.values()))

    def take(
        self, limit: int, size_limit: int, alone: Callable[[Message], bool]
    ) -> dict[int, list[Message]]:
        """Take the next batch: per partition a merge of the topics' heads by time, then topic.

        Args:
            limit: most records.
            size_limit: most bytes of keys and values.
            alone: whether a record is to be in a batch of its own.
        """
        batch: dict[int, list[Message]] = {}
        taken = size = 0
        for partition in self.partitions():
            queues = self._by_partition[partition]
            rows = batch.setdefault(partition, [])
            while taken < limit and size < size_limit:
                heads = [q for q in queues.values() if q]
                if not heads:
                    break
                queue = (
                    min(heads, key=lambda q: (q[0].timestamp_ms, q[0].topic))
                    if len(heads) > 1
                    else heads[0]
                )
                if alone(queue[0]):
                    if taken:
                        break
                    rows.append(queue.popleft())
                    self.count -= 1
                    return batch
                rows.append(queue.popleft())
                taken += 1
                size += rows[-1].size
                self.count -= 1
            if not rows:
                del batch[partition]
        return batch
