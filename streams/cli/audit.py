"""`fillonce audit order`: one order's whole life, with the position of every step."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.cli.output import CliError, Exit, emit, note, options

if TYPE_CHECKING:
    from processors.records.base import Record
    from processors.records.trade import ExecutionReport, OrderEvent
    from streams.checks.trail import Found, Step, Trail

COLUMNS = ("step", "position", "schema", "record_time", "what")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

audit = typer.Typer(no_args_is_help=True, help="What happened, and why, by the topics alone.")


def register(app: typer.Typer) -> None:
    """Add the commands of this file.

    Args:
        app: the program.
    """
    app.add_typer(audit, name="audit", rich_help_panel="Replay and audit")


@audit.callback()
def _group() -> None:
    """Keep `order` a command of its own, though it is the only one so far."""


@audit.command("order")
def order(
    identity: Annotated[
        str,
        typer.Argument(
            metavar="ID",
            help="order_id, client_order_id, venue_order_id, trade_id, execution_id or intent_id.",
        ),
    ],
) -> None:
    """Show one order from the tick that closed its bar to its last ledger entry.

    Exit status: 0 shown, 2 no order or more than one has this id, 4 Kafka or registry unreachable.
    """
    from schemas.registry import HttpRegistry
    from streams.checks.decoding import Decoder
    from streams.checks.reading import Reader
    from streams.checks.trail import find
    from streams.cli.context import settings

    chosen = settings()
    section = chosen.registry
    secret = section.password.get_secret_value() if section.password else ""
    access = {"basic.auth.user.info": f"{section.user}:{secret}"} if section.user else {}
    decoder = Decoder(HttpRegistry(section.url, options=access))
    patience = options().timeout or 15.0
    with Reader(chosen.kafka.bootstrap, patience=patience, options=chosen.kafka_client) as reader:
        found = find(reader, decoder, identity)
    show(one_of(found, identity))
    for kind, account, order_id in found.others:
        note(f"{identity} is also a {kind} of order {order_id} of {account}")


def one_of(found: Found, identity: str) -> Trail:
    """Return the one trail that was meant.

    Args:
        found: all that the id names.
        identity: as typed.
    Raises:
        CliError: there is none, or more than one.
    """
    trails = found.trails
    if not trails:
        raise CliError(
            Exit.USAGE,
            "nothing has this id",
            "give an order_id, client_order_id, venue_order_id, trade_id or intent_id",
            {"id": identity},
        )
    if len(trails) > 1:
        raise CliError(
            Exit.USAGE,
            "more than one order has this id",
            "give one of these order ids",
            {
                "id": identity,
                "kind": found.kind,
                "orders": "\n".join(f"{t.account} {t.order_id}" for t in trails),
            },
        )
    return trails[0]


def show(trail: Trail) -> None:
    """Write a trail as it was asked for.

    Args:
        trail: of one order.
    """
    rows = [
        {
            "step": step.stage,
            "position": step.row.place,
            "schema": step.schema_id,
            "record_time": _time(step),
            "what": words(step.record),
        }
        for step in trail.steps
    ]
    document = {
        "account": trail.account,
        "order_id": trail.order_id,
        "status": trail.status,
        "missing": trail.missing,
        "steps": [_plain(step) for step in trail.steps],
    }
    title = f"order {trail.order_id or '(none)'} of {trail.account}: {trail.status}"
    emit(rows, columns=COLUMNS, document=document, title=title)
    for place in trail.missing:
        note(f"{place} is named as a cause and is not kept any more")


def _plain(step: Step) -> dict[str, Any]:
    cause = step.row.cause
    return {
        "stage": step.stage,
        "topic": step.row.topic,
        "partition": step.row.partition,
        "offset": step.row.offset,
        "schema_id": step.schema_id,
        "record_name": type(step.record).avro_name,
        "record_time": _time(step),
        "cause": None if cause is None else step.row.header("cause"),
        "record": _short(step.record.model_dump()),
    }


def _short(value: Any) -> Any:
    """Write amounts without the zeros that their scale of 18 places adds."""
    match value:
        case Decimal():
            return _n(value)
        case Mapping():
            return {name: _short(each) for name, each in value.items()}
        case tuple() | list():
            return [_short(each) for each in value]
        case _:
            return value


def _time(step: Step) -> str:
    moment = _EPOCH + timedelta(milliseconds=step.row.timestamp_ms)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def words(record: Record) -> str:
    """Say in one line what a record states.

    Args:
        record: of any step.
    """
    from processors.records.ledger import LedgerEntry
    from processors.records.market import Bar, IndicatorSet, Tick
    from processors.records.trade import ExecutionReport, OrderEvent, Signal, TradeIntent

    match record:
        case Tick():
            return (
                f"trade {record.trade_id}: {_n(record.quantity)} at {_n(record.price)}, "
                f"{record.execution_time:%Y-%m-%d %H:%M:%S}"
            )
        case Bar():
            return (
                f"{record.interval} s bar closed {record.close_time:%Y-%m-%d %H:%M:%S} "
                f"at {_n(record.close)}, {record.trades} trades"
            )
        case IndicatorSet():
            return _values(record.values)
        case Signal():
            return f"{record.side} by {record.strategy} at {_n(record.price)}; {_values(record.values)}"
        case TradeIntent():
            return _intent(record)
        case OrderEvent():
            return _decision(record)
        case ExecutionReport():
            return _report(record)
        case LedgerEntry():
            return (
                f"{record.kind} {_n(record.amount)} {record.asset} ({record.cause}); "
                f"total {_n(record.total_after)}, held {_n(record.held_after)}"
            )
        case _:
            return ""


def _intent(record: Any) -> str:
    if record.quantity is not None:
        size = f"quantity {_n(record.quantity)}"
    elif record.quote_quantity is not None:
        size = f"quote quantity {_n(record.quote_quantity)}"
    elif record.sizing is not None:
        fraction = record.sizing.fraction or record.sizing.notional
        size = f"{_n(fraction)} of {record.sizing.kind}" if record.sizing.fraction else _n(fraction)
    else:
        size = "what is owned"
    price = f", expected price {_n(record.expected_price)}" if record.expected_price else ""
    guarded = f", guards {record.target_order_id}" if record.target_order_id else ""
    return f"{record.kind} {record.side} {record.instrument}, {size}{price}{guarded}"


def _decision(record: OrderEvent) -> str:
    asked = f"{record.kind} {record.side}"
    if record.quantity:
        asked += f" {_n(record.quantity)}"
    elif record.quote_quantity is not None:
        asked += f" for {_n(record.quote_quantity)}"
    asked += f" at {_n(record.price)}" if record.price is not None else ""
    reason = f": {record.reason.value.lower()}, {record.detail}" if record.reason else ""
    held = f"; holds {_n(record.hold_amount)} {record.hold_asset}" if record.hold_asset else ""
    price = (
        f"; price {_n(record.expected_price)} by {record.price_source}, {record.price_age} ms old"
        if record.price_source
        else "; no price"
    )
    return (
        f"{asked}{reason}{held}{price}; rules {record.rules_version or 'none'}, "
        f"policy {record.policy_version}"
    )


def _report(record: ExecutionReport) -> str:
    told = f"{record.execution_type} {record.status}"
    if record.status == "SUBMITTED":
        told += f" as {record.client_order_id}"
    if record.last_quantity:
        fees = ", ".join(f"{_n(fee.amount)} {fee.asset}" for fee in record.fees) or "none"
        told += (
            f": trade {record.trade_id}, {_n(record.last_quantity)} at {_n(record.last_price)}, "
            f"fee {fees}"
        )
    filled = f"; filled {_n(record.filled_quantity)}" if record.filled_quantity else ""
    venue = f"; venue order {record.venue_order_id}" if record.venue_order_id else ""
    reason = f"; {record.reason.value.lower()}" if record.reason else ""
    return f"{told}{filled}{venue}{reason}"


def _values(values: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.6g}" for name, value in values.items())


def _n(amount: Any) -> str:
    from processors import money

    return "-" if amount is None else money.text(amount)
