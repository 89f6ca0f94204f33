"""Identities: the same for the same thing, different for different things, legal at the venues."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors import ids
from processors.errors import InvariantError

names = st.text(min_size=1, max_size=20)
HEX = set("0123456789abcdef")
CLOSE = datetime(2025, 1, 2, 3, 5, tzinfo=UTC)


@given(a=names, b=names, c=names, d=names)
def test_different_parts_give_different_identities(a: str, b: str, c: str, d: str) -> None:
    """Two orders share an identity only if account and intent are the same: no separator trick."""
    assert (ids.order_id(a, b) == ids.order_id(c, d)) == ((a, b) == (c, d))
    assert (ids.client_order_id(a, b) == ids.client_order_id(c, d)) == ((a, b) == (c, d))
    assert ids.entry_id(a, b) != ids.entry_id(a + b)


@given(account=names, intent=names)
def test_a_client_order_id_is_a_legal_uuid(account: str, intent: str) -> None:
    """It is 32 lowercase hex digits that form a UUID of version 8 and the RFC's variant."""
    value = ids.client_order_id(account, intent)
    assert len(value) == 32
    assert set(value) <= HEX
    parsed = uuid.UUID(value)
    assert parsed.version == 8
    assert parsed.variant == uuid.RFC_4122


@given(account=names, intent=names)
def test_kinds_of_identities_do_not_meet(account: str, intent: str) -> None:
    """Order, entry and intent of the same parts have identities of their own."""
    made = {
        ids.order_id(account, intent),
        ids.entry_id(account, intent),
        ids.client_order_id(account, intent),
        ids.intent_id(intent, account, ""),
    }
    assert len(made) == 4
    assert all(len(each) == 32 and set(each) <= HEX for each in made)


def test_a_fill_is_known_by_its_trade_alone() -> None:
    """REST reply, stream and query report one fill with other statuses: one identity."""
    first = ids.execution_id("c", "TRADE", "t1", "PARTIALLY_FILLED", Decimal("0.1"))
    assert first == ids.execution_id("c", "TRADE", "t1", "FILLED", Decimal("0.2"))
    assert first != ids.execution_id("c", "TRADE", "t2", "PARTIALLY_FILLED", Decimal("0.1"))
    assert first != ids.execution_id("d", "TRADE", "t1", "PARTIALLY_FILLED", Decimal("0.1"))


def test_a_fact_that_is_no_fill_is_known_by_status_and_quantity() -> None:
    """Without a trade the status and the value of the filled quantity count, not its digits."""
    first = ids.execution_id("c", "CANCELED", None, "CANCELED", Decimal("0.10"))
    assert first == ids.execution_id("c", "CANCELED", None, "CANCELED", Decimal("0.1"))
    assert first != ids.execution_id("c", "CANCELED", None, "CANCELED", Decimal("0.2"))
    assert first != ids.execution_id("c", "CANCELED", None, "EXPIRED", Decimal("0.1"))
    assert first != ids.execution_id("c", "CANCELED", "CANCELED", "CANCELED", Decimal("0.1"))


def test_one_instant_is_one_identity() -> None:
    """The zone in which a time is written does not count; a time without a zone is refused."""
    local = CLOSE.astimezone(timezone(timedelta(hours=5)))
    assert ids.signal_id("X:A/B", "s", CLOSE) == ids.signal_id("X:A/B", "s", local)
    with pytest.raises(InvariantError):
        ids.signal_id("X:A/B", "s", CLOSE.replace(tzinfo=None))


@given(st.permutations(["step", "tick", "status", "fee"]))
def test_rules_have_one_version_in_any_order(order: list[str]) -> None:
    """The order of the fields does not count, each value does."""
    values: dict[str, ids.Part] = {
        "step": Decimal("0.10"),
        "tick": Decimal("0.01"),
        "status": "TRADING",
        "fee": None,
    }
    version = ids.rules_version({name: values[name] for name in order})
    assert version == ids.rules_version({**values, "step": Decimal("0.1")})
    assert version != ids.rules_version({**values, "step": Decimal("0.2")})
    assert version != ids.rules_version({**values, "fee": "null"})
    assert len(version) == 16


def test_identities_are_fixed_for_ever() -> None:
    """History holds these: a change of the hash would make a replay diverge."""
    signal = ids.signal_id("BINANCE:BTC/USDT", "ema_cross", CLOSE)
    intent = ids.intent_id(signal, "alice", "ema_cross")
    assert (signal, intent) == (
        "dc7240e616e3e6a150eae4a8b9185ea1",
        "235ea3cfbd92d0e1def23072c684c2ea",
    )
    assert ids.client_order_id("alice", intent) == "fb795944496a878bbe27625da8c62cfe"
