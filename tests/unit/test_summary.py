"""The summary's figures are those of the topics, exact where money is meant."""

from __future__ import annotations

import io
import json
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from processors.errors import ConfigError
from processors.records.account import AccountPolicy, Sizing, SizingKind
from processors.records.market import Bar, Side, SourceCursor, Tick
from processors.records.trade import ExecutionType, Signal, Status
from streams.checks.reading import Row
from streams.summary import __main__ as program
from streams.summary.collect import Material
from streams.summary.figures import figures, fills_of, group_of
from streams.summary.latency import latency, percentiles
from streams.summary.people import tell
from streams.summary.plot import draw, markers
from tests.books import (
    BTC,
    NOW,
    World,
    limit_buy,
    make_policy,
    make_price,
    make_report,
    make_trade,
    make_transfer,
)
from tests.unit.topic_rows import Topics

D = Decimal


def make_tick(row: int, price: str, seconds: int) -> Tick:
    return Tick(
        instrument=BTC,
        exchange="BINANCE",
        symbol="BTC/USDT",
        trade_id=str(row),
        price=D(price),
        quantity=D(1),
        execution_time=NOW + timedelta(seconds=seconds),
        received_time=NOW,
        source="file",
    )


def make_bar() -> Bar:
    return Bar(
        instrument=BTC, interval=60, open_time=NOW, close_time=NOW, open=D(1), high=D(1), low=D(1),
        close=D(1), volume=D(1), quote_volume=D(1), trades=1, late=0, market_time=NOW,
        received_time=NOW,
    )  # fmt: skip


def make_signal() -> Signal:
    return Signal(
        signal_id="g1", instrument=BTC, strategy="s", side=Side.BUY, price=D(100), close_time=NOW,
        values={}, market_time=NOW, created_time=NOW, received_time=NOW,
    )  # fmt: skip


def topics() -> Topics:
    """One account bought 1 BTC for 99 of an expected 100, one intent was denied; price 110 now."""
    log = Topics()
    cursor = SourceCursor(source="recorded", position="", rows=5, ticks=3,
                          refused={"quantity_zero": 2}, finished=True, updated_time=NOW)  # fmt: skip
    log.add(cursor)
    log.add(cursor.model_copy(update={"source": "rules", "rows": 1, "ticks": 0, "refused": {}}))
    ticks = [log.add(make_tick(i, p, 40 * i), 1000 + i) for i, p in enumerate(("90", "100", "110"))]
    for _ in range(2):
        log.put("market.tick.dlq", b"1,2,0", headers=(("dlq.reason", b"quantity_zero"),))
    bar = log.add(make_bar(), 1007, ticks[2])
    signal = log.add(make_signal(), 1010, bar)
    intents = [limit_buy(signal_id="g1"), limit_buy("i2", "1000")]
    world = World(price=make_price("100"), policy=make_policy())
    assert world.policy is not None
    log.add(world.policy)
    transfer = make_transfer("1000")
    log.add(transfer)
    world.apply(transfer)
    for record in world.records:
        log.add(record) if type(record).__name__ in {"LedgerEntry", "Balance"} else None
    for intent in intents:
        row = log.add(intent, 1011, bar, 1)
        _apply(world, log, intent, 1015, row)
    order = log.log["trade.order"][0]
    fees = (("BTC", "0.001"),)
    reports = [
        make_report("i1", ExecutionType.PENDING_NEW, Status.SUBMITTED),
        make_report("i1", ExecutionType.NEW, Status.NEW),
        make_trade("i1", "t1", "0.5", "98", "0.5", Status.PARTIALLY_FILLED),
        make_trade("i1", "t2", "0.5", "100", "1", Status.FILLED, fees=fees),
    ]
    reports.append(reports[2])  # told twice
    for index, report in enumerate(reports):
        row = log.add(report, 1020 + 10 * index, order if index == 0 else None)
        _apply(world, log, report, 1060, row)
    assert signal.topic == "trade.signal"
    return log


def _apply(world: World, log: Topics, event: Any, at: int, cause: Row) -> None:
    before = len(world.records)
    world.apply(event)
    for record in world.records[before:]:
        if type(record).__name__ not in {"Alert", "Protection"}:
            log.add(record, at, cause)


def material() -> Material:
    log, found = topics(), Material()
    for rows in log.log.values():
        for row in rows:
            found.take(row, log.decoder)
    return found


def test_rows_ticks_and_dead_letters() -> None:
    """Rows and refusals come from the source's own cursor, ticks from the topic."""
    document = figures(material())
    assert (document["rows"], document["ticks"]) == (5, 3)
    assert document["dead_letters"] == {"quantity_zero": 2}
    assert document["dead_letters_by_topic"] == {"market.tick": 2}
    assert document["records"]["trade.intent"] == 2
    assert document["market"]["last_price"] == "110"


def test_orders_denials_and_holds() -> None:
    """Each order counts once, by its newest status; denials by reason."""
    document = figures(material())
    assert document["orders"] == {"DENIED": 1, "FILLED": 1}
    assert document["denials"] == {"INSUFFICIENT_AVAILABLE_BALANCE": 1}
    assert document["holds"] == {"placed": 1, "held": {}}
    assert document["price_sources"] == {"LIVE": 2}
    assert document["fallbacks"] == 0


