"""The unmodified ccxt trades with the simulator's process: orders, money, answers, faults, restarts."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import signal
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from connectors.ccxt_orders import BinanceGateway
from processors.errors import UnavailableError
from processors.records.market import FeeMode, Side, SymbolStatus
from processors.records.trade import Reason, Status, TimeInForce
from processors.venue import CancelRefused, OrderDuplicate, OrderFound, OrderRefused, OrderUnclear
from tests.integration.venue import MARKET_TIME, Simulator, eventually, gateway, order, running

pytestmark = pytest.mark.asyncio


@pytest.fixture
def venue(tmp_path: Path) -> Iterator[Simulator]:
    with running(tmp_path, ["alice", "bob"]) as simulator:
        simulator.clock(1.5)
        yield simulator


@pytest.fixture
async def alice(venue: Simulator) -> AsyncIterator[BinanceGateway]:
    one = gateway(venue)
    yield one
    await one.close()


def balances(venue: Simulator, account: str = "alice") -> dict[str, Decimal]:
    found = venue.ledger()["balances"][account]
    return {asset: Decimal(entry["total"]) for asset, entry in found.items()}


async def test_rules_come_from_exchange_info(alice: BinanceGateway) -> None:
    """Filters, scales and fees of the symbol reach the core as the venue states them."""
    rules = await alice.rules("BTC/USD")
    assert rules.instrument == "SIMULATOR:BTC/USD"
    assert (rules.tick_size, rules.step_size) == (Decimal("0.01"), Decimal("0.00001"))
    assert (rules.min_notional, rules.taker_fee) == (Decimal(5), Decimal("0.001"))
    assert (rules.status, rules.fee_mode) == (SymbolStatus.TRADING, FeeMode.RECEIVED)
    assert rules.max_orders == 200
    assert rules.version == (await alice.rules("BTC/USD")).version


async def test_a_capped_buy_fills_from_the_tape(venue: Simulator, alice: BinanceGateway) -> None:
    """Fills carry the recorded trades' prices and times, the fee is in base, the money moves exactly."""
    found = await alice.place(order("1"))
    assert isinstance(found, OrderFound)
    assert (found.status, found.filled_quantity) == (Status.FILLED, Decimal("0.1"))
    assert [(f.price, f.quantity) for f in found.fills] == [
        (Decimal("800.2"), Decimal("0.05")),
        (Decimal("800.3"), Decimal("0.04")),
        (Decimal(801), Decimal("0.01")),
    ]
    assert [f.time.second for f in found.fills] == [2, 2, 3]
    assert [f.fees[0].asset for f in found.fills] == ["BTC"] * 3
    cost = Decimal("800.2") * 5 / 100 + Decimal("800.3") * 4 / 100 + Decimal("8.01")
    assert balances(venue) == {"BTC": Decimal("0.0999"), "USD": Decimal("84.54") - cost}
    assert await alice.balances() == balances(venue)
    assert balances(venue, "bob") == {"BTC": Decimal(0), "USD": Decimal("84.54")}


async def test_reply_query_and_trades_tell_the_same(alice: BinanceGateway) -> None:
    """One order gives one set of facts, whichever endpoint tells them."""
    event = order("1", quantity="0.1", price="800.50")
    placed = await alice.place(event)
    assert isinstance(placed, OrderFound)
    assert placed.status is Status.EXPIRED
    assert len(placed.fills) == 2
    assert await alice.query(event.client_order_id, "BTC/USD") == placed
    trades = await alice.trades("BTC/USD", MARKET_TIME)
    assert trades == tuple((placed.venue_order_id, fill) for fill in placed.fills)


async def test_a_buy_by_quote_amount_is_sent_uncut(venue: Simulator, alice: BinanceGateway) -> None:
    """67.632 USD arrive as 67.632, not cut to the price's step."""
    found = await alice.place(order("1", price=None, quote="67.632"))
    assert isinstance(found, OrderFound)
    assert found.status is Status.FILLED
    assert Decimal(venue.ledger()["orders"][0]["origQuoteOrderQty"]) == Decimal("67.632")
    spent = sum(f.price * f.quantity for f in found.fills)
    assert Decimal("67.632") - Decimal("0.00801") < spent <= Decimal("67.632")


async def test_a_market_sale_by_base_amount(venue: Simulator, alice: BinanceGateway) -> None:
    """No price goes with a market order; a sale pays its fee in quote."""
    assert isinstance(await alice.place(order("1")), OrderFound)
    sale = await alice.place(order("2", side=Side.SELL, quantity="0.02", price=None))
    assert isinstance(sale, OrderFound)
    assert sale.status is Status.FILLED
    assert sale.fills[0].fees[0].asset == "USD"
    assert sale.fills[0].fees[0].amount == Decimal("0.016004")
    assert venue.ledger()["orders"][1]["origQuoteOrderQty"] == "0.00000000"


