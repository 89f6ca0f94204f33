"""The reference numbers of the trading rules, and the sizes that policies and intents come to."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from processors import rules, sizing
from processors.protection import stop_loss_price
from processors.records.account import Sizing, SizingKind
from processors.records.market import FeeMode, Side
from processors.records.trade import (
    ExecutionType,
    IntentKind,
    OrderEventKind,
    OrderType,
    Reason,
    Status,
    TimeInForce,
)
from tests.books import (
    BTC,
    World,
    limit_buy,
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


def fraction(of: SizingKind, value: str) -> Sizing:
    return Sizing(kind=of, fraction=D(value))


def notional(value: str) -> Sizing:
    return Sizing(kind=SizingKind.NOTIONAL, notional=D(value))


def funded(amount: str, **changes: Any) -> World:
    world = World(**changes)
    world.apply(make_transfer(amount))
    return world


def owning(quantity: str = "0.00055", fee: str = "0.00000055", **changes: Any) -> World:
    world = funded("100000", **changes)
    world.apply(make_intent("buy", quantity=D(quantity)))
    world.apply(
        make_trade(
            "buy", "T1", quantity, "121556.65", quantity, Status.FILLED, fees=(("BTC", fee),)
        )
    )
    return world


def test_a_budget_of_four_fifths_of_what_is_available_is_held_exactly() -> None:
    """84.54 at 0.8 holds 67.632 by quote amount and leaves 16.908; 0.8 of that again holds 13.5264."""
    world = funded("84.54")
    asked = sizing.budget(fraction(SizingKind.AVAILABLE, "0.8"), D("84.54"), D("84.54"))
    assert asked == D("67.632")
    assert world.decision(make_intent("a", quote_quantity=asked)).hold_amount == D("67.632")
    assert world.available() == D("16.908")
    asked = sizing.budget(fraction(SizingKind.AVAILABLE, "0.8"), world.total(), world.available())
    assert world.decision(make_intent("b", quote_quantity=asked)).hold_amount == D("13.5264")


def test_a_small_account_holds_its_budget_exactly() -> None:
    """6.67 at 0.8 holds 5.336 and leaves 1.334."""
    world = funded("6.67")
    asked = sizing.budget(fraction(SizingKind.AVAILABLE, "0.8"), D("6.67"), D("6.67"))
    assert world.decision(make_intent(quote_quantity=asked)).hold_amount == D("5.336")
    assert world.available() == D("1.334")


@pytest.mark.parametrize(
    "second",
    [
        {"quote_quantity": D("67.632")},
        {"sizing": notional("67.632")},
        {"sizing": fraction(SizingKind.TOTAL, "0.8")},
    ],
)
def test_a_second_equal_budget_is_denied_and_never_cut(second: dict[str, Any]) -> None:
    """After 67.632 of 84.54 are held, the same amount again is denied, however it is named."""
    world = funded("84.54")
    world.apply(make_intent("a", quote_quantity=D("67.632")))
    decision = world.decision(make_intent("b", **second))
    assert decision.kind is OrderEventKind.DENIED
    assert decision.reason is Reason.INSUFFICIENT_AVAILABLE_BALANCE
    assert world.held() == D("67.632")


def test_a_capped_buy_is_sized_by_its_hold() -> None:
    """67.632 at 121,556.65 buys 0.00055 BTC and holds 66.8561575, as a limit IOC."""
    world = funded("84.54")
    decision = world.decision(make_intent())
    assert values(decision.order_type, decision.time_in_force) == (OrderType.LIMIT, TimeInForce.IOC)
    assert decision.quantity == D("0.00055")
    assert decision.price == D("121556.65")
    assert decision.hold_amount == D("66.8561575")


def test_a_size_under_the_minimum_notional_is_denied_after_rounding() -> None:
    """5.336 buys 0.00004 BTC, worth 4.862266: under the minimum of 5."""
    decision = funded("6.67").decision(make_intent())
    assert decision.reason is Reason.MIN_NOTIONAL
    assert "4.862266" in decision.detail


def test_the_stop_loss_follows_the_fill_and_not_a_constant() -> None:
    """5 % under 121,556.65 is 115,478.82 on the tick."""
    assert stop_loss_price(D("121556.65"), D("0.05"), D("0.01")) == D("115478.82")


@pytest.mark.parametrize("quantity", ["0.0013527", "0.00055641"])
def test_small_quantities_are_above_the_minimum_lot(quantity: str) -> None:
    """0.0013527 and 0.00055641 BTC are no lots too small (their step is another check)."""
    denial = rules.check_quantity(D(quantity), make_rules(step_size=D(0)))
    assert denial is None


def test_a_fee_in_quote_fits_inside_the_budget() -> None:
    """On a venue that charges quote, hold and fee together stay within the budget."""
    world = funded("1000", rules=make_rules(fee_mode=FeeMode.QUOTE, quote_scale=2))
    decision = world.decision(make_intent("a", quote_quantity=D(500)))
    assert decision.quote_quantity == D("499.50")
    assert decision.hold_amount == D("500.00")
    decision = world.decision(make_intent("b"))
    assert D("399") < decision.hold_amount <= D(400)
    assert decision.price is not None
    assert decision.hold_amount >= decision.quantity * decision.price * D("1.001")


def test_a_hold_rounded_up_over_the_budget_costs_one_step() -> None:
    """Where rounding the hold up would break the budget, one step less is ordered."""
    world = World(
        rules=make_rules(quote_scale=0, step_size=D("0.1"), tick_size=D("0.1"), min_notional=D(0)),
        price=make_price("10.3"),
        policy=make_policy(sizing=notional("20.6")),
    )
    world.apply(make_transfer("100"))
    decision = world.decision(make_intent())
    assert decision.quantity == D("1.9")
    assert decision.hold_amount == D(20)


@pytest.mark.parametrize(("side", "cap"), [(Side.BUY, D("121677.00")), (Side.SELL, D("121436.32"))])
def test_a_cap_is_never_worse_than_asked(side: Side, cap: Decimal) -> None:
    """0.1 % slippage from 121,555.445: a buy's cap is rounded down to the tick, a sell's up."""
    assert (
        rules.capped_price(
            D("121555.445") if side is Side.BUY else D("121557.875"), D("0.001"), side, make_rules()
        )
        == cap
    )


@pytest.mark.parametrize("step", ["0.005", "5", "10", "0.1"])
def test_sizes_are_multiples_of_any_step(step: str) -> None:
    """Steps that are no power of ten, and such above one, are kept."""
    world = World(
        rules=make_rules(step_size=D(step), min_quantity=D(step), min_notional=D(0)),
        price=make_price("1.37"),
        policy=make_policy(),
    )
    world.apply(make_transfer("1000"))
    decision = world.decision(make_intent())
    assert decision.quantity > 0
    assert decision.quantity % D(step) == 0
    assert decision.hold_amount <= D(800)


def test_a_sell_without_a_size_sells_what_is_owned_net_of_fees_on_the_step() -> None:
    """0.00055 less its fee is 0.00054945: 0.00054 are sold, the rest is dust."""
    world = owning()
    decision = world.decision(make_intent("sell", side=Side.SELL))
    assert values(decision.quantity, decision.hold_asset) == (D("0.00054"), "BTC")
    assert world.held("BTC") == D("0.00054")
    assert world.reason(make_intent("again", side=Side.SELL)) is Reason.NOTHING_TO_SELL


def test_nothing_is_sold_of_a_deposit_unless_it_is_asked_for() -> None:
    """A sell of all sells what trades have bought; an explicit quantity may sell a deposit."""
    world = funded("100")
    world.apply(make_transfer("1", "BTC", "t2"))
    assert world.reason(make_intent("a", side=Side.SELL)) is Reason.NOTHING_TO_SELL
    assert world.reason(make_intent("b", side=Side.SELL, quantity=D("0.5"))) is None
    sized = make_intent("c", side=Side.SELL, sizing=fraction(SizingKind.AVAILABLE, "0.5"))
    assert world.decision(sized).quantity == D("0.25")
    valued = make_intent("d", side=Side.SELL, sizing=notional("121.55665"))
    assert world.decision(valued).quantity == D("0.001")


@pytest.mark.parametrize("kind", [IntentKind.STOP_LOSS, IntentKind.TAKE_PROFIT])
def test_an_exit_sells_at_most_what_it_protects(kind: IntentKind) -> None:
    """The quantity of an exit is a bound: floored to the step, never more than is owned."""
    world = owning()
    exit_ = make_intent("x", kind=kind, side=Side.SELL, quantity=D("0.00054945"))
    assert world.decision(exit_).quantity == D("0.00054")
    world = owning()
    more = make_intent("x", kind=kind, side=Side.SELL, quantity=D(7))
    assert world.decision(more).quantity == D("0.00054")


def test_an_exit_without_a_quantity_sells_the_lot_it_names() -> None:
    """A stop-loss that names an entry order sells that order's lot."""
    world = owning(policy=make_policy(stop_loss=D("0.05")))
    world.apply(make_intent("two", quantity=D("0.001")))
    world.apply(make_trade("two", "T2", "0.001", "121000", "0.001", Status.FILLED))
    target = world.order("two").order_id
    stop = make_intent("x", kind=IntentKind.STOP_LOSS, side=Side.SELL, target_order_id=target)
    assert world.decision(stop).quantity == D("0.001")


