"""What the simulated venue keeps: orders, trades, balances; each change is one SQLite commit."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Final

from connectors.simulator import rows
from connectors.simulator.rows import Order
from processors import money
from processors.errors import ConfigError
from processors.matching import Fill

ZERO: Final = Decimal(0)
_ACCOUNT_IDS: Final = 1_000_000_000
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS accounts (name TEXT PRIMARY KEY, number INTEGER UNIQUE NOT NULL,
  secret TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS balances (account TEXT, asset TEXT, total TEXT NOT NULL,
  locked TEXT NOT NULL, PRIMARY KEY (account, asset));
CREATE TABLE IF NOT EXISTS orders (account TEXT, order_id INTEGER, client_order_id TEXT NOT NULL,
  data TEXT NOT NULL, PRIMARY KEY (account, order_id));
CREATE TABLE IF NOT EXISTS trades (account TEXT, trade_id INTEGER, order_id INTEGER NOT NULL,
  data TEXT NOT NULL, PRIMARY KEY (account, trade_id));
CREATE TABLE IF NOT EXISTS creates (number INTEGER PRIMARY KEY, account TEXT NOT NULL,
  client_order_id TEXT NOT NULL, outcome TEXT NOT NULL);
"""


@dataclass(slots=True)
class AccountBook:
    """One account in memory: a copy of what the file holds."""

    name: str
    number: int
    secret: str
    totals: dict[str, Decimal] = field(default_factory=dict)
    locked: dict[str, Decimal] = field(default_factory=dict)
    orders: dict[int, Order] = field(default_factory=dict)
    latest: dict[str, int] = field(default_factory=dict)
    """Newest order by client order id: an id may be used again once its order is closed."""
    open: dict[int, None] = field(default_factory=dict)
    trades: int = 0

    def next_order_id(self) -> int:
        """Ids depend on the account's own history alone, so that a run can be repeated."""
        return self.number * _ACCOUNT_IDS + len(self.orders) + 1

    def next_trade_id(self) -> int:
        """Ids depend on the account's own history alone, so that a run can be repeated."""
        return self.number * _ACCOUNT_IDS + self.trades + 1

    def free(self, asset: str) -> Decimal:
        """Return what is not locked by open orders."""
        return money.subtract(self.totals.get(asset, ZERO), self.locked.get(asset, ZERO))

    def keep(self, order: Order) -> None:
        """Take an order in, or its newer state."""
        self.orders[order.order_id] = order
        self.latest[order.client_order_id] = max(
            order.order_id, self.latest.get(order.client_order_id, 0)
        )
        if order.open:
            self.open[order.order_id] = None
        else:
            self.open.pop(order.order_id, None)


@dataclass(frozen=True, slots=True)
class Change:
    """What one commit writes for one account."""

    account: str
    order: Order
    new_fills: int
    """How many of the order's newest fills are new."""
    totals: Mapping[str, Decimal]
    locked: Mapping[str, Decimal]


