"""Tells when the pipeline has worked off all that it was given: offsets stand still, no order is open.

Two scans in a row must agree: every group's committed offset equals the last stable offset of all
its inputs, the ends have not moved in between, and no order waits for word from its venue.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from processors.errors import DecodeError, UnavailableError
from processors.placement import TERMINAL
from processors.records.trade import (
    ExecutionReport,
    OrderEvent,
    OrderEventKind,
    Status,
    TimeInForce,
)
from schemas.codec import Codecs
from streams import topics
from streams.engine.progress import Place, Progress, Tail
from streams.engine.settings import EngineSettings
from streams.settings import Settings

WAITING: Final = frozenset({Status.RESERVED, Status.SUBMITTED, Status.UNKNOWN})
_AT_ONCE = frozenset({TimeInForce.IOC, TimeInForce.FOK})


class OpenOrders:
    """Folds decisions and reports to the orders that wait for word from their venue."""

    def __init__(self, codecs: Codecs) -> None:
        self._codecs = codecs
        self._open: dict[str, tuple[OrderEvent | None, Status]] = {}
        self._done: set[str] = set()

    @property
    def count(self) -> int:
        """Number of orders in flight; one that rests at its venue is none of them."""
        return sum(self._waits(order, status) for order, status in self._open.values())

    def take(self, message: Any) -> None:
        """Take one record in; one that cannot be read counts for nothing.

        Args:
            message: of trade.order or trade.execution.
        """
        try:
            if message.topic == topics.ORDER.name:
                self._decision(self._codecs.codec(OrderEvent).decode(message.value))
            else:
                self._report(self._codecs.codec(ExecutionReport).decode(message.value))
        except DecodeError:
            return

    def _decision(self, event: OrderEvent) -> None:
        if event.kind is OrderEventKind.RESERVED and event.order_id not in self._done:
            status = self._open.get(event.order_id, (None, Status.RESERVED))[1]
            self._open[event.order_id] = (event, status)

    def _report(self, report: ExecutionReport) -> None:
        if report.status in TERMINAL:
            self._open.pop(report.order_id, None)
            self._done.add(report.order_id)
        elif report.order_id not in self._done:
            order, before = self._open.get(report.order_id, (None, report.status))
            # A word of our own that comes late does not undo the venue's.
            late = report.status in WAITING and before not in WAITING
            self._open[report.order_id] = (order, before if late else report.status)

    @staticmethod
    def _waits(order: OrderEvent | None, status: Status) -> bool:
        at_once = order is None or order.time_in_force in _AT_ONCE
        return at_once or status in WAITING


class Settled:
    """Scans a running pipeline from outside; it joins no group and commits nothing.

    Args:
        settings: of the process.
        codecs: of the process.
        processors: whose inputs are to be worked off.
    """

    def __init__(
        self,
        settings: Settings,
        codecs: Codecs,
        processors: Iterable[str] = topics.PROCESSORS,
    ) -> None:
        self._engine = EngineSettings(
            bootstrap=settings.kafka.bootstrap, client=settings.kafka_client
        )
        self._inputs = {
            topics.app_id(name): [topic.name for topic in topics.INPUTS[name]]
            for name in processors
            if topics.INPUTS[name]
        }
        self._orders = OpenOrders(codecs)
        self._places: list[Place] = [
            (topic.name, partition)
            for topic in (topics.ORDER, topics.EXECUTION)
            for partition in range(settings.partitions.account)
        ]
        self._progress: Progress | None = None
        self._tail: Tail | None = None
        self._last: dict[Place, int] | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="settled")

    @property
    def in_flight(self) -> int:
        """Orders that waited for their venue at the newest scan."""
        return self._orders.count

    def scan(self) -> bool:
        """Look once; true when this scan and the one before agree that nothing is left to do.

        Raises:
            UnreachableError: Kafka does not answer, or a topic is not there.
        """
        if self._progress is None:
            self._progress = Progress(self._engine, self._inputs)
        behind, ends = self._progress.lag()
        if behind:
            self._last = None
            return False
        self._read_orders(ends)
        if self._orders.count:
            self._last = None
            return False
        same, self._last = self._last == ends, ends
        return same

    async def wait(self, seconds: float = 120.0, pause: float = 0.003) -> None:
        """Return when all is worked off.

        Args:
            seconds: how long to wait at most.
            pause: seconds between two scans.
        Raises:
            UnavailableError: it did not settle in time.
        """
        loop = asyncio.get_running_loop()
        deadline = time.monotonic() + seconds
        self._last = None
        while not await loop.run_in_executor(self._thread, self.scan):
            if time.monotonic() > deadline:
                raise UnavailableError(
                    "the pipeline did not settle in time",
                    seconds=seconds,
                    in_flight=self.in_flight,
                )
            await asyncio.sleep(pause)

    def close(self) -> None:
        """Close the connections."""
        if self._tail is not None:
            self._tail.close()
        self._thread.shutdown(wait=True)

    def _read_orders(self, ends: dict[Place, int]) -> None:
        if not all(place in ends for place in self._places):
            return
        if self._tail is None:
            self._tail = Tail(self._engine, self._places, {})
        take: Callable[[Any], None] = self._orders.take
        for message in self._tail.read_to({place: ends[place] for place in self._places}):
            take(message)
