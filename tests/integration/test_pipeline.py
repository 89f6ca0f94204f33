"""The whole pipeline on real Kafka, a real registry and a simulated venue: from a tick to a settlement.

One supervisor with five processes serves all tests of this file; each test leaves it working.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer

from processors.records.account import Sizing, SizingKind
from processors.records.base import Record
from processors.records.market import Side
from processors.records.state_account import OrderState
from processors.records.trade import (
    ExecutionReport,
    IntentKind,
    OrderType,
    Status,
    TimeInForce,
    TradeIntent,
)
from schemas.codec import Codecs, schema_text
from streams import topics
from streams.app import registry_of
from streams.cli import policies
from streams.cli.idle import Idle
from streams.cli.provision import provision, topic_changes
from streams.cli.reading import messages, newest
from streams.cli.sending import send_all
from streams.engine.partitioner import first_part, partition_of
from streams.local.services import Services, local_services
from streams.origins import resolve
from streams.serde import pipeline_codecs
from streams.settings import Settings
from tests.integration.venue import Simulator
from tests.integration.workers import eventually

pytestmark = pytest.mark.timeout(300)

START = 1_385_337_600
PRICES = [*range(800, 792, -1), *range(794, 812, 2), *range(808, 792, -2)]
BAD = {
    "quantity_zero": "1385337601,800,0",
    "price_negative": "1385337602,-1,5",
    "columns": "1385337603,800",
    "out_of_order": "1385330000,800,5",
}
INSTRUMENT = "SIMULATOR:BTC/USD"
CONFIG = """
[kafka]
bootstrap = "{bootstrap}"
[registry]
url = "{registry}"
[partitions]
account = 2
instrument = 2
[market]
intervals = [60]
strategy_interval = 60
protection_interval = 60
seen_trades = 0
max_market_delay = "off"
[[strategies]]
name = "cross"
fast = 2
slow = 4
rsi = 2
rsi_max = 100.0
[venue]
kind = "simulator"
base_url = "{venue}"
instruments = ["SIMULATOR:BTC/USD"]
rate_limit = false
timeout = 1.0
[execution]
hold_query_age = 2.0
clock = 0.2
[source]
kind = "recorded"
file = "{ticks}"
pace = "settled"
[[accounts]]
prefix = "trader"
count = 3
opening = {{ USD = "84.54" }}
sizing = {{ kind = "AVAILABLE", fraction = "0.8" }}
subscriptions = [{{ strategy = "cross", instrument = "SIMULATOR:BTC/USD" }}]
slippage = "0.01"
[[accounts]]
prefix = "user"
count = 2
opening = {{ USD = "84.54" }}
sizing = {{ kind = "AVAILABLE", fraction = "0.8" }}
slippage = "0.05"
[simulator]
accounts = [{venue_accounts}]
"""


@dataclass
class Pipeline:
    """A running pipeline, and what tests ask it."""

    settings: Settings
    codecs: Codecs
    venue: Simulator
    idle: Idle
    log: Path

    def orders(self) -> dict[str, OrderState]:
        table = topics.changelog("risk_manager", "orders")
        return {each.intent_id: each for each in newest(self.settings, self.codecs, table).values()}

    def balances(self) -> dict[str, dict[str, Decimal]]:
        found: dict[str, dict[str, Decimal]] = {}
        for each in newest(self.settings, self.codecs, topics.BALANCE).values():
            found.setdefault(each.account, {})[each.asset] = each.total
        return found

    def dead(self, topic: str) -> list[dict[str, str]]:
        return [
            {name: (value or b"").decode() for name, value in message.headers or ()}
            for message in messages(self.settings, [topic + topics.DEAD])
        ]

    def send(self, record: Record) -> None:
        send_all(self.settings, self.codecs, [record])

    def write(self, topic: str, key: str | None, value: bytes | None) -> None:
        producer = Producer({"bootstrap.servers": self.settings.kafka.bootstrap})
        data = None if key is None else key.encode()
        where = 0 if data is None else partition_of(first_part(data), 2)
        producer.produce(topic, value, data, where)
        assert producer.flush(10) == 0

    def settle(self, seconds: float = 60.0) -> None:
        assert eventually(self.idle, seconds), self.log.read_text()[-4000:]


def _rows() -> list[str]:
    rows = [
        f"{START + 60 * minute + second},{price},5"
        for minute, price in enumerate(PRICES)
        for second in (0, 30)
    ]
    return [rows[0], *BAD.values(), *rows[1:]]


def _command(*arguments: str) -> list[str]:
    return [sys.executable, "-P", "-c", "from streams.cli.main import main; main()", *arguments]


@pytest.fixture(scope="module")
def own_services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    """Services of this file's own: the catalogue's topics are there once only."""
    with local_services(tmp_path_factory.mktemp("pipeline-services"), remove=True) as running:
        yield running


@pytest.fixture(scope="module")
def venue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    """The venue knows more of the market than the source sends, so that late orders fill too."""
    folder = tmp_path_factory.mktemp("pipeline-venue")
    later = [f"{START + 60 * len(PRICES) + 30 * n},800,5" for n in range(1, 200)]
    market = folder / "market.csv"
    market.write_text("timestamp,price,amount\n" + "\n".join([*_rows(), *later]) + "\n")
    (folder / "venue.toml").write_text(f"[simulator]\naccounts = [{_venue_accounts()}]\n")
    arguments = ("--port", "0", "--data", str(folder / "data"), "--market-file", str(market))
    process = subprocess.Popen(
        _command("--config", str(folder / "venue.toml"), "simulator", *arguments),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        assert line.startswith("listening on "), line
        yield Simulator(process, line.split()[-1])
    finally:
        process.terminate()
        process.wait(10)
        process.stdout.close()


def _venue_accounts() -> str:
    names = [*(f"trader-{n:02d}" for n in (1, 2, 3)), *(f"user-{n:02d}" for n in (1, 2))]
    return ", ".join(f'{{ name = "{name}", balances = {{ USD = "84.54" }} }}' for name in names)


@pytest.fixture(scope="module")
def pipeline(
    own_services: Services, venue: Simulator, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Pipeline]:
    """Topics, accounts, five processes; the recorded file is worked off when this returns."""
    folder = tmp_path_factory.mktemp("pipeline")
    ticks = folder / "ticks.csv"
    ticks.write_text("timestamp,price,amount\n" + "\n".join(_rows()) + "\n")
    config = folder / "pipeline.toml"
    config.write_text(
        CONFIG.format(
            bootstrap=own_services.bootstrap,
            registry=own_services.registry_url,
            venue=venue.url,
            ticks=ticks,
            venue_accounts=_venue_accounts(),
        )
    )
    settings, _ = resolve(config, {})
    registry = registry_of(settings)
    codecs = pipeline_codecs(registry)
    provision(settings, registry)
    wanted = policies.read(config, datetime.now(UTC)).values()
    send_all(settings, codecs, [r for one in wanted for r in (*one.transfers, one.policy)])
    log = folder / "run.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            _command("--config", str(config), "run"),
            stdout=out,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env={k: v for k, v in os.environ.items() if not k.startswith("FILLONCE_")},
        )
    try:
        running = Pipeline(
            settings, codecs, venue, Idle(settings, codecs, list(topics.PROCESSORS)), log
        )
        running.settle(120.0)
        yield running
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            status = process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
    assert status == 0, log.read_text()[-4000:]


def _intent(account: str, intent_id: str, quote: str = "40") -> TradeIntent:
    now = datetime.now(UTC)
    return TradeIntent(
        account=account,
        intent_id=intent_id,
        kind=IntentKind.NEW,
        instrument=INSTRUMENT,
        side=Side.BUY,
        order_type=OrderType.MARKET,
        time_in_force=TimeInForce.IOC,
        quote_quantity=Decimal(quote),
        expected_price=Decimal(PRICES[-1]),
        source_agent="test",
        market_time=datetime.fromtimestamp(START + 60 * len(PRICES), UTC),
        created_time=now,
        received_time=now,
    )


def _venue_totals(venue: Simulator) -> dict[str, dict[str, Decimal]]:
    return {
        account: {asset: Decimal(each["total"]) for asset, each in assets.items()}
        for account, assets in venue.ledger()["balances"].items()
    }


def _agree(pipeline: Pipeline) -> bool:
    ours, theirs = pipeline.balances(), _venue_totals(pipeline.venue)
    assets = {asset for each in (*ours.values(), *theirs.values()) for asset in each}
    return all(
        ours.get(account, {}).get(asset, Decimal(0)) == theirs[account].get(asset, Decimal(0))
        for account in theirs
        for asset in assets
    )


def test_a_cross_becomes_orders_that_are_filled_and_settled_at_actual_cost(
    pipeline: Pipeline,
) -> None:
    """Every follower buys and sells; no hold is left, and our totals are the venue's to the last digit."""
    orders = [o for o in pipeline.orders().values() if o.account.startswith("trader")]
    filled = Counter((o.side, o.status) for o in orders if o.status is not Status.DENIED)
    assert filled[Side.BUY, Status.FILLED] >= 3
    assert filled[Side.SELL, Status.FILLED] + filled[Side.SELL, Status.EXPIRED] >= 3
    assert [o.order_id for o in orders if o.held] == []
    assert _agree(pipeline)
    assert pipeline.balances()["trader-01"]["USD"] != Decimal("84.54")


