"""Follows the demo from outside: how far the source is, which orders there are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from processors.placement import TERMINAL
from processors.records.base import Record
from processors.records.market import SourceCursor
from processors.records.trade import ExecutionReport, OrderEvent, OrderEventKind
from schemas.codec import Codecs
from streams.engine.progress import Progress, Tail, open_transactions
from streams.engine.settings import EngineSettings

_WATCHED: Mapping[str, type[Record]] = {
    "market.cursor": SourceCursor,
    "trade.order": OrderEvent,
    "trade.execution": ExecutionReport,
}

_SOURCE = "recorded"


class Watch:
    """Counts what stands in the topics; commits nothing, joins no group."""

    def __init__(self, bootstrap: str, codecs: Codecs) -> None:
        self._settings = EngineSettings(bootstrap=bootstrap)
        self._codecs = codecs
        self._progress = Progress(self._settings, {"fillonce.demo": list(_WATCHED)})
        places = list(self._progress.ends())
        self._tail = Tail(self._settings, places, {})
        self.rows = 0
        self.ticks = 0
        self.finished = False
        self.decisions: Counter[str] = Counter()
        self.reports: Counter[str] = Counter()
        self._reserved: set[str] = set()
        self._ended: set[str] = set()

    @property
    def open_orders(self) -> int:
        """Orders reserved and not ended, as far as it has looked."""
        return len(self._reserved - self._ended)

    def look(self) -> None:
        """Take in what has come since the last look."""
        for message in self._tail.read_to(self._progress.ends()):
            if message.value is None:
                continue
            record: Record = self._codecs.codec(_WATCHED[message.topic]).decode(message.value)
            if isinstance(record, SourceCursor):
                if record.source == _SOURCE:
                    self.rows, self.ticks, self.finished = (
                        record.rows,
                        record.ticks,
                        record.finished,
                    )
            elif isinstance(record, OrderEvent):
                self.decisions[record.kind.value] += 1
                if record.kind is OrderEventKind.RESERVED:
                    self._reserved.add(record.order_id)
            elif isinstance(record, ExecutionReport):
                self.reports[record.status.value] += 1
                if record.status in TERMINAL:
                    self._ended.add(record.order_id)

    def open_transactions(self, topics: list[str]) -> list[str]:
        """Return the partitions of topics whose last stable offset lies before the log's end."""
        return open_transactions(self._settings, topics)

    def close(self) -> None:
        """Close the consumer."""
        self._tail.close()
