"""`fillonce holds`: what is held, by which order, and for how long."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from streams.cli.context import codecs_of, settings
from streams.cli.output import emit, note

if TYPE_CHECKING:
    from processors.records.state_account import OrderState
    from schemas.codec import Codecs
    from streams.settings import Settings

COLUMNS = (
    "account",
    "order_id",
    "asset",
    "held",
    "placed",
    "status",
    "age_seconds",
    "created_time",
)

holds = typer.Typer(no_args_is_help=True, help="Holds on balances; they end by facts only.")


def register(app: typer.Typer) -> None:
    """Add the commands of this file.

    Args:
        app: the program.
    """
    app.add_typer(holds, name="holds", rich_help_panel="Trading")


@holds.command("list")
def list_(account: Annotated[str | None, typer.Option(help="Only this account's.")] = None) -> None:
    """List every hold, the oldest first.

    Exit status: 0 listed, 2 settings, 4 no answer.
    """
    from processors import money

    chosen = settings()
    now = datetime.now(UTC)
    rows = [
        {
            "account": order.account,
            "order_id": order.order_id,
            "asset": order.hold_asset,
            "held": money.text(order.held),
            "placed": money.text(order.placed),
            "status": order.status.value,
            "age_seconds": round((now - order.created_time).total_seconds(), 1),
            "created_time": order.created_time,
        }
        for order in held(chosen, codecs_of(chosen))
        if account in {None, order.account}
    ]
    emit(rows, columns=COLUMNS)
    note(f"{len(rows)} holds")


def held(chosen: Settings, codecs: Codecs) -> list[OrderState]:
    """Return the orders that hold something, the oldest first.

    Args:
        chosen: settings of the process.
        codecs: of the process.
    """
    from streams import topics
    from streams.cli.reading import newest

    found = newest(chosen, codecs, topics.changelog("risk_manager", "orders")).values()
    return sorted(
        (order for order in found if order.held),
        key=lambda order: (order.created_time, order.account, order.order_id),
    )
