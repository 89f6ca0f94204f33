"""The order status machine, row by row of its table, and the alerts of what should not happen."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from processors.effects import AgeCheck
from processors.errors import RuleViolation
from processors.records.account import TransferKind
from processors.records.ledger import Balance, EntryKind, LedgerEntry
from processors.records.market import FeeMode, Side
from processors.records.ops import Alert
from processors.records.state_account import AccountStatus
from processors.records.trade import (
    ExecutionReport,
    ExecutionType,
    IntentKind,
    Reason,
    Status,
)
from tests.books import (
    ACCOUNT,
    NOW,
    World,
    limit_buy,
    make_intent,
    make_price,
    make_report,
    make_rules,
    make_trade,
    make_transfer,
    values,
)

D = Decimal
X, S = ExecutionType, Status

SUBMITTED = make_report("i1", X.PENDING_NEW, S.SUBMITTED)
UNKNOWN = make_report("i1", X.ORDER_STATUS, S.UNKNOWN)
NEW = make_report("i1", X.NEW, S.NEW)
SUSPENDED = make_report("i1", X.SUSPENDED, S.SUSPENDED)
TRIGGERED = make_report("i1", X.TRIGGERED, S.NEW)
HALF = make_trade("i1", "T1", "1", "100", "1", S.PARTIALLY_FILLED)
REST = make_trade("i1", "T2", "1", "100", "2", S.FILLED)
REJECTED = make_report("i1", X.REJECTED, S.REJECTED, reason=Reason.VENUE_REFUSED)
NOT_PLACED = make_report("i1", X.REJECTED, S.REJECTED, reason=Reason.NOT_PLACED)
CANCELED = make_report("i1", X.CANCELED, S.CANCELED)
EXPIRED = make_report("i1", X.EXPIRED, S.EXPIRED)
PREVENTED = make_report("i1", X.TRADE_PREVENTION, S.NEW, prevented_quantity=D(2))
BUST = make_report("i1", X.TRADE_CANCEL, S.NEW, trade="T1")


def ordered(*reports: ExecutionReport, quantity: str = "2") -> World:
    """A buy of 2 at 100, with 1,000 in the account, and the reports on it."""
    world = World(price=make_price("100"))
    world.apply(make_transfer("1000"), limit_buy(quantity=quantity))
    for report in reports:
        world.apply(report)
    return world


def cancel(world: World, name: str = "c") -> None:
    target = world.order().order_id
    world.apply(make_intent(name, kind=IntentKind.CANCEL, target_order_id=target))


def alerts(world: World) -> list[str]:
    return [record.kind for record in world.records if isinstance(record, Alert)]


@pytest.mark.parametrize(
    ("reports", "status", "held"),
    [
        ((), S.RESERVED, 200),
        ((SUBMITTED,), S.SUBMITTED, 200),
        ((SUBMITTED, UNKNOWN), S.UNKNOWN, 200),
        ((SUBMITTED, NEW), S.NEW, 200),
        ((SUBMITTED, UNKNOWN, NEW), S.NEW, 200),
        ((SUBMITTED, NEW, UNKNOWN), S.NEW, 200),
        ((SUBMITTED, SUSPENDED), S.SUSPENDED, 200),
        ((SUBMITTED, SUSPENDED, TRIGGERED), S.NEW, 200),
        ((SUBMITTED, SUSPENDED, HALF), S.PARTIALLY_FILLED, 100),
        ((SUBMITTED, REJECTED), S.REJECTED, 0),
        ((SUBMITTED, UNKNOWN, NOT_PLACED), S.REJECTED, 0),
        ((SUBMITTED, NEW, REJECTED), S.REJECTED, 0),
        ((HALF,), S.PARTIALLY_FILLED, 100),
        ((SUBMITTED, UNKNOWN, HALF), S.PARTIALLY_FILLED, 100),
        ((SUBMITTED, HALF, REST), S.FILLED, 0),
        ((SUBMITTED, NEW, CANCELED), S.CANCELED, 0),
        ((SUBMITTED, EXPIRED), S.EXPIRED, 0),
        ((NEW, CANCELED, HALF), S.CANCELED, 0),
        ((NEW, CANCELED, HALF, REST), S.FILLED, 0),
        ((NEW, EXPIRED, CANCELED), S.CANCELED, 0),
        ((NEW, CANCELED, EXPIRED), S.CANCELED, 0),
        ((NEW, REJECTED, HALF), S.CANCELED, 0),
        ((NEW, PREVENTED), S.EXPIRED, 0),
        ((HALF, BUST), S.NEW, 200),
        ((HALF, REST, BUST), S.FILLED, 0),
        ((NEW, HALF, CANCELED, BUST), S.CANCELED, 0),
        ((BUST, HALF), S.NEW, 200),
    ],
)
def test_the_status_and_the_hold_follow_from_the_facts(
    reports: tuple[ExecutionReport, ...], status: Status, held: int
) -> None:
    """Each row: reports in this order give this status and leave this hold."""
    world = ordered(*reports)
    assert values(world.order().status, world.held()) == (status, held)


@pytest.mark.parametrize(
    ("reports", "reason"),
    [
        ((SUBMITTED, REJECTED), Reason.VENUE_REFUSED),
        ((SUBMITTED, UNKNOWN, NOT_PLACED), Reason.NOT_PLACED),
        ((NEW, PREVENTED), Reason.STP),
        ((NEW, CANCELED), None),
        ((NEW, PREVENTED, CANCELED), None),
        ((NEW, CANCELED, PREVENTED), None),
        ((REJECTED, CANCELED), None),
        ((CANCELED, REJECTED), None),
        ((HALF, REST), None),
    ],
)
def test_the_reason_is_that_of_the_cause_that_stands(
    reports: tuple[ExecutionReport, ...], reason: Reason | None
) -> None:
    """A weaker cause lends its reason to none, whichever came first."""
    assert ordered(*reports).order().reason is reason


def test_a_pending_cancel_stands_until_the_venue_answers() -> None:
    """A fill leaves it pending, a refusal derives the status anew, a full fill ends it."""
    world = ordered(NEW)
    cancel(world)
    world.apply(HALF)
    assert values(world.order().status, world.held()) == (S.PENDING_CANCEL, 100)
    world.apply(make_report("i1", X.CANCEL_REJECTED, S.PARTIALLY_FILLED, filled="1"))
    assert world.order().status is S.PARTIALLY_FILLED
    cancel(world, "c2")
    world.apply(REST)
    assert world.order().status is S.FILLED


def test_a_terminal_report_that_knows_of_more_fills_keeps_their_hold() -> None:
    """Canceled with 1 filled and none known: the hold of 1 stays until that fill arrives."""
    gap = make_report("i1", X.CANCELED, S.CANCELED, filled="1", value="100")
    world = ordered(NEW, gap)
    assert values(world.order().status, world.held()) == (S.CANCELED, 100)
    assert "fill_gap" in alerts(world)
    world.apply(HALF)
    assert values(world.held(), world.total()) == (0, 900)
    assert "late_fill" not in alerts(world)


def test_a_late_fill_is_booked_from_free_and_named() -> None:
    """After a cancel that knew of no fill, a fill is paid all the same."""
    world = ordered(NEW, CANCELED, HALF)
    assert values(world.total(), world.held(), world.total("BTC")) == (900, 0, 1)
    assert alerts(world).count("late_fill") == 1


def test_an_overfill_is_booked_and_named() -> None:
    """More filled than ordered: all of it is paid, and an operator is called."""
    world = ordered(make_trade("i1", "T1", "3", "100", "3", S.FILLED))
    assert values(world.order().status, world.total(), world.held()) == (S.FILLED, 700, 0)
    assert "overfill" in alerts(world)


def test_a_closed_order_that_is_not_full_is_expired() -> None:
    """A venue's FILLED with less than was ordered is no full fill."""
    world = ordered(HALF, make_report("i1", X.ORDER_STATUS, S.FILLED, filled="1", value="100"))
    assert values(world.order().status, world.held()) == (S.EXPIRED, 0)


