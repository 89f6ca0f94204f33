"""Orders through ccxt's async Binance class, unmodified; at Binance itself or at the simulator.

One gateway per account. Nothing is sent twice from here: ccxt's own retries stay off, and every
answer that is not plain comes back as OrderUnclear, for the core to ask again by client order id.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, TypeVar

from connectors import ccxt_binance, ccxt_errors
from connectors.clock import SystemClock, to_micros
from connectors.ports import Clock
from processors import money
from processors.errors import ConfigError, PipelineError, UnavailableError
from processors.records.market import FeeMode, InstrumentRules
from processors.records.trade import OrderEvent, OrderType, Reason, TimeInForce
from processors.venue import (
    CancelRefused,
    OrderDuplicate,
    OrderFound,
    OrderRefused,
    OrderUnclear,
    VenueFill,
)

PAGE: Final = 1_000
PAGES_MAX: Final = 100
RECV_WINDOW_MAX: Final = 5_000
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class VenueSettings:
    """How one account reaches its venue."""

    exchange: str
    """Our name of the venue, as in EXCHANGE:BASE/QUOTE."""
    api_key: str
    secret: str
    base_url: str = ""
    """Replaces every URL of ccxt, such as http://127.0.0.1:8080; empty leaves Binance's own."""
    fee_mode: FeeMode = FeeMode.RECEIVED
    timeout_ms: int = 5_000
    """Request deadline."""
    recv_window_ms: int = RECV_WINDOW_MAX
    """A request signed longer ago dies at the venue: so does one from before a pause."""
    rate_limit: bool = True

    def __repr__(self) -> str:
        """Leave the secret out: settings end up in logs."""
        return f"VenueSettings(exchange={self.exchange!r}, base_url={self.base_url!r})"


