"""The two-phase ledger of one account: hold, settle at actual cost, release the rest.

A hold is a bound on what an order can still cost. A fill is settled at the venue's exact figures;
what was reserved for it and not used is free at once, and a shortfall is taken from what is free,
even below zero: the debt is then visible, never hidden. No timer ever frees a hold.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from processors import ids, money
from processors.errors import InvariantError, RuleViolation
from processors.money import ZERO
from processors.records.account import Transfer, TransferKind
from processors.records.ledger import Balance, EntryKind, LedgerEntry
from processors.records.state_account import AccountState, AssetBalance, OrderState

NOTHING = AssetBalance(total=ZERO, held=ZERO)

HOLD_KINDS = frozenset(
    {
        EntryKind.HOLD_PLACED,
        EntryKind.HOLD_CONSUMED,
        EntryKind.HOLD_RESIZED,
        EntryKind.HOLD_RELEASED,
    }
)
"""Entries that change a hold; all others change a total."""

_TRANSFER_KINDS: Mapping[TransferKind, EntryKind] = {
    TransferKind.OPENING: EntryKind.DEPOSIT,
    TransferKind.DEPOSIT: EntryKind.DEPOSIT,
    TransferKind.WITHDRAWAL: EntryKind.WITHDRAWAL,
    TransferKind.CORRECTION: EntryKind.DRIFT,
}


def balance_of(account: AccountState, asset: str) -> AssetBalance:
    """Return an asset's balance; zeros where the account never had any."""
    return account.balances.get(asset, NOTHING)


def available(account: AccountState, asset: str) -> Decimal:
    """Return what of an asset is owned and not held; negative only with an overdraft."""
    balance = balance_of(account, asset)
    return money.subtract(balance.total, balance.held)


@dataclass(slots=True)
class Book:
    """Writes the entries of one event: each takes the next sequence and the running figures.

    It lives for one decision. Holds are consumed before the legs are booked, so that no entry
    shows less available than there is after the event.
    """

    account: AccountState
    cause_id: str
    """Identity of the event: with kind, asset and index it names each entry."""
    market_time: datetime
    now: datetime
    order_id: str | None = None
    trade_id: str | None = None
    transfer_id: str | None = None
    entries: list[LedgerEntry] = field(default_factory=list)
    _running: dict[str, AssetBalance] = field(default_factory=dict)
    _stem: str = ""

    def balance(self, asset: str) -> AssetBalance:
        """Return an asset's balance after the entries so far."""
        return self._running.get(asset) or balance_of(self.account, asset)

    def available(self, asset: str) -> Decimal:
        """Return what of an asset is free after the entries so far."""
        balance = self.balance(asset)
        return money.subtract(balance.total, balance.held)

    def post(self, kind: EntryKind, asset: str, amount: Decimal, cause: str = "") -> None:
        """Write one entry; an amount of zero writes none.

        Args:
            kind: HOLD_* change the hold, all others the total.
            asset: asset changed.
            amount: signed, units of the asset.
            cause: why, in a word.
        Raises:
            InvariantError: a hold would fall below zero.
            RuleViolation: a figure is too long to be stored.
        """
        if not amount:
            return
        before = self.balance(asset)
        total, held = before.total, before.held
        if kind in HOLD_KINDS:
            held = money.add(held, amount)
        else:
            total = money.add(total, amount)
        if held < 0:
            raise InvariantError(
                "more was released than held", account=self.account.account, asset=asset, held=held
            )
        if not money.storable(held if kind in HOLD_KINDS else total):
            raise RuleViolation("amount is too long to be stored", asset=asset, amount=amount)
        index = len(self.entries)
        if not self._stem:
            # Of one length whatever the names are, so what follows it cannot be misread.
            self._stem = ids.entry_id(self.account.account, self.cause_id)
        self._running[asset] = AssetBalance(total=total, held=held)
        self.entries.append(
            LedgerEntry(
                account=self.account.account,
                entry_id=ids.entry_id(f"{self._stem}|{kind.value}|{asset}|{index}"),
                sequence=self.account.sequence + index + 1,
                asset=asset,
                kind=kind,
                amount=amount,
                total_after=total,
                held_after=held,
                order_id=self.order_id,
                trade_id=self.trade_id,
                transfer_id=self.transfer_id,
                cause=cause,
                market_time=self.market_time,
                created_time=self.now,
            )
        )

    def overdrawn(self) -> tuple[str, ...]:
        """Return the assets, in order, that this event has brought below what is held."""
        return tuple(
            asset
            for asset in sorted(self._running)
            if self.available(asset) < 0 <= available(self.account, asset)
        )


