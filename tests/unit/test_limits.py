"""The bounds of the core do not contradict each other, and a contradiction is found."""

from __future__ import annotations

from datetime import timedelta

import pytest

from processors import ids, limits
from processors.errors import InvariantError


def test_the_bounds_hold_together() -> None:
    """The shipped bounds pass their own check."""
    limits.check()


@pytest.mark.parametrize(
    ("name", "value"),
    [("ORDER_STUB_KEPT", timedelta(days=1)), ("SEEN_TRADES", 5_000), ("AMOUNT_DIGITS", 50)],
)
def test_a_contradiction_is_an_error(
    monkeypatch: pytest.MonkeyPatch, name: str, value: object
) -> None:
    """A bound changed without its partner stops the program when it starts."""
    monkeypatch.setattr(limits, name, value)
    with pytest.raises(InvariantError, match="bounds contradict"):
        limits.check()


def test_identities_fit_their_bound() -> None:
    """A client order id has the length that every venue accepts."""
    assert len(ids.client_order_id("a", "b")) == limits.CLIENT_ORDER_ID_LENGTH