def test_a_refused_order_that_trades_is_a_conflict() -> None:
    """It is booked and paged: the venue contradicts itself."""
    assert "venue_conflict" in alerts(ordered(REJECTED, HALF))
    assert "venue_conflict" in alerts(ordered(REJECTED, NEW))


def test_a_fill_of_a_denied_order_halts_and_books_nothing() -> None:
    """An operator has to rule; no leg is written."""
    world = ordered(quantity="2000")
    before = world.account.balances
    world.apply(SUBMITTED, HALF)
    assert world.account.standing.status is AccountStatus.HALTED
    assert world.account.balances == before
    assert alerts(world) == ["denied_order_reported"] * 2


def test_an_unknown_order_is_an_alert_and_no_entry() -> None:
    """A report of an order that was never decided here is never silent and never booked."""
    world = World()
    world.apply(make_transfer("1000"))
    before = world.account
    step = world.apply(make_trade("other", "T1", "1", "100", "1", S.FILLED))
    assert alerts(world) == ["order_unknown"]
    assert world.account == before
    assert step.writes == ()


@pytest.mark.parametrize(
    "report",
    [
        make_report("i1", X.NEW, S.NEW, side=Side.SELL),
        make_report("i1", X.NEW, S.NEW, instrument="BINANCE:ETH/USDT"),
        make_report("i1", X.TRADE, S.FILLED, trade="T1", last="1"),
        make_report("i1", X.TRADE, S.FILLED, trade="T1", price="100"),
        make_report("i1", X.TRADE_CANCEL, S.NEW),
    ],
)
def test_a_report_that_contradicts_its_order_is_refused(report: ExecutionReport) -> None:
    """It is dead-lettered; the order keeps its hold."""
    world = ordered(NEW)
    with pytest.raises(RuleViolation):
        world.apply(report)
    assert world.held() == 200


