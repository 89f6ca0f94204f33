"""Binance's spot JSON, as ccxt hands it on in `info`, read into the core's facts.

The raw words are read, never ccxt's unified ones: those take a closed order without a filled field
for full, and EXPIRED for canceled.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal, DecimalException
from typing import Any, Final

from connectors.clock import from_millis
from processors import ids, money
from processors.errors import DecodeError
from processors.records.market import FeeMode, InstrumentRules, SymbolStatus
from processors.records.trade import Fee, Reason, Status
from processors.venue import OrderFound, VenueFill

ZERO: Final = Decimal(0)
STATUSES: Final[Mapping[str, Status]] = {
    "NEW": Status.NEW,
    "PENDING_NEW": Status.NEW,
    "PARTIALLY_FILLED": Status.PARTIALLY_FILLED,
    "FILLED": Status.FILLED,
    "CANCELED": Status.CANCELED,
    "PENDING_CANCEL": Status.PENDING_CANCEL,
    "REJECTED": Status.REJECTED,
    "EXPIRED": Status.EXPIRED,
    "EXPIRED_IN_MATCH": Status.EXPIRED,
}
"""Binance's words; one that is not here is not guessed."""


def order(info: Mapping[str, Any], fills: Iterable[VenueFill] | None = None) -> OrderFound:
    """Read an order from a create, query or cancel answer.

    Args:
        info: Binance's JSON.
        fills: its trades; None takes those of the answer itself (create, response type FULL).
    Returns:
        The order.
    Raises:
        DecodeError: a field is missing or malformed.
    """
    raw_status = _text(info, "status")
    accepted = _time(info, "workingTime", "time", "transactTime")
    updated = _time(info, "updateTime", "transactTime")
    if fills is None:
        fills = [_created_fill(entry, updated) for entry in info.get("fills") or ()]
    client = info.get("origClientOrderId") or _text(info, "clientOrderId")
    return OrderFound(
        venue_order_id=_text(info, "orderId"),
        client_order_id=str(client),
        raw_status=raw_status,
        status=STATUSES.get(raw_status),
        quantity=_amount(info, "origQty"),
        filled_quantity=_amount(info, "executedQty"),
        fills=tuple(fills),
        accepted_time=accepted,
        updated_time=max(accepted, updated),
        reason=Reason.STP if raw_status == "EXPIRED_IN_MATCH" else None,
        prevented_quantity=_amount(info, "preventedQuantity", default=ZERO),
    )


def trade(info: Mapping[str, Any]) -> tuple[str, VenueFill]:
    """Read one of the account's trades.

    Args:
        info: Binance's JSON.
    Returns:
        The venue's order id, and the fill.
    Raises:
        DecodeError: a field is missing or malformed.
    """
    return _text(info, "orderId"), _fill(info, "id", _time(info, "time"))