async def test_refusals_are_definite_and_named(venue: Simulator, alice: BinanceGateway) -> None:
    """Money, filters, keys: each a refusal with its reason, and nothing is booked."""
    rich = await alice.place(order("1", quantity="0.2"))
    small = await alice.place(order("2", quantity="0.00124", price="800.00"))
    for answer, reason in (
        (rich, Reason.INSUFFICIENT_AVAILABLE_BALANCE),
        (small, Reason.MIN_NOTIONAL),
    ):
        assert isinstance(answer, OrderRefused)
        assert answer.reason is reason
    wrong = gateway(venue, secret="0" * 64)
    bad_key = await wrong.place(order("3"))
    await wrong.close()
    assert isinstance(bad_key, OrderRefused)
    assert (bad_key.reason, bad_key.code) == (Reason.VENUE_REFUSED, "-1022")
    ledger = venue.ledger()
    assert ledger["orders"] == []
    assert [entry["outcome"] for entry in ledger["creates"]] == [
        "Account has insufficient balance for requested action.",
        "Filter failure: NOTIONAL",
    ]


async def test_a_duplicate_of_an_open_order_is_not_read_as_a_refusal(
    venue: Simulator, alice: BinanceGateway
) -> None:
    """-2010 Duplicate order sent arrives as InvalidOrder: the order is live, its hold must stay."""
    resting = order("1", price="700.00", time_in_force=TimeInForce.GTC)
    first = await alice.place(resting)
    assert isinstance(first, OrderFound)
    assert first.status is Status.NEW
    assert isinstance(await alice.place(resting), OrderDuplicate)
    assert await alice.open_orders("BTC/USD") == (resting.client_order_id,)
    assert len(venue.ledger()["orders"]) == 1


async def test_a_resting_order_locks_fills_as_maker_and_cancels(
    venue: Simulator, alice: BinanceGateway
) -> None:
    """Money is locked while it rests; it fills when the clock has passed the trade; the rest is freed."""
    resting = order("1", price="791.00", time_in_force=TimeInForce.GTC)
    resting = resting.model_copy(update={"quantity": Decimal("0.1")})
    assert isinstance(await alice.place(resting), OrderFound)
    assert venue.ledger()["balances"]["alice"]["USD"]["locked"] == "79.1"
    venue.clock(199)
    found = await alice.query(resting.client_order_id, "BTC/USD")
    assert isinstance(found, OrderFound)
    assert found.status is Status.NEW
    venue.clock(200)
    found = await alice.query(resting.client_order_id, "BTC/USD")
    assert isinstance(found, OrderFound)
    assert (found.status, found.fills[0].price) == (Status.FILLED, Decimal(791))
    assert venue.ledger()["balances"]["alice"]["USD"] == {
        "total": "5.44", "locked": "0", "free": "5.44",
    }  # fmt: skip
    venue.clock(100)
    assert venue.ledger()["market_time"] == 1_385_337_800_000_000
    second = order("2", side=Side.SELL, quantity="0.05", price="900", time_in_force=TimeInForce.GTC)
    assert isinstance(await alice.place(second), OrderFound)
    canceled = await alice.cancel(second.client_order_id, "BTC/USD")
    assert isinstance(canceled, OrderFound)
    assert (canceled.status, canceled.client_order_id) == (Status.CANCELED, second.client_order_id)
    again = await alice.cancel(second.client_order_id, "BTC/USD")
    assert isinstance(again, CancelRefused)
    assert again.unknown_order
    assert await alice.query("unknown", "BTC/USD") is None


@pytest.mark.parametrize("kind", ["error_before", "error_after"])
async def test_a_5xx_is_unclear_and_the_query_tells(
    venue: Simulator, alice: BinanceGateway, kind: str
) -> None:
    """A server error says nothing about the order; only a look does."""
    venue.faults({"kind": kind, "nth": 2})
    assert isinstance(await alice.place(order("1", quantity="0.01")), OrderFound)
    event = order("2", quantity="0.01")
    assert isinstance(await alice.place(event), OrderUnclear)
    found = await alice.query(event.client_order_id, "BTC/USD")
    assert isinstance(found, OrderFound) == (kind == "error_after")
    assert venue.call("/control/faults")["faults"][0]["hit"] == 1
    assert len(venue.ledger()["creates"]) == (2 if kind == "error_after" else 1)


