"""Microseconds a record: the generated codec beside fastavro, on one ExecutionReport.

Run it by hand: `python -m tests.bench.bench_codec`. It prints one line per way.
"""

from __future__ import annotations

import io
import sys
import timeit
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import fastavro

from processors.records.market import Side
from processors.records.trade import ExecutionReport, ExecutionType, Fee, Status
from schemas.derive import document_of
from schemas.generate import generate

REPORT = ExecutionReport(
    source_agent="execution",
    account="A-000017",
    order_id="7f0c1f0d9e6b4c55a7b1d2c3e4f50617",
    client_order_id="0b9f1c2d3e4f4a5b8c6d7e8f90a1b2c3",
    venue_order_id="1234567",
    exchange="SIMULATOR",
    symbol="BTC/USD",
    instrument="SIMULATOR:BTC/USD",
    side=Side.BUY,
    status=Status.FILLED,
    execution_type=ExecutionType.TRADE,
    execution_id="a3f1c2d3e4f4a5b8c6d7e8f90a1b2c30a3f1c2d3e4f4a5b8c6d7e8f90a1b2c30",
    trade_id="991",
    filled_quantity=Decimal("0.00058"),
    leaves_quantity=Decimal(0),
    average_price=Decimal("115478.82"),
    total_value=Decimal("66.9777156"),
    last_quantity=Decimal("0.00058"),
    last_price=Decimal("115478.82"),
    fee=Decimal("0.00000058"),
    fee_currency="BTC",
    fees=(Fee(asset="BTC", amount=Decimal("0.00000058")),),
    execution_time=datetime(2024, 5, 1, 12, 0, 0, 123456, tzinfo=UTC),
    market_time=datetime(2024, 5, 1, 12, 0, 0, 123456, tzinfo=UTC),
    created_time=datetime(2024, 5, 1, 12, 0, 0, 124456, tzinfo=UTC) + timedelta(seconds=1),
    received_time=datetime(2024, 5, 1, 12, 0, 0, 124000, tzinfo=UTC),
)


def microseconds(call: Callable[[], object], rounds: int = 5_000) -> float:
    """Return the best of five measurements of one call, in microseconds."""
    return min(timeit.repeat(call, number=rounds, repeat=5)) / rounds * 1e6


def main() -> int:
    """Print the table."""
    schema = fastavro.parse_schema(document_of(ExecutionReport))
    made = generate(ExecutionReport)
    datum = REPORT.model_dump()
    body = made.encode(REPORT)

    def fast_write() -> bytes:
        out = io.BytesIO()
        fastavro.schemaless_writer(out, schema, datum)
        return out.getvalue()

    def fast_read() -> object:
        return fastavro.schemaless_reader(io.BytesIO(body), schema, None)

    rows = {
        "encode, generated (from the model)": lambda: made.encode(REPORT),
        "encode, fastavro (from a dict made before)": fast_write,
        "decode, generated, validated": lambda: made.decode(body, 0),
        "decode, generated, trusted": lambda: made.trusted(body, 0),
        "decode, fastavro (to a dict)": fast_read,
    }
    for name, call in rows.items():
        sys.stdout.write(f"{name:45} {microseconds(call):8.2f} us\n")
    sys.stdout.write(f"{'bytes':45} {len(body):8}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
