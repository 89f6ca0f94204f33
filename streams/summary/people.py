"""The summary on a terminal: tables of at most 80 columns."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from decimal import ROUND_HALF_EVEN, Decimal
from typing import IO, Any, Final

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from processors import money

WIDTH: Final = 80


def tell(document: Mapping[str, Any], stream: IO[str] | None = None) -> None:
    """Print a summary.

    Args:
        document: as it is written to summary.json.
        stream: where to; stdout if not given.
    """
    out = stream or sys.stdout
    console = Console(file=out, width=WIDTH, highlight=False, no_color="NO_COLOR" in os.environ)
    market = document["market"]
    if market:
        console.print(
            f"{market['instrument']} from {market['first_time']} to {market['last_time']}:\n"
            f"{document['rows']:,} rows, {document['ticks']:,} ticks, "
            f"price {market['first_price']} to {market['last_price']} {market['quote']}"
        )
    refused = ", ".join(f"{count} {reason}" for reason, count in document["dead_letters"].items())
    console.print(f"dead letters: {refused or 'none'}; price fallbacks: {document['fallbacks']}\n")
    for title, heads, rows in _tables(document):
        if rows:
            console.print(_table(title, heads, rows))
    _checks(console, document["checks"])


def _tables(document: Mapping[str, Any]) -> list[tuple[str, Sequence[str], list[list[str]]]]:
    orders = [[name, f"{count:,}"] for name, count in document["orders"].items()]
    denials = [[name.lower(), f"{count:,}"] for name, count in document["denials"].items()]
    held = document["holds"]["held"]
    balances = [
        [asset, total, held.get(asset, "0")]
        for asset, total in document["balances"]["totals"].items()
    ]
    sizing = [
        [
            name,
            str(group["accounts"]),
            str(group["orders"]),
            str(group["denied"]),
            _places(group["opening"]),
            _places(group["value"]),
            _places(group["profit"], signed=True),
            _places(group["profit_percent"], signed=True),
        ]
        for name, group in document["sizing"].items()
    ]
    slippage = [
        [
            side,
            str(found["orders"]),
            found["mean_basis_points"],
            found["worst_basis_points"],
            _places(found["cost"], signed=True),
        ]
        for side, found in document["slippage"].items()
    ]
    quote = document["market"].get("quote", "quote")
    return [
        (
            "Records",
            ("topic", "records"),
            [[t, f"{n:,}"] for t, n in document["records"].items()],
        ),
        ("Orders by status", ("status", "orders"), orders),
        ("Denials by reason", ("reason", "orders"), denials),
        ("Balances of all accounts", ("asset", "total", "held"), balances),
        (
            f"Result by sizing, {quote} at the last price",
            ("sizing", "accts", "orders", "denied", "opening", "value", "profit", "%"),
            sizing,
        ),
        (
            "Slippage against the decision's price; positive is worse",
            ("side", "orders", "mean bp", "worst bp", f"cost {quote}"),
            slippage,
        ),
        (
            "Latency by record time, milliseconds",
            ("hop", "count", "p50", "p95", "p99", "max"),
            [
                [hop.replace("_", " "), *(f"{found[name]:,}" for name in _FIGURES)]
                for hop, found in document["latency_ms"].items()
            ],
        ),
    ]


_FIGURES: Final = ("count", "p50", "p95", "p99", "max")


def _table(title: str, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for index, head in enumerate(heads):
        table.add_column(head, justify="right" if index else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    return table


def _checks(console: Console, checks: Mapping[str, bool]) -> None:
    failed = [name for name, ok in checks.items() if not ok]
    if not checks:
        console.print("checks: none were run")
    elif failed:
        console.print(f"checks: {len(failed)} of {len(checks)} FAILED: {', '.join(failed)}")
    else:
        console.print(f"checks: all {len(checks)} hold")


def _places(amount: str, *, signed: bool = False) -> str:
    """Show an exact amount with two places; the file has all of them."""
    text = f"{money.quantize(Decimal(amount), 2, ROUND_HALF_EVEN):f}"
    return f"+{text}" if signed and not text.startswith("-") else text
