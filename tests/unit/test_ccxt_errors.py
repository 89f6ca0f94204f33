"""Exceptions of the real ccxt, made by its own error handling from Binance's bodies."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import ccxt.async_support as ccxt
import pytest

from connectors import ccxt_binance, ccxt_errors
from connectors.ccxt_errors import Verdict
from connectors.ccxt_orders import BinanceGateway, VenueSettings
from processors.errors import ConfigError, DecodeError
from processors.records.trade import Reason, Status
from processors.venue import OrderDuplicate, OrderRefused, OrderUnclear


@pytest.fixture
def exchange() -> Iterator[Any]:
    one = ccxt.binance()
    yield one
    asyncio.run(one.close())


def raised(exchange: Any, status: int, body: object, url: str) -> Exception:
    text = body if isinstance(body, str) else json.dumps(body)
    parsed = None if isinstance(body, str) else body
    try:
        exchange.handle_errors(status, "reason", url, "POST", {}, text, parsed, {}, "")
        exchange.handle_http_status_code(status, "reason", url, "POST", text)
    except Exception as e:  # noqa: BLE001 - which one it is, is the question
        return e
    raise AssertionError("ccxt takes this for a success")


URLS = ["https://api.binance.com/api/v3/order", "http://127.0.0.1:1/api/v3/order"]


@pytest.mark.parametrize("url", URLS)
@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (400, {"code": -2010, "msg": "Duplicate order sent."}, Verdict.DUPLICATE),
        (400, {"code": -2010, "msg": "Account has insufficient balance for requested action."}, Verdict.REFUSED),
        (400, {"code": -2010, "msg": "This symbol is not permitted for this account."}, Verdict.REFUSED),
        (400, {"code": -1013, "msg": "Filter failure: NOTIONAL"}, Verdict.REFUSED),
        (400, {"code": -1013, "msg": "Filter failure: LOT_SIZE"}, Verdict.REFUSED),
        (400, {"code": -1013, "msg": "Filter failure: PRICE_FILTER"}, Verdict.REFUSED),
        (400, {"code": -1013, "msg": "Market is closed."}, Verdict.REFUSED),
        (400, {"code": -1111, "msg": "Precision is over the maximum defined for this asset."}, Verdict.REFUSED),
        (400, {"code": -1021, "msg": "Timestamp for this request is outside of the recvWindow."}, Verdict.REFUSED),
        (400, {"code": -1022, "msg": "Signature for this request is not valid."}, Verdict.REFUSED),
        (401, {"code": -2015, "msg": "Invalid API-key, IP, or permissions for action."}, Verdict.REFUSED),
        (429, {"code": -1003, "msg": "Too many requests."}, Verdict.REFUSED),
        (418, {"code": -1003, "msg": "Way too many requests."}, Verdict.REFUSED),
        (400, {"code": -2013, "msg": "Order does not exist."}, Verdict.ABSENT),
        (503, {"code": -1000, "msg": "An unknown error occurred while processing the request."}, Verdict.UNCLEAR),
        (503, {"code": -1007, "msg": "Timeout waiting for response from backend server. Send status unknown; execution status unknown."}, Verdict.UNCLEAR),
        (500, {"code": -1006, "msg": "An unexpected response was received from the message bus. Execution status unknown."}, Verdict.UNCLEAR),
        (400, {"code": -9999, "msg": "Something new."}, Verdict.UNCLEAR),
        (502, "<html>maintenance</html>", Verdict.UNCLEAR),
        (504, "", Verdict.UNCLEAR),
    ],
)  # fmt: skip
def test_a_verdict_for_each_body(
    exchange: Any, url: str, status: int, body: object, expected: Verdict
) -> None:
    """The class that ccxt chooses differs by URL and text; the verdict does not."""
    assert ccxt_errors.verdict(raised(exchange, status, body, url)) is expected


@pytest.mark.parametrize(
    "error",
    [
        ccxt.RequestTimeout("binance POST url"),
        ccxt.ExchangeNotAvailable("binance POST url"),
        ccxt.OperationFailed("binance"),
        ccxt.NetworkError("binance"),
        ccxt.BadResponse("binance"),
        ccxt.ExchangeError("binance"),
        ccxt.InvalidOrder("binance something that nobody has seen before"),
        KeyError("orderId"),
        DecodeError("venue's answer lacks a field", field="status"),
    ],
)
def test_what_is_on_no_list_is_unclear(error: Exception) -> None:
    """A hold that is kept a little longer can be released; one that is released cannot be taken back."""
    assert isinstance(ccxt_errors.placing(error), OrderUnclear)


@pytest.mark.parametrize(
    "text",
    [
        'okx {"code":"51016","msg":"Client order ID already exists."}',
        'bybit {"retCode":170141,"retMsg":"Duplicate clientOrderId"}',
        'bybit {"retCode":110072,"retMsg":"OrderLinkedID is duplicate"}',
        'binance {"code":-2010,"msg":"Duplicate order sent."}',
    ],
)
def test_a_duplicate_is_no_refusal(text: str) -> None:
    """All of them arrive as InvalidOrder or BadRequest: the order is live."""
    for kind in (ccxt.InvalidOrder, ccxt.BadRequest):
        assert isinstance(ccxt_errors.placing(kind(text)), OrderDuplicate)


def test_reasons_and_messages() -> None:
    """A refusal is named; a signature never reaches a log."""
    answer = ccxt_errors.placing(ccxt.InsufficientFunds("binance Account has insufficient balance"))
    assert isinstance(answer, OrderRefused)
    assert answer.reason is Reason.INSUFFICIENT_AVAILABLE_BALANCE
    signed = ccxt.RequestTimeout(
        "binance GET https://venue/api/v3/order?signature=abc123 " + "x" * 900
    )
    assert "abc123" not in ccxt_errors.message(signed)
    assert len(ccxt_errors.message(signed)) <= 200


ORDER: dict[str, Any] = {
    "symbol": "BTCUSD", "orderId": 5, "clientOrderId": "c", "transactTime": 1385337602000,
    "workingTime": 1385337601000, "origQty": "0.1", "executedQty": "0.1", "status": "FILLED",
    "fills": [{"price": "800.1", "qty": "0.1", "commission": "-0.0001", "commissionAsset": "BNB", "tradeId": 9}],
}  # fmt: skip


def test_a_create_answer_is_read_whole() -> None:
    """Ids as numbers, a rebate in a third asset, fills without a time of their own."""
    found = ccxt_binance.order(ORDER)
    assert (found.venue_order_id, found.status) == ("5", Status.FILLED)
    assert found.fills[0].fees[0].amount == Decimal("-0.0001")
    assert found.fills[0].time == found.updated_time
    odd = ccxt_binance.order(ORDER | {"status": "NEVER_SEEN"})
    assert (odd.status, odd.raw_status) == (None, "NEVER_SEEN")
    assert ccxt_binance.order(ORDER | {"status": "EXPIRED_IN_MATCH"}).reason is Reason.STP


@pytest.mark.parametrize(
    "broken",
    [
        {},
        {**ORDER, "orderId": None},
        {**ORDER, "status": None},
        {**ORDER, "executedQty": 0.1},
        {**ORDER, "executedQty": "NaN"},
        {**ORDER, "executedQty": "1e30"},
        {**ORDER, "transactTime": "yesterday"},
        {**ORDER, "transactTime": 10**20},
        {
            **ORDER,
            "fills": [
                {"price": "0", "qty": "1", "commission": "0", "commissionAsset": "B", "tradeId": 1}
            ],
        },
        {**ORDER, "fills": [{"price": "1", "qty": "1", "commission": "0", "commissionAsset": "B"}]},
    ],
)
def test_a_broken_answer_is_unclear_and_never_a_guess(broken: dict[str, Any]) -> None:
    """Missing, mistyped or absurd fields: the answer is not used."""
    with pytest.raises(DecodeError):
        ccxt_binance.order(broken)


def test_settings_that_break_the_protocol_are_refused() -> None:
    """A long receive window would let a request from before a pause act after it; secrets stay out of logs."""
    settings = VenueSettings("BINANCE", "key", "hidden", recv_window_ms=10_000)
    with pytest.raises(ConfigError, match="recv_window_ms"):
        BinanceGateway(settings)
    assert "hidden" not in repr(settings)