def test_fallbacks_are_counted() -> None:
    """A decision by a price that stands in for a live one is a fallback."""
    found = material()
    order, at, cause = found.orders[0]
    found.orders[0] = (order.model_copy(update={"price_source": "LAST_GOOD"}), at, cause)
    assert figures(found)["fallbacks"] == 1


def test_result_by_sizing_is_exact() -> None:
    """Value is what is owned net of fees at the last price: 901 + 0.999 x 110 = 1,010.89."""
    (name, group), = figures(material())["sizing"].items()  # fmt: skip
    assert name == "AVAILABLE 0.8"
    assert group == {
        "accounts": 1, "opening": "1000", "value": "1010.89", "profit": "10.89",
        "profit_percent": "1.089", "orders": 1, "denied": 1,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("sizing", "name"),
    [
        (Sizing(kind=SizingKind.TOTAL, fraction=D("0.80")), "TOTAL 0.8"),
        (Sizing(kind=SizingKind.NOTIONAL, notional=D(100)), "NOTIONAL 100"),
    ],
)
def test_groups_are_named_by_their_sizing(sizing: Sizing, name: str) -> None:
    """Equal sizings have one name, however their decimals were written."""
    policy: AccountPolicy = make_policy(sizing=sizing)
    assert group_of(policy) == name
    assert group_of(None) == "no policy"


def test_slippage_counts_each_trade_once_and_knows_its_side() -> None:
    """A buy under its expected price is a gain, the same sale a loss; a fill told twice is one."""
    found = material()
    (fills,) = fills_of(found)
    assert (fills.quantity, fills.value, fills.price) == (D(1), D(99), D(99))
    expected = {
        "orders": 1,
        "mean_basis_points": "-100",
        "worst_basis_points": "-100",
        "cost": "-1",
    }
    assert figures(found)["slippage"] == {"BUY": expected}
    order, at, cause = found.orders[0]
    found.orders[0] = (order.model_copy(update={"side": Side.SELL}), at, cause)
    assert figures(found)["slippage"]["SELL"]["cost"] == "1"


def test_latency_follows_causes() -> None:
    """Each hop is the difference of the record times of its two ends."""
    hops = {hop: found["p50"] for hop, found in latency(material()).items()}
    received = int(NOW.timestamp() * 1000)
    assert hops == {
        "tick_to_bar": 5,
        "bar_to_signal": 3,
        "signal_to_intent": 1,
        "intent_to_order": 4,
        "order_to_submitted": 5,
        "submitted_to_answer": 10,
        "tick_to_submitted": max(1020 - received, 0),
    }


def test_percentiles_are_values_that_were_measured() -> None:
    """Nearest rank: of 1 to 100 the 95th percentile is 95; of one value all are that value."""
    assert percentiles(range(100, 0, -1)) == {
        "count": 100, "p50": 50, "p95": 95, "p99": 99, "max": 100,
    }  # fmt: skip
    assert percentiles([7]) == {"count": 1, "p50": 7, "p95": 7, "p99": 7, "max": 7}


def test_nothing_at_all_is_summed_up_too(tmp_path: Path) -> None:
    """Empty topics give zeros and an empty picture, not an error."""
    document = program.summary(Material(), {})
    assert document["ticks"] == 0
    program.write(Material(), document, tmp_path)
    out = io.StringIO()
    tell(document, out)
    assert "checks: none were run" in out.getvalue()


def test_picture_and_file_are_written(tmp_path: Path) -> None:
    """summary.json reads back as it was, and price.png is a picture of some size."""
    found = material()
    document = program.summary(found, {"conservation": True})
    program.write(found, document, tmp_path / "deep")
    assert json.loads((tmp_path / "deep" / "summary.json").read_text()) == document
    picture = (tmp_path / "deep" / "price.png").read_bytes()
    assert picture.startswith(b"\x89PNG")
    assert int.from_bytes(picture[16:20], "big") >= 1_000


def test_markers_put_orders_of_a_minute_together(tmp_path: Path) -> None:
    """Orders of one side and minute are one marker at their average price."""
    fills = fills_of(material())
    (marker,) = markers(fills * 3, Side.BUY)
    assert (marker.price, marker.orders) == (99.0, 3)
    assert markers(fills, Side.SELL) == []
    draw(Material(), fills, tmp_path / "empty.png")
    assert (tmp_path / "empty.png").exists()


def test_tables_fit_80_columns() -> None:
    """No line of the printed summary is longer than 80 columns; failed checks are named."""
    document = program.summary(material(), {"conservation": True, "ticks": False})
    out = io.StringIO()
    tell(document, out)
    text = out.getvalue()
    assert max(map(len, text.splitlines())) <= 80
    assert "1 of 2 FAILED: ticks" in text
    assert "+10.89" in text
    assert "insufficient_available_balance" in text


def test_checks_are_read_from_their_file(tmp_path: Path) -> None:
    """The file of the checks comes out as name and verdict; a broken one is an error."""
    path = tmp_path / "checks.json"
    path.write_text('{"checks": [{"name": "ticks", "ok": false, "detail": ""}]}')
    assert program._checks(path) == {"ticks": False}
    assert program._checks(None) == {}
    path.write_text("{}")
    with pytest.raises(ConfigError, match="checks"):
        program._checks(path)


def test_undecodable_record_is_left_to_the_checks() -> None:
    """Bytes that are no record are counted and otherwise passed over."""
    log, found = Topics(), Material()
    found.take(log.put("trade.order", b"\x00nonsense"), log.decoder)
    assert found.counts["trade.order"] == 1
    assert found.orders == []