def evolve(account: AccountState, entry: LedgerEntry) -> AccountState:
    """Apply one entry. Worker, replay and audit all fold this same function.

    Args:
        account: the account before it.
        entry: the next entry of that account.
    Returns:
        The account after it.
    Raises:
        InvariantError: the entry is not the account's next one.
    """
    if entry.sequence != account.sequence + 1 or entry.account != account.account:
        raise InvariantError(
            "ledger entry is not the next one",
            account=account.account,
            expected=account.sequence + 1,
            found=entry.sequence,
        )
    after = AssetBalance(total=entry.total_after, held=entry.held_after)
    if entry.asset in account.balances:
        balances = {**account.balances, entry.asset: after}
    else:
        # Names in order, so that equal states are equal bytes whatever came first.
        balances = dict(sorted({**account.balances, entry.asset: after}.items()))
    return account.but({"sequence": entry.sequence, "balances": balances})


def settle(
    book: Book, order: OrderState, target: Decimal, actual: Decimal, cause: str
) -> OrderState:
    """Bring an order's hold to what it needs now, consuming what a fill has cost.

    Args:
        book: takes the entries.
        order: its facts after the event, `held` still before it.
        target: what it is to hold now: `orders.need`.
        actual: what the event cost in the hold's asset; zero without a fill.
        cause: why, in a word.
    Returns:
        The order with its new hold.
    """
    spendable = max(ZERO, money.subtract(order.held, target))
    consumed = min(max(actual, ZERO), spendable)
    book.post(EntryKind.HOLD_CONSUMED, order.hold_asset, consumed.copy_negate(), cause)
    rest = money.subtract(order.held, consumed, target)
    kind = EntryKind.HOLD_RELEASED if rest > 0 else EntryKind.HOLD_RESIZED
    book.post(kind, order.hold_asset, rest.copy_negate(), cause)
    return order if target == order.held else order.but({"held": target})


def transfer(book: Book, event: Transfer) -> None:
    """Book money that entered or left an account: a fact, so it is booked even below zero.

    Args:
        book: takes the entry.
        event: the transfer.
    Raises:
        RuleViolation: the sign contradicts the kind.
    """
    inward = event.kind in {TransferKind.OPENING, TransferKind.DEPOSIT}
    if (inward and event.amount < 0) or (
        event.kind is TransferKind.WITHDRAWAL and event.amount > 0
    ):
        raise RuleViolation(
            "sign of a transfer contradicts its kind", kind=event.kind, amount=event.amount
        )
    book.post(_TRANSFER_KINDS[event.kind], event.asset, event.amount, event.kind.value)


def snapshot(account: AccountState, asset: str, now: datetime) -> Balance:
    """Return the balance record of one asset.

    Args:
        account: the account as it is now.
        asset: which.
        now: journaled time of the change.
    Returns:
        The record for ledger.balance.
    """
    balance = balance_of(account, asset)
    free = money.subtract(balance.total, balance.held)
    return Balance(
        account=account.account,
        asset=asset,
        total=balance.total,
        held=balance.held,
        available=free,
        overdraft=free < 0,
        sequence=account.sequence,
        updated_time=now,
    )
