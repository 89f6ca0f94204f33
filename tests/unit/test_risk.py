"""Every reason for which an intent is denied, one case each, and what a denial leaves alone."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from processors.records.account import ControlAction
from processors.records.market import Side, SymbolStatus
from processors.records.trade import (
    ExecutionType,
    IntentKind,
    OrderEventKind,
    Reason,
    Status,
    TradeIntent,
)
from tests.books import (
    NOW,
    World,
    limit_buy,
    make_control,
    make_intent,
    make_policy,
    make_price,
    make_report,
    make_rules,
    make_trade,
    make_transfer,
    values,
)

D = Decimal


def world_of(**changes: Any) -> World:
    world = World(**({"price": make_price("100")} | changes))
    world.apply(make_transfer("10000"))
    return world


@pytest.mark.parametrize(
    ("rules", "intent", "reason"),
    [
        ({"status": SymbolStatus.HALTED}, limit_buy(), Reason.SYMBOL_NOT_TRADING),
        ({}, limit_buy(price="100.001"), Reason.PRICE_TICK),
        ({"max_price": D(99)}, limit_buy(), Reason.PRICE_OUT_OF_BAND),
        ({"min_price": D(101)}, limit_buy(), Reason.PRICE_OUT_OF_BAND),
        ({}, limit_buy(quantity="1.000001"), Reason.STEP),
        ({"min_quantity": D(2)}, limit_buy(), Reason.MIN_QUANTITY),
        ({"max_quantity": D("0.5")}, limit_buy(), Reason.MAX_QUANTITY),
        ({"min_notional": D(101)}, limit_buy(), Reason.MIN_NOTIONAL),
        ({"max_notional": D(99)}, limit_buy(), Reason.MAX_NOTIONAL),
        ({}, limit_buy(price="106"), Reason.PRICE_OUT_OF_BAND),
        ({}, limit_buy(price="94"), Reason.PRICE_OUT_OF_BAND),
        ({}, limit_buy(expected_price=D(106)), Reason.PRICE_OUT_OF_BAND),
        ({}, limit_buy(quantity="101"), Reason.INSUFFICIENT_AVAILABLE_BALANCE),
        ({}, make_intent(side=Side.SELL), Reason.NOTHING_TO_SELL),
        ({}, make_intent(quote_quantity=D("4.99")), Reason.MIN_NOTIONAL),
        ({"market_min_quantity": D(2)}, make_intent(quote_quantity=D(100)), Reason.MIN_QUANTITY),
        ({}, make_intent(kind=IntentKind.REPLACE, target_order_id="o"), Reason.OTHER),
        ({}, make_intent(kind=IntentKind.CANCEL, target_order_id="o"), Reason.OTHER),
    ],
)
def test_an_intent_that_breaks_a_rule_is_denied_with_its_reason(
    rules: dict[str, Any], intent: TradeIntent, reason: Reason
) -> None:
    """The reason is the rule's; nothing is held and no entry is written."""
    world = world_of(rules=make_rules(**rules))
    before = world.account
    decision = world.decision(intent)
    assert values(decision.kind, decision.reason) == (OrderEventKind.DENIED, reason)
    assert world.account == before


def test_no_rules_and_no_policy_are_denials() -> None:
    """What cannot be judged is not sent."""
    assert world_of(rules=None).reason(limit_buy()) is Reason.RULES_MISSING
    assert world_of(policy=None).reason(limit_buy()) is Reason.OTHER


def test_a_policy_whose_stop_could_not_be_priced_buys_nothing() -> None:
    """A stop-loss of the whole price would have no trigger: it is refused before, not at the fill."""
    world = world_of(policy=make_policy(stop_loss=D(1)))
    assert world.reason(limit_buy()) is Reason.OTHER


def test_a_price_must_be_there_and_fresh_enough() -> None:
    """Without a reference nothing is sized; an old one counts only as a band around the intent's."""
    aged = {"policy": make_policy(limits={"max_price_age": 5})}
    assert world_of(price=None).reason(limit_buy()) is Reason.PRICE_UNAVAILABLE
    old = world_of(price=make_price("100", age=6), **aged)
    assert old.reason(limit_buy("a")) is Reason.PRICE_STALE
    assert old.reason(limit_buy("b", expected_price=D(106))) is Reason.PRICE_UNAVAILABLE
    decision = old.decision(limit_buy("c", expected_price=D(101)))
    assert values(decision.reason, decision.price_source, decision.price_age) == (
        None,
        "LAST_GOOD",
        6000,
    )
    assert [r for r in old.records if getattr(r, "kind", "") == "price_fallback"]


def test_a_constant_price_is_used_only_where_it_is_configured_and_is_alerted() -> None:
    """Each use of the operator's constant leaves an alert."""
    world = world_of(price=None, configured=D(100))
    assert world.decision(limit_buy()).price_source == "CONFIGURED"
    assert [r for r in world.records if getattr(r, "kind", "") == "price_fallback"]


