"""Binance's JSON for what the venue knows, and the reading of its requests."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, DecimalException
from typing import Any, Final

from connectors.simulator.book import AccountBook
from connectors.simulator.config import Config
from connectors.simulator.rows import Order
from connectors.simulator.venue import VenueError
from processors import money
from processors.matching import Fill, Request
from processors.records.market import InstrumentRules, Side
from processors.records.trade import OrderType, TimeInForce

ZERO: Final = Decimal(0)
_TYPES: Final = {"MARKET": OrderType.MARKET, "LIMIT": OrderType.LIMIT}
_PLACES: Final = 8


def number(amount: Decimal) -> str:
    """Write an amount with eight places, or more where it has more: never rounded.

    Args:
        amount: a finite amount.
    Returns:
        Plain text.
    """
    text = money.text(amount)
    whole, _, places = text.partition(".")
    return f"{whole}.{places.ljust(_PLACES, '0')}"


def millis(micros: int) -> int:
    """Turn our microseconds into Binance's milliseconds."""
    return micros // 1000


def request_of(params: Mapping[str, str], config: Config) -> Request:
    """Read an order from the parameters of a create call.

    Args:
        params: as sent.
        config: knows the symbol.
    Returns:
        The order; its size is not judged yet.
    Raises:
        VenueError: a parameter is missing or malformed.
    """
    need_symbol(params, config)
    side = params.get("side", "")
    if side not in Side.__members__:
        raise VenueError(-1117, "Invalid side.")
    order_type = _TYPES.get(params.get("type", ""))
    if order_type is None:
        raise VenueError(-1116, "Invalid orderType.")
    quantity = _amount(params, "quantity")
    if order_type is OrderType.MARKET:
        quote = _amount(params, "quoteOrderQty")
        if (quantity is None) == (quote is None):
            raise VenueError(-1102, "Mandatory parameter 'quantity' was not sent.")
        return Request(
            Side(side),
            order_type,
            TimeInForce.IOC,
            quantity=quantity or ZERO,
            quote_quantity=quote or ZERO,
        )
    price = _amount(params, "price")
    in_force = params.get("timeInForce", "")
    if quantity is None or price is None:
        raise VenueError(-1102, "Mandatory parameter 'quantity' or 'price' was not sent.")
    if in_force not in ("GTC", "IOC", "FOK"):
        raise VenueError(-1115, "Invalid timeInForce.")
    return Request(Side(side), order_type, TimeInForce(in_force), quantity=quantity, price=price)


def need_symbol(params: Mapping[str, str], config: Config) -> None:
    """Refuse a call for another symbol.

    Args:
        params: as sent.
        config: knows the symbol.
    Raises:
        VenueError: the symbol is missing or unknown.
    """
    if "symbol" not in params:
        raise VenueError(-1102, "Mandatory parameter 'symbol' was not sent.")
    if params["symbol"] != config.symbol_id:
        raise VenueError(-1121, "Invalid symbol.")


def whole(params: Mapping[str, str], name: str) -> int | None:
    """Read a whole number.

    Args:
        params: as sent.
        name: of the parameter.
    Returns:
        Its value, None where it was not sent.
    Raises:
        VenueError: it is malformed.
    """
    text = params.get(name)
    if text is None or not text:
        return None
    if not (text.isascii() and text.isdigit()) or len(text) > 18:
        raise VenueError(-1100, f"Illegal characters found in parameter '{name}'.")
    return int(text)


def order_json(order: Order, symbol: str) -> dict[str, Any]:
    """Write an order as a query answers it."""
    request, match = order.request, order.match
    filled = match.filled_quantity
    # Of an order by quote amount Binance states as ordered what was executed.
    ordered = request.quantity or filled
    return {
        "symbol": symbol,
        "orderId": order.order_id,
        "orderListId": -1,
        "clientOrderId": order.client_order_id,
        "price": number(request.price or ZERO),
        "origQty": number(ordered),
        "executedQty": number(filled),
        "origQuoteOrderQty": number(request.quote_quantity),
        "cummulativeQuoteQty": number(match.total_value),
        "status": str(order.status),
        "timeInForce": "GTC"
        if request.order_type is OrderType.MARKET
        else str(request.time_in_force),
        "type": str(request.order_type),
        "side": str(request.side),
        "stopPrice": number(ZERO),
        "icebergQty": number(ZERO),
        "time": millis(order.entry),
        "updateTime": millis(match.time),
        "isWorking": True,
        "workingTime": millis(order.entry),
        "selfTradePreventionMode": "NONE",
    }


