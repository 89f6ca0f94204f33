"""One decision per intent: held and sized, denied, or passed on as a cancel.

Every intent that is read yields exactly one OrderEvent. A second intent with an id that was
decided already (order, or denied) yields DENIED with DUPLICATE_INTENT and touches nothing. A cancel
has no order of its own: the decision names its target, a second cancel of an order whose first is
still pending is a duplicate. Replacements are denied with OTHER.
"""

from __future__ import annotations

from decimal import Decimal

from processors import funds, ids, orders, risk, rules
from processors.effects import Context, Effect, View, alert
from processors.money import ZERO
from processors.price import PriceSource
from processors.records.ledger import EntryKind
from processors.records.market import InstrumentRules, Side
from processors.records.ops import Severity
from processors.records.state_account import OrderState
from processors.records.trade import (
    IntentKind,
    OrderEvent,
    OrderEventKind,
    Reason,
    Status,
    TradeIntent,
)
from processors.risk import Verdict
from processors.rules import Denial
from processors.sizing import Sized


def decide(view: View, intent: TradeIntent, context: Context) -> tuple[Effect, ...]:
    """Decide on one intent.

    Args:
        view: the account; `order` is the target of a cancel, else what answers this intent id.
        intent: what is asked for.
        context: time, rules, price and policy.
    Returns:
        The OrderEvent first, then what follows from it.
    """
    if intent.kind is IntentKind.CANCEL:
        return _cancel(view, intent, context)
    if view.order is not None:
        denial = Denial(Reason.DUPLICATE_INTENT, f"decided already: {view.order.status.value}")
        return (_event(intent, context, Verdict(None, denial)),)
    if intent.kind is IntentKind.REPLACE:
        verdict = Verdict(None, Denial(Reason.OTHER, "replacing an order is not supported"))
    else:
        verdict = risk.check(view, intent, context)
    event = _event(intent, context, verdict)
    if verdict.order is None:
        # The id is kept though nothing is held: a repeat of it is a duplicate, and a fill for it
        # would be a fill of an order that was never sent.
        return (event, _denied_order(event, intent, context))
    return _reserve(view, intent, context, verdict, event)


def _reserve(
    view: View, intent: TradeIntent, context: Context, verdict: Verdict, event: OrderEvent
) -> tuple[Effect, ...]:
    order, limits, price = verdict.order, context.rules, verdict.price
    if order is None or limits is None or price is None:
        return (event,)
    book = funds.Book(
        account=view.account,
        cause_id=event.order_id,
        market_time=intent.market_time,
        now=context.now,
        order_id=event.order_id,
    )
    book.post(EntryKind.HOLD_PLACED, order.hold_asset, order.hold_amount, event.kind.value)
    kept = _order(event, intent, context, order, price.price, limits)
    standing = risk.count(view.account.standing, intent, order.notional)
    standing = risk.expose(
        standing, intent.instrument, orders.exposure(None), orders.exposure(kept)
    )
    effects: list[Effect] = [event, *book.entries, kept, standing]
    if price.source in {PriceSource.CONFIGURED, PriceSource.LAST_GOOD}:
        effects.append(
            alert(
                "price_fallback",
                Severity.TICKET,
                "an order was sized without a fresh price",
                context.now,
                account=intent.account,
                order_id=event.order_id,
                source=price.source.value,
                price=price.price,
                age_ms=price.age_ms,
            )
        )
    return tuple(effects)


def _cancel(view: View, intent: TradeIntent, context: Context) -> tuple[Effect, ...]:
    order = view.order
    denial: Denial | None = None
    if order is None:
        denial = Denial(Reason.OTHER, "no such order")
    elif orders.is_terminal(order.status):
        denial = Denial(Reason.OTHER, f"the order is {order.status.value}")
    elif order.cancel_asked:
        denial = Denial(Reason.DUPLICATE_INTENT, "its cancel was asked for already")
    event = _event(intent, context, Verdict(None, denial), target=order)
    if order is None or denial is not None:
        return (event,)
    asked = order.but({"cancel_asked": True})
    return (event, orders.stamp(asked, context.now, intent.market_time))


