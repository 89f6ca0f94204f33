"""The simulator's own ledger, asked for over its control path: the other side's truth."""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, DecimalException
from typing import Any
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import ProxyHandler, build_opener

from processors.errors import ConfigError, UnavailableError


@dataclass(frozen=True, slots=True)
class VenueTrade:
    """One fill as the venue booked it."""

    account: str
    trade_id: str
    venue_order_id: str
    price: Decimal
    quantity: Decimal
    fee: Decimal
    fee_asset: str
    buys: bool


@dataclass(frozen=True, slots=True)
class VenueOrder:
    """One order as the venue holds it."""

    account: str
    client_order_id: str
    venue_order_id: str
    status: str


@dataclass(frozen=True, slots=True)
class VenueLedger:
    """All that the venue holds."""

    totals: Mapping[tuple[str, str], Decimal]
    """By account and asset."""
    orders: tuple[VenueOrder, ...]
    trades: tuple[VenueTrade, ...]
    creates: Mapping[tuple[str, str], int]
    """Create calls that reached it, by account and client order id."""


def ask(url: str, timeout: float = 15.0) -> VenueLedger:
    """Read the ledger of a simulator.

    Args:
        url: its base URL.
        timeout: seconds to wait for it.
    Raises:
        ConfigError: the URL is none, or what answers is no simulator.
        UnavailableError: it does not answer.
    """
    if urlsplit(url).scheme not in {"http", "https"} or not urlsplit(url).hostname:
        raise ConfigError("the simulator's address is no URL", url=url)
    asked = url.rstrip("/") + "/control/ledger"
    opener = build_opener(ProxyHandler({}))  # it is on loopback: no proxy can reach it
    try:
        with opener.open(asked, timeout=timeout) as answer:
            body = answer.read()
    except (URLError, OSError, http.client.HTTPException) as error:
        raise UnavailableError(
            "the simulator did not answer", url=asked, reason=str(error)
        ) from error
    try:
        return read(json.loads(body))
    except (ValueError, KeyError, TypeError, AttributeError, DecimalException) as error:
        raise ConfigError("what answered is no simulator", url=asked) from error


def read(document: Mapping[str, Any]) -> VenueLedger:
    """Read the ledger from its JSON.

    Args:
        document: as the simulator writes it.
    """
    creates: dict[tuple[str, str], int] = {}
    for call in document["creates"]:
        key = (call["account"], call["clientOrderId"])
        creates[key] = creates.get(key, 0) + 1
    return VenueLedger(
        totals={
            (account, asset): Decimal(figures["total"])
            for account, assets in document["balances"].items()
            for asset, figures in assets.items()
        },
        orders=tuple(
            VenueOrder(
                order["account"], order["clientOrderId"], str(order["orderId"]), order["status"]
            )
            for order in document["orders"]
        ),
        trades=tuple(
            VenueTrade(
                account=trade["account"],
                trade_id=str(trade["id"]),
                venue_order_id=str(trade["orderId"]),
                price=Decimal(trade["price"]),
                quantity=Decimal(trade["qty"]),
                fee=Decimal(trade["commission"]),
                fee_asset=trade["commissionAsset"],
                buys=bool(trade["isBuyer"]),
            )
            for trade in document["trades"]
        ),
        creates=creates,
    )
