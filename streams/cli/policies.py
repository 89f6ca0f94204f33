"""A file of accounts, and what it takes to make it so: policies and opening balances as records."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from processors import ids
from processors.errors import ConfigError
from processors.records.account import (
    AccountPolicy,
    Limits,
    Sizing,
    SizingKind,
    Subscription,
    Transfer,
    TransferKind,
)

GROUP_MAX: Final = 100_000
Share = Annotated[Decimal, Field(ge=0, le=1)]
Money = Annotated[Decimal, Field(gt=0, allow_inf_nan=False)]


class _Section(BaseModel):
    """A closed table; amounts are texts, because a float has lost its digits already."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class _Sizing(_Section):
    kind: SizingKind
    fraction: Share = Decimal(0)
    notional: Annotated[Decimal, Field(ge=0)] = Decimal(0)


class _Subscription(_Section):
    strategy: str = Field(min_length=1)
    instrument: str = Field(pattern=r"^[^:]+:[^/]+/[^/]+$")


class _Limits(_Section):
    max_order_notional: Decimal = Decimal(0)
    max_notional_per_minute: Decimal = Decimal(0)
    max_open_orders: int = 0
    max_position: Decimal = Decimal(0)
    price_collar: Share = Decimal("0.05")
    max_price_age: int = 0


class _Group(_Section):
    name: str | None = Field(None, min_length=1, pattern=r"^[^|]+$")
    prefix: str | None = Field(None, min_length=1, pattern=r"^[^|]+$")
    count: int = Field(1, ge=1, le=GROUP_MAX)
    opening: dict[str, Money] = {}
    sizing: _Sizing
    subscriptions: tuple[_Subscription, ...] = ()
    limits: _Limits = _Limits()
    slippage: Share = Decimal(0)
    stop_loss: Share = Decimal(0)
    take_profit: Annotated[Decimal, Field(ge=0)] = Decimal(0)
    experiment: str = ""
    arm: str = ""

    def names(self) -> list[str]:
        """Return the accounts of the group."""
        if (self.name is None) == (self.prefix is None):
            raise ConfigError("an account has a name, or a group of them a prefix and a count")
        if self.name is not None:
            return [self.name]
        width = max(2, len(str(self.count)))
        return [f"{self.prefix}-{number:0{width}d}" for number in range(1, self.count + 1)]


class _File(BaseModel):
    model_config = ConfigDict(
        extra="ignore"
    )  # the settings and the simulator have tables there too
    accounts: list[_Group]


@dataclass(frozen=True, slots=True)
class Wanted:
    """One account as a file has it."""

    policy: AccountPolicy
    transfers: tuple[Transfer, ...]


def read(path: Path, now: datetime) -> dict[str, Wanted]:
    """Read a file of accounts.

    Args:
        path: TOML with tables `accounts`.
        now: stamps the records.
    Returns:
        What each account is to be, by name; versions are not set yet.
    Raises:
        ConfigError: the file cannot be read, a key is unknown, or a value is wrong.
    """
    try:
        groups = _File.model_validate(tomllib.loads(path.read_text(encoding="utf-8-sig"))).accounts
    except OSError as error:
        raise ConfigError(
            "the file of accounts cannot be read", file=str(path), error=error.strerror
        ) from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ConfigError(
            "the file of accounts is wrong", where=where, error=first["msg"]
        ) from error
    except ValueError as error:
        raise ConfigError("the file of accounts is no TOML", error=str(error)) from error
    found: dict[str, Wanted] = {}
    for group in groups:
        for name in group.names():
            if name in found:
                raise ConfigError("an account is named twice", account=name)
            found[name] = Wanted(_policy(name, group, now), _transfers(name, group.opening, now))
    return found


def _policy(name: str, group: _Group, now: datetime) -> AccountPolicy:
    return AccountPolicy(
        account=name,
        version=1,
        subscriptions=tuple(
            Subscription(strategy=each.strategy, instrument=each.instrument)
            for each in group.subscriptions
        ),
        sizing=Sizing(**dict(group.sizing)),
        limits=Limits(**dict(group.limits)),
        slippage=group.slippage,
        stop_loss=group.stop_loss,
        take_profit=group.take_profit,
        experiment=group.experiment,
        arm=group.arm,
        updated_time=now,
    )


def _transfers(name: str, opening: Mapping[str, Decimal], now: datetime) -> tuple[Transfer, ...]:
    """Return opening balances; the identity has no time in it, so a second one changes nothing."""
    return tuple(
        Transfer(
            account=name,
            transfer_id=ids.entry_id("opening", name, asset),
            kind=TransferKind.OPENING,
            asset=asset,
            amount=opening[asset],
            reason="opening balance",
            created_time=now,
        )
        for asset in sorted(opening)
    )


def succeed(wanted: AccountPolicy, known: AccountPolicy | None) -> AccountPolicy | None:
    """Return the policy to send: the next version of the known one, or None where nothing differs.

    Args:
        wanted: as the file has it.
        known: newest committed one.
    """
    if known is None:
        return wanted
    same = {"version": known.version, "updated_time": known.updated_time}
    if wanted.model_copy(update=same) == known:
        return None
    return wanted.model_copy(update={"version": known.version + 1})
