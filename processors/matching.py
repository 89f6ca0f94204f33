"""The matching model: what a venue would have done with an order, from recorded trades alone.

There is no order book, only the tape. The simulator and what-if runs share these functions, so
their fills agree. What the model assumes:

- An order reaches the book `latency` after the market clock; the first trade it can meet is the
  first at or after that moment. It is matched at once, ahead of the clock: a source that waits for
  the end of the order before it sends the next tick would otherwise wait for ever.
- MARKET, IOC and FOK orders sweep the trades of `window` (market time, from that first trade), at
  most `trades` of them, in tape order. Each trade at the limit or better fills, at its own price,
  up to its own quantity cut to the step. The rest then expires; a FOK order fills whole or not at
  all.
- A GTC limit order meets at once only the trades of the same instant as the first one. What is left
  rests and fills as a maker, at its limit, with later trades at the limit or better, once the clock
  has passed them.
- The tape's depth is there for every order anew: no order sees another's fills. So a fill depends
  on nothing but the order, the clock at its receipt and the tape, whoever else trades.
- Fees are cut (never rounded up) to the scale of their asset.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import ROUND_FLOOR, Decimal
from itertools import pairwise
from typing import Final

from processors import money
from processors import rules as filters
from processors.errors import InvariantError
from processors.records.market import FeeMode, InstrumentRules, Side, SymbolStatus
from processors.records.trade import Fee, OrderType, Reason, Status, TimeInForce

ZERO: Final = Decimal(0)


@dataclass(frozen=True, slots=True)
class Settings:
    """The model's constants, in microseconds of market time and in trades."""

    latency: int = 250_000
    window: int = 60_000_000
    trades: int = 1_000


DEFAULTS: Final = Settings()


@dataclass(frozen=True, slots=True)
class Tape:
    """Recorded trades in order of time; three columns of one length."""

    times: tuple[int, ...]
    """Microseconds since 1970, never falling."""
    prices: tuple[Decimal, ...]
    """Quote units per base unit."""
    quantities: tuple[Decimal, ...]
    """Base units."""

    @classmethod
    def of(cls, trades: Iterable[tuple[int, Decimal, Decimal]]) -> Tape:
        """Build a tape.

        Args:
            trades: time in microseconds, price, quantity; in order of time.
        Returns:
            The tape.
        Raises:
            InvariantError: a time falls.
        """
        rows = list(trades)
        times = tuple(row[0] for row in rows)
        if any(later < earlier for earlier, later in pairwise(times)):
            raise InvariantError("tape is not in order of time")
        return cls(times, tuple(row[1] for row in rows), tuple(row[2] for row in rows))

    def first_at(self, time: int) -> int:
        """Find the first trade at or after a moment; the tape's length if there is none."""
        return bisect_left(self.times, time)

    def last_price(self, time: int) -> Decimal | None:
        """Return the price of the last trade at or before a moment, or None before the first."""
        index = bisect_right(self.times, time)
        return self.prices[index - 1] if index else None


@dataclass(frozen=True, slots=True)
class Request:
    """An order as its venue takes it; either `quantity` or `quote_quantity` is above zero."""

    side: Side
    order_type: OrderType
    time_in_force: TimeInForce
    quantity: Decimal = ZERO
    """Base units."""
    quote_quantity: Decimal = ZERO
    """Quote units, of a market order only."""
    price: Decimal | None = None
    """Limit, quote units per base unit."""


@dataclass(frozen=True, slots=True)
class Fill:
    """One trade of the order."""

    index: int
    """Place on the tape."""
    time: int
    """Microseconds, that of the recorded trade."""
    price: Decimal
    quantity: Decimal
    value: Decimal
    """Exactly price times quantity."""
    fee: Fee
    maker: bool


@dataclass(frozen=True, slots=True)
class Match:
    """What came of an order so far."""

    status: Status
    """NEW, PARTIALLY_FILLED, FILLED or EXPIRED."""
    fills: tuple[Fill, ...]
    next_index: int
    """First trade of the tape not yet met."""
    time: int
    """Microseconds of the newest change: the last fill, the end of the sweep, or the entry."""

    @property
    def filled_quantity(self) -> Decimal:
        """Base units filled."""
        return money.add(*(fill.quantity for fill in self.fills))

    @property
    def total_value(self) -> Decimal:
        """Quote units of all fills, fees apart."""
        return money.add(*(fill.value for fill in self.fills))