def test_a_fee_in_quote_is_part_of_what_a_fill_costs() -> None:
    """Hold 200.2 with the fee in it; a fill of 1 with a fee of 0.1 consumes 100.1."""
    world = World(price=make_price("100"), rules=make_rules(fee_mode=FeeMode.QUOTE))
    world.apply(make_transfer("1000"), limit_buy(quantity="2"))
    assert world.held() == D("200.2")
    world.apply(
        make_trade("i1", "T1", "1", "100", "1", S.PARTIALLY_FILLED, fees=(("USDT", "0.1"),))
    )
    assert values(world.total(), world.held()) == (D("899.9"), D("100.1"))


def test_fees_in_any_asset_are_booked_as_reported() -> None:
    """A fee received in base, a rebate and a third asset each leave their own entry."""
    fees = (("BTC", "0.001"), ("USDT", "-0.05"), ("BNB", "0.01"))
    world = ordered(make_trade("i1", "T1", "2", "100", "2", S.FILLED, fees=fees))
    assert world.total("BTC") == D("1.999")
    assert world.total() == D("800.05")
    assert world.total("BNB") == D("-0.01")
    assert world.order().fees == {"BNB": D("0.01"), "BTC": D("0.001"), "USDT": D("-0.05")}
    assert world.position.unvalued_fees == {"BNB": D("0.01")}
    assert world.account.standing.status is AccountStatus.REDUCING  # the BNB was not there


def test_a_settlement_that_costs_more_than_there_is_shows_the_debt() -> None:
    """The total goes below zero, the account may only reduce, an operator is paged."""
    world = ordered(make_trade("i1", "T1", "2", "600", "2", S.FILLED))
    assert world.total() == -200
    assert world.account.standing.status is AccountStatus.REDUCING
    balance = next(
        r for r in reversed(world.records) if isinstance(r, Balance) and r.asset == "USDT"
    )
    assert balance.overdraft
    assert "overdraft" in alerts(world)


