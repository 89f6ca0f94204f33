"""Identities as hashes of what they name: a replay, a retry and an audit arrive at the same ones.

Parts are hashed with their lengths, so no two different lists of parts give one identity by
sharing a separator.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Final

from processors import money
from processors.errors import InvariantError

Part = str | int | bool | Decimal | datetime | StrEnum | None
"""What an identity may be made of; never a float: its text is not its value."""

_LENGTH: Final = 32
_VERSION_LENGTH: Final = 16


def signal_id(instrument: str, strategy: str, close_time: datetime) -> str:
    """Name the one signal of a strategy at the end of a bar.

    Args:
        instrument: EXCHANGE:BASE/QUOTE.
        strategy: name of the strategy.
        close_time: end of the bar, market time.
    Returns:
        32 lowercase hex digits.
    """
    return _digest("signal", instrument, strategy, close_time)


def intent_id(signal: str, account: str, strategy: str) -> str:
    """Name the one intent of an account that follows from a signal.

    Args:
        signal: the signal_id; for a protection, the text that names it.
        account: the account.
        strategy: name of the strategy, or of the protection.
    Returns:
        32 lowercase hex digits.
    """
    return _digest("intent", signal, account, strategy)


def order_id(account: str, intent: str) -> str:
    """Name the one order that answers an intent.

    Args:
        account: the account.
        intent: the intent_id, ours or a user's own.
    Returns:
        32 lowercase hex digits.
    """
    return _digest("order", account, intent)


def client_order_id(account: str, intent: str) -> str:
    """Name an order to its venue, the same on every attempt.

    Args:
        account: the account.
        intent: the intent_id.
    Returns:
        32 lowercase hex digits that are a UUID of version 8 (RFC 9562) without hyphens: within what
        Binance, Kraken, Coinbase (with hyphens), OKX and Bybit accept.
    """
    digest = bytearray(_hash("client_order", account, intent)[:16])
    digest[6] = digest[6] & 0x0F | 0x80
    digest[8] = digest[8] & 0x3F | 0x80
    return digest.hex()


def execution_id(
    client_order: str,
    execution_type: str,
    trade_id: str | None,
    status: str,
    filled_quantity: Decimal,
) -> str:
    """Name one fact about an order: a reply, a stream and a query that report it give one identity.

    Args:
        client_order: the client_order_id.
        execution_type: what is reported.
        trade_id: the venue's identity of the fill; None if the fact is no fill.
        status: status after the event; counts only without a trade_id.
        filled_quantity: base units filled so far; counts only without a trade_id.
    Returns:
        32 lowercase hex digits.
    """
    if trade_id is not None:
        return _digest("execution", client_order, str(execution_type), "trade", trade_id)
    return _digest(
        "execution", client_order, str(execution_type), "status", str(status), filled_quantity
    )


def entry_id(*parts: Part) -> str:
    """Name one ledger entry.

    Args:
        parts: its cause, kind, asset and index among the effects of the cause.
    Returns:
        32 lowercase hex digits.
    """
    return _digest("entry", *parts)


def rules_version(fields: Mapping[str, Part]) -> str:
    """Name one state of a venue's rules, so that a decision can say by which it was made.

    Args:
        fields: the rules by name, without version and updated_time; their order does not count.
    Returns:
        16 lowercase hex digits.
    """
    parts = [part for name in sorted(fields) for part in (name, fields[name])]
    return _hash("rules", *parts).hex()[:_VERSION_LENGTH]


def _digest(*parts: Part) -> str:
    return _hash(*parts).hex()[:_LENGTH]


def _hash(*parts: Part) -> bytes:
    digest = hashlib.sha256()
    for part in parts:
        data = _text(part).encode()
        digest.update(b"%d:" % len(data))
        digest.update(data)
    return digest.digest()


def _text(part: Part) -> str:
    """One text per value; a mark in front where two types could share a text."""
    match part:
        case None:
            return "null"
        case bool():
            return "b:true" if part else "b:false"
        case str():
            return "s:" + str(part)
        case int():
            return f"n:{part}"
        case Decimal():
            return "n:" + money.text(part)
        case datetime():
            if part.utcoffset() is None:
                raise InvariantError("identity of a time without a zone", time=str(part))
            return "t:" + part.astimezone(UTC).isoformat(timespec="microseconds")
