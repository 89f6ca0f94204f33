"""Each check of a finished run holds for a sound one, and fails for the damage it is there for."""

from __future__ import annotations

import copy
import hashlib
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from processors import ids
from processors.errors import ConfigError
from processors.records.base import Record
from processors.records.ledger import EntryKind
from processors.records.market import Side, SourceCursor
from processors.records.trade import ExecutionType, Reason, Status
from streams import topics
from streams.checks import __main__ as program
from streams.checks import ledger, names
from streams.checks.digest import digest, lines, read_golden
from streams.checks.history import History, Lag, reason_of
from streams.checks.reading import Cause, Row
from streams.checks.run import Expected, Outcome, judge
from streams.checks.venue import VenueLedger, VenueOrder, VenueTrade, read
from tests.books import (
    ACCOUNT,
    BTC,
    NOW,
    World,
    limit_buy,
    make_price,
    make_report,
    make_trade,
    make_transfer,
)

D = Decimal
Damage = Callable[[History], None]
VENUE_ID = "7"
EXPECTED = Expected(ticks=3, refused={"quantity_zero": 2})


def sound() -> tuple[History, VenueLedger]:
    """One account: 1,000 USDT came in, 1 BTC was bought at 99 of 100 in two fills, one denied."""
    world, history = World(price=make_price("100")), History()
    client = ids.client_order_id(ACCOUNT, "i1")
    fees = (("BTC", "0.0005"),)
    history.transfers = [make_transfer("1000")]
    history.intents = [limit_buy(), limit_buy("i2", "1000")]
    history.reports = [
        make_report("i1", ExecutionType.PENDING_NEW, Status.SUBMITTED),
        make_report("i1", ExecutionType.NEW, Status.NEW, venue_order_id=VENUE_ID),
        make_trade("i1", "t1", "0.5", "99", "0.5", Status.PARTIALLY_FILLED, fees=fees, value="49.5",
                   venue_order_id=VENUE_ID),
        make_trade("i1", "t2", "0.5", "99", "1", Status.FILLED, fees=fees, value="99",
                   venue_order_id=VENUE_ID),
    ]  # fmt: skip
    history.reports.append(history.reports[1])  # a fact that was told twice
    world.apply(*history.transfers, *history.intents, *history.reports)
    for record in world.records:
        history._sort(record)
    history.ticks = 3
    history.tick_ids = Counter({(BTC, str(row)): 1 for row in range(3)})
    history.dead = {names.TICK: Counter({"quantity_zero": 2})}
    history.cursors = {"recorded": cursor(), "rules": cursor(source="rules", finished=False)}
    trades = tuple(
        VenueTrade(ACCOUNT, trade, VENUE_ID, D(99), D("0.5"), D("0.0005"), "BTC", True)
        for trade in ("t1", "t2")
    )
    totals = {(ACCOUNT, "USDT"): D(901), (ACCOUNT, "BTC"): D("0.999")}
    orders = (VenueOrder(ACCOUNT, client, VENUE_ID, "FILLED"),)
    return history, VenueLedger(totals, orders, trades, {(ACCOUNT, client): 1})


def cursor(**changes: Any) -> SourceCursor:
    fields: dict[str, Any] = {
        "source": "recorded",
        "position": "5:100:0",
        "rows": 5,
        "ticks": 3,
        "refused": {"quantity_zero": 2},
        "finished": True,
        "updated_time": NOW,
    }
    return SourceCursor(**(fields | changes))


def outcome(history: History, venue: VenueLedger, lags: list[Lag] | None = None) -> Outcome:
    return judge(history, venue, lags or [], 8, EXPECTED)


def failed(found: Outcome) -> set[str]:
    return {check.name for check in found.checks if not check.ok}


def changed(records: list[Any], index: int, **changes: Any) -> None:
    """Change a record of a list; its own rules do not count: it is damage."""
    record: Record = records[index]
    records[index] = record.model_copy(update=changes)


def test_sound_run_passes_every_check() -> None:
    """All checks hold for a sound run, each with a name of its own and a detail."""
    history, venue = sound()
    found = outcome(history, venue)
    assert failed(found) == set()
    assert found.ok
    assert len({check.name for check in found.checks}) == len(found.checks) >= 19
    assert all(check.detail for check in found.checks)


def _drop(records: list[Any], index: int) -> None:
    del records[index]


def _cancel_terminal(history: History) -> None:
    history.reports = [r for r in history.reports if r.status is not Status.FILLED]


def _legs_twice(history: History) -> None:
    legs = [e for e in history.entries if e.trade_id == "t2" and e.kind is EntryKind.TRADE_LEG]
    history.entries += legs


