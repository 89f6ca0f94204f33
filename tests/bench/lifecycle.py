"""The trade lifecycle alone: the shipped risk_manager on prepared intents and execution reports.

Each trade is four records: an intent, then its order's acknowledgement, acceptance and fill. What comes of it
is four tables, decisions, ledger entries, balances and positions, all in the house's own Avro records.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

from processors import ids
from processors.records.base import Record
from processors.records.ledger import Balance
from processors.records.trade import (
    ExecutionReport,
    ExecutionType,
    OrderEvent,
    OrderEventKind,
    Status,
)
from schemas.codec import Codecs
from schemas.registry import HttpRegistry
from streams import topics
from streams.local.services import local_services
from streams.serde import pipeline_codecs
from tests.bench.feeding import producer, values
from tests.bench.running import ROOT, Position, running
from tests.books import limit_buy, make_policy, make_price, make_report, make_rules, make_transfer

ACCOUNTS = 1_000
PARTITIONS = 4
OPENING, QUANTITY, PRICE = Decimal(1_000_000), Decimal("0.1"), Decimal(100)
HOUR_MS = 3_600_000
_PROGRAM = [sys.executable, "-P", "-c", "from streams.cli.main import main; main()"]
X, S = ExecutionType, Status


def history(trades: int) -> Iterator[Record]:
    """Yield the records of so many trades, over all accounts in turn."""
    for number in range(trades):
        account, intent = f"account-{number % ACCOUNTS}", f"intent-{number}"
        yield limit_buy(intent, str(QUANTITY), str(PRICE), account=account)
        yield _report(account, intent, X.PENDING_NEW, S.SUBMITTED)
        yield _report(account, intent, X.NEW, S.NEW)
        yield _report(account, intent, X.TRADE, S.FILLED, trade=f"trade-{number}")


def _report(
    account: str, intent: str, kind: ExecutionType, status: Status, trade: str | None = None
) -> ExecutionReport:
    client = ids.client_order_id(account, intent)
    done = QUANTITY if trade else Decimal(0)
    return make_report(
        intent,
        kind,
        status,
        filled=done,
        last=done,
        value=done * PRICE,
        price=PRICE if trade else None,
        trade=trade,
        account=account,
        order_id=ids.order_id(account, intent),
        client_order_id=client,
        execution_id=ids.execution_id(client, kind, trade, status, done),
    )


def setting() -> Iterator[Record]:
    """Yield what the trades rest on: rules, a price, and for each account a policy and its money."""
    yield make_rules()
    yield make_price(str(PRICE))
    for number in range(ACCOUNTS):
        name = f"account-{number}"
        yield make_policy(account=name)
        opening = make_transfer(str(OPENING), transfer_id=f"opening-{number}")
        yield opening.model_copy(update={"account": name})


def feed(bootstrap: str, codecs: Codecs, trades: int) -> int:
    """Write it all, each record a millisecond after the one before, and return how many are to be read."""
    out = producer(bootstrap)
    stamp = int(time.time() * 1000) - HOUR_MS
    read = {topic.name for topic in topics.INPUTS["risk_manager"]}
    count = 0
    for records in (setting(), history(trades)):
        for record in records:
            topic = topics.topic_of(record)
            stamp += 1
            value = codecs.codec(type(record)).encode(record)
            while True:
                try:
                    out.produce(topic.name, value, topic.key_of(record), timestamp=stamp)
                    break
                except BufferError:
                    out.poll(0.1)
            count += topic.name in read
    if out.flush(60):
        raise SystemExit("the broker did not take the lifecycle's records within 60 s")
    return count


def check(bootstrap: str, codecs: Codecs, trades: int) -> dict[str, int]:
    """Count the trades without exactly one hold, and the accounts whose balance is not what it must be."""
    held = dict.fromkeys(
        (ids.order_id(f"account-{n % ACCOUNTS}", f"intent-{n}") for n in range(trades)), 0
    )
    for data in values(bootstrap, topics.ORDER.name, PARTITIONS):
        event = codecs.codec(OrderEvent).decode(data)
        held[event.order_id] += event.kind is OrderEventKind.RESERVED
    left: dict[str, Balance] = {}
    for data in values(bootstrap, topics.BALANCE.name, PARTITIONS):
        balance = codecs.codec(Balance).decode(data)
        if balance.asset == "USDT":
            left[balance.account] = balance
    wrong = 0
    for number in range(min(ACCOUNTS, trades)):
        bought = (trades - 1 - number) // ACCOUNTS + 1
        found = left.get(f"account-{number}")
        total = OPENING - bought * QUANTITY * PRICE
        wrong += found is None or found.held != 0 or found.total != total
    return {
        "trades_without_one_hold": sum(count != 1 for count in held.values()),
        "wrong_balances": wrong,
    }


def lifecycle(folder: Path, trades: int, seconds: float) -> dict[str, float | int | str]:
    """Run risk_manager over the records of so many trades, and measure it from outside.

    Args:
        seconds: most of them; what is behind by then is left.
    """
    with local_services(folder / "kafka", die_with_parent=True) as services:
        told = {
            "FILLONCE_KAFKA__BOOTSTRAP": services.bootstrap,
            "FILLONCE_REGISTRY__URL": services.registry_url,
            "FILLONCE_PARTITIONS__ACCOUNT": str(PARTITIONS),
            "FILLONCE_PARTITIONS__INSTRUMENT": str(PARTITIONS),
            "FILLONCE_MARKET__MAX_MARKET_DELAY": "off",
            "FILLONCE_DATA": str(folder / "data"),
        }
        _apply_topics(folder, told)
        codecs = pipeline_codecs(HttpRegistry(services.registry_url))
        codecs.prepare()
        total = feed(services.bootstrap, codecs, trades)
        names = [topic.name for topic in topics.INPUTS["risk_manager"]]
        position = Position(services.bootstrap, topics.app_id("risk_manager"), names, PARTITIONS)
        try:
            with running(
                "risk_manager", [*_PROGRAM, "run", "risk_manager"], told, folder / "worker"
            ) as worker:
                worker.wait_for("the first commit", lambda: position.committed() > ACCOUNTS)
                first, begin, used = position.committed(), time.monotonic(), worker.cpu_seconds()
                done, last = first, begin
                while done < total and time.monotonic() - begin < seconds:
                    time.sleep(0.05)
                    worker.require_alive()
                    now = position.committed()
                    if now > done:
                        done, last = now, time.monotonic()
                spent = worker.cpu_seconds() - used
        finally:
            position.close()
        judged = _settle(services.bootstrap, codecs, trades) if done >= total else {}
    count, took = max(done - first, 1), max(last - begin, 0.001)
    return {
        "records": count,
        "seconds": round(took, 2),
        "records_per_second": round(count / took, 1),
        "cpu_us_per_record": round(spent / count * 1e6, 1),
        **judged,
    }


def _settle(bootstrap: str, codecs: Codecs, trades: int) -> dict[str, int]:
    """Check until nothing is wrong: the markers of the last commit may take a moment."""
    deadline = time.monotonic() + 30
    while True:
        found = check(bootstrap, codecs, trades)
        if not any(found.values()) or time.monotonic() > deadline:
            return found


def _apply_topics(folder: Path, told: dict[str, str]) -> None:
    done = subprocess.run(
        [*_PROGRAM, "--yes", "topics", "apply"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), **told},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"`fillonce topics apply` ended with {done.returncode}:\n{done.stderr}")
