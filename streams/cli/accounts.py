"""`fillonce accounts`: policies and opening balances as records."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.cli.context import codecs_of, settings
from streams.cli.output import emit, note

if TYPE_CHECKING:
    from processors.records.base import Record
    from schemas.codec import Codecs
    from streams.settings import Settings

COLUMNS = ("account", "record", "action", "version", "detail")
LISTED = ("account", "version", "sizing", "subscriptions", "asset", "total", "held", "available")

accounts = typer.Typer(no_args_is_help=True, help="Accounts: their policies and balances.")
AccountsFile = Annotated[Path, typer.Argument(exists=True, dir_okay=False, metavar="FILE")]


def register(app: typer.Typer) -> None:
    """Add the commands of this file.

    Args:
        app: the program.
    """
    app.add_typer(accounts, name="accounts", rich_help_panel="Pipeline")


@accounts.command("plan")
def plan(file: AccountsFile) -> None:
    """Tell what `accounts apply` would send.

    Exit status: 0 told, 2 the file or the settings are wrong, 4 no answer.
    """
    chosen = settings()
    rows, records = _changes(file, chosen, codecs_of(chosen))
    emit(rows, columns=COLUMNS)
    note(f"{len(records)} records would be sent")


@accounts.command("apply")
def apply(file: AccountsFile) -> None:
    """Send policies that differ from the newest committed ones, and opening balances once.

    Exit status: 0 sent, or nothing to send; 2 the file or the settings are wrong; 4 no answer.
    """
    from streams.cli.sending import send_all

    chosen = settings()
    codecs = codecs_of(chosen)
    rows, records = _changes(file, chosen, codecs)
    send_all(chosen, codecs, records)
    emit(rows, columns=COLUMNS)
    note(f"{len(records)} records sent" if records else "nothing to change")


@accounts.command("list")
def list_() -> None:
    """List policies and balances, as they are committed.

    Exit status: 0 listed, 2 settings, 4 no answer.
    """
    from streams import topics
    from streams.cli.reading import newest

    chosen = settings()
    codecs = codecs_of(chosen)
    balances = newest(chosen, codecs, topics.BALANCE)
    policies = newest(chosen, codecs, topics.POLICY)
    rows: list[dict[str, object]] = []
    for name in sorted({*policies, *(each.account for each in balances.values())}):
        policy = policies.get(name)
        head = {
            "account": name,
            "version": policy.version if policy else None,
            "sizing": _sizing(policy) if policy else None,
            "subscriptions": [each.strategy for each in policy.subscriptions] if policy else [],
        }
        owned = [each for each in balances.values() if each.account == name]
        rows += [
            {
                **head,
                "asset": each.asset,
                "total": each.total,
                "held": each.held,
                "available": each.available,
            }
            for each in owned
        ] or [head]
    emit([_plain(row) for row in rows], columns=LISTED)


def _plain(row: dict[str, object]) -> dict[str, object]:
    from decimal import Decimal

    from processors import money

    return {k: money.text(v) if isinstance(v, Decimal) else v for k, v in row.items()}


def _sizing(policy: Any) -> str:
    from processors import money

    sizing = policy.sizing
    amount = sizing.notional if sizing.kind == "NOTIONAL" else sizing.fraction
    return f"{money.text(amount)} {sizing.kind.value}"


def _changes(
    file: Path, chosen: Settings, codecs: Codecs
) -> tuple[list[dict[str, object]], list[Record]]:
    """Return rows for people, and the records to send: money before the policy that spends it."""
    from processors import money
    from streams import topics
    from streams.cli import policies
    from streams.cli.reading import newest, records

    wanted = policies.read(file, datetime.now(UTC))
    known = newest(chosen, codecs, topics.POLICY)
    opened = {
        record.transfer_id
        for _, record in records(chosen, codecs, topics.TRANSFER)
        if record is not None
    }
    rows: list[dict[str, object]] = []
    changes: list[Record] = []
    for name, account in wanted.items():
        for transfer in account.transfers:
            if transfer.transfer_id in opened:
                continue
            detail = f"{money.text(transfer.amount)} {transfer.asset}"
            rows.append(_row(name, "opening", "send", None, detail))
            changes.append(transfer)
        policy = policies.succeed(account.policy, known.get(name))
        if policy is not None:
            action = "create" if policy.version == 1 else "change"
            rows.append(_row(name, "policy", action, policy.version, _sizing(policy)))
            changes.append(policy)
    return rows, changes


def _row(
    account: str, record: str, action: str, version: int | None, detail: str
) -> dict[str, object]:
    return {
        "account": account,
        "record": record,
        "action": action,
        "version": version,
        "detail": detail,
    }