class Book:
    """The venue's memory and its file."""

    def __init__(self, folder: Path) -> None:
        """Open or create the file and read it.

        Args:
            folder: holds `ledger.sqlite3`.
        Raises:
            ConfigError: it can't be opened, or another venue holds it.
        """
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(folder / "ledger.sqlite3", isolation_level=None, timeout=0.5)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")
            self._db.execute("PRAGMA locking_mode=EXCLUSIVE")
            self._db.executescript("BEGIN IMMEDIATE;" + _SCHEMA + "COMMIT;")
        except (OSError, sqlite3.Error) as e:
            raise ConfigError("venue's data folder cannot be used", error=str(e)) from e
        self.clock = int(self._meta("clock") or 0)
        self.accounts: dict[str, AccountBook] = {}
        self._read()

    def close(self) -> None:
        """Close the file; everything is on disk already."""
        self._db.close()

    def pin(self, key: str, value: str) -> None:
        """Hold the file to a setting for ever: the same ledger never meets another market.

        Args:
            key: name of the setting.
            value: its value now.
        Raises:
            ConfigError: the ledger was begun with another value.
        """
        before = self._meta(key)
        if before is not None and before != value:
            raise ConfigError("ledger belongs to another setting", key=key, was=before, now=value)
        self._db.execute("INSERT OR IGNORE INTO meta VALUES (?, ?)", (key, value))

    def add_account(self, name: str, secret: str, balances: Mapping[str, Decimal]) -> bool:
        """Open an account with its balances, once: a second call changes nothing.

        Args:
            name: its API key.
            secret: signs its requests.
            balances: opening amounts by asset.
        Returns:
            Whether it is new.
        """
        if name in self.accounts:
            return False
        number = len(self.accounts) + 1
        with self._transaction() as db:
            db.execute("INSERT INTO accounts VALUES (?, ?, ?)", (name, number, secret))
            db.executemany(
                "INSERT INTO balances VALUES (?, ?, ?, '0')",
                [(name, asset, money.text(amount)) for asset, amount in sorted(balances.items())],
            )
        self.accounts[name] = AccountBook(name, number, secret, totals=dict(balances))
        return True

    def commit(
        self, changes: Iterable[Change], *, clock: int | None = None, created: bool = False
    ) -> None:
        """Write changes of any accounts in one transaction, then take them into memory.

        Args:
            changes: orders with their new fills and the balances after them.
            clock: a new market clock.
            created: whether each change is an accepted create call.
        """
        changes = tuple(changes)
        with self._transaction() as db:
            for change in changes:
                self._write(db, change)
                if created:
                    row = (change.account, change.order.client_order_id, "ACCEPTED")
                    db.execute("INSERT INTO creates VALUES (NULL, ?, ?, ?)", row)
            if clock is not None:
                db.execute("INSERT OR REPLACE INTO meta VALUES ('clock', ?)", (str(clock),))
        for change in changes:
            book = self.accounts[change.account]
            book.keep(change.order)
            book.trades += change.new_fills
            book.totals.update(change.totals)
            book.locked.update(change.locked)
        if clock is not None:
            self.clock = clock

    def note_refusal(self, account: str, client_order_id: str, outcome: str) -> None:
        """Record a create call that made no order.

        Args:
            account: who called.
            client_order_id: the id that it sent.
            outcome: the message that it got.
        """
        row = (account, client_order_id, outcome)
        self._db.execute("INSERT INTO creates VALUES (NULL, ?, ?, ?)", row)

    def creates(self) -> list[dict[str, str]]:
        """Return every create call that reached the venue, in order of arrival."""
        rows = self._db.execute(
            "SELECT account, client_order_id, outcome FROM creates ORDER BY number"
        )
        return [{"account": a, "clientOrderId": c, "outcome": o} for a, c, o in rows]

    def _write(self, db: sqlite3.Connection, change: Change) -> None:
        order, account = change.order, change.account
        row = (account, order.order_id, order.client_order_id, rows.dump(order))
        db.execute("INSERT OR REPLACE INTO orders VALUES (?, ?, ?, ?)", row)
        if change.new_fills:
            pairs = list(zip(order.trade_ids, order.match.fills, strict=True))
            db.executemany(
                "INSERT INTO trades VALUES (?, ?, ?, ?)",
                [
                    (account, trade, order.order_id, rows.dump_fill(fill))
                    for trade, fill in pairs[-change.new_fills :]
                ],
            )
        for asset in sorted(change.totals.keys() | change.locked.keys()):
            total = change.totals.get(asset, self.accounts[account].totals.get(asset, ZERO))
            locked = change.locked.get(asset, self.accounts[account].locked.get(asset, ZERO))
            db.execute(
                "INSERT OR REPLACE INTO balances VALUES (?, ?, ?, ?)",
                (account, asset, money.text(total), money.text(locked)),
            )

    def _meta(self, key: str) -> str | None:
        row = self._db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return None if row is None else str(row[0])

    def _transaction(self) -> _Transaction:
        return _Transaction(self._db)

    def _read(self) -> None:
        with closing(self._db.cursor()) as cursor:
            for name, number, secret in cursor.execute("SELECT * FROM accounts ORDER BY number"):
                self.accounts[name] = AccountBook(name, number, secret)
            for account, asset, total, locked in cursor.execute("SELECT * FROM balances"):
                self.accounts[account].totals[asset] = Decimal(total)
                self.accounts[account].locked[asset] = Decimal(locked)
            fills: dict[tuple[str, int], list[tuple[int, Fill]]] = {}
            for account, trade, order_id, data in cursor.execute(
                "SELECT * FROM trades ORDER BY account, trade_id"
            ):
                fills.setdefault((account, order_id), []).append((trade, rows.load_fill(data)))
                self.accounts[account].trades += 1
            for account, order_id, client, data in cursor.execute(
                "SELECT * FROM orders ORDER BY account, order_id"
            ):
                mine = fills.get((account, order_id), [])
                self.accounts[account].keep(rows.load(order_id, client, data, mine))


class _Transaction:
    """BEGIN IMMEDIATE to COMMIT, or ROLLBACK on an exception."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def __enter__(self) -> sqlite3.Connection:
        self._db.execute("BEGIN IMMEDIATE")
        return self._db

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self._db.execute("COMMIT" if kind is None else "ROLLBACK")