def _hold_left(history: History) -> None:
    released = [e for e in history.entries if e.kind is EntryKind.HOLD_RELEASED]
    history.entries.remove(released[-1])


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (lambda h: setattr(h, "ticks", 2), {"ticks"}),
        (lambda h: h.cursors.clear(), {"ticks", "dead_letters_of_ticks"}),
        (lambda h: h.cursors.update(recorded=cursor(finished=False)), {"ticks"}),
        (lambda h: h.cursors.update(recorded=cursor(rows=6)), {"ticks"}),
        (lambda h: h.tick_ids.update([(BTC, "1")]), {"ticks_once"}),
        (lambda h: h.dead[names.TICK].update(["price_zero"]), {"dead_letters_of_ticks"}),
        (lambda h: h.dead[names.TICK].subtract(["quantity_zero"]), {"dead_letters_of_ticks"}),
        (
            lambda h: h.dead.update({"trade.execution": Counter(["DecodeError"])}),
            {"no_other_dead_letters"},
        ),
        (lambda h: h.undecodable.append("trade.order[0]@1"), {"no_other_dead_letters"}),
        (lambda h: _drop(h.intents, 1), {"one_decision_per_intent"}),
        (lambda h: h.orders.append(h.orders[1]), {"one_decision_per_intent"}),
        (lambda h: h.orders.append(h.orders[0]), {"one_decision_per_intent"}),
        (_cancel_terminal, {"orders_ended", "holds_and_open_orders", "fills_equal_venue",
                            "executions_booked_once"}),
        (lambda h: _drop(h.reports, 0), {"venue_orders"}),
        (lambda h: changed(h.reports, 2, last_price=D(98)), {"fills_equal_venue"}),
        (lambda h: changed(h.reports, 2, fees=()), {"fills_equal_venue"}),
        (_legs_twice, {"executions_booked_once", "settled_at_cost", "ledger_sequence",
                       "ledger_running_totals", "balances_follow_ledger",
                       "totals_equal_venue", "conservation"}),
        (_hold_left, {"holds_and_open_orders", "ledger_sequence", "ledger_running_totals",
                      "balances_follow_ledger"}),
        (lambda h: changed(h.entries, 0, sequence=9), {"ledger_sequence"}),
        (lambda h: changed(h.entries, 1, held_after=D(1)), {"ledger_running_totals"}),
        (lambda h: changed(h.transfers, 0, amount=D("1000.000000000000000001")), {"conservation"}),
        (lambda h: h.balances.pop((ACCOUNT, "BTC")), {"balances_follow_ledger"}),
    ],
)  # fmt: skip
def test_damage_fails_its_checks(damage: Damage, expected: set[str]) -> None:
    """Each kind of damage to the history fails the checks it concerns, and no other."""
    history, venue = sound()
    damage(history)
    assert failed(outcome(history, venue)) == expected


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda v: replace(v, orders=()), {"venue_orders", "settled_at_cost"}),
        (lambda v: replace(v, orders=v.orders * 2), {"venue_orders"}),
        (
            lambda v: replace(v, orders=(*v.orders, VenueOrder(ACCOUNT, "other", "8", "NEW"))),
            {"venue_orders"},
        ),
        (lambda v: replace(v, creates=dict.fromkeys(v.creates, 2)), {"one_create_per_order"}),
        (
            lambda v: replace(v, trades=v.trades[:1]),
            {"fills_equal_venue", "settled_at_cost"},
        ),
        (
            lambda v: replace(v, totals={**v.totals, (ACCOUNT, "USDT"): D("901.00000001")}),
            {"totals_equal_venue"},
        ),
        (lambda v: replace(v, totals={**v.totals, ("a2", "USDT"): D(1)}), {"totals_equal_venue"}),
    ],
)
def test_another_venue_fails_its_checks(
    change: Callable[[VenueLedger], VenueLedger], expected: set[str]
) -> None:
    """Where the venue holds something else, the checks against it fail, and no other."""
    history, venue = sound()
    assert failed(outcome(history, change(venue))) == expected


def test_group_behind_is_found() -> None:
    """A group that has not committed the last stable offset fails the check and is named."""
    found = outcome(*sound(), [Lag("fillonce.strategy", "market.bar", 1, 4, 5)])
    assert failed(found) == {"groups_at_the_end"}
    assert "fillonce.strategy market.bar[1] stands at 4 of 5" in str(found.document())


def test_empty_history_passes_nothing_for_free() -> None:
    """An empty history fails the checks that would else hold of nothing."""
    found = judge(History(), VenueLedger({}, (), (), {}), [], 0, EXPECTED)
    assert {"ticks", "conservation", "one_decision_per_intent", "groups_at_the_end"} <= failed(
        found
    )