@dataclass(frozen=True, slots=True)
class Refusal:
    """A venue filter that an order breaks, in our word and in Binance's."""

    reason: Reason
    code: int
    message: str


def check(
    request: Request,
    rules: InstrumentRules,
    reference_price: Decimal | None = None,
    open_orders: int = 0,
) -> Refusal | None:
    """Judge an order by the filters of its symbol; a bound of zero is off.

    Args:
        request: the order.
        rules: the symbol's.
        reference_price: values a market order, quote units per base unit; None leaves that out.
        open_orders: the account's open orders on the symbol.
    Returns:
        The first filter broken, or None.
    """
    if rules.status is not SymbolStatus.TRADING:
        return Refusal(Reason.SYMBOL_NOT_TRADING, -1013, "Market is closed.")
    if request.order_type not in (OrderType.MARKET, OrderType.LIMIT):
        return Refusal(Reason.VENUE_REFUSED, -1116, "Invalid orderType.")
    if rules.max_orders and open_orders >= rules.max_orders:
        return _filter(Reason.MAX_ORDERS, "MAX_NUM_ORDERS")
    return _check_price(request, rules) or _check_size(request, rules, reference_price)


def match(
    request: Request, tape: Tape, clock: int, rules: InstrumentRules, settings: Settings = DEFAULTS
) -> Match:
    """Match a new order that passed `check`.

    Args:
        request: the order.
        tape: the market.
        clock: market clock at its receipt, microseconds.
        rules: step, fees and scales.
        settings: latency and bounds of the sweep.
    Returns:
        The fills and the status after them.
    """
    start = tape.first_at(clock + settings.latency)
    rests = request.order_type is OrderType.LIMIT and request.time_in_force in (
        TimeInForce.GTC,
        TimeInForce.GTD,
    )
    entry = clock + settings.latency
    if start == len(tape.times):
        return Match(Status.NEW if rests else Status.EXPIRED, (), start, entry)
    last = tape.times[start] + (0 if rests else settings.window)
    stop = min(bisect_right(tape.times, last), start + settings.trades)
    sweep = _Sweep(request, tape, rules, maker=False)
    sweep.run(start, stop)
    if sweep.done:
        return Match(Status.FILLED, tuple(sweep.fills), sweep.index, sweep.time(entry))
    if rests:
        status = Status.PARTIALLY_FILLED if sweep.fills else Status.NEW
        return Match(status, tuple(sweep.fills), sweep.index, sweep.time(entry))
    end = max(entry, tape.times[stop - 1])
    fills = () if request.time_in_force is TimeInForce.FOK else tuple(sweep.fills)
    return Match(Status.EXPIRED, fills, stop, end)


def advance(
    request: Request, before: Match, tape: Tape, clock: int, rules: InstrumentRules
) -> Match:
    """Match what rests of a GTC limit order with the trades that the clock has passed since.

    Args:
        request: the order.
        before: its state, as `match` or `advance` returned it.
        tape: the market.
        clock: market clock, microseconds.
        rules: step, fees and scales.
    Returns:
        The state now, with all fills so far; the same object where nothing was met.
    """
    stop = bisect_right(tape.times, clock)
    if before.status not in (Status.NEW, Status.PARTIALLY_FILLED) or stop <= before.next_index:
        return before
    sweep = _Sweep(request, tape, rules, maker=True, fills=list(before.fills))
    sweep.run(before.next_index, stop)
    status: Status = before.status
    if sweep.done:
        status = Status.FILLED
    elif sweep.fills:
        status = Status.PARTIALLY_FILLED
    return Match(status, tuple(sweep.fills), sweep.index, sweep.time(before.time))


