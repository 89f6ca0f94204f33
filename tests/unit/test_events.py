"""Every effect has a name for the log, and those that operators rely on have theirs."""

from __future__ import annotations

from decimal import Decimal
from typing import get_args

import pytest

from processors import events
from processors.effects import Effect, text_of
from processors.records.account import ControlAction
from processors.records.market import Side
from processors.records.trade import ExecutionType, IntentKind, OrderEvent, Reason, Status
from tests.books import (
    World,
    limit_buy,
    make_control,
    make_intent,
    make_policy,
    make_price,
    make_report,
    make_trade,
    make_transfer,
)

D = Decimal


@pytest.fixture
def world() -> World:
    """A day in the life of an account, with every kind of effect."""
    world = World(price=make_price("100"), policy=make_policy(stop_loss=D("0.05")))
    world.apply(make_transfer("1000"))
    world.apply(limit_buy("a", "2", "100"), limit_buy("b", "100", "100"))
    world.apply(make_trade("a", "T1", "1", "99", "1", Status.PARTIALLY_FILLED))
    world.apply(make_intent("c", kind=IntentKind.CANCEL, target_order_id=world.order("a").order_id))
    world.apply(make_report("a", ExecutionType.CANCELED, Status.CANCELED, filled="1", value="99"))
    world.apply(make_trade("a", "T2", "1.5", "99", "2.5", Status.CANCELED))
    world.apply(make_intent("d", side=Side.SELL))
    world.apply(make_trade("d", "T3", "2.5", "99", "2.5", Status.FILLED, side=Side.SELL))
    world.apply(make_report("zz", ExecutionType.NEW, Status.NEW))
    world.apply(make_control(ControlAction.HALT))
    return world


def test_every_effect_has_a_name_and_texts(world: World) -> None:
    """The day holds every type of effect; each has a snake_case name and text fields."""
    assert {type(effect) for effect in world.effects} == set(get_args(Effect))
    for effect in world.effects:
        name, fields = events.describe(effect)
        assert name.islower()
        assert name.replace("_", "").isalpha()
        assert all(isinstance(text, str) for text in fields.values())


def test_the_names_that_operators_rely_on_are_there(world: World) -> None:
    """Reserve, shortfall, release, late fill, overfill, unknown order."""
    names = {events.describe(effect)[0] for effect in world.effects}
    assert names >= {
        "balance_reserved",
        "insufficient_available_balance",
        "balance_released_after_execution",
        "late_fill",
        "overfill",
        "order_unknown",
        "protection_set",
        "protection_removed",
    }


def test_a_release_names_what_was_freed_and_what_it_cost(world: World) -> None:
    """The reserved amount is released, the actual cost is what the balance fell by."""
    lines = dict(reversed([events.describe(effect) for effect in world.effects]))
    line = lines["balance_released_after_execution"]
    assert (line["released_amount"], line["actual_cost"]) == ("100", "99")
    assert (line["remaining_balance"], line["total_reserved"]) == ("801", "100")
    assert line["order_id"] == world.order("a").order_id


@pytest.mark.parametrize("reason", list(Reason))
def test_a_denial_is_logged_under_its_reason(reason: Reason) -> None:
    """The reason in lower case; OTHER says that an order was denied."""
    world = World()
    decision = world.decision(limit_buy())
    event = OrderEvent.model_validate(dict(decision) | {"reason": reason})
    name = events.describe(event)[0]
    assert name == ("order_denied" if reason is Reason.OTHER else reason.value.lower())


def test_a_decimal_has_one_text() -> None:
    """Trailing zeros that a table brought back do not change a line or an alert."""
    assert text_of(D("1.500000000000000000")) == text_of(D("1.5")) == "1.5"
