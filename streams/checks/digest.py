"""One number for a final ledger, equal for every run that came to the same trades and balances.

It covers totals and holds, positions, and the entries of every order. Left out is what may differ
between two runs of one history: wall times (and with them the moment of a transfer), price ages,
identities of entries and trades, and how the entries of two orders of one account were mixed, with
the sequence and the running figures that follow from it. Those have checks of their own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Final

from processors import money
from processors.errors import ConfigError
from processors.records.ledger import LedgerEntry, Position
from streams.checks import orders
from streams.checks.check import Check
from streams.checks.history import History
from streams.checks.ledger import Fold

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_HEX: Final = frozenset("0123456789abcdef")


def digest(described: Iterable[str]) -> str:
    """Return the digest of the ledger that a run has ended with.

    Args:
        described: its lines, as `lines` gives them.
    Returns:
        64 lowercase hex digits: the SHA-256 of the lines, each with its line feed.
    """
    sha = hashlib.sha256()
    for line in described:
        sha.update(line.encode() + b"\n")
    return sha.hexdigest()


def lines(history: History, folded: Fold) -> Iterator[str]:
    """Yield what the digest is made of, line by line, so that two runs can be compared.

    Args:
        history: the run.
        folded: its entries, folded.
    """
    zero = Decimal(0)
    for owner in sorted(folded.last):
        total, held = folded.totals.get(owner, zero), folded.held.get(owner, zero)
        yield _line("balance", *owner, total, held)
    for key in sorted(history.positions):
        yield _position(history.positions[key])
    by_order: dict[tuple[str, str], list[LedgerEntry]] = {}
    for entry in history.entries:
        by_order.setdefault((entry.account, entry.order_id or ""), []).append(entry)
    for account, order_id in sorted(by_order):
        entries = by_order[account, order_id]
        described = [_entry(entry) for entry in entries]
        # Transfers arrive in no order that means anything; the entries of an order do.
        yield from described if order_id else sorted(described)


def compare(found: str, golden: Path | None, history: History) -> Check:
    """Compare a digest with that of an uninterrupted run.

    Args:
        found: the digest of this run.
        golden: file with the expected one, in the form of sha256sum; None says that there is none.
        history: the run: where an order was not placed, another ledger is right.
    Raises:
        ConfigError: the file cannot be read, or holds no digest.
    """
    name = "ledger_digest"
    if golden is None:
        return Check(name, True, f"{found}; no file to compare it with was given")
    expected = read_golden(golden)
    absent = len(orders.not_placed(history))
    if found == expected:
        return Check(name, True, f"{found}, as in an uninterrupted run")
    if absent:
        return Check(
            name, True, f"{found}; not compared: {absent} orders were NOT_PLACED and never traded"
        )
    return Check(name, False, f"{found}, an uninterrupted run has {expected}")


def read_golden(path: Path) -> str:
    """Return the digest that a file holds in the form of sha256sum.

    Args:
        path: the file.
    Raises:
        ConfigError: it cannot be read, or holds none.
    """
    try:
        words: Sequence[str] = path.read_text(encoding="utf-8").split()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError("the golden file cannot be read", file=str(path)) from error
    if not words or len(words[0]) != 64 or not _HEX.issuperset(words[0]):
        raise ConfigError("the golden file holds no SHA-256", file=str(path))
    return words[0]


def _entry(entry: LedgerEntry) -> str:
    when = micros(entry.market_time) if entry.order_id else ""
    return _line(
        "entry", entry.account, entry.order_id or "", entry.kind.value, entry.asset,
        entry.amount, entry.cause, when,
    )  # fmt: skip


def _position(position: Position) -> str:
    return _line(
        "position", position.account, position.instrument, position.quantity, position.cost,
        position.realised, position.bought, position.sold, position.trades,
    )  # fmt: skip


def micros(moment: datetime) -> int:
    """Return the microseconds since 1970, exactly."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


def _line(*parts: object) -> str:
    return "|".join(money.text(part) if isinstance(part, Decimal) else str(part) for part in parts)
