"""The name and the fields under which each effect is logged; the core itself never logs.

Operators rely on the names: balance_reserved, insufficient_available_balance and the other reasons
in lower case, balance_released_after_execution, order_unknown, late_fill, overfill, price_fallback.
"""

from __future__ import annotations

from typing import assert_never

from processors.effects import Effect, Settlement, text_of
from processors.records.account import Protection
from processors.records.ledger import LedgerEntry
from processors.records.ops import Alert
from processors.records.state_account import OrderState, PositionState, Seen, Standing
from processors.records.trade import OrderEvent, OrderEventKind, Reason

_DECISIONS = {
    OrderEventKind.RESERVED: "balance_reserved",
    OrderEventKind.CANCEL_ASKED: "cancel_asked",
    OrderEventKind.REPLACE_ASKED: "replace_asked",
}


def describe(effect: Effect) -> tuple[str, dict[str, str]]:
    """Name an effect for the log.

    Args:
        effect: any effect of the account's core.
    Returns:
        The event's name, and its fields as text: decimals in their plain form.
    """
    match effect:
        case OrderEvent():
            return _decision(effect)
        case Settlement():
            return "balance_released_after_execution", _texts(
                account=effect.account,
                order_id=effect.order_id,
                trade_id=effect.trade_id,
                asset=effect.asset,
                released_amount=effect.released_amount,
                actual_cost=effect.actual_cost,
                remaining_balance=effect.remaining_balance,
                total_reserved=effect.total_reserved,
            )
        case LedgerEntry():
            return effect.kind.value.lower(), _texts(
                account=effect.account,
                sequence=effect.sequence,
                asset=effect.asset,
                amount=effect.amount,
                total_after=effect.total_after,
                held_after=effect.held_after,
                order_id=effect.order_id or "",
                cause=effect.cause,
            )
        case Alert():
            return effect.kind, _texts(severity=effect.severity.value, **effect.details)
        case Protection():
            return "protection_set" if effect.quantity else "protection_removed", _texts(
                account=effect.account,
                order_id=effect.order_id,
                quantity=effect.quantity,
                stop_price=effect.stop_price,
                take_profit_price=effect.take_profit_price,
            )
        case OrderState() | PositionState() | Standing() | Seen():
            return _entry(effect)
        case _:
            assert_never(effect)


def _decision(effect: OrderEvent) -> tuple[str, dict[str, str]]:
    name = _DECISIONS.get(effect.kind, (effect.reason or Reason.OTHER).value.lower())
    if name == Reason.OTHER.value.lower():
        name = "order_denied"
    return name, _texts(
        account=effect.account,
        order_id=effect.order_id,
        intent_id=effect.intent_id,
        instrument=effect.instrument,
        side=effect.side.value,
        quantity=effect.quantity,
        price=effect.price if effect.price is not None else "",
        hold_asset=effect.hold_asset,
        hold_amount=effect.hold_amount,
        detail=effect.detail,
        price_source=effect.price_source,
        price_age=effect.price_age,
    )


def _entry(effect: OrderState | PositionState | Standing | Seen) -> tuple[str, dict[str, str]]:
    match effect:
        case OrderState():
            return "order_status", _texts(
                account=effect.account,
                order_id=effect.order_id,
                status=effect.status.value,
                filled_quantity=effect.filled_quantity,
                held=effect.held,
            )
        case PositionState():
            return "position_changed", _texts(
                account=effect.account,
                instrument=effect.instrument,
                quantity=effect.quantity,
                cost=effect.cost,
                realised=effect.realised,
            )
        case Standing():
            return "account_standing", _texts(
                status=effect.status.value, open_orders=effect.open_orders
            )
        case Seen():
            return "event_seen", _texts(
                account=effect.account, kind=effect.kind.value, identity=effect.identity
            )
        case _:
            assert_never(effect)


def _texts(**fields: object) -> dict[str, str]:
    return {name: text_of(value) for name, value in fields.items()}
