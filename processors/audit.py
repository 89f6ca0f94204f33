"""Folds a log of records and says where it does not add up: conservation, sequence, holds, decisions.

Nothing here decides anything: an audit reads what was committed and recomputes every running figure
with the fold that the worker used. So a figure that was forged, lost or doubled is found by the first
entry that does not follow from those before it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import ROUND_HALF_EVEN, Decimal

from processors import funds, money, orders
from processors.effects import open_account
from processors.errors import InvariantError
from processors.funds import HOLD_KINDS
from processors.money import ZERO
from processors.records.ledger import EntryKind, LedgerEntry
from processors.records.market import Side
from processors.records.state_account import AccountState
from processors.records.trade import (
    ExecutionReport,
    ExecutionType,
    IntentKind,
    OrderEvent,
    OrderEventKind,
    Reason,
    TradeIntent,
)

_LEGS = frozenset({EntryKind.TRADE_LEG, EntryKind.FEE_LEG, EntryKind.REVERSAL})


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that does not add up."""

    rule: str
    """Stable name, such as sequence or conservation."""
    account: str
    subject: str
    """What it is about: an entry, an order, an asset, an intent."""
    expected: str
    found: str


@dataclass(frozen=True, slots=True)
class Difference:
    """The first place where two folds part."""

    path: str
    left: str
    right: str


@dataclass(slots=True)
class Ledger:
    """The fold of ledger entries of any number of accounts, in the order of each account's log."""

    accounts: dict[str, AccountState] = field(default_factory=dict)
    holds: dict[tuple[str, str, str], Decimal] = field(default_factory=dict)
    """Held by (account, order_id, asset); none where zero."""
    sums: dict[tuple[str, str, EntryKind], Decimal] = field(default_factory=dict)
    """Signed sum by (account, asset, kind)."""
    legs: dict[tuple[str, str, str], Decimal] = field(default_factory=dict)
    """Signed sum of legs, fees and reversals by (account, order_id, asset)."""
    entry_ids: set[str] = field(default_factory=set)
    findings: list[Finding] = field(default_factory=list)

    def add(self, entry: LedgerEntry) -> None:
        """Fold one entry in, and note where its running figures do not follow.

        Args:
            entry: the next one of its account.
        """
        account = self.accounts.get(entry.account) or open_account(entry.account)
        self._check(account, entry)
        try:
            self.accounts[entry.account] = funds.evolve(account, entry)
        except InvariantError:
            self._note("sequence", entry, account.sequence + 1, entry.sequence)
            if entry.sequence <= account.sequence:
                return  # seen before: folding it again would hide what follows
            start = account.model_copy(update={"sequence": entry.sequence - 1})
            self.accounts[entry.account] = funds.evolve(start, entry)
        key = (entry.account, entry.asset, entry.kind)
        self.sums[key] = money.add(self.sums.get(key, ZERO), entry.amount)
        if entry.order_id is not None:
            self._by_order(entry, entry.order_id)

    def _check(self, account: AccountState, entry: LedgerEntry) -> None:
        before = funds.balance_of(account, entry.asset)
        total, held = before.total, before.held
        if entry.kind in HOLD_KINDS:
            held = money.add(held, entry.amount)
        else:
            total = money.add(total, entry.amount)
        if total != entry.total_after:
            self._note("total_after", entry, total, entry.total_after)
        if held != entry.held_after:
            self._note("held_after", entry, held, entry.held_after)
        placed = entry.kind is EntryKind.HOLD_PLACED
        if placed and held > before.total:
            self._note("hold_within_available", entry, before.total, held)
        if entry.entry_id in self.entry_ids:
            self._note("entry_once", entry, "a new entry_id", entry.entry_id)
        self.entry_ids.add(entry.entry_id)

    def _by_order(self, entry: LedgerEntry, order_id: str) -> None:
        key = (entry.account, order_id, entry.asset)
        if entry.kind in _LEGS:
            self.legs[key] = money.add(self.legs.get(key, ZERO), entry.amount)
        if entry.kind not in HOLD_KINDS:
            return
        held = money.add(self.holds.pop(key, ZERO), entry.amount)
        if held < 0:
            self._note("hold_not_negative", entry, "0 or more", held)
        if held:
            self.holds[key] = held

    def _note(self, rule: str, entry: LedgerEntry, expected: object, found: object) -> None:
        subject = f"entry {entry.sequence} {entry.asset}"
        self.findings.append(Finding(rule, entry.account, subject, _text(expected), _text(found)))


def fold(entries: Iterable[LedgerEntry]) -> Ledger:
    """Fold a log of entries.

    Args:
        entries: each account's in the order of its sequence; accounts may be mixed.
    Returns:
        The fold, with what did not follow.
    """
    ledger = Ledger()
    for entry in entries:
        ledger.add(entry)
    return ledger


def conservation(ledger: Ledger) -> list[Finding]:
    """Check that each total is what came in, less what went out, to the last digit (I1, I4).

    Args:
        ledger: a fold.
    Returns:
        A finding per account and asset that does not add up.
    """
    findings: list[Finding] = []
    holds: dict[tuple[str, str], Decimal] = {}
    for (account, _, asset), held in ledger.holds.items():
        holds[account, asset] = money.add(holds.get((account, asset), ZERO), held)
    flows: dict[tuple[str, str], Decimal] = {}
    for (account, asset, kind), amount in ledger.sums.items():
        if kind not in HOLD_KINDS:
            flows[account, asset] = money.add(flows.get((account, asset), ZERO), amount)
    for name in sorted(ledger.accounts):
        for asset, balance in ledger.accounts[name].balances.items():
            for rule, expected, found in (
                ("conservation", flows.get((name, asset), ZERO), balance.total),
                ("holds_of_orders", holds.get((name, asset), ZERO), balance.held),
            ):
                if expected != found:
                    findings.append(Finding(rule, name, asset, _text(expected), _text(found)))
    return findings


