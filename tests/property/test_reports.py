"""Reports from answers: figures add up, ends are true, one fact has one identity."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from processors.placement import (
    TERMINAL,
)
from processors.records.trade import (
    ExecutionType,
    Fee,
    Reason,
    Status,
)
from processors.reports import reports_from
from processors.venue import (
    OrderAbsent,
    OrderDuplicate,
    OrderUnclear,
)
from tests.property.placing import (
    MARKET_TIME,
    NOW,
    ORDER,
    fill,
    found,
    reports,
)


def test_cumulative_figures_and_last_status() -> None:
    """Fills add up in order of time; the one that completes the order says FILLED."""
    made = reports(found(Status.FILLED, "0.06", "0.04"))
    assert [r.execution_type for r in made] == [
        ExecutionType.NEW, ExecutionType.TRADE, ExecutionType.TRADE,
    ]  # fmt: skip
    assert [r.status for r in made] == [Status.NEW, Status.PARTIALLY_FILLED, Status.FILLED]
    assert [r.filled_quantity for r in made] == [0, Decimal("0.06"), Decimal("0.1")]
    assert [r.leaves_quantity for r in made] == [Decimal("0.1"), Decimal("0.04"), 0]
    assert (made[2].total_value, made[2].average_price) == (Decimal(80), Decimal(800))
    assert (made[2].fee, made[2].fee_currency) == (Decimal("0.0001"), "BTC")
    assert made[1].market_time == MARKET_TIME + timedelta(seconds=1)


def test_a_partial_fill_then_expired() -> None:
    """The rest of an IOC expires, after its fills, with their sums."""
    made = reports(found(Status.EXPIRED, "0.06"))
    assert [r.status for r in made] == [Status.NEW, Status.PARTIALLY_FILLED, Status.EXPIRED]
    assert made[2].filled_quantity == Decimal("0.06")
    assert made[2].leaves_quantity == 0
    assert made[2].trade_id is None


def test_no_end_is_told_while_fills_are_missing() -> None:
    """The order endpoint runs ahead of the trades: the hold must stay until they come."""
    for status in (Status.FILLED, Status.CANCELED, Status.EXPIRED):
        made = reports(found(status, "0.06", gap="0.04"))
        assert not any(r.status in TERMINAL for r in made)


def test_an_unknown_word_is_never_guessed() -> None:
    """A status that is not mapped gives UNKNOWN with the venue's word; fills count still."""
    strange = replace(found(Status.NEW, "0.06"), status=None, raw_status="HALF_BAKED")
    made = reports(strange)
    assert [r.status for r in made] == [Status.NEW, Status.PARTIALLY_FILLED, Status.UNKNOWN]
    assert made[2].venue_raw_status == "HALF_BAKED"


def test_fees_in_several_assets_are_valued_in_quote() -> None:
    """`fee` is then a quote value; `fees` of each fill are the truth."""
    mixed = replace(fill(2, "0.04"), fees=(Fee(asset="USD", amount=Decimal(1)),))
    answer = replace(
        found(Status.FILLED, "0.06"), fills=(fill(1, "0.06"), mixed), filled_quantity=Decimal("0.1")
    )
    last = reports(answer)[-1]
    assert (last.fee, last.fee_currency) == (Decimal("0.00006") * 800 + 1, "USD")


def test_proof_of_absence_needs_time_two_looks_and_no_trace() -> None:
    """One "not found" proves nothing, nor do two that come too early or against a known order."""
    assert reports(OrderAbsent(16_000, 2))[0].reason is Reason.NOT_PLACED
    assert reports(OrderAbsent(16_000, 2))[0].waited == 16_000
    for answer, known in (
        (OrderAbsent(16_000, 1), False),
        (OrderAbsent(15_999, 2), False),
        (OrderAbsent(99_000, 2), True),
        (OrderUnclear("timeout"), False),
        (OrderDuplicate("Duplicate order sent."), False),
    ):
        assert [r.status for r in reports(answer, known)] == [Status.UNKNOWN]


@given(st.lists(st.integers(1, 5), min_size=1, max_size=6), st.randoms())
def test_the_same_facts_give_the_same_identities(sizes: list[int], random: Any) -> None:
    """Order of the fills in an answer, doubled fills and the time of asking change nothing."""
    whole = [fill(n + 1, str(Decimal(size) / 1000)) for n, size in enumerate(sizes)]
    base = replace(
        found(Status.EXPIRED),
        fills=tuple(whole),
        filled_quantity=sum((f.quantity for f in whole), Decimal(0)),
    )
    mixed = [*whole, *whole]
    random.shuffle(mixed)
    first = reports(base)
    later = NOW + timedelta(hours=1)
    second = reports_from(replace(base, fills=tuple(mixed)), ORDER, later, absence_after=1)
    strip = {"created_time": NOW, "received_time": NOW}
    assert [r.model_copy(update=strip) for r in second] == list(first)
    assert len({r.execution_id for r in first}) == len(first)
    partial = reports(
        replace(
            base,
            status=Status.PARTIALLY_FILLED,
            fills=tuple(whole[:1]),
            filled_quantity=whole[0].quantity,
        )
    )
    assert [r.execution_id for r in partial] == [r.execution_id for r in first[:2]]