def test_rows_that_are_no_ticks_are_dead_letters_with_their_reason(pipeline: Pipeline) -> None:
    """Each broken row stands in the ticks' dead letters once, and the cursor counts it."""
    reasons = Counter(each["dlq.reason"] for each in pipeline.dead("market.tick"))
    assert reasons == dict.fromkeys(BAD, 1)
    cursor = newest(pipeline.settings, pipeline.codecs, topics.CURSOR)["recorded"]
    assert cursor.refused == dict.fromkeys(sorted(BAD), 1)
    assert cursor.ticks == 2 * len(PRICES)


def test_the_topics_are_as_the_catalogue_says_after_a_run(pipeline: Pipeline) -> None:
    """The engine creates nothing beside the catalogue, and nothing with other settings."""
    assert topic_changes(pipeline.settings) == []


@pytest.mark.timeout(240)
def test_broken_records_are_dead_letters_and_the_rest_goes_on(pipeline: Pipeline) -> None:
    """Undecodable bytes, an unknown schema id, no value, no key and a wrong key stop nobody.

    An id that the registry does not know is waited for, for a minute: it may be on its way there.
    """
    good = pipeline.codecs.codec(TradeIntent).encode(_intent("user-01", "unsent"))
    before = len(pipeline.dead("trade.intent"))
    pipeline.write("trade.intent", "user-01", b"\x93not avro")
    pipeline.write("trade.intent", "user-01", b"\x00\x00\x0f\xff\xff" + good[5:])
    pipeline.write("trade.intent", "user-01", good[:-3])
    pipeline.write("trade.intent", "user-01", None)
    pipeline.write("trade.intent", None, good)
    pipeline.write("trade.intent", "somebody", good)
    pipeline.send(_intent("user-01", "after-the-broken-ones"))
    assert eventually(lambda: "after-the-broken-ones" in pipeline.orders(), 90.0)
    assert eventually(lambda: len(pipeline.dead("trade.intent")) == before + 6)
    reasons = " ".join(each["dlq.reason"] for each in pipeline.dead("trade.intent"))
    for words in ("no frame", "schema id is unknown", "no value", "no key", "not the record's"):
        assert words in reasons
    assert "unsent" not in pipeline.orders()
    pipeline.settle()
    assert _agree(pipeline)