def decisions(intents: Iterable[TradeIntent], events: Iterable[OrderEvent]) -> list[Finding]:
    """Check that every intent read has one decision, and every intent id one that is no duplicate.

    Args:
        intents: the log of intents.
        events: the log of decisions.
    Returns:
        A finding per intent id that has too few or too many.
    """
    asked: dict[tuple[str, str], int] = {}
    for intent in intents:
        key = (intent.account, intent.intent_id)
        asked[key] = asked.get(key, 0) + 1
    answered: dict[tuple[str, str], int] = {}
    first: dict[tuple[str, str], int] = {}
    for event in events:
        key = (event.account, event.intent_id)
        answered[key] = answered.get(key, 0) + 1
        # A cancel has no order of its own: it may be refused as often as it is sent.
        own = event.intent_kind is not IntentKind.CANCEL and (
            event.kind is OrderEventKind.RESERVED or event.reason is not Reason.DUPLICATE_INTENT
        )
        first[key] = first.get(key, 0) + own
    findings = [
        Finding("one_decision_per_intent", key[0], key[1], str(asked.get(key, 0)), str(count))
        for key, count in sorted({**dict.fromkeys(asked, 0), **answered}.items())
        if asked.get(key, 0) != count
    ]
    findings += [
        Finding("one_order_per_intent", key[0], key[1], "at most 1", str(count))
        for key, count in sorted(first.items())
        if count > 1
    ]
    return findings


def settlements(ledger: Ledger, reports: Iterable[ExecutionReport]) -> list[Finding]:
    """Check that the legs of every order are its fills and fees at the venue's figures (I5).

    Args:
        ledger: a fold.
        reports: the log of reports; equal fills count once, a correction replaces its fill, a bust
            takes it away.
    Returns:
        A finding per order and asset whose legs are not the sum of its fills.
    """
    fills: dict[tuple[str, str, str], dict[tuple[str, str, str], Decimal]] = {}
    gone: set[tuple[str, str, str]] = set()
    for report in reports:
        kind = report.execution_type
        if kind not in orders.TRADES:
            continue
        trade = (report.account, report.order_id, report.trade_id or report.execution_id)
        if kind is ExecutionType.TRADE_CANCEL:
            gone.add(trade)
        elif kind is ExecutionType.TRADE_CORRECT or trade not in fills:
            fills[trade] = _legs(report)
    expected: dict[tuple[str, str, str], Decimal] = {}
    for trade, legs in fills.items():
        for leg, amount in legs.items() if trade not in gone else ():
            expected[leg] = money.add(expected.get(leg, ZERO), amount)
    return [
        Finding(
            "legs_are_fills",
            key[0],
            f"order {key[1]} {key[2]}",
            _text(expected.get(key, ZERO)),
            _text(ledger.legs.get(key, ZERO)),
        )
        for key in sorted({*expected, *ledger.legs})
        if expected.get(key, ZERO) != ledger.legs.get(key, ZERO)
    ]


def first_difference(
    left: Mapping[str, AccountState], right: Mapping[str, AccountState]
) -> Difference | None:
    """Name the first place where two folds part, in the order of account, asset and figure.

    Args:
        left: accounts by name, such as a live table.
        right: the same of another fold.
    Returns:
        The difference; None if both are equal in sequence, totals and holds.
    """
    for name in sorted({*left, *right}):
        one, other = left.get(name), right.get(name)
        if one is None or other is None:
            return Difference(name, _present(one), _present(other))
        if one.sequence != other.sequence:
            return Difference(f"{name}.sequence", str(one.sequence), str(other.sequence))
        for asset in sorted({*one.balances, *other.balances}):
            a, b = funds.balance_of(one, asset), funds.balance_of(other, asset)
            if a.total != b.total:
                return Difference(f"{name}.{asset}.total", _text(a.total), _text(b.total))
            if a.held != b.held:
                return Difference(f"{name}.{asset}.held", _text(a.held), _text(b.held))
    return None


def _legs(report: ExecutionReport) -> dict[tuple[str, str, str], Decimal]:
    """What one fill moves, by (account, order_id, asset); the symbol names its two assets."""
    base, _, quote = report.symbol.partition("/")
    value = money.multiply(report.last_quantity, report.last_price or ZERO)
    value = money.quantize(value, money.SCALE, ROUND_HALF_EVEN)
    got = [(base, report.last_quantity), (quote, value.copy_negate())]
    if report.side is Side.SELL:
        got = [(asset, amount.copy_negate()) for asset, amount in got]
    got += [(fee.asset, fee.amount.copy_negate()) for fee in report.fees]
    legs: dict[tuple[str, str, str], Decimal] = {}
    for asset, amount in got:
        key = (report.account, report.order_id, asset)
        legs[key] = money.add(legs.get(key, ZERO), amount)
    return legs


def _present(account: AccountState | None) -> str:
    return "absent" if account is None else f"sequence {account.sequence}"


def _text(value: object) -> str:
    return money.text(value) if isinstance(value, Decimal) else str(value)