def created_json(order: Order, symbol: str) -> dict[str, Any]:
    """Write an order as a create call of response type FULL answers it.

    Binance's fills carry no time; ours have `time` besides, because the model fills ahead of the
    clock.
    """
    answer = order_json(order, symbol)
    answer["transactTime"] = answer.pop("updateTime")
    del answer["time"], answer["isWorking"]
    answer["fills"] = [
        {
            "price": number(fill.price),
            "qty": number(fill.quantity),
            "commission": number(fill.fee.amount),
            "commissionAsset": fill.fee.asset,
            "tradeId": trade,
            "time": millis(fill.time),
        }
        for trade, fill in zip(order.trade_ids, order.match.fills, strict=True)
    ]
    return answer


def canceled_json(order: Order, symbol: str) -> dict[str, Any]:
    """Write an order as a cancel answers it: its client id stands under another name there."""
    answer = order_json(order, symbol)
    answer["transactTime"] = answer["updateTime"]
    answer["origClientOrderId"] = order.client_order_id
    answer["clientOrderId"] = f"cancel-{order.order_id}"
    return answer


def trade_json(trade: int, order: Order, fill: Fill, symbol: str) -> dict[str, Any]:
    """Write one of the account's trades."""
    return {
        "symbol": symbol,
        "id": trade,
        "orderId": order.order_id,
        "orderListId": -1,
        "price": number(fill.price),
        "qty": number(fill.quantity),
        "quoteQty": number(fill.value),
        "commission": number(fill.fee.amount),
        "commissionAsset": fill.fee.asset,
        "time": millis(fill.time),
        "isBuyer": order.request.side is Side.BUY,
        "isMaker": fill.maker,
        "isBestMatch": True,
    }


def account_json(book: AccountBook, rules: InstrumentRules, now: int) -> dict[str, Any]:
    """Write an account's balances."""
    return {
        "makerCommission": int(rules.maker_fee * 10_000),
        "takerCommission": int(rules.taker_fee * 10_000),
        "buyerCommission": 0,
        "sellerCommission": 0,
        "commissionRates": {
            "maker": number(rules.maker_fee),
            "taker": number(rules.taker_fee),
            "buyer": number(ZERO),
            "seller": number(ZERO),
        },
        "canTrade": True,
        "canWithdraw": False,
        "canDeposit": False,
        "updateTime": now,
        "accountType": "SPOT",
        "balances": [
            {
                "asset": asset,
                "free": number(book.free(asset)),
                "locked": number(book.locked.get(asset, ZERO)),
            }
            for asset in sorted(book.totals)
        ],
        "permissions": ["SPOT"],
        "uid": book.number,
    }


def exchange_info(config: Config, now: int) -> dict[str, Any]:
    """Write the venue's one symbol with its filters."""
    rules = config.rules
    filters = [
        {
            "filterType": "PRICE_FILTER",
            "minPrice": number(rules.min_price),
            "maxPrice": number(rules.max_price),
            "tickSize": number(rules.tick_size),
        },
        {
            "filterType": "LOT_SIZE",
            "minQty": number(rules.min_quantity),
            "maxQty": number(rules.max_quantity),
            "stepSize": number(rules.step_size),
        },
        {
            "filterType": "NOTIONAL",
            "minNotional": number(rules.min_notional),
            "applyMinToMarket": rules.min_notional_applies_to_market,
            "maxNotional": number(rules.max_notional),
            "applyMaxToMarket": rules.max_notional_applies_to_market,
            "avgPriceMins": 0,
        },
        {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": rules.max_orders},
    ]
    return {
        "timezone": "UTC",
        "serverTime": now,
        "rateLimits": [],
        "exchangeFilters": [],
        "symbols": [
            {
                "symbol": config.symbol_id,
                "status": "TRADING" if str(rules.status) == "TRADING" else "HALT",
                "baseAsset": rules.base_asset,
                "baseAssetPrecision": rules.base_scale,
                "quoteAsset": rules.quote_asset,
                "quotePrecision": rules.quote_scale,
                "quoteAssetPrecision": rules.quote_scale,
                "baseCommissionPrecision": rules.base_scale,
                "quoteCommissionPrecision": rules.quote_scale,
                "orderTypes": ["LIMIT", "MARKET"],
                "icebergAllowed": False,
                "ocoAllowed": False,
                "quoteOrderQtyMarketAllowed": True,
                "allowTrailingStop": False,
                "cancelReplaceAllowed": False,
                "isSpotTradingAllowed": True,
                "isMarginTradingAllowed": False,
                "filters": filters,
                "permissions": ["SPOT"],
                "permissionSets": [["SPOT"]],
                "defaultSelfTradePreventionMode": "NONE",
                "allowedSelfTradePreventionModes": ["NONE"],
            }
        ],
    }


def _amount(params: Mapping[str, str], name: str) -> Decimal | None:
    text = params.get(name)
    if text is None:
        return None
    try:
        amount = Decimal(text)
    except DecimalException as e:
        raise VenueError(-1100, f"Illegal characters found in parameter '{name}'.") from e
    if not money.storable(amount) or amount <= 0:
        raise VenueError(-1013, f"Invalid {name}.")
    return amount
