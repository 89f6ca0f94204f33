"""All checks of one run, in the order in which work flows."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from streams.checks import ledger, market, orders
from streams.checks.check import Check
from streams.checks.decoding import Decoder
from streams.checks.digest import compare, digest, lines
from streams.checks.history import History, Lag, lags, load
from streams.checks.reading import Reader
from streams.checks.venue import VenueLedger, ask

TICKS: Final = 99_982
REFUSED: Final[Mapping[str, int]] = {"quantity_zero": 18}


@dataclass(frozen=True, slots=True)
class Expected:
    """What the input of the run has; the demo's, if not told."""

    ticks: int = TICKS
    refused: Mapping[str, int] = field(default_factory=lambda: dict(REFUSED))
    golden: Path | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """All checks, and what they stand on."""

    checks: tuple[Check, ...]
    digest: str
    not_placed: int
    ledger: tuple[str, ...] = ()
    """The lines that the digest is made of."""

    @property
    def ok(self) -> bool:
        """Whether all hold."""
        return all(check.ok for check in self.checks)

    def document(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {
            "ok": self.ok,
            "digest": self.digest,
            "not_placed": self.not_placed,
            "checks": [
                {"name": check.name, "ok": check.ok, "detail": check.detail}
                for check in self.checks
            ],
        }


def judge(
    history: History, venue: VenueLedger, behind: list[Lag], compared: int, expected: Expected
) -> Outcome:
    """Run every check.

    Args:
        history: what stands in the topics.
        venue: what the venue holds.
        behind: partitions that a group has not read to the end.
        compared: how many of them were looked at.
        expected: what the input has.
    Raises:
        ConfigError: the golden file is none.
    """
    folded = ledger.fold(history.entries)
    described = tuple(lines(history, folded))
    found = digest(described)
    checks = (
        market.ticks(history, expected.ticks),
        market.ticks_once(history),
        market.refused(history, expected.refused),
        market.no_other_dead(history),
        orders.decisions(history),
        orders.terminal(history),
        orders.venue_orders(history, venue),
        orders.creates(venue),
        orders.fills(history, venue),
        orders.booked_once(history),
        orders.settled_at_cost(history, venue),
        ledger.sequence(history, folded),
        ledger.running_totals(history, folded),
        ledger.conservation(history, folded),
        ledger.snapshots(history, folded),
        ledger.totals_equal_venue(folded, venue),
        ledger.holds(history, folded),
        market.groups(behind, compared),
        compare(found, expected.golden, history),
    )
    return Outcome(checks, found, len(orders.not_placed(history)), described)


def run(
    bootstrap: str, registry: str, simulator: str, expected: Expected, patience: float = 15.0
) -> Outcome:
    """Read everything and run every check.

    Args:
        bootstrap: host:port of the broker.
        registry: URL of the schema registry.
        simulator: URL of the venue.
        expected: what the input has.
        patience: seconds for each service to answer, and for the groups to reach the end.
    Raises:
        ConfigError: a topic is not there, an address or the golden file is none.
        UnavailableError: a service does not answer.
    """
    with Reader(bootstrap, patience=patience) as reader:
        behind, compared = _settled(reader, patience)
        venue = ask(simulator, patience)
        history = load(reader, Decoder.at(registry))
    return judge(history, venue, behind, compared, expected)


def _settled(reader: Reader, patience: float) -> tuple[list[Lag], int]:
    """Return the lags, once there are none or patience is at its end: a commit may be under way."""
    deadline = time.monotonic() + patience
    while True:
        behind, compared = lags(reader)
        if not behind or time.monotonic() > deadline:
            return behind, compared
        time.sleep(0.1)
