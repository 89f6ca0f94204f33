"""The simulated venue over HTTP, on loopback only: Binance's paths for trading, /control for us."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import signal
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl

from aiohttp import web

from connectors.clock import SystemClock, to_micros
from connectors.recorded import RecordedFile
from connectors.simulator import wire
from connectors.simulator.book import AccountBook, Book
from connectors.simulator.config import Config, account
from connectors.simulator.faults import Fault, Faults
from connectors.simulator.venue import Venue, VenueError
from processors import money
from processors.errors import ConfigError
from processors.matching import Tape
from processors.records.market import Tick

HOST: Final = "127.0.0.1"
RECV_WINDOW: Final = 5_000
RECV_WINDOW_MAX: Final = 60_000
FUTURE_MAX: Final = 1_000
PAGE: Final = 500
PAGE_MAX: Final = 1_000
MAX_BODY: Final = 1 << 16
Params = dict[str, str]
Action = Callable[[AccountBook, Params], Any]


def read_tape(path: Path, instrument: str) -> tuple[Tape, str]:
    """Read the recorded market; rows that the pipeline refuses are no trades here either.

    Args:
        path: the file.
        instrument: EXCHANGE:BASE/QUOTE.
    Returns:
        The tape and the file's SHA-256.
    Raises:
        ConfigError: it can't be read or holds no trade.
    """
    file = RecordedFile(path, instrument, SystemClock().now)
    rows = (row for row, _ in file.read() if isinstance(row, Tick))
    tape = Tape.of((to_micros(row.execution_time), row.price, row.quantity) for row in rows)
    if not tape.times:
        raise ConfigError("recorded file holds no trade", file=path.name)
    return tape, file.digest


class Server:
    """Routes; every account call passes `_signed`, every control call stays under /control."""

    def __init__(self, venue: Venue) -> None:
        self.venue = venue
        self.faults = Faults()

    def app(self) -> web.Application:
        """Build the web application."""
        app = web.Application(client_max_size=MAX_BODY, middlewares=[_translate])
        api = "/api/v3"
        signed = self._signed
        app.add_routes(
            [
                web.get(f"{api}/ping", self._ping),
                web.get(f"{api}/time", self._time),
                web.get(f"{api}/exchangeInfo", self._exchange_info),
                web.get(f"{api}/account", signed("", self._account)),
                web.post(f"{api}/order", signed("create", self._create)),
                web.get(f"{api}/order", signed("query", self._query)),
                web.delete(f"{api}/order", signed("cancel", self._cancel)),
                web.get(f"{api}/openOrders", signed("open_orders", self._open_orders)),
                web.get(f"{api}/allOrders", signed("", self._all_orders)),
                web.get(f"{api}/myTrades", signed("trades", self._my_trades)),
                web.get("/control/clock", self._get_clock),
                web.post("/control/clock", self._set_clock),
                web.get("/control/ledger", self._ledger),
                web.get("/control/faults", self._get_faults),
                web.post("/control/faults", self._set_faults),
                web.post("/control/release", self._release),
                web.post("/control/accounts", self._add_account),
            ]
        )
        return app

    # ------------------------------------------------------------------ public
    async def _ping(self, _: web.Request) -> web.Response:
        return web.json_response({})

    async def _time(self, _: web.Request) -> web.Response:
        return web.json_response({"serverTime": _now()})

    async def _exchange_info(self, _: web.Request) -> web.Response:
        return web.json_response(wire.exchange_info(self.venue.config, _now()))

    # ----------------------------------------------------------------- accounts
    def _signed(
        self, operation: str, action: Action
    ) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def handler(request: web.Request) -> web.Response:
            book, params = await self._authenticate(request)
            faults = self.faults.take(operation, book.name) if operation else []
            for fault in faults:
                if fault.kind == "delay_ms":
                    await asyncio.sleep(fault.ms / 1000)
                elif fault.kind == "error_before":
                    raise _outage(fault)
            answer = action(book, params)
            for fault in faults:
                if fault.kind == "hold_after_accept":
                    await self.faults.hold(fault)
                elif fault.kind == "error_after":
                    raise _outage(fault)
            return web.json_response(answer)

        return handler

    async def _authenticate(self, request: web.Request) -> tuple[AccountBook, Params]:
        query, body = request.rel_url.raw_query_string, (await request.read()).decode("latin-1")
        book = self.venue.book.accounts.get(request.headers.get("X-MBX-APIKEY", ""))
        if book is None:
            raise VenueError(-2015, "Invalid API-key, IP, or permissions for action.", 401)
        signed, _, signature = (query + body).rpartition("signature=")
        payload = signed.removesuffix("&").encode("latin-1")
        expected = hmac.new(book.secret.encode(), payload, hashlib.sha256).hexdigest()
        if not hmac.compare_digest(expected.encode(), signature.encode("latin-1")):
            raise VenueError(-1022, "Signature for this request is not valid.")
        params = dict(parse_qsl(payload.decode("latin-1"), keep_blank_values=True))
        sent, window = wire.whole(params, "timestamp"), wire.whole(params, "recvWindow")
        if sent is None:
            raise VenueError(-1102, "Mandatory parameter 'timestamp' was not sent.")
        window = RECV_WINDOW if window is None else window
        if window > RECV_WINDOW_MAX:
            raise VenueError(-1131, "recvWindow must be less than 60000.")
        if sent >= _now() + FUTURE_MAX:
            raise VenueError(
                -1021, "Timestamp for this request was 1000ms ahead of the server's time."
            )
        if _now() - sent > window:
            raise VenueError(-1021, "Timestamp for this request is outside of the recvWindow.")
        return book, params

    def _account(self, book: AccountBook, _: Params) -> Any:
        return wire.account_json(book, self.venue.config.rules, _now())

    def _create(self, book: AccountBook, params: Params) -> Any:
        request = wire.request_of(params, self.venue.config)
        number = len(book.orders) + 1
        client_order_id = params.get("newClientOrderId") or f"venue-{book.number}-{number}"
        order = self.venue.place(book.name, client_order_id, request)
        return wire.created_json(order, params["symbol"])

    def _query(self, book: AccountBook, params: Params) -> Any:
        wire.need_symbol(params, self.venue.config)
        order_id, client = wire.whole(params, "orderId"), params.get("origClientOrderId")
        order = self.venue.find(book.name, order_id, client)
        if order is None:
            raise VenueError(-2013, "Order does not exist.")
        return wire.order_json(order, params["symbol"])

    def _cancel(self, book: AccountBook, params: Params) -> Any:
        wire.need_symbol(params, self.venue.config)
        order_id, client = wire.whole(params, "orderId"), params.get("origClientOrderId")
        order = self.venue.cancel(book.name, order_id, client)
        return wire.canceled_json(order, params["symbol"])

    def _open_orders(self, book: AccountBook, params: Params) -> Any:
        if "symbol" in params:
            wire.need_symbol(params, self.venue.config)
        symbol = self.venue.config.symbol_id
        return [wire.order_json(book.orders[order_id], symbol) for order_id in sorted(book.open)]

    def _all_orders(self, book: AccountBook, params: Params) -> Any:
        wire.need_symbol(params, self.venue.config)
        first, since = wire.whole(params, "orderId") or 0, wire.whole(params, "startTime") or 0
        found = [
            order
            for order_id, order in sorted(book.orders.items())
            if order_id >= first and wire.millis(order.entry) >= since
        ]
        return [wire.order_json(order, params["symbol"]) for order in found[: _page(params)]]

    def _my_trades(self, book: AccountBook, params: Params) -> Any:
        wire.need_symbol(params, self.venue.config)
        of_order, first = wire.whole(params, "orderId"), wire.whole(params, "fromId") or 0
        since, until = wire.whole(params, "startTime") or 0, wire.whole(params, "endTime")
        found = [
            wire.trade_json(trade, order, fill, params["symbol"])
            for trade, order, fill in self.venue.trades(book.name)
            if trade >= first
            and of_order in (None, order.order_id)
            and wire.millis(fill.time) >= since
            and (until is None or wire.millis(fill.time) <= until)
        ]
        return found[: _page(params)]

    # ------------------------------------------------------------------ control
    async def _get_clock(self, _: web.Request) -> web.Response:
        return web.json_response({"market_time": self.venue.book.clock})

    async def _set_clock(self, request: web.Request) -> web.Response:
        body = await _json(request)
        asked = body.get("market_time")
        if not isinstance(asked, int) or isinstance(asked, bool) or not 0 <= asked < 1 << 62:
            raise ConfigError("market_time is not a number of microseconds", value=asked)
        return web.json_response({"market_time": self.venue.set_clock(asked)})

    async def _ledger(self, _: web.Request) -> web.Response:
        return web.json_response(ledger_json(self.venue))

    async def _get_faults(self, _: web.Request) -> web.Response:
        return web.json_response({"faults": self.faults.state()})

    async def _set_faults(self, request: web.Request) -> web.Response:
        self.faults.install((await _json(request)).get("faults"))
        return await self._get_faults(request)

    async def _release(self, request: web.Request) -> web.Response:
        self.faults.release()
        return await self._get_faults(request)

    async def _add_account(self, request: web.Request) -> web.Response:
        made = account(await _json(request))
        added = self.venue.book.add_account(made.name, made.secret, made.balances)
        return web.json_response({"account": made.name, "added": added})


def ledger_json(venue: Venue) -> dict[str, Any]:
    """Write all that the venue holds, for a checker; every time in it is market time.

    Args:
        venue: the venue.
    Returns:
        Balances, orders, trades and create calls; `digest` covers balances, orders and trades,
        whichever way the calls of different accounts were mixed.
    """
    symbol, books = venue.config.symbol_id, sorted(venue.book.accounts.items())
    whole: dict[str, Any] = {
        "balances": {
            name: {
                asset: {
                    "total": money.text(total),
                    "locked": money.text(book.locked.get(asset, money.ZERO)),
                    "free": money.text(book.free(asset)),
                }
                for asset, total in sorted(book.totals.items())
            }
            for name, book in books
        },
        "orders": [
            {"account": name, **wire.order_json(order, symbol)}
            for name, book in books
            for _, order in sorted(book.orders.items())
        ],
        "trades": [
            {"account": name, **wire.trade_json(trade, order, fill, symbol)}
            for name, _ in books
            for trade, order, fill in venue.trades(name)
        ],
    }
    text = json.dumps(whole, sort_keys=True, separators=(",", ":"))
    whole["digest"] = hashlib.sha256(text.encode()).hexdigest()
    whole["creates"] = venue.book.creates()
    whole["market_time"] = venue.book.clock
    return whole


def _now() -> int:
    return time.time_ns() // 1_000_000


def _page(params: Params) -> int:
    limit = wire.whole(params, "limit")
    return min(PAGE if limit is None else limit, PAGE_MAX)


def _outage(fault: Fault) -> VenueError:
    return VenueError(
        -1000, "An unknown error occurred while processing the request.", fault.status
    )


async def _json(request: web.Request) -> dict[str, Any]:
    try:
        body = await request.json()
    except ValueError as e:
        raise ConfigError("body is not JSON") from e
    if not isinstance(body, dict):
        raise ConfigError("body is not a JSON object")
    return body


@web.middleware
async def _translate(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    try:
        return await handler(request)
    except VenueError as e:
        return web.json_response({"code": e.code, "msg": e.message}, status=e.status)
    except ConfigError as e:
        return web.json_response({"code": -1100, "msg": str(e)}, status=400)


async def serve(
    config: Config, market: Path, data: Path, port: int, ready: Callable[[int], None]
) -> None:
    """Run the venue until SIGTERM or SIGINT.

    Args:
        config: its settings.
        market: file of recorded trades.
        data: folder of its ledger.
        port: on loopback; 0 takes a free one.
        ready: called with the port, once connections are accepted.
    Raises:
        ConfigError: market, data or port can't be used.
    """
    tape, digest = read_tape(market, config.rules.instrument)
    book = Book(data)
    book.pin("market", digest)
    book.pin("rules", config.rules.version)
    book.pin("matching", repr(config.matching))
    runner = web.AppRunner(Server(Venue(config, tape, book)).app(), access_log=None)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await runner.setup()
    try:
        site = web.TCPSite(runner, HOST, port, shutdown_timeout=1.0)
        try:
            await site.start()
        except OSError as e:
            raise ConfigError("port cannot be opened", port=port, error=e.strerror) from e
        ready(int(runner.addresses[0][1]))
        await stop.wait()
    finally:
        await runner.cleanup()
        book.close()
