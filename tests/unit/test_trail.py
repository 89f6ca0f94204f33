"""`audit order` finds an order by any of its ids, and its life by the causes that records carry."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from processors import ids
from processors.records.market import IndicatorSet
from processors.records.trade import ExecutionType, IntentKind, Status
from streams.checks.reading import Row
from streams.checks.trail import Trail, find
from streams.cli import audit
from streams.cli.output import CliError, Exit, Format, Options, set_options
from tests.books import (
    ACCOUNT,
    BTC,
    NOW,
    World,
    limit_buy,
    make_intent,
    make_price,
    make_report,
    make_trade,
    make_transfer,
)
from tests.unit.test_summary import make_bar, make_signal, make_tick
from tests.unit.topic_rows import Topics

D = Decimal
ORDER = ids.order_id(ACCOUNT, "i1")
LIFE = [
    "tick", "bar", "indicator", "signal", "intent", "decision", "entry", "submitted", "report",
]  # fmt: skip


def make_indicator(interval: int = 60) -> IndicatorSet:
    return IndicatorSet(
        instrument=BTC, interval=interval, close_time=NOW, close=D(1), values={"ema_9": 1.5},
        market_time=NOW, received_time=NOW,
    )  # fmt: skip


def topics() -> Topics:
    """A tick closed a bar, that made a signal, that an order for i1; i2 is of somebody else."""
    log, world = Topics(), World(price=make_price("100"))
    for row in range(3):
        log.add(make_tick(row, "100", row), 10)
    tick = log.log["market.tick"][2]
    other = log.log["market.tick"][1]
    log.add(make_bar(), 20, other)
    log.add(make_bar().model_copy(update={"interval": 1}), 20, tick)
    log.add(make_bar(), 20, tick, 1)
    indicator = log.add(make_indicator(), 20, tick, 2)
    log.add(make_signal().model_copy(update={"signal_id": "g0"}), 25, indicator)
    log.add(make_signal(), 25, indicator)
    _apply(world, log, make_transfer("1000"), 1)
    for intent in (limit_buy("i2"), limit_buy("i1", signal_id="g1")):
        _apply(world, log, intent, 25, indicator)
    decision = next(r for r in log.log["trade.order"] if ORDER.encode() in (r.value or b""))
    submitted = make_report("i1", ExecutionType.PENDING_NEW, Status.SUBMITTED)
    _apply(world, log, submitted, 30, decision)
    fill = make_trade("i1", "t1", "1", "99", "1", Status.FILLED, fees=(("BTC", "0.001"),),
                      venue_order_id="70")  # fmt: skip
    acknowledged = make_report("i1", ExecutionType.NEW, Status.NEW, venue_order_id="70")
    for report in (acknowledged, fill, fill):
        _apply(world, log, report, 40)
    return log


def _apply(world: World, log: Topics, event: Any, at: int, cause: Row | None = None) -> None:
    row, before = log.add(event, at, cause), len(world.records)
    world.apply(event)
    for record in world.records[before:]:
        if type(record).__name__ in {"OrderEvent", "LedgerEntry"}:
            log.add(record, at + 1, row)


def one(log: Topics, identity: str) -> Trail:
    (trail,) = find(log, log.decoder, identity).trails
    return trail


@pytest.mark.parametrize(
    "identity",
    ["order", "client", "client with hyphens", "70", "t1", "i1", "execution"],
)
def test_every_id_leads_to_the_whole_life(identity: str) -> None:
    """Whichever id is given, the trail is the order's, complete and in order."""
    client = ids.client_order_id(ACCOUNT, "i1")
    given = {
        "order": ORDER,
        "client": client,
        "client with hyphens": "-".join(
            (client[:8], client[8:12], client[12:16], client[16:20], client[20:])
        ).upper(),
        "execution": ids.execution_id(client, ExecutionType.TRADE, "t1", "FILLED", D(1)),
    }.get(identity, identity)
    log = topics()
    trail = one(log, given)
    assert (trail.account, trail.order_id, trail.status) == (ACCOUNT, ORDER, "FILLED")
    stages = [step.stage for step in trail.steps]
    assert stages[:9] == LIFE
    assert stages[-1] == "fill"  # the one that was told twice moved nothing
    assert stages.count("entry") == sum(
        ORDER.encode() in (row.value or b"") for row in log.log["ledger.entry"]
    )
    assert trail.missing == []


