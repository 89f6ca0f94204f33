"""The market from outside: recorded trades as ticks, and the venue's rules. Two engine sources."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import datetime
from typing import Any, Protocol

from connectors.clock import SystemClock
from connectors.recorded import Position, RecordedFile, RefusedRow
from processors.errors import UnavailableError
from processors.records.market import InstrumentRules, SourceCursor, Tick
from streams import topics
from streams.kit import Kit
from streams.pace import Pacer

NAME = "data_collection"
RECORDED = "recorded"
RULES = "rules"

log = logging.getLogger(__name__)

Batch = tuple[list[Any], SourceCursor]


class RulesPort(Protocol):
    """What the source of rules asks of a venue."""

    async def rules(self, symbol: str) -> InstrumentRules:
        """Read a symbol's filters and fees."""
        ...


def declare_recorded(kit: Kit, file: RecordedFile, pacer: Pacer) -> None:
    """Wire a recorded file as the source of ticks.

    Args:
        kit: the processor.
        file: the recorded trades.
        pacer: says when they are sent.
    """
    ticks = kit.output(topics.TICK)
    cursors = kit.output(topics.CURSOR)
    dead = kit.raw(topics.TICK.name + topics.DEAD, topics.TICK.kind)
    limit = kit.settings.source.batch

    @kit.app.source(RECORDED, cursor_topic=cursors)
    async def recorded(cursor: SourceCursor | None) -> AsyncIterator[Batch]:
        """Send ticks and cursor together; a row that is no tick goes to the ticks' dead letters."""
        state = cursor or _start()
        if state.finished:
            return
        if cursor is not None:
            # What follows from the last tick before a crash may still be on its way.
            await pacer.after(closed=True)
        records: list[Any] = []
        newest: datetime | None = None
        start = Position.parse(state.position)
        for row, position in file.read(start):
            if isinstance(row, Tick):
                wait = pacer.wait(row.execution_time)
                if wait > 0.002 and records:
                    await pacer.before(newest)
                    yield records, state
                    records = []
                if wait > 0:
                    await asyncio.sleep(wait)
                records.append((ticks, row.instrument, row))
                newest = row.execution_time
                closed = pacer.closes(row.execution_time)
            else:
                records.append((dead, file.instrument, row.raw, _facts(row, file)))
                closed = False
            state = _advanced(state, row, position)
            if closed or len(records) >= limit:
                await pacer.before(newest)
                yield records, state
                records = []
                await pacer.after(closed=closed)
        if records:
            await pacer.before(newest)
        done = {"finished": True, "updated_time": SystemClock().now()}
        yield records, state.model_copy(update=done)
        log.info("the recorded file has been read to its end: %d rows", state.rows)


def declare_rules(kit: Kit, venue: Callable[[], RulesPort]) -> None:
    """Wire the venue's rules as a source: each change of them is one record.

    Args:
        kit: the processor.
        venue: gives who tells the rules; called when the app runs, because it is slow to load.
    """
    rules = kit.output(topics.RULE)
    every = kit.settings.venue.rules_every

    @kit.app.source(RULES, cursor_topic=kit.output(topics.CURSOR))
    async def venue_rules(cursor: SourceCursor | None) -> AsyncIterator[Batch]:
        """Ask again and again; a venue that is away is asked sooner, and nothing is sent for it."""
        state = cursor or _start(RULES)
        known = dict(part.rsplit("=", 1) for part in state.position.split(";") if part)
        while True:
            records: list[Any] = []
            delay = every
            for instrument in kit.settings.venue.instruments:
                try:
                    found = await venue().rules(instrument.partition(":")[2])
                except UnavailableError as error:
                    log.warning("no rules of %s: %s", instrument, error)
                    delay = min(1.0, every)
                    continue
                if known.get(instrument) != found.version:
                    known[instrument] = found.version
                    records.append((rules, instrument, found))
            if records:
                state = state.model_copy(
                    update={
                        "position": ";".join(f"{name}={known[name]}" for name in sorted(known)),
                        "rows": state.rows + len(records),
                        "updated_time": SystemClock().now(),
                    }
                )
                yield records, state
            await asyncio.sleep(delay)


def _start(source: str = RECORDED) -> SourceCursor:
    return SourceCursor(
        source=source,
        position="",
        rows=0,
        ticks=0,
        refused={},
        finished=False,
        updated_time=SystemClock().now(),
    )


def _advanced(state: SourceCursor, row: Tick | RefusedRow, position: Position) -> SourceCursor:
    refused = state.refused
    if isinstance(row, RefusedRow):
        counts = {**refused, row.reason: refused.get(row.reason, 0) + 1}
        refused = {name: counts[name] for name in sorted(counts)}
    return state.model_copy(
        update={
            "position": position.text(),
            "rows": position.row,
            "ticks": state.ticks + isinstance(row, Tick),
            "refused": refused,
            "updated_time": SystemClock().now(),
        }
    )


def _facts(row: RefusedRow, file: RecordedFile) -> Mapping[str, Any]:
    headers = {
        "dlq.app": topics.app_id(NAME),
        "dlq.topic": topics.TICK.name,
        "dlq.error": "RefusedRow",
        "dlq.reason": row.reason,
        "dlq.source": file.source,
        "dlq.row": str(row.row),
    }
    return {"headers": headers}