class BinanceGateway:
    """An OrderGateway on ccxt's `binance`; also reads the symbol's rules."""

    def __init__(self, settings: VenueSettings, clock: Clock | None = None) -> None:
        """Build the ccxt instance; nothing is connected yet.

        Args:
            settings: account and venue.
            clock: stamps the rules.
        Raises:
            ConfigError: a setting breaks a rule of the protocol.
        """
        if not 0 < settings.recv_window_ms <= RECV_WINDOW_MAX:
            raise ConfigError(
                "recv_window_ms is not within 1 to 5000", value=settings.recv_window_ms
            )
        self.settings = settings
        self._clock = clock or SystemClock()
        self._exchange = _build(settings)
        self._loading = asyncio.Lock()

    async def place(
        self, order: OrderEvent
    ) -> OrderFound | OrderRefused | OrderDuplicate | OrderUnclear:
        """Send an order once; see OrderGateway."""
        if order.order_type not in (OrderType.MARKET, OrderType.LIMIT) or (
            order.time_in_force is TimeInForce.GTD
        ):
            text = f"{order.order_type} {order.time_in_force} is not sent to this venue"
            return OrderRefused(Reason.VENUE_REFUSED, "unsupported", text)
        try:
            await self._load()
        except Exception as e:  # noqa: BLE001 - ccxt raises anything; no order was sent yet
            return OrderUnclear(ccxt_errors.message(e))
        try:
            return ccxt_binance.order(await self._create(order))
        except Exception as e:  # noqa: BLE001 - whatever it is, the bytes may have left
            return ccxt_errors.placing(e)

    async def query(self, client_order_id: str, symbol: str) -> OrderFound | OrderUnclear | None:
        """Ask for an order by our id; see OrderGateway."""
        return await self._ask(lambda: self._query(client_order_id, symbol))

    async def cancel(
        self, client_order_id: str, symbol: str
    ) -> OrderFound | CancelRefused | OrderUnclear:
        """Cancel an order by our id; see OrderGateway."""
        try:
            await self._load()
            by_client = {"clientOrderId": client_order_id}
            answer = await self._exchange.cancel_order("", symbol, by_client)
            return await self._with_fills(answer["info"], symbol)
        except Exception as e:  # noqa: BLE001 - whatever it is, it is an answer
            found, code = ccxt_errors.verdict(e), ccxt_errors.code_of(e)
            if code == "-2011" or found is ccxt_errors.Verdict.ABSENT:
                return CancelRefused(code, ccxt_errors.message(e), unknown_order=True)
            if found is ccxt_errors.Verdict.REFUSED:
                return CancelRefused(code, ccxt_errors.message(e), unknown_order=False)
            return OrderUnclear(ccxt_errors.message(e))

    async def open_orders(self, symbol: str) -> tuple[str, ...] | OrderUnclear:
        """List our ids of the open orders; see OrderGateway."""

        async def ask() -> tuple[str, ...]:
            orders = await self._exchange.fetch_open_orders(symbol)
            return tuple(str(order["info"]["clientOrderId"]) for order in orders)

        answer = await self._ask(ask)
        return OrderUnclear("no such endpoint") if answer is None else answer

    async def trades(
        self, symbol: str, since: datetime, venue_order_id: str | None = None
    ) -> tuple[tuple[str, VenueFill], ...] | OrderUnclear:
        """Read trades to the end; see OrderGateway."""
        answer = await self._ask(lambda: self._trades(symbol, since, venue_order_id))
        return OrderUnclear("no such endpoint") if answer is None else answer

    async def owner(self, venue_order_id: str, symbol: str) -> str | OrderUnclear:
        """Ask whose order a venue order id is; see OrderGateway."""

        async def ask() -> str:
            answer = await self._exchange.fetch_order(venue_order_id, symbol)
            return str(answer["info"]["clientOrderId"])

        answer = await self._ask(ask)
        return OrderUnclear("no order has this venue id") if answer is None else answer

    async def rules(self, symbol: str) -> InstrumentRules:
        """Read a symbol's filters and fees; see MarketData."""
        try:
            await self._load(reload=True)
            market = self._exchange.market(symbol)
            return ccxt_binance.rules(
                market["info"],
                exchange=self.settings.exchange,
                fees=(Decimal(str(market["maker"])), Decimal(str(market["taker"]))),
                fee_mode=self.settings.fee_mode,
                now=self._clock.now(),
            )
        except PipelineError:
            raise
        except Exception as e:
            error = ccxt_errors.message(e)
            raise UnavailableError("venue gave no rules", symbol=symbol, error=error) from e

    async def balances(self) -> Mapping[str, Decimal]:
        """Read the account's totals.

        Returns:
            Free and locked together, by asset.
        Raises:
            UnavailableError: the venue gave no usable answer.
        """
        try:
            await self._load()
            info = (await self._exchange.fetch_balance())["info"]
            return {
                entry["asset"]: money.add(Decimal(entry["free"]), Decimal(entry["locked"]))
                for entry in info["balances"]
            }
        except Exception as e:
            raise UnavailableError("venue gave no balances", error=ccxt_errors.message(e)) from e

    async def close(self) -> None:
        """Close the connections."""
        await self._exchange.close()

    async def _load(self, *, reload: bool = False) -> None:
        async with self._loading:
            await self._exchange.load_markets(reload)

    async def _create(self, order: OrderEvent) -> Mapping[str, Any]:
        side, exchange = order.side.lower(), self._exchange
        params: dict[str, Any] = {"clientOrderId": order.client_order_id}
        if order.quote_quantity is not None:
            # Not create_order: it cuts a quote amount to the *price's* step (67.632 becomes 67.63).
            request = {
                "symbol": exchange.market(order.symbol)["id"],
                "side": str(order.side),
                "type": "MARKET",
                "quoteOrderQty": money.text(order.quote_quantity),
                "newClientOrderId": order.client_order_id,
                "newOrderRespType": "FULL",
            }
            return _mapping(await exchange.privatePostOrder(request))
        if order.order_type is OrderType.MARKET:
            # Any price would turn the order into one by quote amount.
            answer = await exchange.create_order(
                order.symbol, "market", side, order.quantity, None, params
            )
        else:
            params["timeInForce"] = str(order.time_in_force)
            answer = await exchange.create_order(
                order.symbol, "limit", side, order.quantity, order.price, params
            )
        return _mapping(answer["info"])

    async def _query(self, client_order_id: str, symbol: str) -> OrderFound:
        by_client = {"clientOrderId": client_order_id}
        answer = await self._exchange.fetch_order("", symbol, by_client)
        return await self._with_fills(answer["info"], symbol)

    async def _with_fills(self, info: Mapping[str, Any], symbol: str) -> OrderFound:
        bare = ccxt_binance.order(info, ())
        if not bare.filled_quantity:
            return bare
        pairs = await self._trades(symbol, bare.accepted_time, bare.venue_order_id)
        return ccxt_binance.order(info, [fill for _, fill in pairs])

    async def _trades(
        self, symbol: str, since: datetime, venue_order_id: str | None
    ) -> tuple[tuple[str, VenueFill], ...]:
        found: dict[str, tuple[str, VenueFill]] = {}
        params: dict[str, Any] = {}
        start: int | None = None if venue_order_id else to_micros(since) // 1000
        if venue_order_id:
            params["orderId"] = venue_order_id
        for _ in range(PAGES_MAX):
            page = await self._exchange.fetch_my_trades(symbol, start, PAGE, params)
            for entry in page:
                order_id, fill = ccxt_binance.trade(entry["info"])
                found[fill.trade_id] = (order_id, fill)
            if len(page) < PAGE:
                break
            # Binance takes fromId alone or with orderId, never with a time.
            start = None
            params["fromId"] = str(max(int(trade_id) for trade_id in found) + 1)
        else:
            raise UnavailableError("account has more trades than can be paged", symbol=symbol)
        return tuple(sorted(found.values(), key=lambda pair: (pair[1].time, int(pair[1].trade_id))))

    async def _ask(self, call: Callable[[], Awaitable[T]]) -> T | OrderUnclear | None:
        try:
            await self._load()
            return await call()
        except Exception as e:  # noqa: BLE001 - whatever it is, it is an answer
            if ccxt_errors.verdict(e) is ccxt_errors.Verdict.ABSENT:
                return None
            return OrderUnclear(ccxt_errors.message(e))


