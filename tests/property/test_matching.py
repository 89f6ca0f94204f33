"""The matching model: bounds that hold for every order, and a fill that depends on nothing else."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors import matching, money
from processors.errors import InvariantError
from processors.matching import Match, Request, Settings, Tape
from processors.records.market import FeeMode, InstrumentRules, Side, SymbolStatus
from processors.records.trade import OrderType, Reason, Status, TimeInForce

ZERO = Decimal(0)
STEP = Decimal("0.00001")


def rules(**changes: object) -> InstrumentRules:
    fields: dict[str, object] = {
        "instrument": "SIMULATOR:BTC/USD", "exchange": "SIMULATOR", "symbol": "BTC/USD",
        "base_asset": "BTC", "quote_asset": "USD", "base_scale": 8, "quote_scale": 8,
        "status": SymbolStatus.TRADING, "tick_size": Decimal("0.01"), "min_price": ZERO,
        "max_price": ZERO, "step_size": STEP, "min_quantity": STEP, "max_quantity": Decimal(9000),
        "market_step_size": ZERO, "market_min_quantity": ZERO, "market_max_quantity": ZERO,
        "min_notional": Decimal(5), "max_notional": ZERO, "min_notional_applies_to_market": True,
        "max_notional_applies_to_market": False, "max_orders": 200, "maker_fee": Decimal("0.001"),
        "taker_fee": Decimal("0.001"), "fee_mode": FeeMode.RECEIVED, "version": "1",
        "updated_time": datetime(2026, 1, 1, tzinfo=UTC),
    }  # fmt: skip
    return InstrumentRules.model_validate(fields | changes)


RULES = rules()
trades = st.lists(
    st.tuples(
        st.integers(0, 30_000_000),
        st.integers(70_000, 110_000).map(lambda n: Decimal(n).scaleb(-2)),
        st.integers(1, 300_000_000).map(lambda n: Decimal(n).scaleb(-8)),
    ),
    max_size=40,
).map(lambda rows: Tape.of(_running(rows)))
requests = st.builds(
    lambda side, kind, tif, amount, price: Request(
        side,
        kind,
        tif if kind is OrderType.LIMIT else TimeInForce.IOC,
        quantity=ZERO if kind is OrderType.MARKET and amount % 2 else Decimal(amount).scaleb(-5),
        quote_quantity=Decimal(amount).scaleb(-3)
        if kind is OrderType.MARKET and amount % 2
        else ZERO,
        price=None if kind is OrderType.MARKET else Decimal(price).scaleb(-2),
    ),
    st.sampled_from(Side),
    st.sampled_from([OrderType.LIMIT, OrderType.MARKET]),
    st.sampled_from([TimeInForce.IOC, TimeInForce.FOK, TimeInForce.GTC]),
    st.integers(1, 500_000),
    st.integers(70_000, 110_000),
)


def _running(rows: list[tuple[int, Decimal, Decimal]]) -> list[tuple[int, Decimal, Decimal]]:
    time, result = 0, []
    for gap, price, quantity in rows:
        time += gap
        result.append((time, price, quantity))
    return result


def check_bounds(request: Request, tape: Tape, found: Match) -> None:
    for fill in found.fills:
        assert fill.quantity > 0
        assert money.is_multiple(fill.quantity, STEP)
        assert fill.quantity <= tape.quantities[fill.index]
        assert fill.time == tape.times[fill.index]
        assert fill.value == fill.price * fill.quantity
        assert fill.fee.asset == ("BTC" if request.side is Side.BUY else "USD")
        if request.price is not None and request.side is Side.BUY:
            assert fill.price <= request.price
        if request.price is not None and request.side is Side.SELL:
            assert fill.price >= request.price
    indexes = [fill.index for fill in found.fills]
    assert indexes == sorted(set(indexes))
    if request.quantity:
        assert found.filled_quantity <= request.quantity
        assert (found.status is Status.FILLED) == (found.filled_quantity == request.quantity)
    else:
        assert found.total_value <= request.quote_quantity


@given(requests, trades, st.integers(0, 60_000_000))
def test_fills_stay_inside_order_limit_depth_and_window(
    request: Request, tape: Tape, clock: int
) -> None:
    """No fill is before the latency, over the depth, off the step or worse than the limit."""
    found = matching.match(request, tape, clock, RULES)
    check_bounds(request, tape, found)
    assert found == matching.match(request, tape, clock, RULES)
    start = tape.first_at(clock + 250_000)
    for fill in found.fills:
        assert start <= fill.index < found.next_index
        assert fill.time <= tape.times[start] + 60_000_000
        assert not fill.maker
    if request.time_in_force is not TimeInForce.GTC:
        assert found.status in (Status.FILLED, Status.EXPIRED)
    if request.time_in_force is TimeInForce.FOK and request.order_type is OrderType.LIMIT:
        assert found.filled_quantity in (ZERO, request.quantity)


@given(requests, trades, st.lists(st.integers(0, 40_000_000), min_size=1, max_size=6))
def test_a_resting_order_fills_alike_in_one_advance_and_in_many(
    request: Request, tape: Tape, clocks: list[int]
) -> None:
    """How often the clock is set changes nothing; a maker's price is its limit."""
    times = [sum(clocks[: index + 1]) for index in range(len(clocks))]
    first = matching.match(request, tape, 0, RULES)
    steps = first
    for time in times:
        steps = matching.advance(request, steps, tape, time, RULES)
    once = matching.advance(request, first, tape, times[-1], RULES)
    assert (steps.fills, steps.status) == (once.fills, once.status)
    check_bounds(request, tape, once)
    for fill in once.fills[len(first.fills) :]:
        assert fill.maker
        assert fill.price == request.price
        assert fill.time <= times[-1]