def test_a_halted_account_does_nothing_and_a_reducing_one_only_sells() -> None:
    """HALT denies every order, REDUCE every buy, RESUME none; cancels always pass."""
    world = world_of()
    world.apply(make_transfer("5", "BTC", "t2"))
    assert world.reason(limit_buy("open")) is None
    world.apply(make_control(ControlAction.REDUCE, "c1"))
    assert world.reason(limit_buy("a")) is Reason.ACCOUNT_REDUCING
    assert world.reason(make_intent("b", side=Side.SELL, quantity=D(1))) is None
    world.apply(make_control(ControlAction.HALT, "c2"))
    assert world.reason(make_intent("c", side=Side.SELL, quantity=D(1))) is Reason.ACCOUNT_HALTED
    cancel = make_intent("d", kind=IntentKind.CANCEL, target_order_id=world.order("open").order_id)
    assert world.decision(cancel).kind is OrderEventKind.CANCEL_ASKED
    world.apply(make_control(ControlAction.RESUME, "c3"))
    assert world.reason(limit_buy("e")) is None


def test_a_control_read_twice_is_one() -> None:
    """An old HALT that comes again after a RESUME does not halt."""
    world = world_of()
    world.apply(make_control(ControlAction.HALT, "c1"), make_control(ControlAction.RESUME, "c2"))
    assert world.apply(make_control(ControlAction.HALT, "c1")).effects == ()
    assert world.reason(limit_buy()) is None


def test_the_limits_of_an_account_bind_entries() -> None:
    """Order value, value per market minute, open orders and position each have their reason."""
    world = world_of(policy=make_policy(limits={"max_order_notional": D(99)}))
    assert world.reason(limit_buy()) is Reason.MAX_NOTIONAL
    world = world_of(policy=make_policy(limits={"max_open_orders": 1}))
    assert [world.reason(limit_buy(i)) for i in "ab"] == [None, Reason.MAX_ORDERS]
    world = world_of(rules=make_rules(max_orders=1))
    assert [world.reason(limit_buy(i)) for i in "ab"] == [None, Reason.MAX_ORDERS]
    world = world_of(policy=make_policy(limits={"max_position": D("1.5")}))
    assert [world.reason(limit_buy(i)) for i in "ab"] == [None, Reason.MAX_POSITION]
    world.apply(make_trade("a", "T", "1", "100", "1", Status.FILLED))
    assert world.reason(limit_buy("c")) is Reason.MAX_POSITION
    assert world.reason(limit_buy("d", quantity="0.5")) is None


def test_the_rate_limit_counts_market_minutes_and_never_turns_back() -> None:
    """The next market minute starts anew; an intent of an older minute counts into the newest."""
    world = world_of(policy=make_policy(limits={"max_notional_per_minute": D(150)}))
    world.now = NOW + timedelta(minutes=2)
    assert world.reason(limit_buy("a")) is None
    assert world.reason(limit_buy("b")) is Reason.RATE_LIMIT
    later = NOW + timedelta(minutes=1)
    assert world.reason(limit_buy("c", market_time=later)) is None
    assert world.reason(limit_buy("d", market_time=NOW)) is Reason.RATE_LIMIT


def test_an_exit_passes_the_accounts_limits() -> None:
    """A stop-loss is never held up by a limit that is there to make the risk smaller."""
    bounds = {"max_order_notional": D(1), "max_open_orders": 1, "max_notional_per_minute": D(1)}
    world = world_of()
    world.apply(limit_buy())
    world.apply(make_trade("i1", "T", "1", "100", "1", Status.FILLED))
    world.policy = make_policy(limits=bounds)
    stop = make_intent("x", kind=IntentKind.STOP_LOSS, side=Side.SELL, quantity=D(1))
    assert world.reason(stop) is None


def test_a_second_intent_of_one_id_is_a_duplicate_of_order_and_of_denial() -> None:
    """It gets a decision of its own and changes nothing, whatever it asks for."""
    world = world_of()
    world.apply(limit_buy("a"), limit_buy("b", quantity="1000"))
    tables = {name: dict(table) for name, table in world.tables.items()}
    assert world.reason(limit_buy("a")) is Reason.DUPLICATE_INTENT
    assert world.reason(limit_buy("a", quantity="3")) is Reason.DUPLICATE_INTENT
    assert world.reason(limit_buy("b")) is Reason.DUPLICATE_INTENT
    assert world.tables == tables


def test_a_cancel_is_asked_once_and_again_after_a_refusal() -> None:
    """A pending cancel makes a second one a duplicate; a refused one may be asked again."""
    world = world_of()
    world.apply(limit_buy())
    target = world.order().order_id

    def cancel(name: str) -> TradeIntent:
        return make_intent(name, kind=IntentKind.CANCEL, target_order_id=target, side=Side.SELL)

    asked = world.decision(cancel("c1"))
    assert values(asked.kind, asked.target_order_id) == (OrderEventKind.CANCEL_ASKED, target)
    assert asked.side is Side.BUY
    assert world.order().status is Status.PENDING_CANCEL
    assert world.reason(cancel("c2")) is Reason.DUPLICATE_INTENT
    world.apply(make_report("i1", ExecutionType.CANCEL_REJECTED, Status.NEW))
    assert world.order().status is Status.NEW
    assert world.decision(cancel("c3")).kind is OrderEventKind.CANCEL_ASKED
    world.apply(make_report("i1", ExecutionType.CANCELED, Status.CANCELED))
    assert world.reason(cancel("c4")) is Reason.OTHER
    assert world.held() == 0