def test_market_part_is_the_one_that_caused_it() -> None:
    """Tick, bar, indicator and signal are this order's, not their neighbours."""
    log = topics()
    steps = {step.stage: step for step in one(log, ORDER).steps[:5]}
    assert steps["tick"].row.offset == 2
    assert steps["bar"].row.offset == 2
    assert steps["bar"].record.interval == 60  # type: ignore[attr-defined]
    assert steps["signal"].record.signal_id == "g1"  # type: ignore[attr-defined]
    schema = log.codecs.codec(type(steps["tick"].record)).schema_id
    assert steps["tick"].schema_id == schema


def test_unknown_id_finds_nothing_and_says_so() -> None:
    """An id that nothing has is a usage error, also one that is a part of another."""
    log = topics()
    for identity in ("nobody", ORDER[:10], "i"):
        found = find(log, log.decoder, identity)
        assert found.trails == ()
        with pytest.raises(CliError) as caught:
            audit.one_of(found, identity)
        assert caught.value.code is Exit.USAGE


def test_id_of_two_orders_is_refused_with_both() -> None:
    """A trade_id that two orders have is refused, and both orders are named."""
    log = topics()
    log.add(make_trade("i2", "t1", "1", "99", "1", Status.FILLED))
    found = find(log, log.decoder, "t1")
    with pytest.raises(CliError) as caught:
        audit.one_of(found, "t1")
    assert caught.value.code is Exit.USAGE
    assert len(found.trails) == 2
    told = str(caught.value.details["orders"])
    assert all(str(trail.order_id) in told for trail in found.trails)


def test_venue_order_id_comes_before_trade_id() -> None:
    """A number that is one order's venue_order_id and another's trade_id names the former."""
    log = topics()
    log.add(make_trade("i2", "70", "1", "99", "1", Status.FILLED))
    found = find(log, log.decoder, "70")
    assert found.kind == "venue_order_id"
    assert [trail.order_id for trail in found.trails] == [ORDER]
    assert found.others == (("trade_id", ACCOUNT, ids.order_id(ACCOUNT, "i2")),)


def test_cancel_is_part_of_its_order() -> None:
    """The decision on a cancel stands in the life of the order it is about."""
    log, world = Topics(), World(price=make_price("100"))
    _apply(world, log, make_transfer("1000"), 1)
    _apply(world, log, limit_buy("i1"), 2)
    _apply(world, log, make_intent("c1", kind=IntentKind.CANCEL, target_order_id=ORDER), 3)
    trail = one(log, ORDER)
    assert [step.stage for step in trail.steps] == ["intent", "decision", "entry", "cancel"]
    assert trail.status == "RESERVED"


def test_intent_without_decision_is_shown() -> None:
    """An intent that nobody has decided on yet is found by its id."""
    log = Topics()
    log.add(limit_buy("i9"), 5)
    trail = one(log, "i9")
    assert (trail.status, trail.order_id) == ("UNDECIDED", None)
    assert [step.stage for step in trail.steps] == ["intent"]


def test_cause_that_is_not_kept_is_named() -> None:
    """Where retention took the tick, the rest is shown and the gap named."""
    log = topics()
    log.log["market.tick"] = []
    trail = one(log, ORDER)
    assert trail.missing == ["market.tick[0]@2"]
    assert [step.stage for step in trail.steps][:2] == ["bar", "indicator"]


def test_table_and_json(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The table has position, schema, time and figures of each step; JSON the whole records."""
    monkeypatch.setenv("COLUMNS", "220")  # a narrow table folds its cells
    log = topics()
    trail = one(log, ORDER)
    try:
        set_options(Options())
        audit.show(trail)
        text = capsys.readouterr().out
        set_options(Options(output=Format.JSON))
        audit.show(trail)
        document = json.loads(capsys.readouterr().out)
    finally:
        set_options(Options())
    for word in ("market.tick[0]@2", "ema_9 1.5", "60 s bar", "by LIVE", "policy 1", "fee 0.001 BTC",
                 "HOLD_PLACED 100 USDT", "1970-01-01T00:00:00.010Z", "FILLED"):  # fmt: skip
        assert word in text
    assert document["status"] == "FILLED"
    steps = document["steps"]
    assert [step["stage"] for step in steps] == [step.stage for step in trail.steps]
    decision = next(step for step in steps if step["stage"] == "decision")
    assert decision["record"]["hold_amount"] == "100"
    assert decision["cause"].startswith("fillonce.some|trade.intent|0|")
    assert all(isinstance(step["schema_id"], int) for step in steps)