def test_order_not_placed_is_subtracted() -> None:
    """An order that is proven absent is no order of the venue, and excuses the digest, said so."""
    history, venue = sound()
    absent = make_report("i3", ExecutionType.PENDING_NEW, Status.SUBMITTED)
    history.reports.append(absent)
    assert "venue_orders" in failed(outcome(history, venue))
    history.reports.append(
        make_report("i3", ExecutionType.REJECTED, Status.REJECTED, reason=Reason.NOT_PLACED)
    )
    found = outcome(history, venue)
    assert failed(found) == set()
    assert found.not_placed == 1


def test_order_refused_on_receipt_is_subtracted() -> None:
    """An order that the venue refused when it came is none of its orders."""
    history, venue = sound()
    for kind, status in (
        (ExecutionType.PENDING_NEW, Status.SUBMITTED),
        (ExecutionType.REJECTED, Status.REJECTED),
    ):
        history.reports.append(make_report("i3", kind, status, reason=Reason.VENUE_REFUSED))
    assert failed(outcome(history, venue)) == set()


def _digest(history: History) -> str:
    return digest(lines(history, ledger.fold(history.entries)))


def test_digest_leaves_wall_time_and_identities_out() -> None:
    """Wall times, transfer times, trade ids and entry ids do not change the digest."""
    history, _ = sound()
    before = _digest(history)
    for index, entry in enumerate(history.entries):
        later = {"created_time": NOW.replace(year=2030), "entry_id": f"e{index}"}
        if entry.order_id is None:
            later["market_time"] = NOW.replace(year=2031)
        history.entries[index] = entry.model_copy(update=later)
    history.positions = {
        key: position.model_copy(update={"updated_time": NOW.replace(year=2030)})
        for key, position in history.positions.items()
    }
    assert _digest(history) == before


def test_digest_does_not_depend_on_how_orders_were_mixed() -> None:
    """Two orders of one account that came in another order give the same digest."""
    digests = set()
    for first, second in (("i1", "i2"), ("i2", "i1")):
        world, history = World(price=make_price("100")), History()
        world.apply(make_transfer("1000"))
        world.apply(*[limit_buy(intent, "1", "100") for intent in (first, second)])
        for intent in (second, first):
            world.apply(make_report(intent, ExecutionType.CANCELED, Status.CANCELED))
        for record in world.records:
            history._sort(record)
        digests.add(_digest(history))
    assert len(digests) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"amount": D("-49.500000000000000001")},
        {"asset": "EUR"},
        {"cause": "SELL"},
        {"market_time": NOW.replace(year=2001)},
    ],
)
def test_digest_shows_every_figure(change: dict[str, Any]) -> None:
    """Another amount, asset, cause or market time of one entry gives another digest."""
    history, _ = sound()
    before = _digest(history)
    leg = next(i for i, e in enumerate(history.entries) if e.kind is EntryKind.TRADE_LEG)
    changed(history.entries, leg, **change)
    assert _digest(history) != before


def test_golden_file_decides(tmp_path: Path) -> None:
    """The digest check holds with the file of this run, fails with another, is waived if told."""
    history, venue = sound()
    golden = tmp_path / "golden.sha256"
    expected = replace(EXPECTED, golden=golden)
    golden.write_text(f"{_digest(history)}  ledger\n")
    assert judge(history, venue, [], 8, expected).ok
    golden.write_text("0" * 64 + "\n")
    assert failed(judge(history, venue, [], 8, expected)) == {"ledger_digest"}
    for kind, status in (
        (ExecutionType.PENDING_NEW, Status.SUBMITTED),
        (ExecutionType.REJECTED, Status.REJECTED),
    ):
        history.reports.append(make_report("i3", kind, status, reason=Reason.NOT_PLACED))
    waived = judge(history, venue, [], 8, expected)
    assert waived.ok
    assert "NOT_PLACED" in waived.checks[-1].detail


@pytest.mark.parametrize("text", ["", "no digest", "0" * 63, "G" * 64])
def test_golden_file_must_hold_a_digest(tmp_path: Path, text: str) -> None:
    """A file without a SHA-256 is an error of the caller, never a check that holds."""
    golden = tmp_path / "golden.sha256"
    golden.write_text(text)
    with pytest.raises(ConfigError, match="SHA-256"):
        read_golden(golden)


