"""Stop-loss and take-profit: what triggers them, and that each fires once per order and quantity.

The venue holds no stop: risk_manager writes a Protection when a position changes, and a bar that
crosses its price makes a market exit. The mark that it fired stays until the quantity changes (a
partial exit arms the rest again) or the protection is removed (quantity zero).
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from processors import ids, limits, money
from processors.errors import InvariantError, RuleViolation
from processors.records.account import Protection
from processors.records.market import Bar, Side
from processors.records.state_market import Guard, Strategy
from processors.records.trade import IntentKind, OrderType, TimeInForce, TradeIntent
from processors.signals import SOURCE, StrategyContext

_ONE: Final = Decimal(1)


@dataclass(frozen=True, slots=True)
class Watched:
    """A protection was written, changed or removed; an effect that no topic takes."""

    protection: Protection


def stop_loss_price(
    entry: Decimal, fraction: Decimal, tick: Decimal, side: Side = Side.SELL
) -> Decimal:
    """Compute the trigger of a stop-loss.

    Args:
        entry: price of the entry, quote units per base unit.
        fraction: how far the price may go against the position, 0 to 1; zero is no stop.
        tick: price step of the venue; zero is none.
        side: side of the exit.
    Returns:
        For a SELL, entry * (1 - fraction) rounded up to the tick: it never fires later than asked.
        For a BUY, entry * (1 + fraction) rounded down. Zero for no stop, or one never reached.
    Raises:
        RuleViolation: entry is not above zero, or the fraction is negative.
    """
    return _trigger(entry, fraction, tick, side, against=True)


def take_profit_price(
    entry: Decimal, fraction: Decimal, tick: Decimal, side: Side = Side.SELL
) -> Decimal:
    """Compute the trigger of a take-profit.

    Args:
        entry: price of the entry, quote units per base unit.
        fraction: how far the price is to go with the position; zero is no take-profit.
        tick: price step of the venue; zero is none.
        side: side of the exit.
    Returns:
        For a SELL, entry * (1 + fraction) rounded up to the tick: it never takes less than asked.
        For a BUY, entry * (1 - fraction) rounded down. Zero for none, or one never reached.
    Raises:
        RuleViolation: entry is not above zero, or the fraction is negative.
    """
    return _trigger(entry, fraction, tick, side, against=False)


def decide(
    state: Strategy, event: Bar | Protection, context: StrategyContext
) -> tuple[Watched | TradeIntent, ...]:
    """Take in a protection, or judge a bar by all of them.

    A stop fires where the bar's low is at or under it, a take-profit where the high is at or over
    it (for a BUY exit the other way round); of both in one bar the stop. A bar that began before
    the fill is judged by its close alone: its low may be older than the position.

    The intent is a MARKET IOC exit of the protected quantity. Its expected_price is the bar's
    close, the newest price there is: it sizes and bounds the order. stop_price stays empty: the
    trigger has been seen, and nothing is to rest at the venue.

    Args:
        state: what is watched on the instrument.
        event: a bar (others than those of `guard_interval` are left alone) or a protection.
        context: wall time and the interval of the bars that count.
    Returns:
        `Watched`, or the exits, by account and order.
    Raises:
        RuleViolation: one instrument has too many protections.
        InvariantError: the event is another instrument's.
    """
    if event.instrument != state.instrument:
        raise InvariantError(
            "event is of another instrument", ours=state.instrument, its=event.instrument
        )
    if isinstance(event, Protection):
        if len(state.guards) >= limits.PROTECTIONS_MAX and _key(event) not in state.guards:
            raise RuleViolation(
                "too many protections on an instrument",
                instrument=event.instrument,
                most=limits.PROTECTIONS_MAX,
            )
        return (Watched(event),)
    if event.interval != context.guard_interval or not _reached(state, event.low, event.high):
        return ()
    fired = ((guard, _fires(guard, event)) for guard in state.guards.values())
    return tuple(_exit(guard, kind, event, context) for guard, kind in fired if kind is not None)


def evolve(state: Strategy, effect: Watched | TradeIntent) -> Strategy:
    """Apply one effect.

    Args:
        state: what is watched on the instrument.
        effect: a protection taken in, or an exit that fired (any other intent changes nothing).
    Returns:
        What is watched after it.
    """
    if isinstance(effect, Watched):
        return _watched(state, effect.protection)
    if effect.kind not in (IntentKind.STOP_LOSS, IntentKind.TAKE_PROFIT):
        return state
    key = f"{effect.account}|{effect.target_order_id}"
    guard = state.guards.get(key)
    if guard is None:
        raise InvariantError("an exit fired that nothing watches", key=key)
    marked = guard.model_copy(update={"fired_quantity": guard.quantity})
    return _with(state, {**state.guards, key: marked})


def _trigger(
    entry: Decimal, fraction: Decimal, tick: Decimal, side: Side, *, against: bool
) -> Decimal:
    if not (entry.is_finite() and fraction.is_finite() and entry > 0 and fraction >= 0):
        raise RuleViolation("protection has no price", entry=str(entry), fraction=str(fraction))
    if fraction == 0:
        return money.ZERO
    below = against == (side is Side.SELL)
    factor = money.subtract(_ONE, fraction) if below else money.add(_ONE, fraction)
    rounded = money.ceil_to if side is Side.SELL else money.floor_to
    price = rounded(money.multiply(entry, factor), tick)
    if not money.storable(price):
        # Without a tick the exact product may have more places than a record keeps.
        scaled = money.ceil_scale if side is Side.SELL else money.floor_scale
        price = scaled(price, limits.AMOUNT_SCALE)
    # No trade is ever at or under zero, or too large to be kept: such a trigger is none.
    return price if 0 < price < money.BOUND else money.ZERO


def _key(protection: Protection) -> str:
    return f"{protection.account}|{protection.order_id}"


def _watched(state: Strategy, protection: Protection) -> Strategy:
    key = _key(protection)
    guards = dict(state.guards)
    before = guards.pop(key, None)
    if protection.quantity > 0:
        guards[key] = Guard(
            account=protection.account,
            order_id=protection.order_id,
            side=protection.side,
            quantity=protection.quantity,
            stop_price=protection.stop_price,
            take_profit_price=protection.take_profit_price,
            fired_quantity=before.fired_quantity if before is not None else money.ZERO,
            market_time=protection.market_time,
        )
        guards = {each: guards[each] for each in sorted(guards)}
    return _with(state, guards)


def _with(state: Strategy, guards: dict[str, Guard]) -> Strategy:
    """Put guards in, with the bounds that let most bars pass without a look at each guard."""
    armed = [guard for guard in guards.values() if guard.fired_quantity != guard.quantity]
    falls = [_fall_rise(guard)[0] for guard in armed]
    rises = [rise for guard in armed if (rise := _fall_rise(guard)[1]) > 0]
    return state.model_copy(
        update={
            "guards": guards,
            "fall": max(falls, default=money.ZERO),
            "rise": min(rises, default=money.ZERO),
        }
    )


def _fall_rise(guard: Guard) -> tuple[Decimal, Decimal]:
    """Price to fall to and price to rise to, each zero for none."""
    if guard.side is Side.SELL:
        return guard.stop_price, guard.take_profit_price
    return guard.take_profit_price, guard.stop_price


def _reached(state: Strategy, low: Decimal, high: Decimal) -> bool:
    return (state.fall > 0 and low <= state.fall) or (state.rise > 0 and high >= state.rise)


def _fires(guard: Guard, bar: Bar) -> IntentKind | None:
    if guard.fired_quantity == guard.quantity or bar.close_time <= guard.market_time:
        return None
    whole = bar.open_time >= guard.market_time
    low, high = (bar.low, bar.high) if whole else (bar.close, bar.close)
    fall, rise = _fall_rise(guard)
    fallen, risen = fall > 0 and low <= fall, rise > 0 and high >= rise
    stopped, taken = (fallen, risen) if guard.side is Side.SELL else (risen, fallen)
    if stopped:
        return IntentKind.STOP_LOSS
    return IntentKind.TAKE_PROFIT if taken else None


def _exit(guard: Guard, kind: IntentKind, bar: Bar, context: StrategyContext) -> TradeIntent:
    cause = ids.entry_id("protection", guard.account, guard.order_id, guard.quantity)
    return TradeIntent(
        account=guard.account,
        intent_id=ids.intent_id(cause, guard.account, "protection"),
        kind=kind,
        instrument=bar.instrument,
        side=guard.side,
        order_type=OrderType.MARKET,
        time_in_force=TimeInForce.IOC,
        quantity=guard.quantity,
        expected_price=bar.close,
        target_order_id=guard.order_id,
        source_agent=SOURCE,
        market_time=bar.market_time,
        created_time=context.now,
        received_time=bar.received_time,
    )
