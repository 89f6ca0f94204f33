"""Is every intent decided once, every order ended, every fill the venue's and booked once?"""

from __future__ import annotations

from collections import Counter
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Final

from processors import money
from processors.records.ledger import EntryKind
from processors.records.trade import (
    ExecutionReport,
    ExecutionType,
    IntentKind,
    OrderEvent,
    OrderEventKind,
    Reason,
    Status,
)
from streams.checks.check import Check, verdict
from streams.checks.history import TERMINAL, History
from streams.checks.venue import VenueLedger

ZERO: Final = Decimal(0)
_MOVES: Final = frozenset({EntryKind.TRADE_LEG, EntryKind.FEE_LEG, EntryKind.REVERSAL})
Trade = tuple[str, str]
"""Account and trade_id."""


def decisions(history: History) -> Check:
    """Each intent record has exactly one decision, and no intent id two reservations."""
    asked = Counter((intent.account, intent.intent_id) for intent in history.intents)
    answered = Counter((order.account, order.intent_id) for order in history.orders)
    reserved = Counter(
        (order.account, order.intent_id)
        for order in history.orders
        if order.kind is OrderEventKind.RESERVED
    )
    problems = [] if asked else ["there is no intent"]
    problems += [
        f"{key[0]} intent {key[1]}: asked {asked[key]} times, decided {answered[key]} times"
        for key in sorted({*asked, *answered})
        if asked[key] != answered[key]
    ]
    problems += [
        f"{key[0]} intent {key[1]}: {count} reservations"
        for key, count in sorted(reserved.items())
        if count > 1
    ]
    kinds = Counter(order.kind.value for order in history.orders)
    told = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
    return verdict(
        "one_decision_per_intent", problems, f"{len(history.intents)} intents, decided: {told}"
    )


def terminal(history: History) -> Check:
    """Every order reserved has a terminal report."""
    ended = {report.order_id: report.status for report in history.reports if _ends(report)}
    reserved = _reserved(history)
    problems = [
        f"{order.account} order {order_id} has no terminal report"
        for order_id, order in sorted(reserved.items())
        if order_id not in ended
    ]
    statuses = Counter(ended[order_id].value for order_id in reserved if order_id in ended)
    told = ", ".join(f"{count} {status}" for status, count in sorted(statuses.items()))
    return verdict("orders_ended", problems, f"{len(reserved)} orders: {told or 'none'}")


def venue_orders(history: History, venue: VenueLedger) -> Check:
    """The venue holds exactly the orders that were sent, less those it never took.

    Sent are those with a SUBMITTED report. Not taken are those proven absent (NOT_PLACED) and
    those that it refused on receipt, which therefore have no venue_order_id.
    """
    sent = {(r.account, r.client_order_id) for r in history.reports if r.status is Status.SUBMITTED}
    absent = {key for key in not_placed(history) if key in sent}
    known = {(r.account, r.client_order_id) for r in history.reports if r.venue_order_id}
    refused = {
        (r.account, r.client_order_id)
        for r in history.reports
        if r.status is Status.REJECTED and r.reason is not Reason.NOT_PLACED
    } & (sent - known)
    expected = sent - absent - refused
    there = Counter((order.account, order.client_order_id) for order in venue.orders)
    problems = [f"{a} client order {c} was sent and is not there" for a, c in expected - {*there}]
    problems += [f"{a} client order {c} is there and was not sent" for a, c in {*there} - expected]
    problems += [
        f"{a} client order {c} is there {count} times"
        for (a, c), count in there.items()
        if count > 1
    ]
    return verdict(
        "venue_orders",
        sorted(problems),
        f"{len(venue.orders)} at the venue = {len(sent)} submitted - {len(absent)} not placed "
        f"- {len(refused)} refused",
    )


def creates(venue: VenueLedger) -> Check:
    """No client order id reached the venue in more than one create call."""
    problems = [
        f"{account} client order {client}: {count} create calls"
        for (account, client), count in sorted(venue.creates.items())
        if count > 1
    ]
    return verdict("one_create_per_order", problems, f"{len(venue.creates)} create calls")


def fills(history: History, venue: VenueLedger) -> Check:
    """Our fills are the venue's trades: same ids, prices, quantities and fees."""
    ours = {
        trade: (
            report.venue_order_id or "",
            report.last_price or ZERO,
            report.last_quantity,
            tuple(sorted((fee.asset, fee.amount) for fee in report.fees if fee.amount)),
        )
        for trade, report in _trades(history).items()
    }
    theirs = {
        (trade.account, trade.trade_id): (
            trade.venue_order_id,
            trade.price,
            trade.quantity,
            ((trade.fee_asset, trade.fee),) if trade.fee else (),
        )
        for trade in venue.trades
    }
    problems = []
    for key in sorted({*ours, *theirs}):
        name = f"{key[0]} trade {key[1]}"
        if key not in ours:
            problems.append(f"{name} is not ours")
        elif key not in theirs:
            problems.append(f"{name} is not the venue's")
        elif ours[key] != theirs[key]:
            problems.append(f"{name} differs")
    return verdict("fills_equal_venue", problems, f"{len(ours)} fills equal the venue's trades")