def _event(
    intent: TradeIntent, context: Context, verdict: Verdict, target: OrderState | None = None
) -> OrderEvent:
    """Write the decision; a denial carries the intent's own figures, where it has any."""
    order, price, limits = verdict.order, verdict.price, context.rules
    denied = verdict.denial
    if denied is not None:
        kind = OrderEventKind.DENIED
    else:
        kind = OrderEventKind.RESERVED if order is not None else OrderEventKind.CANCEL_ASKED
    like = order or target
    exchange, _, symbol = intent.instrument.partition(":")
    return OrderEvent(
        account=intent.account,
        order_id=ids.order_id(intent.account, intent.intent_id),
        intent_id=intent.intent_id,
        client_order_id=ids.client_order_id(intent.account, intent.intent_id),
        kind=kind,
        instrument=intent.instrument,
        exchange=limits.exchange if limits else exchange or symbol,
        symbol=limits.symbol if limits else symbol or exchange,
        side=target.side if target else intent.side,
        order_type=like.order_type if like else intent.order_type,
        time_in_force=like.time_in_force if like else intent.time_in_force,
        quantity=like.quantity if like else intent.quantity or ZERO,
        quote_quantity=like.quote_quantity if like else intent.quote_quantity,
        price=like.price if like else intent.price,
        stop_price=intent.stop_price,
        expires_time=intent.expires_time,
        hold_asset=order.hold_asset if order else "",
        hold_amount=order.hold_amount if order else ZERO,
        reason=denied.reason if denied else None,
        detail=denied.detail if denied else "",
        expected_price=price.price if price else intent.expected_price or ZERO,
        price_source=price.source.value if price else "",
        price_age=price.age_ms if price else 0,
        rules_version=limits.version if limits else "",
        policy_version=context.policy.version if context.policy else 0,
        target_order_id=intent.target_order_id,
        intent_kind=intent.kind,
        strategy=intent.strategy,
        arm=intent.arm,
        market_time=intent.market_time,
        created_time=context.now,
        received_time=intent.received_time,
    )


def _order(
    event: OrderEvent,
    intent: TradeIntent,
    context: Context,
    order: Sized,
    price: Decimal,
    limits: InstrumentRules,
) -> OrderState:
    policy = context.policy
    guarded = policy is not None and intent.side is Side.BUY
    return _denied_order(event, intent, context).but(
        {
            "ended": None,
            "reason": None,
            "status": Status.RESERVED,
            "base_asset": limits.base_asset,
            "quote_asset": limits.quote_asset,
            "expected_quantity": order.expected_quantity,
            "hold_asset": order.hold_asset,
            "hold_unit": order.hold_unit,
            "hold_scale": order.hold_scale,
            "placed": order.hold_amount,
            "held": order.hold_amount,
            "tick_size": limits.tick_size,
            "dust": rules.dust_bound(price, limits),
            "stop_loss": policy.stop_loss if policy and guarded else ZERO,
            "take_profit": policy.take_profit if policy and guarded else ZERO,
        }
    )


def _denied_order(event: OrderEvent, intent: TradeIntent, context: Context) -> OrderState:
    return OrderState(
        account=event.account,
        order_id=event.order_id,
        client_order_id=event.client_order_id,
        intent_id=event.intent_id,
        instrument=event.instrument,
        exchange=event.exchange,
        symbol=event.symbol,
        base_asset="",
        quote_asset="",
        side=event.side,
        order_type=event.order_type,
        time_in_force=event.time_in_force,
        quantity=event.quantity,
        quote_quantity=event.quote_quantity,
        expected_quantity=ZERO,
        price=event.price,
        stop_price=event.stop_price,
        intent_kind=event.intent_kind,
        target_order_id=event.target_order_id,
        strategy=event.strategy,
        arm=event.arm,
        hold_asset="",
        hold_unit=ZERO,
        hold_scale=0,
        placed=ZERO,
        held=ZERO,
        tick_size=ZERO,
        dust=ZERO,
        stop_loss=ZERO,
        take_profit=ZERO,
        ended=Status.DENIED,
        ended_quantity=ZERO,
        ended_value=ZERO,
        reason=event.reason,
        prevented_quantity=ZERO,
        filled_quantity=ZERO,
        total_value=ZERO,
        busted_quantity=ZERO,
        busted_value=ZERO,
        fees={},
        trades=0,
        status=Status.DENIED,
        market_time=intent.market_time,
        created_time=context.now,
        updated_time=context.now,
    )
