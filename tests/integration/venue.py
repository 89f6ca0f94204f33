"""A simulated venue as a process of its own, for tests; and what tests say to it."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from connectors.ccxt_orders import BinanceGateway, VenueSettings
from connectors.simulator.config import secret_of
from processors import ids
from processors.records.market import Side
from processors.records.trade import IntentKind, OrderEvent, OrderEventKind, OrderType, TimeInForce

START = 1_385_337_600
ROWS = [
    (0, "800.00", "5"),
    (1, "800.10", "0"),
    (2, "800.20", "0.05"),
    (2, "800.30", "0.04"),
    (3, "801.00", "5"),
    (200, "790.00", "0.5"),
    (400, "795.00", "5"),
]
MARKET_TIME = datetime(2013, 11, 25, tzinfo=UTC)


class Simulator:
    """The process and its address."""

    def __init__(self, process: subprocess.Popen[str], url: str) -> None:
        self.process = process
        self.url = url

    def call(self, path: str, body: object = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=10) as answer:
            return json.load(answer)

    def ledger(self) -> Any:
        return self.call("/control/ledger")

    def clock(self, seconds: float) -> int:
        micros = int((START + seconds) * 1_000_000)
        return int(self.call("/control/clock", {"market_time": micros})["market_time"])

    def faults(self, *entries: dict[str, object]) -> None:
        self.call("/control/faults", {"faults": list(entries)})


def write_market(folder: Path) -> Path:
    path = folder / "market.csv"
    rows = "".join(f"{START + s},{price},{amount}\n" for s, price, amount in ROWS)
    path.write_text("timestamp,price,amount\n" + rows)
    return path


def write_config(folder: Path, accounts: list[str]) -> Path:
    path = folder / "venue.json"
    entries = [{"name": name, "balances": {"USD": "84.54", "BTC": "0"}} for name in accounts]
    path.write_text(json.dumps({"simulator": {"accounts": entries}}))
    return path


@contextmanager
def running(folder: Path, accounts: list[str]) -> Iterator[Simulator]:
    command = [
        sys.executable, "-c", "from streams.cli.main import main; main()", "simulator",
        "--port", "0", "--data", str(folder / "data"),
        "--market-file", str(write_market(folder)),
        "--config", str(write_config(folder, accounts)),
    ]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("listening on http://127.0.0.1:"), line
        yield Simulator(process, line.split()[-1])
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.wait(10)
        assert process.stdout is not None
        process.stdout.close()


def gateway(simulator: Simulator, account: str = "alice", **changes: Any) -> BinanceGateway:
    fields: dict[str, Any] = {
        "exchange": "SIMULATOR",
        "api_key": account,
        "secret": secret_of(account),
        "base_url": simulator.url,
        "rate_limit": False,
    }
    return BinanceGateway(VenueSettings(**fields | changes))


def order(
    intent: str,
    *,
    account: str = "alice",
    side: Side = Side.BUY,
    quantity: str = "0.1",
    price: str | None = "801.00",
    quote: str | None = None,
    time_in_force: TimeInForce = TimeInForce.IOC,
) -> OrderEvent:
    market = price is None
    return OrderEvent(
        account=account,
        order_id=ids.order_id(account, intent),
        intent_id=intent,
        client_order_id=ids.client_order_id(account, intent),
        kind=OrderEventKind.RESERVED,
        instrument="SIMULATOR:BTC/USD",
        exchange="SIMULATOR",
        symbol="BTC/USD",
        side=side,
        order_type=OrderType.MARKET if market else OrderType.LIMIT,
        time_in_force=time_in_force,
        quantity=Decimal(0) if quote else Decimal(quantity),
        quote_quantity=Decimal(quote) if quote else None,
        price=None if price is None else Decimal(price),
        hold_asset="USD",
        hold_amount=Decimal(80),
        expected_price=Decimal(800),
        rules_version="1",
        policy_version=1,
        intent_kind=IntentKind.NEW,
        market_time=MARKET_TIME,
        created_time=MARKET_TIME,
        received_time=MARKET_TIME,
    )


async def eventually(condition: Callable[[], bool], seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "condition did not come true in time"
        await asyncio.sleep(0.01)