@dataclass(slots=True)
class _Sweep:
    """One pass over the tape; used up inside one call."""

    request: Request
    tape: Tape
    rules: InstrumentRules
    maker: bool
    fills: list[Fill] = field(default_factory=list)
    done: bool = False
    index: int = 0

    def run(self, start: int, stop: int) -> None:
        """Meet trades until the order is done; leave `index` at the first not met."""
        left = money.subtract(self._wanted(), *(self._used(fill) for fill in self.fills))
        self.index = start
        while self.index < stop and not self.done:
            fill = self._meet(self.index, left)
            if fill is not None:
                self.fills.append(fill)
                left = money.subtract(left, self._used(fill))
                self.done = left == 0
            if not self.done:
                self.index += 1
        if self.done and self.index < stop:
            self.index += 1

    def time(self, entry: int) -> int:
        """Return the moment of the newest change."""
        return max(entry, self.fills[-1].time) if self.fills else entry

    def _wanted(self) -> Decimal:
        return self.request.quantity or self.request.quote_quantity

    def _used(self, fill: Fill) -> Decimal:
        return fill.quantity if self.request.quantity else fill.value

    def _meet(self, index: int, left: Decimal) -> Fill | None:
        price, limit = self.tape.prices[index], self.request.price
        if limit is not None:
            worse = price > limit if self.request.side is Side.BUY else price < limit
            if worse:
                return None
            if self.maker:
                price = limit
        step = self.rules.step_size
        depth = money.floor_to(self.tape.quantities[index], step)
        if depth <= 0:
            return None
        quantity = min(depth, left if self.request.quantity else self._affordable(left, price))
        if quantity <= 0:
            # What is left of a quote amount buys no step any more: Binance calls that order filled.
            self.done = bool(self.fills)
            return None
        return self._fill(index, price, quantity)

    def _affordable(self, quote: Decimal, price: Decimal) -> Decimal:
        scale = self.rules.base_scale
        return money.floor_to(money.divide(quote, price, scale, ROUND_FLOOR), self.rules.step_size)

    def _fill(self, index: int, price: Decimal, quantity: Decimal) -> Fill:
        value = money.multiply(price, quantity)
        return Fill(
            index=index,
            time=self.tape.times[index],
            price=price,
            quantity=quantity,
            value=value,
            fee=_fee(self.request.side, quantity, value, self.rules, maker=self.maker),
            maker=self.maker,
        )


def _fee(
    side: Side, quantity: Decimal, value: Decimal, rules: InstrumentRules, *, maker: bool
) -> Fee:
    """Charge what the mode says; a venue without the third asset falls back to RECEIVED."""
    rate = rules.maker_fee if maker else rules.taker_fee
    if side is Side.BUY and rules.fee_mode is not FeeMode.QUOTE:
        amount = money.floor_scale(money.multiply(quantity, rate), rules.base_scale)
        return Fee(asset=rules.base_asset, amount=amount)
    amount = money.floor_scale(money.multiply(value, rate), rules.quote_scale)
    return Fee(asset=rules.quote_asset, amount=amount)


def _check_price(request: Request, rules: InstrumentRules) -> Refusal | None:
    if request.order_type is OrderType.MARKET:
        return None
    if request.price is None or request.price <= 0:
        return _FILTERS[Reason.PRICE_TICK]
    return _refusal(filters.check_price(request.price, rules))


def _check_size(
    request: Request, rules: InstrumentRules, reference_price: Decimal | None
) -> Refusal | None:
    market = request.order_type is OrderType.MARKET
    if market and request.quote_quantity > 0:
        return _refusal(filters.check_notional(request.quote_quantity, rules, market=True))
    denial = filters.check_quantity(request.quantity, rules, market=market)
    price = reference_price if market else request.price
    if denial is None and price is not None:
        notional = money.multiply(request.quantity, price)
        denial = filters.check_notional(notional, rules, market=market)
    return _refusal(denial)


def _refusal(denial: filters.Denial | None) -> Refusal | None:
    return None if denial is None else _FILTERS[denial.reason]


def _filter(reason: Reason, name: str) -> Refusal:
    return Refusal(reason, -1013, f"Filter failure: {name}")


_FILTERS: Final = {
    reason: _filter(reason, name)
    for reason, name in (
        (Reason.PRICE_TICK, "PRICE_FILTER"),
        (Reason.PRICE_OUT_OF_BAND, "PRICE_FILTER"),
        (Reason.STEP, "LOT_SIZE"),
        (Reason.MIN_QUANTITY, "LOT_SIZE"),
        (Reason.MAX_QUANTITY, "LOT_SIZE"),
        (Reason.MIN_NOTIONAL, "NOTIONAL"),
        (Reason.MAX_NOTIONAL, "NOTIONAL"),
    )
}