def booked_once(history: History) -> Check:
    """Each fill reported has its legs in the ledger once, whatever came twice; no other has any."""
    legs: Counter[tuple[str, str, str]] = Counter()
    for entry in history.entries:
        trade = (entry.account, entry.trade_id or "", entry.asset)
        if entry.kind is EntryKind.TRADE_LEG:
            legs[trade] += 1
        elif entry.kind is EntryKind.REVERSAL and entry.cause == EntryKind.TRADE_LEG:
            legs[trade] -= 1
    ids = Counter(entry.entry_id for entry in history.entries)
    facts = Counter(report.execution_id for report in history.reports)
    trades = _trades(history)
    booked = {(account, trade) for account, trade, _ in legs}
    problems = [f"entry_id {name} stands {count} times" for name, count in ids.items() if count > 1]
    problems += [
        f"{account} trade {trade}: {count} legs of {asset}"
        for (account, trade, asset), count in sorted(legs.items())
        if count != 1
    ]
    problems += [f"{a} trade {t} is reported and not booked" for a, t in sorted({*trades} - booked)]
    problems += [f"{a} trade {t} is booked and not reported" for a, t in sorted(booked - {*trades})]
    return verdict(
        "executions_booked_once",
        problems,
        f"{len(trades)} fills booked once; {len(facts)} facts in {len(history.reports)} reports",
    )


def settled_at_cost(history: History, venue: VenueLedger) -> Check:
    """What each trade moved in our ledger is what it cost at the venue, fees included."""
    symbols = {(o.account, o.client_order_id): o.symbol for o in history.orders}
    clients = {(o.account, o.venue_order_id): o.client_order_id for o in venue.orders}
    expected: dict[tuple[str, str, str], Decimal] = {}
    for trade in venue.trades:
        client = clients.get((trade.account, trade.venue_order_id), "")
        base, _, quote = symbols.get((trade.account, client), "/").partition("/")
        exact = money.multiply(trade.price, trade.quantity)
        value = money.quantize(exact, money.SCALE, ROUND_HALF_EVEN)
        moves = [(base, trade.quantity), (quote, value.copy_negate())]
        if not trade.buys:
            moves = [(asset, amount.copy_negate()) for asset, amount in moves]
        for asset, amount in (*moves, (trade.fee_asset, trade.fee.copy_negate())):
            key = (trade.account, trade.trade_id, asset)
            expected[key] = money.add(expected.get(key, ZERO), amount)
    found: dict[tuple[str, str, str], Decimal] = {}
    for entry in history.entries:
        if entry.kind in _MOVES and entry.trade_id is not None:
            key = (entry.account, entry.trade_id, entry.asset)
            found[key] = money.add(found.get(key, ZERO), entry.amount)
    problems = [
        f"{key[0]} trade {key[1]} {key[2]}: booked {money.text(found.get(key, ZERO))}, "
        f"the venue {money.text(expected.get(key, ZERO))}"
        for key in sorted({*expected, *found})
        if found.get(key, ZERO) != expected.get(key, ZERO)
    ]
    return verdict("settled_at_cost", problems, f"{len(venue.trades)} trades at actual cost")


def not_placed(history: History) -> set[tuple[str, str]]:
    """Return account and client order id of the orders that were proven absent."""
    return {
        (report.account, report.client_order_id)
        for report in history.reports
        if report.status is Status.REJECTED and report.reason is Reason.NOT_PLACED
    }


def _ends(report: ExecutionReport) -> bool:
    return report.status in TERMINAL


def _reserved(history: History) -> dict[str, OrderEvent]:
    return {
        order.order_id: order
        for order in history.orders
        if order.kind is OrderEventKind.RESERVED and order.intent_kind is not IntentKind.CANCEL
    }


def _trades(history: History) -> dict[Trade, ExecutionReport]:
    """The fills reported, each once; a correction replaces its fill, a bust takes it away."""
    found: dict[Trade, ExecutionReport] = {}
    for report in history.reports:
        key = (report.account, report.trade_id or "")
        if report.execution_type is ExecutionType.TRADE:
            found.setdefault(key, report)
        elif report.execution_type is ExecutionType.TRADE_CORRECT:
            found[key] = report
        elif report.execution_type is ExecutionType.TRADE_CANCEL:
            found.pop(key, None)
    return found
