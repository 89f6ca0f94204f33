"""An audit of a sound log finds nothing, and of a log with one thing wrong, that thing."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import pytest

from processors import audit
from processors.records.ledger import EntryKind, LedgerEntry
from processors.records.trade import ExecutionReport, OrderEvent, Status, TradeIntent
from tests.books import ACCOUNT, World, limit_buy, make_price, make_trade, make_transfer

D = Decimal

INTENTS = (limit_buy("a", "2"), limit_buy("b", "100"), limit_buy("a", "2"))
REPORTS = (
    make_trade("a", "T1", "1", "99", "1", Status.PARTIALLY_FILLED, fees=(("BTC", "0.001"),)),
    make_trade("a", "T1", "1", "99", "1", Status.PARTIALLY_FILLED, fees=(("BTC", "0.001"),)),
    make_trade("a", "T2", "1", "98.5", "2", Status.FILLED),
)


@pytest.fixture
def world() -> World:
    world = World(price=make_price("100"))
    world.apply(make_transfer("1000"), *INTENTS, *REPORTS)
    return world


def entries(world: World) -> list[LedgerEntry]:
    return [record for record in world.records if isinstance(record, LedgerEntry)]


def events(world: World) -> list[OrderEvent]:
    return [record for record in world.records if isinstance(record, OrderEvent)]


def findings(log: list[LedgerEntry], reports: tuple[ExecutionReport, ...] = REPORTS) -> set[str]:
    ledger = audit.fold(log)
    found = [*ledger.findings, *audit.conservation(ledger), *audit.settlements(ledger, reports)]
    return {finding.rule for finding in found}


def test_a_sound_log_adds_up_to_the_table(world: World) -> None:
    """The fold of the log is the live table, and no check finds anything."""
    ledger = audit.fold(entries(world))
    assert findings(entries(world)) == set()
    assert audit.first_difference(ledger.accounts, {ACCOUNT: world.account}) is None
    assert audit.decisions(INTENTS, events(world)) == []
    assert ledger.holds == {}


@pytest.mark.parametrize(
    ("spoil", "rule"),
    [
        (lambda log: log[:2] + log[3:], "sequence"),
        pytest.param(lambda log: [*log, log[-1]], "sequence", id="repeat"),
        (lambda log: [*log, log[-1]], "entry_once"),
        (lambda log: changed(log, EntryKind.TRADE_LEG, total_after=D(7)), "total_after"),
        (lambda log: changed(log, EntryKind.HOLD_CONSUMED, held_after=D(7)), "held_after"),
        (
            lambda log: changed(log, EntryKind.HOLD_PLACED, amount=D(1001), held_after=D(1001)),
            "hold_within_available",
        ),
        (lambda log: changed(log, EntryKind.DEPOSIT, amount=D(999)), "conservation"),
        (lambda log: changed(log, EntryKind.FEE_LEG, amount=D("-0.002")), "legs_are_fills"),
        (lambda log: changed(log, EntryKind.HOLD_PLACED, order_id="another"), "hold_not_negative"),
        (lambda log: changed(log, EntryKind.HOLD_PLACED, order_id=None), "holds_of_orders"),
    ],
)
def test_one_thing_wrong_is_found(
    world: World, spoil: Callable[[list[LedgerEntry]], list[LedgerEntry]], rule: str
) -> None:
    """A gap, a repeat, a forged figure: each has its finding."""
    assert rule in findings(spoil(entries(world)))


def test_a_fill_that_was_not_booked_is_found(world: World) -> None:
    """A report without legs, and legs without a report."""
    other = make_trade("a", "T9", "1", "1", "3", Status.FILLED)
    assert findings(entries(world), (*REPORTS, other)) == {"legs_are_fills"}
    assert findings(entries(world), REPORTS[:2]) == {"legs_are_fills"}


def test_a_missing_and_a_double_decision_are_found(world: World) -> None:
    """One decision per intent that was read, and one order per intent id."""

    def rules(intents: tuple[TradeIntent, ...], log: list[OrderEvent]) -> set[str]:
        return {finding.rule for finding in audit.decisions(intents, log)}

    log = events(world)
    assert rules(INTENTS, log[:-1]) == {"one_decision_per_intent"}
    assert rules(INTENTS[:2], [log[0], log[0], log[1]]) == {
        "one_decision_per_intent",
        "one_order_per_intent",
    }


def test_the_first_difference_has_a_path(world: World) -> None:
    """Account, sequence, total and hold are compared in order."""
    one = {ACCOUNT: world.account}
    assert audit.first_difference(one, {}) == audit.Difference(ACCOUNT, "sequence 11", "absent")
    log = entries(world)
    other = audit.fold(log[:-1]).accounts
    difference = audit.first_difference(one, other)
    assert difference is not None
    assert difference.path == f"{ACCOUNT}.sequence"
    forged = log[-1].model_copy(update={"total_after": D(3)})
    other = audit.fold([*log[:-1], forged]).accounts
    assert audit.first_difference(one, other) == audit.Difference("a1.BTC.total", "1.999", "3")


def changed(log: list[LedgerEntry], kind: EntryKind, **update: object) -> list[LedgerEntry]:
    """The log with the first entry of a kind forged."""
    index = next(i for i, entry in enumerate(log) if entry.kind is kind)
    return [*log[:index], log[index].model_copy(update=update), *log[index + 1 :]]
