"""The sources of data_collection: what leaves in which transaction, and where a restart goes on."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from connectors.clock import SystemClock
from connectors.recorded import RecordedFile
from processors.errors import ConfigError, UnavailableError
from processors.records.market import SourceCursor, Tick
from schemas.registry import MemoryRegistry
from streams.agents import data_collection
from streams.app import build_app
from streams.kit import Kit
from streams.pace import Pace, Pacer
from streams.serde import pipeline_codecs
from streams.settings import Settings

START = 1_385_337_600
ROWS = [(0, "800", "5"), (10, "801", "0"), (20, "802", "1"), (60, "803", "1"), (130, "804", "1")]


class Market:
    """Notes what the source tells and waits for, in order."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.away = 0

    async def advance(self, moment: datetime) -> None:
        if self.away:
            self.away -= 1
            raise UnavailableError("away")
        self.told.append(f"clock {int(moment.timestamp()) - START}")

    async def settle(self) -> None:
        self.told.append("settle")


def _source(tmp_path: Path, market: Market, pace: Pace, limit: int = 500) -> Any:
    path = tmp_path / "ticks.csv"
    lines = "".join(f"{START + s},{price},{amount}\n" for s, price, amount in ROWS)
    path.write_text("timestamp,price,amount\n" + lines)
    settings = Settings.model_validate({"source": {"batch": limit}})
    app = build_app("data_collection", settings, registry=MemoryRegistry(), replay=True)
    kit = Kit(app, "data_collection", settings, pipeline_codecs(MemoryRegistry()), replay=False)
    file = RecordedFile(path, "SIMULATOR:BTC/USD", SystemClock().now)
    pacer = Pacer(pace, 60, market.settle, market.advance)
    data_collection.declare_recorded(kit, file, pacer)
    return app.sources[data_collection.RECORDED].fun


async def _run(source: Any, market: Market, cursor: SourceCursor | None = None) -> list[Any]:
    batches = []
    async for records, position in source(cursor):
        market.told.append(f"sent {[str(each[0].get_topic_name())[-4:] for each in records]}")
        batches.append((records, position))
    return batches


async def test_settled_sends_the_tick_that_closes_a_bar_and_waits(tmp_path: Path) -> None:
    """Clock first, then the ticks up to the closing one, then the wait; the end is told by the cursor."""
    market = Market()
    batches = await _run(_source(tmp_path, market, Pace(settled=True)), market)
    tick, dead = "tick", ".dlq"
    assert market.told == [
        "clock 0",
        f"sent {[tick]}",
        "settle",
        "clock 60",
        f"sent {[dead, tick, tick]}",
        "settle",
        "clock 130",
        f"sent {[tick]}",
        "settle",
        "sent []",
    ]
    last = batches[-1][1]
    assert (last.rows, last.ticks, last.refused, last.finished) == (
        5,
        4,
        {"quantity_zero": 1},
        True,
    )


async def test_a_restart_goes_on_behind_the_cursor(tmp_path: Path) -> None:
    """From any committed cursor the rest follows: no row twice, none left out."""
    market = Market()
    source = _source(tmp_path, market, Pace(), limit=1)
    whole = await _run(source, market)
    names = [each[2].trade_id for batch, _ in whole for each in batch if isinstance(each[2], Tick)]
    assert names == ["1", "3", "4", "5"]
    for done in range(len(whole)):
        rest = await _run(source, market, whole[done][1])
        assert [r[0] for r in rest] == [
            [_same(row, again) for row, again in zip(old[0], new[0], strict=True)]
            for old, new in zip(whole[done + 1 :], rest, strict=True)
        ]


def _same(row: Any, again: Any) -> Any:
    """Return the new row where only its reception differs."""
    old, new = row[2], again[2]
    if isinstance(old, Tick):
        assert old.model_copy(update={"received_time": new.received_time}) == new
    else:
        assert row == again
    return again


async def test_a_restart_settles_first(tmp_path: Path) -> None:
    """What follows from the last tick before a crash may be on its way: it is waited for."""
    market = Market()
    source = _source(tmp_path, market, Pace(settled=True))
    first = await _run(source, market)
    market.told.clear()
    await _run(source, market, first[0][1])
    assert market.told[0] == "settle"


async def test_a_finished_source_sends_nothing_more(tmp_path: Path) -> None:
    """After the end a restart reads no row again."""
    market = Market()
    source = _source(tmp_path, market, Pace())
    done = (await _run(source, market))[-1][1]
    assert await _run(source, market, done) == []


async def test_a_venue_that_is_away_is_waited_for(tmp_path: Path) -> None:
    """No tick leaves before the simulator knows how far the market is."""
    market = Market()
    market.away = 2
    await _run(_source(tmp_path, market, Pace()), market)
    assert market.told[0] == "clock 0"
    assert "clock 130" in market.told


def test_settled_needs_somebody_who_tells(tmp_path: Path) -> None:
    """Without it the source would run ahead, so it refuses to start."""
    with pytest.raises(ConfigError, match="settled"):
        Pacer(Pace(settled=True), 60, None, None)


@pytest.mark.parametrize("text", ["", "0x", "-1x", "fast", "10", "x"])
def test_a_pace_that_is_none_is_refused(text: str) -> None:
    """A pace is max, settled, or a positive number of times real time."""
    with pytest.raises(ConfigError):
        Pace.parse(text)
    assert Pace.parse("600x").speed == 600.0
