"""The simulated venue without HTTP: settings, balances, ledger file, faults."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors.simulator import config as configs
from connectors.simulator.book import Book
from connectors.simulator.config import Config
from connectors.simulator.faults import Faults
from connectors.simulator.server import ledger_json, read_tape
from connectors.simulator.venue import Venue, VenueError
from processors.errors import ConfigError
from processors.matching import Request, Tape
from processors.records.market import FeeMode, Side
from processors.records.trade import OrderType, Status, TimeInForce

TAPE = Tape.of(
    (second * 1_000_000, Decimal(800 + second % 7), Decimal("0.01") * (second % 3 + 1))
    for second in range(400)
)
ACCOUNTS = [
    {"name": "alice", "balances": {"USD": "84.54", "BTC": "0.05"}},
    {"name": "bob", "balances": {"USD": "84.54"}},
]


def limit(side: Side, quantity: str, price: str, in_force: TimeInForce) -> Request:
    return Request(side, OrderType.LIMIT, in_force, Decimal(quantity), price=Decimal(price))


@pytest.fixture
def venue(tmp_path: Path) -> Iterator[Venue]:
    book = Book(tmp_path)
    yield Venue(configs.build({"accounts": ACCOUNTS}), TAPE, book)
    book.close()


steps = st.lists(
    st.tuples(
        st.sampled_from(["alice", "bob"]),
        st.sampled_from(Side),
        st.sampled_from(TimeInForce).filter(lambda t: t is not TimeInForce.GTD),
        st.integers(650, 5_000),
        st.integers(798, 808),
        st.integers(0, 20),
        st.booleans(),
    ),
    max_size=15,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps, st.sampled_from(FeeMode))
def test_money_is_conserved_and_the_file_says_the_same(
    tmp_path_factory: pytest.TempPathFactory, run: list[Any], mode: FeeMode
) -> None:
    """Balances = opening + trades - fees, locks = open orders, free >= 0; a new start reads the same."""
    folder = tmp_path_factory.mktemp("venue")
    book = Book(folder)
    config = configs.build({"accounts": ACCOUNTS, "symbol": {"fee_mode": mode.value}})
    venue = Venue(config, TAPE, book)
    clock, refusals = 0, list[str]()
    for number, (account, side, in_force, size, price, gap, cancel) in enumerate(run):
        clock += gap
        venue.set_clock(clock * 1_000_000)
        request = limit(side, str(Decimal(size).scaleb(-5)), str(price), in_force)
        refusals.append(_try(venue, account, f"id-{number}", request, cancel=cancel))
        for name in ("alice", "bob"):
            _check_money(venue, name)
    assert set(refusals) <= {"", "Account has insufficient balance for requested action."}
    before = ledger_json(venue)
    book.close()
    again = Book(folder)
    assert ledger_json(Venue(config, TAPE, again)) == before
    again.close()


def _try(venue: Venue, account: str, name: str, request: Request, *, cancel: bool) -> str:
    try:
        order = venue.place(account, name, request)
    except VenueError as e:
        return e.message
    if cancel and order.open:
        venue.cancel(account, order.order_id, None)
    return ""


def _check_money(venue: Venue, name: str) -> None:
    book = venue.book.accounts[name]
    opening = next(a for a in ACCOUNTS if a["name"] == name)["balances"]
    assert isinstance(opening, dict)
    totals = {"USD": Decimal(0), "BTC": Decimal(0)} | {k: Decimal(v) for k, v in opening.items()}
    for _, order, fill in venue.trades(name):
        sign = 1 if order.request.side is Side.BUY else -1
        totals["BTC"] += fill.quantity * sign
        totals["USD"] -= fill.value * sign
        totals[fill.fee.asset] -= fill.fee.amount
    assert {a: book.totals.get(a, Decimal(0)) for a in totals} == totals
    locked = {"USD": Decimal(0), "BTC": Decimal(0)}
    for order_id in book.open:
        order = book.orders[order_id]
        if order.request.side is Side.SELL:
            locked["BTC"] += order.leaves
        else:
            assert order.request.price is not None
            fee = Decimal("1.001") if venue.config.rules.fee_mode is FeeMode.QUOTE else 1
            locked["USD"] += order.leaves * order.request.price * fee
    assert {a: book.locked.get(a, Decimal(0)) for a in locked} == locked
    assert all(book.free(asset) >= 0 for asset in totals)
    ids = [trade for trade, _, _ in venue.trades(name)]
    assert len(ids) == len(set(ids))


def test_an_id_may_be_used_again_once_its_order_is_closed(venue: Venue) -> None:
    """As at Binance: that is why nothing may ever be resent in trust of the duplicate error."""
    request = limit(Side.BUY, "0.01", "810", TimeInForce.IOC)
    first = venue.place("alice", "same", request)
    second = venue.place("alice", "same", request)
    assert first.status is Status.FILLED
    found = venue.find("alice", None, "same")
    assert found is not None
    assert found.order_id == second.order_id != first.order_id
    assert [entry["outcome"] for entry in venue.book.creates()] == ["ACCEPTED", "ACCEPTED"]
    with pytest.raises(VenueError, match="Illegal characters"):
        venue.place("alice", "not an id", request)


def test_the_clock_never_goes_back(venue: Venue) -> None:
    """An earlier time changes nothing."""
    assert venue.set_clock(5) == 5
    assert venue.set_clock(3) == 5


def test_a_ledger_belongs_to_its_market_and_to_one_process(tmp_path: Path) -> None:
    """Another market, another rule or a second venue on the same folder: refused with its cause."""
    book = Book(tmp_path)
    book.pin("market", "digest")
    book.pin("market", "digest")
    with pytest.raises(ConfigError, match="belongs to another setting"):
        book.pin("market", "other")
    with pytest.raises(ConfigError, match="cannot be used"):
        Book(tmp_path)
    book.close()


@pytest.mark.parametrize(
    "table",
    [
        {"clerks": []},
        {"accounts": {}},
        {"accounts": ["alice"]},
        {"accounts": [{"name": ""}]},
        {"accounts": [{"name": "a"}, {"name": "a"}]},
        {"accounts": [{"name": "a", "balances": {"USD": 84.54}}]},
        {"accounts": [{"name": "a", "balances": {"USD": "-1"}}]},
        {"accounts": [{"name": "a", "balances": {"USD": "NaN"}}]},
        {"accounts": [{"name": "a", "leverage": 3}]},
        {"symbol": {"tick": "0.01"}},
        {"symbol": {"tick_size": 0.01}},
        {"symbol": {"fee_mode": "FREE"}},
        {"symbol": {"max_orders": -1}},
        {"matching": {"latency": 1}},
        {"matching": {"latency_ms": True}},
        {"instrument": "BTC/USD"},
    ],
)
def test_wrong_settings_are_refused_by_name(table: dict[str, Any]) -> None:
    """An unknown key, a float amount, a missing name: never a default in its place."""
    with pytest.raises(ConfigError):
        configs.build(table)


def test_settings_come_from_toml_or_json(tmp_path: Path) -> None:
    """The table `simulator` counts, whatever else is in the file."""
    toml = tmp_path / "demo.toml"
    toml.write_text(
        'other = 1\n[simulator.symbol]\nmin_notional = "7"\n[[simulator.accounts]]\nname = "a"\nbalances = { USD = "84.54" }\n'
    )
    found = configs.load(toml)
    assert found.rules.min_notional == 7
    assert found.accounts[0].secret == configs.secret_of("a")
    assert configs.load(None) == Config(found.rules, found.matching).__class__(
        configs.build({}).rules
    )
    (tmp_path / "broken.json").write_text("{")
    for path in (tmp_path / "broken.json", tmp_path / "none.toml"):
        with pytest.raises(ConfigError):
            configs.load(path)


def test_a_market_file_without_a_trade_is_refused(tmp_path: Path) -> None:
    """The tape is what the pipeline takes for ticks: rows that it refuses are no trades here."""
    path = tmp_path / "market.csv"
    path.write_text("timestamp,price,amount\n1385337600,800,0\n1385337600,800,1\n")
    tape, _ = read_tape(path, configs.INSTRUMENT)
    assert len(tape.times) == 1
    path.write_text("timestamp,price,amount\n1385337600,800,0\n")
    with pytest.raises(ConfigError, match="holds no trade"):
        read_tape(path, configs.INSTRUMENT)


async def _script() -> None:
    faults = Faults()
    faults.install([{"kind": "error_before", "nth": 2, "times": 2, "account": "alice"}])
    hits = [len(faults.take("create", who)) for who in ("alice", "bob", "alice", "alice", "alice")]
    assert hits == [0, 0, 1, 1, 0]
    assert faults.take("query", "alice") == []
    assert faults.state()[0]["hit"] == 2
    refused: tuple[object, ...] = (
        {},
        "x",
        [{}],
        [{"kind": "error_before", "when": 1}],
        [{"kind": "error_after", "nth": -1}],
        [{"kind": "delay_ms", "operation": "x"}],
    )
    for wrong in refused:
        with pytest.raises(ConfigError):
            faults.install(wrong)


@pytest.mark.asyncio
async def test_faults_hit_the_calls_they_name() -> None:
    """The n-th call of that account and operation, so many times, counted as evidence."""
    await _script()