def _mapping(answer: object) -> Mapping[str, Any]:
    if not isinstance(answer, Mapping):
        raise UnavailableError("venue's answer is no object")
    return answer


def _build(settings: VenueSettings) -> Any:
    import ccxt.async_support as ccxt

    exchange = ccxt.binance(
        {
            "apiKey": settings.api_key,
            "secret": settings.secret,
            "timeout": settings.timeout_ms,
            "enableRateLimit": settings.rate_limit,
            "verbose": False,
            "aiohttp_trust_env": False,
            "options": {
                "defaultType": "spot",
                "fetchMarkets": {"types": ["spot"]},
                "fetchCurrencies": False,
                "fetchMargins": False,
                "adjustForTimeDifference": False,
                "recvWindow": settings.recv_window_ms,
                "warnOnFetchOpenOrdersWithoutSymbol": False,
                "maxRetriesOnFailure": 0,
                "newOrderRespType": {"market": "FULL", "limit": "FULL"},
            },
        }
    )
    exchange.number = Decimal
    # Its own wait for stragglers at close, 250 ms for each account, gains nothing over plain HTTP.
    exchange.timeout_on_exit = 0 if settings.base_url.startswith("http://") else 250
    if settings.base_url:
        exchange.urls = _every_url(exchange.urls, settings.base_url.rstrip("/"))
        exchange.hostname = settings.base_url.split("//")[-1].split("/")[0].split(":")[0]
    return exchange


def _every_url(urls: Mapping[str, Any], base: str) -> dict[str, Any]:
    """Point every address that ccxt could call to one base, with Binance's own path behind it."""

    def moved(value: object) -> object:
        if isinstance(value, Mapping):
            return {name: moved(part) for name, part in value.items()}
        if isinstance(value, list):
            return [moved(part) for part in value]
        if isinstance(value, str) and "://" in value:
            _, _, path = value.split("://", 1)[1].partition("/")
            return f"{base}/{path}" if path else base
        return value

    return {name: moved(value) for name, value in urls.items()}
