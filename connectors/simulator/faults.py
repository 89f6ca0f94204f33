"""Faults by script: what goes wrong at which call, and the evidence that it did."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from processors.errors import ConfigError

KINDS: Final = frozenset({"error_before", "error_after", "hold_after_accept", "delay_ms"})
OPERATIONS: Final = frozenset({"create", "query", "cancel", "open_orders", "trades"})
_KEYS: Final = frozenset({"kind", "operation", "account", "nth", "times", "ms", "status"})


@dataclass(slots=True)
class Fault:
    """One planned fault; `seen` and `hit` count from its installation."""

    kind: str
    """error_before: 5xx, nothing done; error_after: done, then 5xx; hold_after_accept: done, the
    answer waits for the release or `ms`; delay_ms: the call itself waits `ms`."""
    operation: str = "create"
    account: str = ""
    """Only this account's calls; empty is every one's."""
    nth: int = 1
    """First call that is hit, counted from 1."""
    times: int = 1
    """How many calls in a row are hit."""
    ms: int = 60_000
    status: int = 503
    seen: int = 0
    hit: int = 0
    holding: int = 0

    def takes(self, operation: str, account: str) -> bool:
        """Count a call and say whether it is hit."""
        if operation != self.operation or self.account not in ("", account):
            return False
        self.seen += 1
        taken = self.nth <= self.seen < self.nth + self.times
        self.hit += taken
        return taken


class Faults:
    """The script and its state."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._released = asyncio.Event()

    def install(self, entries: object) -> None:
        """Replace the script; calls held now are let go.

        Args:
            entries: a list of tables with the fields of `Fault`.
        Raises:
            ConfigError: a field or value is unknown.
        """
        if not isinstance(entries, list):
            raise ConfigError("faults are not a list")
        made = [_fault(entry) for entry in entries]
        self.release()
        self._faults = made

    def release(self) -> None:
        """Let every held answer go."""
        self._released.set()
        self._released = asyncio.Event()

    def take(self, operation: str, account: str) -> list[Fault]:
        """Count a call.

        Args:
            operation: create, query, cancel, open_orders or trades.
            account: whose.
        Returns:
            The faults that hit it.
        """
        return [fault for fault in self._faults if fault.takes(operation, account)]

    async def hold(self, fault: Fault) -> None:
        """Keep an answer back until the release, or its time is over.

        Args:
            fault: counts who is held.
        """
        fault.holding += 1
        try:
            await asyncio.wait_for(self._released.wait(), fault.ms / 1000)
        except TimeoutError:
            return
        finally:
            fault.holding -= 1

    def state(self) -> list[dict[str, Any]]:
        """Return the script with its counters."""
        return [asdict(fault) for fault in self._faults]


def _fault(entry: object) -> Fault:
    if not isinstance(entry, Mapping):
        raise ConfigError("fault is not a table")
    unknown = sorted(set(entry) - _KEYS)
    if unknown or entry.get("kind") not in KINDS:
        raise ConfigError("fault is unknown", keys=unknown, kind=entry.get("kind"))
    fault = Fault(**entry)
    if fault.operation not in OPERATIONS or not isinstance(fault.account, str):
        raise ConfigError("fault names no operation", operation=fault.operation)
    for name in ("nth", "times", "ms", "status"):
        value = getattr(fault, name)
        if not isinstance(value, int) or value < 0:
            raise ConfigError("fault has a wrong number", key=name, value=value)
    return fault