def rules(
    info: Mapping[str, Any],
    *,
    exchange: str,
    fees: tuple[Decimal, Decimal],
    fee_mode: FeeMode,
    now: datetime,
) -> InstrumentRules:
    """Read a symbol's filters; what ccxt's unified market loses is in its `info`.

    Args:
        info: one entry of exchangeInfo's `symbols`.
        exchange: our name of the venue.
        fees: maker and taker fraction.
        fee_mode: in which asset they are taken.
        now: when the venue was asked.
    Returns:
        The rules with their version.
    Raises:
        DecodeError: a field is missing or malformed.
    """
    by_type = {_text(entry, "filterType"): entry for entry in info.get("filters") or ()}
    base, quote = _text(info, "baseAsset"), _text(info, "quoteAsset")
    price, lot = by_type.get("PRICE_FILTER", {}), by_type.get("LOT_SIZE", {})
    market_lot = by_type.get("MARKET_LOT_SIZE", {})
    # The older filter wins where both are listed, and has no maximum.
    old, notional = by_type.get("MIN_NOTIONAL"), by_type.get("NOTIONAL", {})
    fields: dict[str, Any] = {
        "instrument": f"{exchange}:{base}/{quote}",
        "exchange": exchange,
        "symbol": f"{base}/{quote}",
        "base_asset": base,
        "quote_asset": quote,
        "base_scale": int(_amount(info, "baseAssetPrecision", default=Decimal(8))),
        "quote_scale": int(_amount(info, "quoteAssetPrecision", default=Decimal(8))),
        "status": _status(info),
        "tick_size": _amount(price, "tickSize", default=ZERO),
        "min_price": _amount(price, "minPrice", default=ZERO),
        "max_price": _amount(price, "maxPrice", default=ZERO),
        "step_size": _amount(lot, "stepSize", default=ZERO),
        "min_quantity": _amount(lot, "minQty", default=ZERO),
        "max_quantity": _amount(lot, "maxQty", default=ZERO),
        "market_step_size": _amount(market_lot, "stepSize", default=ZERO),
        "market_min_quantity": _amount(market_lot, "minQty", default=ZERO),
        "market_max_quantity": _amount(market_lot, "maxQty", default=ZERO),
        "min_notional": _amount(old or notional, "minNotional", default=ZERO),
        "max_notional": _amount(notional, "maxNotional", default=ZERO),
        "min_notional_applies_to_market": bool(
            old.get("applyToMarket") if old else notional.get("applyMinToMarket")
        ),
        "max_notional_applies_to_market": bool(notional.get("applyMaxToMarket")),
        "max_orders": int(_amount(by_type.get("MAX_NUM_ORDERS", {}), "maxNumOrders", default=ZERO)),
        "maker_fee": fees[0],
        "taker_fee": fees[1],
        "fee_mode": fee_mode,
    }
    return InstrumentRules(**fields, version=ids.rules_version(fields), updated_time=now)


def _status(info: Mapping[str, Any]) -> SymbolStatus:
    word = _text(info, "status")
    if word == "TRADING":
        return SymbolStatus.TRADING
    return SymbolStatus.HALTED if word in ("HALT", "BREAK", "END_OF_DAY") else SymbolStatus.OTHER


def _created_fill(entry: Mapping[str, Any], transact_time: datetime) -> VenueFill:
    # Binance gives the fills of a create answer no time of their own: they are of its transactTime.
    time = _time(entry, "time") if "time" in entry else transact_time
    return _fill(entry, "tradeId", time)


def _fill(entry: Mapping[str, Any], id_name: str, time: datetime) -> VenueFill:
    fee = Fee(asset=_text(entry, "commissionAsset"), amount=_amount(entry, "commission"))
    price, quantity = _amount(entry, "price"), _amount(entry, "qty")
    if price <= 0 or quantity <= 0:
        raise DecodeError(
            "venue's fill has no price or no quantity", price=price, quantity=quantity
        )
    return VenueFill(
        trade_id=_text(entry, id_name),
        price=price,
        quantity=quantity,
        fees=(fee,) if fee.amount else (),
        time=time,
    )


def _text(info: Mapping[str, Any], name: str) -> str:
    value = info.get(name)
    if value is None or isinstance(value, (dict, list, float, bool)) or str(value) == "":
        raise DecodeError("venue's answer lacks a field", field=name)
    return str(value)


def _amount(info: Mapping[str, Any], name: str, *, default: Decimal | None = None) -> Decimal:
    value = info.get(name)
    if value is None and default is not None:
        return default
    if value is None or isinstance(value, (float, bool)):
        raise DecodeError("venue's answer lacks an amount", field=name)
    try:
        amount = Decimal(str(value))
    except DecimalException as e:
        raise DecodeError("venue's answer holds no number", field=name) from e
    if not money.storable(amount):
        raise DecodeError("venue's answer holds an amount out of range", field=name)
    return amount


def _time(info: Mapping[str, Any], *names: str) -> datetime:
    for name in names:
        value = info.get(name)
        if value is None:
            continue
        text = str(value)
        if not (text.isascii() and text.isdigit()):
            break
        try:
            return from_millis(int(text))
        except (OverflowError, ValueError):
            break
    raise DecodeError("venue's answer lacks a time", field=names[0])
