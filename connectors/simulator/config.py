"""Settings of the simulated venue: its symbol, its matching, its accounts."""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal, DecimalException
from pathlib import Path
from typing import Any, Final

from processors import ids, money
from processors.errors import ConfigError
from processors.matching import Settings
from processors.records.market import FeeMode, InstrumentRules, SymbolStatus

ZERO: Final = Decimal(0)
INSTRUMENT: Final = "SIMULATOR:BTC/USD"
_SYMBOL_DEFAULTS: Final[Mapping[str, object]] = {
    "base_scale": 8,
    "quote_scale": 8,
    "status": "TRADING",
    "tick_size": "0.01",
    "min_price": "0.01",
    "max_price": "1000000",
    "step_size": "0.00001",
    "min_quantity": "0.00001",
    "max_quantity": "9000",
    "min_notional": "5",
    "max_notional": "9000000",
    "max_orders": 200,
    "maker_fee": "0.001",
    "taker_fee": "0.001",
    "fee_mode": "RECEIVED",
}
_WHOLE: Final = frozenset({"base_scale", "quote_scale", "max_orders"})
_WORDS: Final = frozenset({"status", "fee_mode"})
_MATCHING: Final = frozenset({"latency_ms", "window_ms", "trades"})
_KEYS: Final = frozenset({"instrument", "symbol", "matching", "accounts"})
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Account:
    """One venue account; its name is its API key."""

    name: str
    balances: Mapping[str, Decimal]
    """Opening balances by asset."""
    secret: str
    """Signs its requests."""


@dataclass(frozen=True, slots=True)
class Config:
    """All that the venue is started with."""

    rules: InstrumentRules
    matching: Settings = field(default_factory=Settings)
    accounts: tuple[Account, ...] = ()

    @property
    def symbol_id(self) -> str:
        """The symbol as Binance writes it, such as BTCUSD."""
        return self.rules.base_asset + self.rules.quote_asset


def secret_of(account: str) -> str:
    """Derive the API secret of a simulated account: it guards play money, on loopback.

    Args:
        account: its name, which is its API key.
    Returns:
        64 hex digits; a venue account made by name alone has this one.
    """
    return hashlib.sha256(b"fillonce simulator|" + account.encode()).hexdigest()


def load(path: Path | None) -> Config:
    """Read a TOML or JSON file; without one, the defaults and no account.

    Args:
        path: a file whose table `simulator` holds the settings; other tables belong to others.
    Returns:
        The settings.
    Raises:
        ConfigError: it can't be read, or a key or value is wrong; the error names it.
    """
    if path is None:
        return build({})
    try:
        text = path.read_text(encoding="utf-8-sig")
        data = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except OSError as e:
        raise ConfigError("configuration cannot be read", file=path.name, error=e.strerror) from e
    except ValueError as e:
        raise ConfigError("configuration is malformed", file=path.name, error=str(e)) from e
    table = data.get("simulator", {}) if isinstance(data, dict) else None
    if not isinstance(table, dict):
        raise ConfigError("configuration has no table simulator", file=path.name)
    return build(table)


def build(table: Mapping[str, Any]) -> Config:
    """Check a table of settings.

    Args:
        table: keys instrument, symbol, matching, accounts; each may be left out.
    Returns:
        The settings.
    Raises:
        ConfigError: a key is unknown or a value wrong.
    """
    _known(table, _KEYS, "simulator")
    matching = _table(table, "matching")
    _known(matching, _MATCHING, "simulator.matching")
    settings = Settings(
        latency=_whole(matching, "latency_ms", 250) * 1000,
        window=_whole(matching, "window_ms", 60_000) * 1000,
        trades=max(1, _whole(matching, "trades", 1_000)),
    )
    accounts = table.get("accounts", [])
    if not isinstance(accounts, list):
        raise ConfigError("value is of the wrong type", key="simulator.accounts")
    made = tuple(account(entry) for entry in accounts)
    if len({one.name for one in made}) != len(made):
        raise ConfigError("account is named twice", key="simulator.accounts")
    instrument = table.get("instrument", INSTRUMENT)
    return Config(_rules(instrument, _table(table, "symbol")), settings, made)


def account(entry: object) -> Account:
    """Check one account.

    Args:
        entry: a table of name, balances by asset, and perhaps secret.
    Returns:
        The account.
    Raises:
        ConfigError: a key is unknown or a value wrong.
    """
    if not isinstance(entry, dict):
        raise ConfigError("value is of the wrong type", key="simulator.accounts")
    _known(entry, frozenset({"name", "balances", "secret"}), "simulator.accounts")
    name = entry.get("name")
    if not isinstance(name, str) or not name or not name.isascii() or not name.isprintable():
        raise ConfigError("account has no usable name", name=name)
    balances = {str(k): _amount(k, v) for k, v in _table(entry, "balances").items()}
    return Account(name, balances, str(entry.get("secret") or secret_of(name)))


def _rules(instrument: object, given: Mapping[str, Any]) -> InstrumentRules:
    exchange, _, symbol = str(instrument).partition(":")
    base, _, quote = symbol.partition("/")
    if not (exchange and base and quote):
        raise ConfigError("instrument is not EXCHANGE:BASE/QUOTE", instrument=instrument)
    _known(given, frozenset(_SYMBOL_DEFAULTS), "simulator.symbol")
    merged = {**_SYMBOL_DEFAULTS, **given}
    fields: dict[str, Any] = {
        name: _amount(name, merged[name]) for name in _SYMBOL_DEFAULTS.keys() - _WHOLE - _WORDS
    }
    fields |= {name: _whole(merged, name, 0) for name in _WHOLE}
    try:
        fields["status"] = SymbolStatus(merged["status"])
        fields["fee_mode"] = FeeMode(merged["fee_mode"])
    except ValueError as e:
        raise ConfigError("value is not one of those known", error=str(e)) from e
    fields |= {
        "exchange": exchange,
        "symbol": symbol,
        "base_asset": base,
        "quote_asset": quote,
        "market_step_size": ZERO,
        "market_min_quantity": ZERO,
        "market_max_quantity": ZERO,
        "min_notional_applies_to_market": True,
        "max_notional_applies_to_market": False,
        "instrument": str(instrument),
    }
    version = ids.rules_version(fields)
    return InstrumentRules(**fields, version=version, updated_time=_EPOCH)


def _known(table: Mapping[str, Any], keys: frozenset[str], where: str) -> None:
    unknown = sorted(set(table) - keys)
    if unknown:
        raise ConfigError("configuration key is unknown", table=where, keys=unknown)


def _table(table: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = table.get(key, {})
    if not isinstance(value, dict):
        raise ConfigError("value is of the wrong type", key=key)
    return value


def _whole(table: Mapping[str, Any], key: str, default: int) -> int:
    value = table.get(key, default)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ConfigError("value is not a whole number of zero or more", key=key, value=value)
    return value


def _amount(key: str, value: object) -> Decimal:
    """Amounts are text or whole numbers: a float has lost its digits already."""
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise ConfigError("amount is not written as text", key=key, value=value)
    try:
        amount = Decimal(value)
    except DecimalException as e:
        raise ConfigError("amount is not a number", key=key, value=value) from e
    if not money.storable(amount) or amount < 0:
        raise ConfigError("amount is out of range", key=key, value=value)
    return amount