def test_a_report_with_a_lowercase_side_leaves_no_hold_behind(pipeline: Pipeline) -> None:
    """It is a dead letter, other orders go on, and its own order is settled because the venue is asked."""
    pipeline.venue.faults(
        {"operation": "create", "kind": "hold_after_accept", "account": "user-02"}
    )
    pipeline.send(_intent("user-02", "answered-badly", "40"))
    assert eventually(lambda: "answered-badly" in pipeline.orders())
    order = pipeline.orders()["answered-badly"]
    assert order.held == Decimal(40)
    pipeline.write("trade.execution", "user-02", _lowercase_report(pipeline, order))
    pipeline.send(_intent("user-02", "meanwhile", "20"))
    assert eventually(lambda: bool(pipeline.dead("trade.execution")), 15.0)
    assert eventually(lambda: pipeline.orders()["meanwhile"].status is Status.FILLED, 15.0)
    assert eventually(lambda: pipeline.orders()["answered-badly"].status is Status.FILLED, 15.0)
    pipeline.venue.call("/control/release", {})
    pipeline.settle()
    settled = pipeline.orders()["answered-badly"]
    assert settled.held == 0
    assert 0 < settled.total_value <= Decimal(40)
    assert _agree(pipeline)


def _lowercase_report(pipeline: Pipeline, order: OrderState) -> bytes:
    """Write a report as another program would whose schema has `buy` and `sell`."""
    from processors.records.trade import OrderEvent
    from processors.reports import own_report

    event = next(
        pipeline.codecs.codec(OrderEvent).decode(message.value)
        for message in messages(pipeline.settings, ["trade.order"])
        if message.value and order.client_order_id.encode() in message.value
    )
    from processors.records.trade import ExecutionType

    report = own_report(event, ExecutionType.NEW, Status.NEW, datetime.now(UTC))
    frame = pipeline.codecs.codec(ExecutionReport).encode(report)
    foreign = json.loads(schema_text(ExecutionReport))
    _lower_sides(foreign)
    subject = "another.program-value"
    schema_id = registry_of(pipeline.settings).register(subject, json.dumps(foreign))
    return b"\x00" + schema_id.to_bytes(4, "big") + frame[5:]


def _lower_sides(schema: Any) -> None:
    if isinstance(schema, dict):
        if schema.get("type") == "enum" and schema.get("symbols") == ["BUY", "SELL"]:
            schema["symbols"] = ["buy", "sell"]
        for part in schema.values():
            _lower_sides(part)
    elif isinstance(schema, list):
        for part in schema:
            _lower_sides(part)


def test_a_policy_sizes_what_a_user_asks_for(pipeline: Pipeline) -> None:
    """An intent with a sizing instead of amounts is sized; one beyond what is free is denied."""
    share = Sizing(kind=SizingKind.NOTIONAL, notional=Decimal(1000))
    fields = dict(_intent("user-01", "too-much")) | {"quote_quantity": None, "sizing": share}
    pipeline.send(TradeIntent(**fields))
    assert eventually(lambda: "too-much" in pipeline.orders())
    denied = pipeline.orders()["too-much"]
    assert denied.status is Status.DENIED
    assert denied.reason is not None
    assert denied.reason.value == "INSUFFICIENT_AVAILABLE_BALANCE"
    assert denied.held == 0