def holds(world: World, kind: EntryKind) -> list[Decimal]:
    """The amounts of the entries of a kind."""
    return [r.amount for r in world.records if isinstance(r, LedgerEntry) and r.kind is kind]


def test_a_better_price_is_consumed_at_its_cost_and_the_rest_released() -> None:
    """A fill of 1 at 99 consumes 99 of the hold and releases 1."""
    world = ordered(make_trade("i1", "T1", "1", "99", "1", S.PARTIALLY_FILLED))
    assert holds(world, EntryKind.HOLD_CONSUMED) == [D(-99)]
    assert holds(world, EntryKind.HOLD_RELEASED) == [D(-1)]


def test_a_worse_price_takes_the_shortfall_from_free_and_not_from_the_open_part() -> None:
    """A fill of 1 at 120 consumes 100; the other 20 come from free, the open part keeps its hold."""
    world = ordered(make_trade("i1", "T1", "1", "120", "1", S.PARTIALLY_FILLED))
    assert holds(world, EntryKind.HOLD_CONSUMED) == [D(-100)]
    assert holds(world, EntryKind.HOLD_RESIZED) == []
    assert values(world.total(), world.held()) == (880, 100)


def test_a_fee_in_the_held_asset_is_consumed_with_the_fill() -> None:
    """A fill of 1 at 90 with a fee of 5 consumes 95 and releases 5."""
    fees = (("USDT", "5"),)
    world = ordered(make_trade("i1", "T1", "1", "90", "1", S.PARTIALLY_FILLED, fees=fees))
    assert holds(world, EntryKind.HOLD_CONSUMED) == [D(-95)]
    assert holds(world, EntryKind.HOLD_RELEASED) == [D(-5)]


def test_holds_are_rounded_up_to_the_assets_scale() -> None:
    """0.333 at 100.01 is 33.30333: 33.31 are held; what is left of it rounds up again."""
    world = World(price=make_price("100"), rules=make_rules(quote_scale=2))
    world.apply(make_transfer("1000"), limit_buy(quantity="0.333", price="100.01"))
    assert world.held() == D("33.31")
    world.apply(make_trade("i1", "T1", "0.111", "100.01", "0.111", S.PARTIALLY_FILLED))
    assert world.held() == D("22.21")


def test_an_ended_order_never_takes_a_hold_again() -> None:
    """A second, better informed cancel cannot hold what the first has released."""
    gap = make_report("i1", X.CANCELED, S.CANCELED, filled="1", value="100")
    assert ordered(NEW, CANCELED, gap).held() == 0
    assert ordered(NEW, gap, CANCELED).held() == 100


def test_a_busted_fill_leaves_no_gap() -> None:
    """A cancel that still counts a busted fill waits for nothing, by quantity and by amount."""
    gap = make_report("i1", X.CANCELED, S.CANCELED, filled="1", value="100")
    assert ordered(NEW, HALF, BUST, gap).held() == 0
    world = World(price=make_price("100"))
    world.apply(make_transfer("1000"), make_intent(quote_quantity=D(200)))
    world.apply(HALF)
    assert world.held() == 100
    world.apply(BUST)
    assert world.held() == 200
    world.apply(gap)
    assert values(world.held(), world.total()) == (0, 1000)


def test_a_correction_replaces_its_fill_exactly() -> None:
    """The first legs are reversed and the corrected ones booked, once."""
    correct = make_report(
        "i1", X.TRADE_CORRECT, S.PARTIALLY_FILLED, trade="T1", last="1", price="90", filled="1"
    )
    world = ordered(HALF, correct, correct, HALF)
    assert values(world.total(), world.held(), world.order().total_value) == (910, 100, 90)
    assert world.position.cost == 90
    assert world.order().trades == 1
    early = ordered(correct, HALF)
    assert values(early.total(), early.held(), early.position.cost) == (910, 100, 90)


