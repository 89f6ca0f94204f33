"""Records fetched but not handed out yet, and in which order a batch takes them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from streams.engine.event import Message, size_of


class Buffers:
    """Fetched records by partition and topic; offset order within a topic never changes."""

    def __init__(self) -> None:
        self._by_partition: dict[int, dict[str, deque[Message]]] = {}
        self.count = 0
        self.held: set[int] = set()

    @property
    def ready(self) -> int:
        """Records that a batch may take: those of partitions that are not held."""
        if not self.held:
            return self.count
        rows = self._by_partition
        return self.count - sum(len(q) for p in self.held for q in rows.get(p, {}).values())

    def hold(self, partition: int) -> None:
        """Keep a partition's records back until `release`."""
        self.held.add(partition)

    def release(self, partition: int) -> None:
        """Let a partition's records be taken again."""
        self.held.discard(partition)

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
        self.held.clear()
        self.count = 0

    def has(self, topic: str, partition: int) -> bool:
        """Whether records of a topic's partition are waiting."""
        return bool(self._by_partition.get(partition, {}).get(topic))

    def partitions(self) -> list[int]:
        """Return the partitions with records, in order."""
        return sorted(p for p, topics in self._by_partition.items() if any(topics.values()))

    def take(
        self, limit: int, size_limit: int, alone: Callable[[Message], bool] | None
    ) -> dict[int, list[Message]]:
        """Take the next batch: per partition a merge of the topics' heads by time, then topic.

        Args:
            limit: most records.
            size_limit: most bytes of keys and values.
            alone: whether a record is to be in a batch of its own; None where none is.
        """
        batch: dict[int, list[Message]] = {}
        taken = size = 0
        for partition in self.partitions():
            if partition in self.held:
                continue
            queues = [queue for queue in self._by_partition[partition].values() if queue]
            if len(queues) == 1 and alone is None:
                rows = self._take_plainly(queues[0], limit - taken, size_limit - size)
            else:
                rows, single = self._merge(queues, limit - taken, size_limit - size, alone, taken)
                if single:
                    return {partition: rows}
            if rows:
                batch[partition] = rows
                taken += len(rows)
                size += size_of(rows)
                self.count -= len(rows)
            if taken >= limit or size >= size_limit:
                break
        return batch

    @staticmethod
    def _take_plainly(queue: deque[Message], limit: int, size_limit: int) -> list[Message]:
        """Take from one topic: nothing is to be compared."""
        pop = queue.popleft
        rows = [pop() for _ in range(min(limit, len(queue)))]
        if size_of(rows) > size_limit:
            size = 0
            for index, m in enumerate(rows):
                size += m.size
                if size >= size_limit:
                    queue.extendleft(reversed(rows[index + 1 :]))
                    return rows[: index + 1]
        return rows

    def _merge(
        self,
        queues: list[deque[Message]],
        limit: int,
        size_limit: int,
        alone: Callable[[Message], bool] | None,
        taken: int,
    ) -> tuple[list[Message], bool]:
        """Take from several topics, the oldest head first; true when the one row is to be alone."""
        rows: list[Message] = []
        size = 0
        while len(rows) < limit and size < size_limit and queues:
            queue = min(queues, key=_age_of_head) if len(queues) > 1 else queues[0]
            if alone is not None and alone(queue[0]):
                if taken or rows:
                    break
                self.count -= 1
                return [queue.popleft()], True
            rows.append(queue.popleft())
            size += rows[-1].size
            if not queue:
                queues.remove(queue)
        return rows, False


def _age_of_head(queue: deque[Message]) -> tuple[int, str]:
    head = queue[0]
    return head.timestamp_ms, head.topic
