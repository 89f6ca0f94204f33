"""Random histories of one account (reports true or not), and true lives of one order."""

from __future__ import annotations

from decimal import ROUND_FLOOR, Decimal
from typing import Any

from hypothesis import strategies as st

from processors import orders
from processors.effects import Event
from processors.records.account import ControlAction, TransferKind
from processors.records.market import FeeMode, Side
from processors.records.trade import (
    ExecutionReport,
    ExecutionType,
    IntentKind,
    OrderType,
    Reason,
    Status,
    TimeInForce,
    TradeIntent,
)
from tests.books import (
    World,
    limit_buy,
    make_control,
    make_intent,
    make_policy,
    make_price,
    make_report,
    make_rules,
    make_transfer,
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
