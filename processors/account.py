"""One account: routes its events to risk, orders, funds and positions; one state, one fold.

Worker, replay, what-if and audit all call the same functions. An event costs the same however many
orders an account has, because it touches at most one entry of each of four tables:

    table      key                            value          (processors.records.state_account)
    accounts   account                        AccountState   balances, status, counters
    orders     account|order_id               OrderState     the facts of one order
    positions  account|instrument             PositionState  holding and protected lots
    seen       account|order_id|trade_id      Seen           booked once; also account|transfer|id
                                                             and account|control|id

How an agent handles one event:

    view = account.read(account.keys(event.value), tables)   # tables: name -> table, `.get(key)`
    step = account.step(view, event.value, Context(now=event.now, rules=..., price=..., policy=...))
    for table, key, entry in step.writes:
        tables[table][key] = entry
    for record in step.records:      # OrderEvent, LedgerEntry, Protection, Alert, Balance, Position
        await topic_of(record).send(key=..., value=record)
    for effect in step.effects:
        name, fields = events.describe(effect)               # one log line per effect

Events are TradeIntent, ExecutionReport, Transfer, Control and AgeCheck (the clock's question about
one order). Only a TradeIntent looks at rules, price and policy: what a later report needs of them
is kept with the order. Applying an event twice is applying it once; an intent is the exception in
words only: each TradeIntent that is read gets one OrderEvent, the second of one id DENIED with
DUPLICATE_INTENT, and nothing else changes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Protocol, TypeVar, assert_never

from processors import decisions, funds, orders, positions, settlement
from processors.effects import (
    AgeCheck,
    Context,
    Effect,
    Event,
    Keys,
    Settlement,
    View,
    alert,
    open_account,
)
from processors.errors import InvariantError
from processors.ids import order_id
from processors.money import ZERO
from processors.records.account import Control, ControlAction, Protection, Transfer
from processors.records.base import Record
from processors.records.ledger import Balance, LedgerEntry, Position
from processors.records.ops import Alert, Severity
from processors.records.state_account import (
    AccountState,
    AccountStatus,
    OrderState,
    PositionState,
    Seen,
    SeenKind,
    Standing,
)
from processors.records.trade import ExecutionReport, IntentKind, OrderEvent, TradeIntent

ACCOUNTS, ORDERS, POSITIONS, SEEN = "accounts", "orders", "positions", "seen"

Output = OrderEvent | LedgerEntry | Protection | Alert | Balance | Position
"""Records that leave on a topic."""

_Entry = TypeVar("_Entry", bound=Record)


class Table(Protocol):
    """What is needed of a table to read it; a dict is one."""

    def get(self, key: str, /) -> object:
        """Return the entry of a key, or None."""


@dataclass(frozen=True, slots=True)
class Step:
    """What one event came to."""

    view: View
    effects: tuple[Effect, ...]
    """All that was decided, in the order in which it was applied."""
    records: tuple[Output, ...]
    """What leaves on topics, in order: decisions, entries, protections, alerts, then snapshots."""
    writes: tuple[tuple[str, str, Record], ...]
    """Table, key and new entry of every entry that changed."""


def keys(event: Event) -> Keys:
    """Name the table entries that an event can touch.

    Args:
        event: any event of an account.
    Returns:
        Their keys.
    """
    account = event.account
    match event:
        case TradeIntent():
            cancel = event.kind is IntentKind.CANCEL
            order = event.target_order_id if cancel else order_id(account, event.intent_id)
            return Keys(
                account=account,
                order=f"{account}|{order}" if order else None,
                position=f"{account}|{event.instrument}",
            )
        case ExecutionReport():
            trade = event.trade_id or event.execution_id
            fill = event.execution_type in orders.TRADES
            return Keys(
                account=account,
                order=f"{account}|{event.order_id}",
                position=f"{account}|{event.instrument}",
                seen=f"{account}|{event.order_id}|{trade}" if fill else None,
            )
        case Transfer():
            return Keys(account=account, seen=f"{account}|transfer|{event.transfer_id}")
        case Control():
            return Keys(account=account, seen=f"{account}|control|{event.control_id}")
        case AgeCheck():
            return Keys(account=account, order=f"{account}|{event.order_id}")
        case _:
            assert_never(event)


def read(wanted: Keys, tables: Mapping[str, Table]) -> View:
    """Read the entries of an event from the tables.

    Args:
        wanted: from `keys`.
        tables: by name: accounts, orders, positions, seen.
    Returns:
        The view; an account that nothing has happened to yet is empty and ACTIVE.
    Raises:
        InvariantError: a table holds another record than its own.
    """

    def entry(name: str, key: str | None, model: type[_Entry]) -> _Entry | None:
        found = tables[name].get(key) if key is not None else None
        if found is None or isinstance(found, model):
            return found
        raise InvariantError("a table holds what is not its record", table=name, key=key)

    account = entry(ACCOUNTS, wanted.account, AccountState)
    return View(
        account=account or open_account(wanted.account),
        order=entry(ORDERS, wanted.order, OrderState),
        position=entry(POSITIONS, wanted.position, PositionState),
        seen=entry(SEEN, wanted.seen, Seen),
        keys=wanted,
    )


def decide(view: View, event: Event, context: Context) -> tuple[Effect, ...]:
    """Decide what an event comes to.

    Args:
        view: the entries that `keys` names.
        event: the event.
        context: time, rules, price, policy.
    Returns:
        Effects, to be applied in order by `evolve`; none if the event says nothing new.
    Raises:
        RuleViolation: the record is whole and contradicts itself or its order: dead-letter it.
    """
    match event:
        case TradeIntent():
            return decisions.decide(view, event, context)
        case ExecutionReport():
            return settlement.decide(view, event, context)
        case Transfer():
            return _transfer(view, event, context)
        case Control():
            return _control(view, event, context)
        case AgeCheck():
            return _age(view, event, context)
        case _:
            assert_never(event)


def evolve(view: View, effect: Effect) -> View:
    """Apply one effect; what only leaves on a topic or in the log changes nothing.

    Args:
        view: before it.
        effect: from `decide`.
    Returns:
        The view after it.
    """
    match effect:
        case LedgerEntry():
            return _with(view, account=funds.evolve(view.account, effect))
        case OrderState():
            return _with(view, order=effect)
        case PositionState():
            return _with(view, position=effect)
        case Seen():
            return _with(view, seen=effect)
        case Standing():
            account = view.account.but({"standing": effect})
            return _with(view, account=account)
        case OrderEvent() | Protection() | Alert() | Settlement():
            return view
        case _:
            assert_never(effect)


def step(view: View, event: Event, context: Context) -> Step:
    """Decide and apply one event, and say what is to be written and sent.

    Args:
        view: the entries that `keys` names.
        event: the event.
        context: time, rules, price, policy.
    Returns:
        The view after it, effects, records for topics, writes for tables.
    Raises:
        RuleViolation: as `decide`.
    """
    effects = decide(view, event, context)
    after = reduce(evolve, effects, view)
    outputs: list[Output] = [
        effect
        for effect in effects
        if isinstance(effect, OrderEvent | LedgerEntry | Protection | Alert)
    ]
    assets = sorted({effect.asset for effect in outputs if isinstance(effect, LedgerEntry)})
    outputs += [funds.snapshot(after.account, asset, context.now) for asset in assets]
    if after.position is not None and after.position is not view.position:
        outputs.append(positions.snapshot(after.position))
    return Step(after, effects, tuple(outputs), _writes(view.keys or keys(event), view, after))


def _with(
    view: View,
    account: AccountState | None = None,
    order: OrderState | None = None,
    position: PositionState | None = None,
    seen: Seen | None = None,
) -> View:
    """Put one entry into a view; spelled out because it is done for every effect."""
    return View(
        account or view.account,
        order or view.order,
        position or view.position,
        seen or view.seen,
        view.keys,
    )


def _writes(wanted: Keys, before: View, after: View) -> tuple[tuple[str, str, Record], ...]:
    found = (
        (ACCOUNTS, wanted.account, before.account, after.account),
        (ORDERS, wanted.order, before.order, after.order),
        (POSITIONS, wanted.position, before.position, after.position),
        (SEEN, wanted.seen, before.seen, after.seen),
    )
    return tuple(
        (table, key, new)
        for table, key, old, new in found
        if key is not None and new is not None and new is not old
    )


def _transfer(view: View, event: Transfer, context: Context) -> tuple[Effect, ...]:
    if view.seen is not None:
        return ()
    book = funds.Book(
        account=view.account,
        cause_id=event.transfer_id,
        market_time=event.created_time,
        now=context.now,
        transfer_id=event.transfer_id,
    )
    funds.transfer(book, event)
    standing, alerts = settlement.overdraft(book, view.account.standing)
    changed = (standing,) if standing is not view.account.standing else ()
    seen = _seen(event, SeenKind.TRANSFER, event.transfer_id)
    return (*book.entries, seen, *changed, *alerts)


def _control(view: View, event: Control, context: Context) -> tuple[Effect, ...]:
    """Halt, reduce or resume; an account in debt resumes to REDUCING."""
    if view.seen is not None:
        return ()
    before = view.account.standing.status
    match event.action:
        case ControlAction.HALT:
            status = AccountStatus.HALTED
        case ControlAction.REDUCE:
            status = AccountStatus.REDUCING
        case ControlAction.RESUME:
            debts = any(funds.available(view.account, asset) < 0 for asset in view.account.balances)
            status = AccountStatus.REDUCING if debts else AccountStatus.ACTIVE
        case _:
            assert_never(event.action)
    told = alert(
        "account_status",
        Severity.TICKET,
        "an operator has steered the account",
        context.now,
        account=event.account,
        action=event.action.value,
        actor=event.actor,
        reason=event.reason,
        before=before.value,
        status=status.value,
    )
    standing = view.account.standing.but({"status": status})
    return (_seen(event, SeenKind.CONTROL, event.control_id), standing, told)


def _seen(event: Transfer | Control, kind: SeenKind, identity: str) -> Seen:
    return Seen(
        account=event.account,
        kind=kind,
        identity=identity,
        quantity=ZERO,
        value=ZERO,
        fees={},
        cost_change=ZERO,
        realised_change=ZERO,
        market_time=event.created_time,
    )


def _age(view: View, event: AgeCheck, context: Context) -> tuple[Effect, ...]:
    """Raise one alert for a hold that is too old. It is asked for again, never released."""
    order = view.order
    if order is None or order.aged or not order.held:
        return ()
    age = context.now - order.updated_time
    if age <= event.max_age:
        return ()
    told = alert(
        "hold_old",
        Severity.TICKET,
        "a hold has waited long for word from the venue",
        context.now,
        account=order.account,
        order_id=order.order_id,
        asset=order.hold_asset,
        held=order.held,
        status=order.status.value,
        age_seconds=int(age.total_seconds()),
    )
    return (order.but({"aged": True}), told)