@pytest.mark.parametrize(
    ("order_type", "fields", "hold"),
    [
        (OrderType.STOP_LIMIT, {"price": D(121000), "stop_price": D(120500)}, D("121.000")),
        (OrderType.STOP_MARKET, {"stop_price": D(120000)}, D("121.200")),
    ],
)
def test_stop_orders_hold_by_limit_or_by_trigger(
    order_type: OrderType, fields: dict[str, Any], hold: Decimal
) -> None:
    """A stop-limit buy holds its limit, a stop-market buy its trigger and the slippage."""
    world = funded("1000", policy=make_policy(slippage=D("0.01")))
    decision = world.decision(make_intent(order_type=order_type, quantity=D("0.001"), **fields))
    assert decision.reason is None
    assert decision.hold_amount == hold


@pytest.mark.parametrize(
    "fields",
    [
        {"quantity": D(1), "quote_quantity": D(100)},
        {"side": Side.SELL, "quote_quantity": D(100)},
        {"order_type": OrderType.LIMIT, "quantity": D(1)},
        {"order_type": OrderType.STOP_LIMIT, "quantity": D(1), "price": D(1)},
    ],
)
def test_an_intent_that_does_not_say_one_thing_is_denied(fields: dict[str, Any]) -> None:
    """Two sizes, a sell by quote, a limit or stop without its price: OTHER, with words."""
    decision = funded("1000").decision(make_intent(**fields))
    assert decision.reason is Reason.OTHER
    assert decision.detail


def test_price_improvement_is_free_at_once_and_the_actual_cost_is_settled() -> None:
    """A fill at 99 of a buy at 100 frees the difference with the fill, not at the end."""
    world = funded("1000", price=make_price("100"))
    world.apply(limit_buy(quantity="2"))
    assert world.held() == D(200)
    world.apply(make_trade("i1", "T1", "1", "99", "1", Status.PARTIALLY_FILLED))
    assert values(world.total(), world.held(), world.available()) == (D(901), D(100), D(801))
    world.apply(make_report("i1", ExecutionType.CANCELED, Status.CANCELED, filled="1", value="99"))
    assert values(world.total(), world.held()) == (D(901), D(0))
    assert world.order().instrument == BTC