async def test_a_timeout_after_the_accept_is_unclear(venue: Simulator) -> None:
    """The venue has the order though the answer never came; it was sent once."""
    impatient = gateway(venue, timeout_ms=300)
    venue.faults({"kind": "hold_after_accept"})
    event = order("1")
    answer = await impatient.place(event)
    found = await impatient.query(event.client_order_id, "BTC/USD")
    await impatient.close()
    assert isinstance(answer, OrderUnclear)
    assert isinstance(found, OrderFound)
    assert found.status is Status.FILLED
    assert len(venue.ledger()["creates"]) == 1


async def test_a_held_answer_comes_with_the_release(
    venue: Simulator, alice: BinanceGateway
) -> None:
    """While it is held, the evidence says so."""
    venue.faults({"kind": "hold_after_accept"}, {"kind": "delay_ms", "ms": 20})
    call = asyncio.create_task(alice.place(order("1")))
    await eventually(lambda: venue.call("/control/faults")["faults"][0]["holding"] == 1)
    assert len(venue.ledger()["orders"]) == 1
    venue.call("/control/release", {})
    assert isinstance(await call, OrderFound)


async def test_the_ledger_survives_a_kill(tmp_path: Path) -> None:
    """What was answered is on disk: after kill -9 the same ledger, and trading goes on."""
    with running(tmp_path, ["alice"]) as first:
        first.clock(1.5)
        one = gateway(first)
        await one.place(order("1", quantity="0.01"))
        await one.place(order("2", price="700", quantity="0.05", time_in_force=TimeInForce.GTC))
        before = first.ledger()
        await one.close()
        first.process.send_signal(signal.SIGKILL)
        first.process.wait(10)
    with running(tmp_path, ["alice"]) as second:
        assert second.ledger() == before
        one = gateway(second)
        found = await one.place(order("3", quantity="0.01"))
        await one.close()
        assert isinstance(found, OrderFound)
        second.process.send_signal(signal.SIGTERM)
        assert second.process.wait(10) == 0


async def test_the_digest_does_not_depend_on_how_accounts_mix(tmp_path: Path) -> None:
    """Same orders of each account, other order between accounts: the same ledger, to the digit."""
    digests = []
    for name, sequence in (("a", "aabb"), ("b", "abba")):
        (tmp_path / name).mkdir()
        with running(tmp_path / name, ["alice", "bob"]) as venue:
            venue.clock(1.5)
            both = {"a": gateway(venue, "alice"), "b": gateway(venue, "bob")}
            counts = dict.fromkeys(both, 0)
            for who in sequence:
                counts[who] += 1
                account = "alice" if who == "a" else "bob"
                await both[who].place(order(str(counts[who]), account=account, quantity="0.02"))
            digests.append(venue.ledger()["digest"])
            for one in both.values():
                await one.close()
    assert digests[0] == digests[1]


async def test_nothing_is_ever_asked_outside_loopback(
    venue: Simulator, alice: BinanceGateway
) -> None:
    """Every URL that ccxt knows points to the simulator; sockets to elsewhere are shut in this suite."""

    def addresses(value: object) -> Iterator[str]:
        if isinstance(value, dict):
            for part in value.values():
                yield from addresses(part)
        elif isinstance(value, list):
            for part in value:
                yield from addresses(part)
        elif isinstance(value, str) and "://" in value:
            yield value

    known = list(addresses(alice._exchange.urls))
    assert len(known) > 40
    assert {url for url in known if not url.startswith(venue.url)} == set()
    with pytest.raises(UnavailableError):
        await alice.rules("ETH/USD")


def _signed(venue: Simulator, secret: str, query: str) -> tuple[int, Any]:
    signature = hmac.new(secret.encode(), query.encode(), hashlib.sha256).hexdigest()
    url = f"{venue.url}/api/v3/account?{query}&signature={signature}"
    request = urllib.request.Request(url, headers={"X-MBX-APIKEY": "alice"})
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=5) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as e:
        return e.code, json.load(e)


async def test_stale_and_malformed_requests_die_at_the_venue(venue: Simulator) -> None:
    """A request signed long ago, without a time, or with a wrong number is refused by its code."""
    from connectors.simulator.config import secret_of

    secret = secret_of("alice")
    for query, code in (
        ("timestamp=1700000000000&recvWindow=5000", -1021),
        ("timestamp=99999999999999", -1021),
        ("recvWindow=5000", -1102),
        ("timestamp=x", -1100),
        ("timestamp=1700000000000&recvWindow=60001", -1131),
    ):
        status, answer = _signed(venue, secret, query)
        assert (status, answer["code"]) == (400, code)
