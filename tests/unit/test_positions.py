"""Average cost, realised result, and the lots that stops protect."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from processors.records.account import Protection
from processors.records.ledger import Position
from processors.records.market import Side
from processors.records.trade import ExecutionType, IntentKind, Status
from tests.books import (
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


def world_of(**policy: str) -> World:
    fractions: dict[str, Any] = {name: D(value) for name, value in policy.items()}
    world = World(price=make_price("100"), policy=make_policy(**fractions))
    world.apply(make_transfer("100000"))
    return world


def buy(world: World, name: str, quantity: str, price: str = "100", fee: str = "0") -> None:
    world.apply(limit_buy(name, quantity, price))
    fees = (("BTC", fee),) if D(fee) else ()
    world.apply(make_trade(name, f"T{name}", quantity, price, quantity, Status.FILLED, fees=fees))


def sell(world: World, name: str, quantity: str, price: str = "100", **fields: str) -> None:
    order = limit_buy(name, quantity, price, **fields).model_copy(update={"side": Side.SELL})
    world.apply(order)
    report = make_trade(name, f"T{name}", quantity, price, quantity, Status.FILLED, side=Side.SELL)
    world.apply(report)


def protections(world: World) -> list[tuple[object, ...]]:
    names = {world.order(name).order_id: name for name in ("a", "b") if has(world, name)}
    return [
        (names[record.order_id], record.quantity, record.stop_price)
        for record in world.records
        if isinstance(record, Protection)
    ]


def has(world: World, name: str) -> bool:
    return any(order.intent_id == name for order in world.orders)


def test_cost_is_averaged_and_the_result_realised_at_average() -> None:
    """1 at 98 and 1 at 102 cost 100 each; 1 sold at 104 wins 4 and leaves 100."""
    world = world_of()
    buy(world, "a", "1", "98")
    buy(world, "b", "1", "102")
    sell(world, "c", "1", "104")
    position = world.position
    assert values(position.quantity, position.cost, position.realised) == (1, 100, 4)
    newest = [record for record in world.records if isinstance(record, Position)][-1]
    assert values(newest.average_price, newest.bought, newest.sold, newest.trades) == (100, 2, 1, 3)


def test_fees_are_in_the_cost_or_off_the_quantity() -> None:
    """A base fee is not owned; a quote fee is paid for what is."""
    world = world_of()
    world.apply(limit_buy("a", "2", "100"))
    fees = (("BTC", "0.002"), ("USDT", "0.5"))
    world.apply(make_trade("a", "T", "2", "100", "2", Status.FILLED, fees=fees))
    assert values(world.position.quantity, world.position.cost) == (D("1.998"), D("200.5"))
    assert world.position.quantity == world.total("BTC")


def test_a_flat_position_keeps_no_cost() -> None:
    """Thirds do not leave a rest: what is sold off leaves cost zero, the result is all there is."""
    world = world_of()
    buy(world, "a", "3", "99.99")
    for name in ("b", "c", "d"):
        sell(world, name, "1", "100")
    assert values(world.position.quantity, world.position.cost) == (0, 0)
    assert world.position.realised == D("0.03")
    assert world.total() == D("100000.03")


def test_selling_a_deposit_goes_short_of_the_trades_and_back() -> None:
    """A position counts trades only: what was deposited and sold is owed to it, at its price."""
    world = world_of()
    world.apply(make_transfer("5", "BTC", "t2"))
    sell(world, "a", "2", "100")
    assert values(world.position.quantity, world.position.cost) == (-2, -200)
    buy(world, "b", "3", "99")
    assert values(world.position.quantity, world.position.cost, world.position.realised) == (
        1,
        99,
        2,
    )


def test_a_fill_of_an_entry_sets_its_stop_by_the_average_fill_price() -> None:
    """Two fills at 100 and 98 stop 5 % under 99, for all that is owned."""
    world = world_of(stop_loss="0.05", take_profit="0.1")
    world.apply(limit_buy("a", "2", "100"))
    world.apply(make_trade("a", "T1", "1", "100", "1", Status.PARTIALLY_FILLED))
    world.apply(make_trade("a", "T2", "1", "98", "2", Status.FILLED))
    assert protections(world) == [("a", 1, D("95")), ("a", 2, D("94.05"))]
    last = [record for record in world.records if isinstance(record, Protection)][-1]
    assert values(last.take_profit_price, last.side) == (D("108.9"), Side.SELL)


def test_a_sell_takes_from_the_oldest_lot_and_dust_is_not_protected() -> None:
    """0.5 sold leaves 0.499 of the first lot; the next full exit removes what is left."""
    world = world_of(stop_loss="0.05")
    buy(world, "a", "1", fee="0.001")
    buy(world, "b", "1", fee="0.001")
    sell(world, "c", "0.5")
    assert protections(world)[-1] == ("a", D("0.499"), 95)
    world.apply(make_intent("d", side=Side.SELL))
    assert world.order("d").quantity == D("1.498")
    world.apply(make_trade("d", "Td", "1.498", "100", "1.498", Status.FILLED, side=Side.SELL))
    assert protections(world)[-2:] == [("a", 0, 0), ("b", 0, 0)]
    assert world.position.lots == ()


def test_an_exit_takes_from_the_lot_it_names() -> None:
    """A stop of the second order leaves the first protected."""
    world = world_of(stop_loss="0.05")
    buy(world, "a", "1")
    buy(world, "b", "1")
    target = world.order("b").order_id
    world.apply(
        make_intent(
            "x", kind=IntentKind.STOP_LOSS, side=Side.SELL, quantity=D(1), target_order_id=target
        )
    )
    world.apply(make_trade("x", "Tx", "1", "94", "1", Status.FILLED, side=Side.SELL))
    assert [lot.order_id for lot in world.position.lots] == [world.order("a").order_id]


def test_what_is_left_under_a_lot_is_no_longer_protected() -> None:
    """After an exit only dust is left of the lot: its protection goes, the dust stays owned."""
    world = world_of(stop_loss="0.05")
    world.rules = make_rules(step_size=D("0.1"), min_quantity=D("0.1"), min_notional=D(0))
    buy(world, "a", "1", fee="0.05")
    world.apply(make_intent("x", kind=IntentKind.STOP_LOSS, side=Side.SELL, quantity=D("0.95")))
    assert world.order("x").quantity == D("0.9")
    world.apply(make_trade("x", "Tx", "0.9", "94", "0.9", Status.FILLED, side=Side.SELL))
    assert protections(world)[-1] == ("a", 0, 0)
    assert world.position.quantity == D("0.05")


def test_a_small_part_of_an_entry_is_protected_while_more_may_come() -> None:
    """A first fill under the dust bound is protected until its order ends with nothing more."""
    world = world_of(stop_loss="0.05")
    world.apply(limit_buy("a", "1", "100"))
    world.apply(make_trade("a", "T1", "0.01", "100", "0.01", Status.PARTIALLY_FILLED))
    assert protections(world) == [("a", D("0.01"), 95)]
    world.apply(make_report("a", ExecutionType.EXPIRED, Status.EXPIRED, filled="0.01", value="1"))
    assert protections(world)[-1] == ("a", 0, 0)


def test_a_busted_entry_takes_its_protection_along() -> None:
    """What the venue took back is not protected."""
    world = world_of(stop_loss="0.05")
    buy(world, "a", "1")
    world.apply(make_report("a", ExecutionType.TRADE_CANCEL, Status.FILLED, trade="Ta"))
    assert protections(world)[-1] == ("a", 0, 0)
    assert world.position.quantity == 0


def test_a_bust_that_leaves_nothing_owned_realises_what_cost_is_left() -> None:
    """Bought at 100 and 110, one sold at 105: the bust of the first leaves cost for nothing."""
    world = World(price=make_price("105"), policy=make_policy(limits={"price_collar": D("0.2")}))
    world.apply(make_transfer("100000"))
    buy(world, "a", "1", "100")
    buy(world, "b", "1", "110")
    sell(world, "c", "1", "105")
    world.apply(make_report("a", ExecutionType.TRADE_CANCEL, Status.FILLED, trade="Ta"))
    position = world.position
    assert values(position.quantity, position.cost, position.realised) == (0, 0, -5)
    assert world.total() == 100000 - 110 + 105