def test_venue_ledger_is_read_from_json() -> None:
    """The simulator's JSON comes out as exact decimals, with create calls counted."""
    found = read(
        {
            "balances": {"a1": {"BTC": {"total": "0.999000000000000001", "locked": "0"}}},
            "orders": [{"account": "a1", "clientOrderId": "c", "orderId": 7, "status": "FILLED"}],
            "trades": [
                {"account": "a1", "id": 1, "orderId": 7, "price": "99.00", "qty": "0.50000000",
                 "commission": "0.0005", "commissionAsset": "BTC", "isBuyer": True}
            ],
            "creates": [{"account": "a1", "clientOrderId": "c", "outcome": "x"}] * 2,
        }
    )  # fmt: skip
    assert found.totals == {("a1", "BTC"): D("0.999000000000000001")}
    assert found.orders == (VenueOrder("a1", "c", "7", "FILLED"),)
    assert found.trades[0].price == D(99)
    assert found.creates == {("a1", "c"): 2}


def test_names_are_those_of_the_catalogue() -> None:
    """The checker's own list of topics, records and groups agrees with the catalogue."""
    known = {topic.name: topic.record for topic in topics.RECORDS}
    assert {name: known.get(name) for name in names.RECORDS} == names.RECORDS
    groups = {
        topics.app_id(name): tuple(topic.name for topic in inputs)
        for name, inputs in topics.INPUTS.items()
        if inputs
    }
    assert groups == names.GROUPS


def test_cause_and_dead_letter_headers() -> None:
    """A cause is read from its header, a dead letter's reason by its stable name if it has one."""
    row = Row("t", 0, 1, 0, None, b"", (("cause", b"fillonce.strategy|market.bar|2|17|0"),))
    assert row.cause == Cause("fillonce.strategy", "market.bar", 2, 17, 0)
    assert Cause.parse(b"a|b|c|d|e") is None
    assert Row("t", 0, 1, 0, None, b"").cause is None
    facts = (("dlq.error", b"RefusedRow"), ("dlq.reason", b"quantity_zero"))
    assert reason_of(replace(row, headers=facts)) == "quantity_zero"
    sentence = (("dlq.error", b"DecodeError"), ("dlq.reason", b"the bytes are no frame (x)"))
    assert reason_of(replace(row, headers=sentence)) == "DecodeError"


def test_program_tells_and_exits(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The program prints each check, writes all as JSON, and exits 0, 3 or 2."""
    history, venue = sound()
    broken = copy.deepcopy(history)
    broken.ticks = 1
    out = tmp_path / "deep" / "checks.json"
    arguments = ["--bootstrap", "b", "--registry", "r", "--simulator", "s", "--out", str(out)]
    arguments += ["--ledger", str(tmp_path / "ledger.txt")]
    for found, status, word in ((outcome(history, venue), 0, "all hold"),
                                (outcome(broken, venue), 3, "FAIL  ticks")):  # fmt: skip
        monkeypatch.setattr(program, "run", lambda *_, found=found: found)
        assert program.main(arguments) == status
        assert word in capsys.readouterr().out
        document = json.loads(out.read_text())
        assert document["ok"] is (status == 0)
        assert document["digest"] == _digest(history)
        written = (tmp_path / "ledger.txt").read_bytes()
        assert hashlib.sha256(written).hexdigest() == document["digest"]
        assert {check["name"] for check in document["checks"]} == {c.name for c in found.checks}
    assert program.main([*arguments, "--refused", "nonsense"]) == 2


def test_sells_are_settled_at_cost() -> None:
    """A sale's legs and fee are compared with the venue's in the other direction."""
    world, history = World(price=make_price("100")), History()
    history.transfers = [make_transfer("2", "BTC")]
    sell = limit_buy("s1", "1", "100").model_copy(update={"side": Side.SELL})
    history.intents = [sell]
    trade = make_trade("s1", "t1", "1", "101", "1", Status.FILLED, fees=(("USDT", "0.101"),),
                       side=Side.SELL, value="101", venue_order_id=VENUE_ID)  # fmt: skip
    history.reports = [
        make_report("s1", ExecutionType.PENDING_NEW, Status.SUBMITTED, side=Side.SELL),
        trade,
    ]
    world.apply(*history.transfers, *history.intents, *history.reports)
    for record in world.records:
        history._sort(record)
    client = ids.client_order_id(ACCOUNT, "s1")
    venue = VenueLedger(
        {(ACCOUNT, "BTC"): D(1), (ACCOUNT, "USDT"): D("100.899")},
        (VenueOrder(ACCOUNT, client, VENUE_ID, "FILLED"),),
        (VenueTrade(ACCOUNT, "t1", VENUE_ID, D(101), D(1), D("0.101"), "USDT", False),),
        {},
    )
    trouble = failed(outcome(history, venue))
    assert trouble == {"ticks", "dead_letters_of_ticks"}  # there is no market here
