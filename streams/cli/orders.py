"""`fillonce orders`: every order as risk_manager knows it, and the records of one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.cli.context import codecs_of, settings
from streams.cli.output import CliError, Exit, emit

if TYPE_CHECKING:
    from processors.records.state_account import OrderState

COLUMNS = (
    "order_id", "account", "instrument", "side", "kind", "status", "reason", "quantity",
    "filled_quantity", "total_value", "held", "hold_asset", "market_time",
)  # fmt: skip
STEPS = ("topic", "partition", "offset", "time", "what", "status", "detail")

orders = typer.Typer(no_args_is_help=True, help="Orders, as they are committed.")


def register(app: typer.Typer) -> None:
    """Add the commands of this file.

    Args:
        app: the program.
    """
    app.add_typer(orders, name="orders", rich_help_panel="Trading")


@orders.command("list")
def list_(
    account: Annotated[str | None, typer.Option(help="Only this account's.")] = None,
    status: Annotated[
        str | None, typer.Option(help="Only those, such as FILLED or DENIED.")
    ] = None,
    open_only: Annotated[
        bool, typer.Option("--open", help="Only those that are not over.")
    ] = False,
) -> None:
    """List orders: denied, open and done.

    Exit status: 0 listed, 2 settings, 4 no answer.
    """
    from processors import orders as core

    found = [
        order
        for order in _orders()
        if account in {None, order.account}
        and (status is None or order.status.value == status.upper())
        and not (open_only and core.is_terminal(order.status))
    ]
    emit([row(order) for order in found], columns=COLUMNS)


@orders.command("show")
def show(order_id: Annotated[str, typer.Argument(help="Its id, or the start of it.")]) -> None:
    """Show one order: its decision and every report, with topic, partition and offset.

    Exit status: 0 shown, 2 settings or no such order, 4 no answer.
    """
    from streams import topics
    from streams.cli.reading import records

    found = [order for order in _orders() if order.order_id.startswith(order_id)]
    if len(found) != 1:
        raise CliError(
            Exit.USAGE,
            "there is no such order" if not found else "more than one order begins so",
            "`fillonce orders list` has them all",
            {"order_id": order_id, "found": len(found)},
        )
    chosen = settings()
    codecs = codecs_of(chosen)
    steps: list[dict[str, object]] = []
    for topic in (topics.ORDER, topics.EXECUTION):
        for message, record in records(chosen, codecs, topic):
            if record is None or found[0].order_id not in {
                record.order_id,
                getattr(record, "target_order_id", None),
            }:
                continue
            steps.append(_step(message, record))
    emit(steps, columns=STEPS, document={"order": row(found[0]), "steps": steps})


def row(order: OrderState) -> dict[str, object]:
    """Return an order as a row of a result.

    Args:
        order: as risk_manager's table has it.
    """
    from processors import money

    return {
        "order_id": order.order_id,
        "account": order.account,
        "instrument": order.instrument,
        "side": order.side.value,
        "kind": order.intent_kind.value,
        "status": order.status.value,
        "reason": order.reason.value.lower() if order.reason else None,
        "quantity": money.text(order.quantity),
        "filled_quantity": money.text(order.filled_quantity),
        "total_value": money.text(order.total_value),
        "held": money.text(order.held),
        "hold_asset": order.hold_asset,
        "market_time": order.market_time,
    }


def _orders() -> list[OrderState]:
    from streams import topics
    from streams.cli.reading import newest

    chosen = settings()
    table = topics.changelog("risk_manager", "orders")
    found = newest(chosen, codecs_of(chosen), table).values()
    return sorted(found, key=lambda order: (order.created_time, order.account, order.order_id))


def _step(message: Any, record: Any) -> dict[str, object]:
    from processors import money

    decision = message.topic == "trade.order"
    if decision:
        detail = record.detail or f"holds {money.text(record.hold_amount)} {record.hold_asset}"
    elif record.last_quantity:
        detail = f"{money.text(record.last_quantity)} at {money.text(record.last_price)}"
    else:
        detail = record.venue_raw_status or ""
    return {
        "topic": message.topic,
        "partition": message.partition,
        "offset": message.offset,
        "time": record.created_time,
        "what": record.kind.value if decision else record.execution_type.value,
        "status": record.kind.value if decision else record.status.value,
        "detail": detail,
    }
