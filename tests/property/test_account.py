"""The invariants I1 to I16 of the trading rules, over random histories of one account.

I13 (create calls at the venue) is the gateway's. Events are random: intents of three shapes, reports
in any order, true or not, repeats, transfers, controls.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given, settings

from processors import audit, events, orders
from processors.effects import Event
from processors.errors import RuleViolation
from processors.records.base import Record
from processors.records.ledger import LedgerEntry
from processors.records.market import FeeMode
from processors.records.state_account import AccountStatus, OrderState, Seen
from processors.records.trade import (
    ExecutionReport,
    IntentKind,
    OrderEvent,
    OrderEventKind,
    Reason,
    TradeIntent,
)
from schemas.generate import Generated, generate
from tests.books import (
    ACCOUNT,
    World,
    limit_buy,
    make_price,
    make_report,
    make_rules,
    make_transfer,
    values,
)
from tests.histories import S, X, histories, lives, modes, start

D = Decimal


def run(
    mode: FeeMode, history: Sequence[Event], check: Callable[[World], None] | None = None
) -> World:
    """Apply a history; what contradicts its order is left out, as its dead letter would be."""
    world = start(mode)
    for event in history:
        try:
            world.apply(event)
        except RuleViolation:
            continue
        if check is not None:
            check(world)
    return world


def figures(world: World) -> dict[str, Any]:
    """Money, holds and positions, apart from times and counters of entries."""
    return {
        "balances": world.account.balances,
        "holds": {order.order_id: order.held for order in world.orders},
        "filled": {order.order_id: order.filled_quantity for order in world.orders},
    }


def held_by_asset(world: World) -> dict[str, Decimal]:
    sums: dict[str, Decimal] = {}
    for order in world.orders:
        if order.held:
            sums[order.hold_asset] = sums.get(order.hold_asset, D(0)) + order.held
    return sums


def invariants(world: World) -> None:
    """I1, I2, I3, I5, I14 after one event."""
    account = world.account
    held = {asset: item.held for asset, item in account.balances.items() if item.held}
    assert held == held_by_asset(world)  # I1, I14: the running total is the sum of the holds
    for asset, balance in account.balances.items():
        assert balance.held >= 0  # I2
        assert (
            balance.total >= balance.held or account.standing.status is not AccountStatus.ACTIVE
        ), asset
    for order in world.orders:
        check_order(world, order)
    opened = [order for order in world.orders if not orders.is_terminal(order.status)]
    assert account.standing.open_orders == len(opened)
    exposures = account.standing.exposures.values()
    assert sum(item.orders for item in exposures) == len(opened)
    buying = sum(orders.exposure(order).buying for order in opened)
    assert sum(item.buying for item in exposures) == buying


def check_order(world: World, order: OrderState) -> None:
    assert order.status is orders.derive(order)
    assert order.held == orders.need(order)  # I3
    if orders.is_terminal(order.status):
        assert not order.held or orders.gap(order) or order.ended_value > order.total_value
    elif orders.remaining(order):
        assert order.held > 0  # I14
    trades = [
        seen
        for seen in world.tables["seen"].values()
        if isinstance(seen, Seen) and seen.order_id == order.order_id
    ]
    assert order.filled_quantity == sum(seen.quantity for seen in trades)  # I5
    assert order.total_value == sum(seen.value for seen in trades)
    expected = order.quantity - order.prevented_quantity - order.filled_quantity
    open_ = not orders.is_terminal(order.status)
    assert orders.leaves(order) == (max(D(0), expected) if open_ else 0)


@given(modes, histories)
def test_balances_holds_and_orders_agree_after_every_event(
    mode: FeeMode, history: list[Event]
) -> None:
    """I1, I2, I3, I5, I14: the account's figures are what its orders add up to."""
    run(mode, history, invariants)


@given(modes, histories)
def test_the_log_folds_to_the_tables_and_conserves_money(
    mode: FeeMode, history: list[Event]
) -> None:
    """I4, I5, I8, I9, I12: totals are flows, holds their entries, legs the venue's fills, once each."""
    world, told = start(mode), list[ExecutionReport]()
    for event in history:
        try:
            step = world.apply(event)
        except RuleViolation:
            continue
        order = step.view.order
        if isinstance(event, ExecutionReport) and order and order.status is not S.DENIED:
            told.append(event)
    ledger = audit.fold(record for record in world.records if isinstance(record, LedgerEntry))
    assert ledger.findings == []
    assert audit.conservation(ledger) == []
    assert audit.first_difference(ledger.accounts, {ACCOUNT: world.account}) is None
    assert audit.settlements(ledger, told) == []
    held = {key[1]: amount for key, amount in ledger.holds.items()}
    assert held == {order.order_id: order.held for order in world.orders if order.held}


@given(modes, histories)
def test_an_event_applied_twice_is_applied_once(mode: FeeMode, history: list[Event]) -> None:
    """I6: the repeat writes no table; only an intent's repeat is answered, with a denial."""
    world = start(mode)
    for event in history:
        try:
            world.apply(event)
        except RuleViolation:
            continue
        repeat = world.apply(event)
        assert repeat.writes == ()
        answers = [record for record in repeat.records if isinstance(record, OrderEvent)]
        assert len(answers) == isinstance(event, TradeIntent)
        assert all(answer.kind is OrderEventKind.DENIED for answer in answers)