def test_each_correction_has_entries_of_its_own() -> None:
    """Two corrections that differ in the fee alone are one fact to the venue, two sets of entries."""
    first, second = (
        make_report(
            "i1", X.TRADE_CORRECT, S.NEW, trade="T1", last="1", price="90", fees=(("USDT", fee),)
        )
        for fee in ("1", "2")
    )
    world = ordered(HALF, first, second)
    names = [record.entry_id for record in world.records if isinstance(record, LedgerEntry)]
    assert len(names) == len(set(names))
    assert world.total() == 908


def test_a_fully_busted_fill_leaves_a_canceled_order_and_nothing_else() -> None:
    """Every leg is reversed; a filled order whose only fill is gone is CANCELED(BUSTED)."""
    full = make_trade("i1", "T1", "2", "100", "2", S.FILLED)
    world = ordered(full, BUST)
    assert values(world.order().status, world.order().reason) == (S.CANCELED, Reason.BUSTED)
    assert values(world.total(), world.held(), world.total("BTC")) == (1000, 0, 0)
    assert values(world.position.quantity, world.position.cost, world.position.realised) == (
        0,
        0,
        0,
    )


def test_a_transfer_is_booked_once_and_its_sign_must_fit() -> None:
    """A repeat changes nothing; a deposit that takes or a withdrawal that gives is refused."""
    world = World()
    world.apply(make_transfer("100"), make_transfer("100"))
    assert world.total() == 100
    with pytest.raises(RuleViolation):
        world.apply(make_transfer("-1", transfer_id="t2", kind=TransferKind.DEPOSIT))
    with pytest.raises(RuleViolation):
        world.apply(make_transfer("1", transfer_id="t3", kind=TransferKind.WITHDRAWAL))
    world.apply(make_transfer("-40", transfer_id="t4", kind=TransferKind.WITHDRAWAL))
    world.apply(make_transfer("-1", transfer_id="t5", kind=TransferKind.CORRECTION))
    assert world.total() == 59
    kinds = [record.kind for record in world.records if isinstance(record, LedgerEntry)]
    assert kinds == [EntryKind.DEPOSIT, EntryKind.WITHDRAWAL, EntryKind.DRIFT]


def test_a_withdrawal_of_held_money_is_a_debt_and_no_release() -> None:
    """The hold stays; available is negative and said so."""
    world = ordered()
    world.apply(make_transfer("-900", transfer_id="w", kind=TransferKind.WITHDRAWAL))
    assert values(world.total(), world.held(), world.available()) == (100, 200, -100)
    assert world.account.standing.status is AccountStatus.REDUCING


def test_an_old_hold_is_told_once_and_never_released() -> None:
    """The clock raises one alert per wait; new word from the venue starts the wait anew."""
    world = ordered(SUBMITTED)
    check = AgeCheck(ACCOUNT, world.order().order_id, timedelta(seconds=60))
    world.apply(check)
    assert alerts(world) == []
    world.now = NOW + timedelta(seconds=61)
    world.apply(check, check)
    assert alerts(world) == ["hold_old"]
    assert world.held() == 200
    world.apply(NEW)
    world.now += timedelta(seconds=61)
    world.apply(check)
    assert alerts(world) == ["hold_old", "hold_old"]


def test_open_orders_and_their_quantity_are_counted_back_to_zero() -> None:
    """Exposures follow the leaves and leave nothing behind."""
    world = ordered(HALF)
    exposure = world.account.standing.exposures["BINANCE:BTC/USDT"]
    assert values(exposure.orders, exposure.buying) == (1, 1)
    world.apply(CANCELED)
    assert world.account.standing.exposures == {}
    assert world.account.standing.open_orders == 0