TAPE = Tape.of(
    [
        (1_000_000, Decimal("100.00"), Decimal("0.5")),
        (2_000_000, Decimal("101.00"), Decimal("0.000009")),
        (2_000_000, Decimal("102.00"), Decimal(1)),
        (3_000_000, Decimal("99.00"), Decimal(1)),
        (63_000_001, Decimal("90.00"), Decimal(9)),
    ]
)


def test_known_fills() -> None:
    """A capped buy takes what is at its limit or better, pays in base, and the rest expires."""
    buy = Request(Side.BUY, OrderType.LIMIT, TimeInForce.IOC, Decimal(3), price=Decimal("100.00"))
    found = matching.match(buy, TAPE, 750_000, RULES)
    assert [(f.price, f.quantity) for f in found.fills] == [
        (Decimal(100), Decimal("0.5")),
        (Decimal(99), 1),
    ]
    assert found.status is Status.EXPIRED
    assert found.fills[0].fee.amount == Decimal("0.0005")
    late = matching.match(buy, TAPE, 750_001, RULES)
    assert [f.time for f in late.fills] == [3_000_000]
    quote = Request(Side.BUY, OrderType.MARKET, TimeInForce.IOC, quote_quantity=Decimal("84.54"))
    assert (
        matching.match(quote, TAPE, 0, RULES).total_value == Decimal(50) + Decimal("0.33862") * 102
    )
    assert matching.match(quote, TAPE, 0, RULES).status is Status.FILLED
    fok = Request(Side.SELL, OrderType.LIMIT, TimeInForce.FOK, Decimal(3), price=Decimal(99))
    assert matching.match(fok, TAPE, 0, RULES).fills == ()
    # The window counts from the first trade, not from the clock: a quiet market fills as well.
    quiet = matching.match(buy, TAPE, 2_900_000, RULES)
    assert (quiet.status, quiet.fills[0].time) == (Status.FILLED, 63_000_001)
    few = Settings(trades=1)
    assert len(matching.match(buy, TAPE, 0, RULES, few).fills) == 1
    assert matching.match(buy, TAPE, 99_000_000, RULES).status is Status.EXPIRED


def test_fees_follow_the_mode_and_are_cut_to_the_scale() -> None:
    """A sale pays in quote, a QUOTE venue always does; nothing is rounded up."""
    sell = Request(
        Side.SELL, OrderType.LIMIT, TimeInForce.IOC, Decimal("0.00001"), price=Decimal(90)
    )
    assert matching.match(sell, TAPE, 0, RULES).fills[0].fee.amount == Decimal("0.000001")
    fine = rules(taker_fee=Decimal("0.00123"))
    assert matching.match(sell, TAPE, 0, fine).fills[0].fee.amount == Decimal("0.00000123")
    coarse = rules(taker_fee=Decimal("0.00123"), quote_scale=7)
    assert matching.match(sell, TAPE, 0, coarse).fills[0].fee.amount == Decimal("0.0000012")
    buy = Request(Side.BUY, OrderType.LIMIT, TimeInForce.IOC, Decimal(1), price=Decimal(100))
    found = matching.match(buy, TAPE, 0, rules(fee_mode=FeeMode.QUOTE))
    assert found.fills[0].fee.asset == "USD"


@pytest.mark.parametrize(
    ("order", "changes", "reason"),
    [
        (("1", "100.001"), {}, Reason.PRICE_TICK),
        (("1", "0"), {}, Reason.PRICE_TICK),
        (("1", "100"), {"max_price": Decimal(99)}, Reason.PRICE_OUT_OF_BAND),
        (("0.000015", "900000"), {}, Reason.STEP),
        (("0.000001", "900000"), {}, Reason.MIN_QUANTITY),
        (("9001", "1"), {}, Reason.MAX_QUANTITY),
        (("0.01", "499.99"), {}, Reason.MIN_NOTIONAL),
        (("1", "11"), {"max_notional": Decimal(10)}, Reason.MAX_NOTIONAL),
        (("1", "11"), {"status": SymbolStatus.HALTED}, Reason.SYMBOL_NOT_TRADING),
        (("1", "11"), {"max_orders": 3}, Reason.MAX_ORDERS),
    ],
)
def test_each_filter_refuses_by_name(
    order: tuple[str, str], changes: dict[str, object], reason: Reason
) -> None:
    """What a venue would refuse is refused, with the reason; the same order inside the bound passes."""
    limit = Request(
        Side.BUY, OrderType.LIMIT, TimeInForce.IOC, Decimal(order[0]), price=Decimal(order[1])
    )
    refusal = matching.check(limit, rules(**changes), open_orders=3)
    assert refusal is not None
    assert refusal.reason is reason
    good = Request(Side.BUY, OrderType.LIMIT, TimeInForce.IOC, Decimal("0.01"), price=Decimal(500))
    assert matching.check(good, RULES, open_orders=3) is None


def test_market_orders_are_valued_at_the_reference_price() -> None:
    """The notional of a market order counts only where the flag says so; an empty order is refused."""
    market = Request(Side.SELL, OrderType.MARKET, TimeInForce.IOC, Decimal("0.01"))
    refusal = matching.check(market, RULES, reference_price=Decimal(499))
    assert refusal is not None
    assert refusal.message == "Filter failure: NOTIONAL"
    assert matching.check(market, RULES) is None
    lax = rules(min_notional_applies_to_market=False)
    assert matching.check(market, lax, reference_price=Decimal(499)) is None
    empty = Request(Side.SELL, OrderType.MARKET, TimeInForce.IOC)
    assert matching.check(empty, RULES) is not None
    with pytest.raises(InvariantError):
        Tape.of([(2, Decimal(1), Decimal(1)), (1, Decimal(1), Decimal(1))])