@given(modes, histories)
def test_a_whole_history_that_comes_again_moves_no_money(
    mode: FeeMode, history: list[Event]
) -> None:
    """I6: late repeats too; corrections of one trade are the exception, the newest read counts."""
    history = [
        event
        for event in history
        if not (isinstance(event, ExecutionReport) and event.execution_type is X.TRADE_CORRECT)
    ]
    world = run(mode, history)
    # What reported an order before its intent was decided was unknown then, and is not a repeat.
    known = {order.order_id for order in start(mode).orders}
    again: list[Event] = []
    for event in history:
        if isinstance(event, TradeIntent) and event.kind is not IntentKind.CANCEL:
            known.add(make_report(event.intent_id, X.NEW, S.NEW).order_id)
        if not isinstance(event, ExecutionReport) or event.order_id in known:
            again.append(event)
    before = figures(world)
    for event in again:
        try:
            world.apply(event)
        except RuleViolation:
            continue
    assert figures(world) == before


@given(modes, histories)
def test_every_intent_has_one_decision_and_a_denial_changes_no_money(
    mode: FeeMode, history: list[Event]
) -> None:
    """I9, I10, I15: a hold fits into what is free, a denial leaves the account as it was."""
    world = start(mode)
    for event in (item for item in history if isinstance(item, TradeIntent)):
        before, free = world.account, {"USDT": world.available(), "BTC": world.available("BTC")}
        decision = world.decision(event)
        if decision.kind is OrderEventKind.RESERVED:
            assert 0 < decision.hold_amount <= free[decision.hold_asset]
            assert world.rules is not None
            assert decision.quantity % world.rules.step_size == 0
            assert decision.price is None or decision.price % world.rules.tick_size == 0
            assert decision.rules_version == world.rules.version
        else:
            assert world.account.balances == before.balances
            assert world.account.sequence == before.sequence
            assert decision.kind is not OrderEventKind.DENIED or decision.reason is not None


@given(modes, histories)
def test_money_is_never_a_float(mode: FeeMode, history: list[Event]) -> None:
    """I16: no record of this core holds one."""
    world = run(mode, history)
    entries = [entry for table in world.tables.values() for entry in table.values()]
    for record in (*world.records, *entries):
        assert not list(floats(record))


CODECS: dict[type[Record], Generated] = {}


def encoded(record: Record) -> bytes:
    """A record's bytes; a figure that does not fit its schema raises."""
    made = CODECS.get(type(record)) or CODECS.setdefault(type(record), generate(type(record)))
    return made.encode(record)


@given(modes, histories)
def test_tables_that_came_back_from_bytes_decide_the_same_bytes(
    mode: FeeMode, history: list[Event]
) -> None:
    """I12: a worker that restored its tables writes byte for byte what one that never stopped writes."""
    kept, restored = start(mode), start(mode)
    for event in history:
        for table in restored.tables.values():
            for key, entry in table.items():
                data = encoded(entry)
                table[key] = CODECS[type(entry)].trusted(data, 0)[0]
        try:
            step = kept.apply(event)
        except RuleViolation:
            with pytest.raises(RuleViolation):
                restored.apply(event)
            continue
        again = restored.apply(event)
        assert [encoded(record) for record in again.records] == [encoded(r) for r in step.records]
        assert [encoded(entry) for _, _, entry in again.writes] == [
            encoded(entry) for _, _, entry in step.writes
        ]
        assert list(map(events.describe, again.effects)) == list(map(events.describe, step.effects))


def floats(value: object) -> list[float]:
    if isinstance(value, float):
        return [value]
    if isinstance(value, Record):
        return [found for item in dict(value).values() for found in floats(item)]
    if isinstance(value, dict):
        return [found for item in value.values() for found in floats(item)]
    if isinstance(value, tuple):
        return [found for item in value for found in floats(item)]
    return []


@settings(deadline=None)
@given(modes, lives())
def test_the_order_in_which_facts_arrive_does_not_matter(
    mode: FeeMode, life: tuple[TradeIntent, list[ExecutionReport]]
) -> None:
    """I7: every permutation gives the same balances, filled quantity, status, position and reason."""
    intent, facts = life
    ends: list[object] = []
    for order in list(permutations(facts))[:: max(1, len(facts) - 3)]:
        world = start(mode)
        assert world.reason(intent) in {
            None,
            Reason.INSUFFICIENT_AVAILABLE_BALANCE,
            Reason.MIN_NOTIONAL,
        }
        for fact in order:
            world.apply(fact)
        kept = world.order(intent.intent_id)
        ends.append((figures(world), kept.status, kept.reason, kept.fees, kept.trades))
    assert all(end == ends[0] for end in ends)


@pytest.mark.parametrize("context_digits", [6, 28])
def test_the_ambient_decimal_context_changes_nothing(context_digits: int) -> None:
    """A library that lowers the precision of the thread does not round our money."""
    from decimal import localcontext

    amount = D("12345678901234567.123456789012345678")
    with localcontext() as context:
        context.prec = context_digits
        world = World(price=make_price("100"), rules=make_rules(quote_scale=18))
        world.apply(make_transfer(str(amount)))
        world.apply(limit_buy("i0", "2.00001", "100.01"))
        world.apply(
            make_report(
                "i0", X.TRADE, S.FILLED, filled="2.00001", last="2.00001", price="100.01", trade="T"
            )
        )
        total, held, btc = world.total(), world.held(), world.total("BTC")
    assert total == D("12345678901234367.102456689012345678")
    assert values(held, btc) == (D(0), D("2.00001"))
