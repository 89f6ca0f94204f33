"""The invariants I1 to I16 of the trading rules, over random histories of one account.

I13 (create calls at the venue) is the gateway's. Events are random: intents of three shapes, reports
in any order, true or not, repeats, transfers, controls.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import ROUND_FLOOR, Decimal
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processors import audit, events, orders
from processors.effects import Event
from processors.errors import RuleViolation
from processors.records.account import ControlAction, TransferKind
from processors.records.base import Record
from processors.records.ledger import LedgerEntry
from processors.records.market import FeeMode, Side
from processors.records.state_account import AccountStatus, OrderState, Seen
from processors.records.trade import (
    ExecutionReport,
    ExecutionType,
    IntentKind,
    OrderEvent,
    OrderEventKind,
    OrderType,
    Reason,
    Status,
    TimeInForce,
    TradeIntent,
)
from schemas.generate import Generated, generate
from tests.books import (
    ACCOUNT,
    World,
    limit_buy,
    make_control,
    make_intent,
    make_policy,
    make_price,
    make_report,
    make_rules,
    make_transfer,
    values,
)

D = Decimal
X, S = ExecutionType, Status
NAMES = ("i0", "i0", "i1", "i2", "i3")
SELLS = "i3"
"""The one name whose intents and reports are of the other side: a report's side must fit."""

steps = st.integers(1, 400).map(lambda n: D(n).scaleb(-2))
prices = st.integers(9_600, 10_400).map(lambda n: D(n).scaleb(-2))
fees = st.integers(-3, 20).map(lambda n: str(D(n).scaleb(-4)))


def side_of(name: str) -> Side:
    return Side.SELL if name == SELLS else Side.BUY


@st.composite
def intents(draw: st.DrawFn) -> TradeIntent:
    name = draw(st.sampled_from(NAMES))
    fields: dict[str, Any] = {"side": side_of(name)}
    shape = draw(st.sampled_from(["limit", "market", "quote", "cancel"]))
    if shape == "cancel":
        target = limit_buy(name)
        order_id = make_report(target.intent_id, X.NEW, S.NEW).order_id
        return make_intent(f"c{name}", kind=IntentKind.CANCEL, target_order_id=order_id)
    if shape == "limit":
        fields |= {"order_type": OrderType.LIMIT, "time_in_force": TimeInForce.GTC}
        fields |= {"quantity": draw(steps), "price": draw(prices)}
    elif shape == "quote":
        fields["quote_quantity"] = draw(prices)
    return make_intent(name, **fields)


@st.composite
def reports(draw: st.DrawFn) -> ExecutionReport:
    name = draw(st.sampled_from(NAMES))
    kind, status = draw(
        st.sampled_from(
            [
                (X.PENDING_NEW, S.SUBMITTED),
                (X.ORDER_STATUS, S.UNKNOWN),
                (X.NEW, S.NEW),
                (X.TRADE, S.PARTIALLY_FILLED),
                (X.TRADE, S.PARTIALLY_FILLED),
                (X.TRADE, S.FILLED),
                (X.TRADE_CORRECT, S.PARTIALLY_FILLED),
                (X.TRADE_CANCEL, S.NEW),
                (X.CANCELED, S.CANCELED),
                (X.EXPIRED, S.EXPIRED),
                (X.REJECTED, S.REJECTED),
                (X.CANCEL_REJECTED, S.NEW),
                (X.TRADE_PREVENTION, S.NEW),
            ]
        )
    )
    filled, price = draw(steps), draw(prices)
    fields: dict[str, Any] = {"side": side_of(name)}
    if kind in orders.TRADES:
        fields |= {"trade": draw(st.sampled_from(["T1", "T2", "T3"])), "last": draw(steps)}
        fields |= {"price": price}
        fields["fees"] = ((draw(st.sampled_from(["BTC", "USDT", "BNB"])), draw(fees)),)
    if kind is X.TRADE_PREVENTION:
        fields["prevented_quantity"] = draw(steps)
    return make_report(name, kind, status, filled=filled, value=filled * price, **fields)


transfers = st.builds(
    lambda amount, asset, name: make_transfer(amount, asset, name, TransferKind.CORRECTION),
    st.integers(-200, 300).map(str),
    st.sampled_from(["USDT", "BTC"]),
    st.sampled_from(["x1", "x2"]),
)
controls = st.builds(make_control, st.sampled_from(ControlAction), st.sampled_from(["k1", "k2"]))
later: st.SearchStrategy[list[Event]] = st.lists(
    st.one_of(reports(), reports(), reports(), intents(), transfers, controls),
    min_size=6,
    max_size=25,
)


@st.composite
def openings(draw: st.DrawFn) -> list[Event]:
    """Orders of each shape to report on, so that most histories trade."""
    sold = limit_buy(SELLS, "2", "99").model_copy(update={"side": Side.SELL})
    opened = [limit_buy("i0", "2", str(draw(prices))), make_intent("i1", quote_quantity=D(150))]
    opened = [*opened, sold]
    return list[Event](opened[: draw(st.integers(1, 3))])


histories: st.SearchStrategy[list[Event]] = st.builds(list[Event].__add__, openings(), later)
modes = st.sampled_from([FeeMode.QUOTE, FeeMode.RECEIVED])


def start(mode: FeeMode) -> World:
    world = World(
        price=make_price("100"),
        rules=make_rules(fee_mode=mode, step_size=D("0.01"), min_quantity=D("0.01")),
        policy=make_policy(stop_loss=D("0.05"), slippage=D("0.01")),
    )
    world.apply(make_transfer("700"), make_transfer("3", "BTC", "t2"))
    return world


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


@st.composite
def lives(draw: st.DrawFn) -> tuple[TradeIntent, list[ExecutionReport]]:
    """One order and a true set of facts: fills, an acknowledgement, and how it ended."""
    name = draw(st.sampled_from(("i0", SELLS)))
    by_quote = name != SELLS and draw(st.booleans())
    quantity = draw(st.integers(3, 300))
    parts = sorted(draw(st.sets(st.integers(1, quantity), min_size=1, max_size=3)))
    side = side_of(name)
    facts = [make_report(name, X.NEW, S.NEW, side=side)]
    filled, value = D(0), D(0)
    for index, part in enumerate(parts):
        last, price = D(part).scaleb(-2) - filled, draw(prices)
        filled, value = filled + last, value + last * price
        full = part == quantity and not by_quote
        facts.append(
            make_report(
                name,
                X.TRADE,
                S.FILLED if full else S.PARTIALLY_FILLED,
                filled=filled,
                value=value,
                last=last,
                price=price,
                trade=f"T{index}",
                side=side,
                fees=((draw(st.sampled_from(["BTC", "USDT"])), draw(fees)),),
            )
        )
    ends = draw(st.sets(st.sampled_from([S.CANCELED, S.EXPIRED]), min_size=1))
    known = draw(st.booleans())
    facts += [
        make_report(
            name,
            ExecutionType(end.value),
            end,
            filled=filled if known else D(0),
            value=value if known else D(0),
            side=side,
            reason=draw(st.sampled_from([None, Reason.VENUE_REFUSED, Reason.OTHER])),
        )
        for end in sorted(ends)
    ]
    if by_quote:
        spend = (value * D("1.01")).quantize(D("0.01"), ROUND_FLOOR) + 5
        return make_intent(name, quote_quantity=spend), facts
    order = limit_buy(name, str(D(quantity).scaleb(-2)), "104").model_copy(update={"side": side})
    return order, facts


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
