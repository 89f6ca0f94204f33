"""Partitions that wait for a neighbour, such as a registry that does not answer: none of it is skipped."""

from __future__ import annotations

import logging
from collections.abc import Callable

log = logging.getLogger(__name__)

FIRST_SECONDS = 0.5
MOST_SECONDS = 5.0


class Holds:
    """When each waiting partition is tried again: later each time, up to a bound.

    Args:
        monotonic: seconds of a clock that never goes back.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._now = monotonic
        self._until: dict[int, float] = {}
        self._delays: dict[int, float] = {}

    def hold(self, partition: int, why: str) -> None:
        """Let a partition wait.

        Args:
            partition: nothing of it is handed out until it is due.
            why: what it waits for, in words.
        """
        delay = min(self._delays.get(partition, FIRST_SECONDS / 2) * 2, MOST_SECONDS)
        self._delays[partition] = delay
        self._until[partition] = self._now() + delay
        log.warning(
            "partition %d waits and is tried again in %g s, nothing of it is skipped: %s",
            partition,
            delay,
            why,
        )

    @property
    def held(self) -> set[int]:
        """The partitions that wait now."""
        return set(self._until)

    def due(self) -> list[int]:
        """Return the partitions whose time has come, and hold them no longer."""
        now = self._now()
        found = sorted(partition for partition, at in self._until.items() if at <= now)
        for partition in found:
            del self._until[partition]
        return found

    def wait(self) -> float | None:
        """Return the seconds until the next one is due, None if none waits."""
        if not self._until:
            return None
        return max(min(self._until.values()) - self._now(), 0.0)

    def settle(self, partition: int) -> None:
        """A partition's records were committed: the next wait begins short again."""
        if partition in self._delays and partition not in self._until:
            del self._delays[partition]
            log.info("partition %d goes on", partition)

    def keep(self, partitions: list[int]) -> None:
        """Forget those that are another worker's now."""
        for partition in set(self._delays) - set(partitions):
            del self._delays[partition]
            self._until.pop(partition, None)

    def __bool__(self) -> bool:
        return bool(self._delays)
