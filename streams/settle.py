"""Pace `settled`: wait until all that follows from a tick has been committed."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from processors.errors import DecodeError
from processors.records.trade import ExecutionReport, OrderEvent, OrderEventKind, Status
from schemas.codec import Codecs
from streams.engine.errors import UnreachableError
from streams.engine.event import Message
from streams.engine.progress import Progress, Tail
from streams.engine.settings import EngineSettings

TERMINAL = frozenset(
    {Status.DENIED, Status.FILLED, Status.CANCELED, Status.REJECTED, Status.EXPIRED}
)


class Settler:
    """Knows when nothing is under way: two scans in a row with equal offsets, and no order open.

    One scan over several groups is no cut: a record may be on its way from a group scanned late to one
    scanned early. Two scans with equal ends and no lag are.

    Args:
        bootstrap: Kafka's address.
        codecs: to read orders and reports.
        inputs: the topics that each group reads.
        order_topic, execution_topic: where decisions and reports are.
    """

    def __init__(
        self,
        bootstrap: str,
        codecs: Codecs,
        inputs: Mapping[str, Sequence[str]],
        *,
        order_topic: str = "trade.order",
        execution_topic: str = "trade.execution",
    ) -> None:
        settings = EngineSettings(bootstrap=bootstrap)
        self._progress = Progress(settings, inputs)
        self._order_topic = order_topic
        self._orders = codecs.codec(OrderEvent)
        self._reports = codecs.codec(ExecutionReport)
        self._watched = (order_topic, execution_topic)
        ends = self._progress.ends()
        places = [place for place in ends if place[0] in self._watched]
        self._tail = Tail(settings, places, dict.fromkeys(places, 0))
        self._open: set[str] = set()
        self._ended: set[str] = set()

    @property
    def open_orders(self) -> frozenset[str]:
        """Orders reserved and not ended, as far as it has read."""
        return frozenset(self._open)

    def _note(self, message: Message) -> None:
        if message.value is None:
            return
        try:
            if message.topic == self._order_topic:
                order = self._orders.decode(message.value)
                if order.kind is OrderEventKind.RESERVED and order.order_id not in self._ended:
                    self._open.add(order.order_id)
                return
            report = self._reports.decode(message.value)
        except DecodeError:
            return  # the processors dead-letter it: it moves no order
        if report.status in TERMINAL:
            self._ended.add(report.order_id)
            self._open.discard(report.order_id)

    def _scan(self) -> tuple[bool, dict[tuple[str, int], int]]:
        behind, ends = self._progress.lag()
        if behind:
            return False, ends
        for message in self._tail.read_to({p: e for p, e in ends.items() if p[0] in self._watched}):
            self._note(message)
        return not self._open, ends

    async def wait(self, seconds: float = 120.0) -> None:
        """Return when nothing is under way any more.

        Args:
            seconds: how long to wait before giving up; a killed worker comes back meanwhile.
        Raises:
            UnreachableError: something is still under way after that.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        before: dict[tuple[str, int], int] | None = None
        pause = 0.002
        while True:
            quiet, ends = await loop.run_in_executor(None, self._scan)
            if quiet and ends == before:
                return
            before = ends if quiet else None
            if loop.time() > deadline:
                raise UnreachableError(
                    f"not settled after {seconds:g} s: {len(self._open)} orders are open, "
                    "or a processor does not commit"
                )
            if not quiet:
                await asyncio.sleep(pause)
                pause = min(pause * 1.5, 0.02)
