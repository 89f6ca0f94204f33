"""Is the ledger whole? Folded here a second time, entry by entry, to the last digit."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from processors import money
from processors.records.ledger import EntryKind, LedgerEntry
from streams.checks.check import Check, verdict
from streams.checks.history import TERMINAL, History
from streams.checks.venue import VenueLedger

ZERO: Final = Decimal(0)
_HOLDS: Final = frozenset(
    {
        EntryKind.HOLD_PLACED,
        EntryKind.HOLD_CONSUMED,
        EntryKind.HOLD_RESIZED,
        EntryKind.HOLD_RELEASED,
    }
)
Owner = tuple[str, str]
"""Account and asset."""


@dataclass(slots=True)
class Fold:
    """What the entries add up to, from their amounts alone."""

    totals: dict[Owner, Decimal] = field(default_factory=dict)
    held: dict[Owner, Decimal] = field(default_factory=dict)
    last: dict[Owner, LedgerEntry] = field(default_factory=dict)
    """Newest entry by account and asset."""
    sequences: dict[str, int] = field(default_factory=dict)
    holds: dict[tuple[str, str], dict[str, Decimal]] = field(default_factory=dict)
    """Held by (account, order_id), by asset."""
    trades: dict[Owner, Decimal] = field(default_factory=dict)
    """Legs, fees, reversals and drift that no transfer explains."""
    gaps: list[str] = field(default_factory=list)
    breaks: list[str] = field(default_factory=list)

    def add(self, entry: LedgerEntry) -> None:
        """Fold the next entry of its account in."""
        owner, where = (entry.account, entry.asset), f"{entry.account} entry {entry.sequence}"
        expected = self.sequences.get(entry.account, 0) + 1
        if entry.sequence != expected:
            self.gaps.append(f"{where} stands where {expected} should")
        self.sequences[entry.account] = entry.sequence
        if entry.kind in _HOLDS:
            _put(self.held, owner, entry.amount)
            holds = self.holds.setdefault((entry.account, entry.order_id or ""), {})
            holds[entry.asset] = money.add(holds.get(entry.asset, ZERO), entry.amount)
        else:
            _put(self.totals, owner, entry.amount)
            if entry.transfer_id is None:
                _put(self.trades, owner, entry.amount)
        for name, computed, stated in (
            ("total", self.totals.get(owner, ZERO), entry.total_after),
            ("held", self.held.get(owner, ZERO), entry.held_after),
        ):
            if computed != stated:
                self.breaks.append(
                    f"{where}: {name} of {entry.asset} adds up to {_text(computed)}, "
                    f"it says {_text(stated)}"
                )
        self.last[owner] = entry


def fold(entries: Iterable[LedgerEntry]) -> Fold:
    """Fold entries.

    Args:
        entries: those of one account in their order; accounts may be mixed.
    """
    folded = Fold()
    for entry in entries:
        folded.add(entry)
    return folded


def sequence(history: History, folded: Fold) -> Check:
    """No entry of an account is missing, doubled or out of order."""
    return verdict(
        "ledger_sequence",
        folded.gaps,
        f"{len(history.entries)} entries of {len(folded.sequences)} accounts, no gap",
    )


def running_totals(history: History, folded: Fold) -> Check:
    """Each entry's running total and hold follow from the amounts before it."""
    return verdict(
        "ledger_running_totals",
        folded.breaks,
        f"total_after and held_after of {len(history.entries)} entries follow from the amounts",
    )


def conservation(history: History, folded: Fold) -> Check:
    """Each total is what was transferred in plus what trades, fees and drift brought: exactly."""
    transferred: dict[Owner, Decimal] = {}
    seen: set[tuple[str, str]] = set()
    for transfer in history.transfers:
        if (transfer.account, transfer.transfer_id) not in seen:
            seen.add((transfer.account, transfer.transfer_id))
            _put(transferred, (transfer.account, transfer.asset), transfer.amount)
    problems = [] if folded.last else ["there is no ledger entry"]
    owners = sorted({*transferred, *folded.last})
    for owner in owners:
        came = money.add(transferred.get(owner, ZERO), folded.trades.get(owner, ZERO))
        last = folded.last.get(owner)
        stands = ZERO if last is None else last.total_after
        if came != stands:
            problems.append(f"{_owner(owner)}: {_text(came)} came in, {_text(stands)} is there")
    return verdict(
        "conservation",
        problems,
        f"total = opening + transfers + trades + fees + drift, exactly, for {len(owners)} balances",
    )


def snapshots(history: History, folded: Fold) -> Check:
    """The newest balance of each account and asset is what its ledger adds up to."""
    problems = []
    for owner in sorted({*folded.last, *history.balances}):
        total, held = folded.totals.get(owner, ZERO), folded.held.get(owner, ZERO)
        balance = history.balances.get(owner)
        if balance is None:
            problems.append(f"{_owner(owner)} has no balance record")
        elif (balance.total, balance.held) != (total, held) or balance.available != money.subtract(
            total, held
        ):
            problems.append(
                f"{_owner(owner)}: the balance says {_text(balance.total)} and "
                f"{_text(balance.held)} held, the ledger {_text(total)} and {_text(held)}"
            )
    return verdict(
        "balances_follow_ledger", problems, f"{len(history.balances)} balances equal their entries"
    )


def totals_equal_venue(folded: Fold, venue: VenueLedger) -> Check:
    """Our total of each account and asset is the venue's; where one has none, it is zero."""
    owners = sorted({*folded.totals, *venue.totals})
    problems = [
        f"{_owner(owner)}: ours {_text(ours)}, the venue's {_text(theirs)}"
        for owner in owners
        if (ours := folded.totals.get(owner, ZERO)) != (theirs := venue.totals.get(owner, ZERO))
    ]
    return verdict("totals_equal_venue", problems, f"{len(owners)} totals equal the venue's")


def holds(history: History, folded: Fold) -> Check:
    """No hold without an open order, no open order without a hold."""
    ended = {report.order_id for report in history.reports if report.status in TERMINAL}
    opened = {
        (order.account, order.order_id)
        for order in history.orders
        if order.kind == "RESERVED" and order.order_id not in ended
    }
    held = {
        key: amounts
        for key, assets in folded.holds.items()
        if (amounts := {asset: amount for asset, amount in assets.items() if amount})
    }
    problems = [
        f"{account} order {order_id or '(none)'} holds {_text(amount)} {asset} and is not open"
        for (account, order_id), assets in sorted(held.items())
        if (account, order_id) not in opened
        for asset, amount in sorted(assets.items())
    ]
    problems += [
        f"{account} order {order_id} is open and holds nothing"
        for account, order_id in sorted(opened)
        if not any(amount > 0 for amount in held.get((account, order_id), {}).values())
    ]
    return verdict(
        "holds_and_open_orders", problems, f"{len(held)} holds, {len(opened)} open orders"
    )


def _put(sums: dict[Owner, Decimal], owner: Owner, amount: Decimal) -> None:
    sums[owner] = money.add(sums.get(owner, ZERO), amount)


def _owner(owner: Owner) -> str:
    return f"{owner[0]} {owner[1]}"


def _text(amount: Decimal) -> str:
    return money.text(amount)
