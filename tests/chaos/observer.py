"""A consumer that drains slowly, and says when a revocation falls inside a drain: the real one, observed."""

from __future__ import annotations

import logging
import os
from typing import Any

from confluent_kafka import Consumer

from streams.engine.runtime import SystemRuntime

DRAIN_SECONDS = float(os.environ.get("CHAOS_OBSERVE", "0"))
"""A drain takes what is there and comes back at once: a revocation would seldom fall into that moment."""


class ObservedConsumer(Consumer):
    """librdkafka's consumer: its drains last longer, and it writes one line for each such revocation."""

    _draining = False
    _revoked = False

    def subscribe(
        self, topics: list[str], on_assign: Any = None, on_revoke: Any = None, on_lost: Any = None
    ) -> None:
        """Subscribe, and note revocations on their way to the engine."""

        def revoked(consumer: Any, partitions: Any) -> None:
            self._revoked = self._draining
            on_revoke(consumer, partitions)

        super().subscribe(topics, on_assign=on_assign, on_revoke=revoked, on_lost=on_lost)

    def consume(self, num_messages: int = 1, timeout: float = -1) -> Any:
        """Drain, and say so when partitions were revoked meanwhile."""
        self._draining, self._revoked = True, False
        try:
            found = super().consume(num_messages, max(timeout, DRAIN_SECONDS))
        finally:
            self._draining = False
        if self._revoked:
            print(f"chaos: revoked inside a drain of {len(found)}", flush=True)
        return found


class ObservedRuntime(SystemRuntime):
    """The real runtime with the observed consumer of the group."""

    def consumer(self, config: dict[str, Any], logger: logging.Logger) -> Consumer:
        """Return an observed consumer."""
        return ObservedConsumer(config, logger=logger)
