"""`fillonce doctor`: is all as it should be, and if not, what is to be done?"""

from __future__ import annotations

from typing import Annotated

import typer

from streams.cli.context import settings
from streams.cli.output import Exit, emit

COLUMNS = ("check", "result", "seen", "advice")


def register(app: typer.Typer) -> None:
    """Add the command of this file.

    Args:
        app: the program.
    """
    app.command(rich_help_panel="Tools")(doctor)


def doctor(
    quick: Annotated[
        bool, typer.Option("--quick", help="Only what is told within seconds.")
    ] = False,
) -> None:
    """Check settings, broker, registry, topics, lag, dead letters, holds and orders.

    Exit status: 0 all ok or only warnings, 2 settings, 3 something failed, 4 Kafka or the registry
    cannot be reached.
    """
    from streams.cli import checkup

    chosen = settings()
    found = checkup.run(chosen, quick=quick, timeout=_timeout())
    rows = [
        {"check": one.name, "result": one.result.value, "seen": one.seen, "advice": one.advice}
        for one in found
    ]
    worst = checkup.worst(found)
    emit(rows, columns=COLUMNS, document={"result": worst.value, "checks": rows})
    if any(one.unreachable for one in found):
        raise typer.Exit(Exit.UNREACHABLE)
    if worst is checkup.Result.FAIL:
        raise typer.Exit(Exit.FOUND)


def _timeout() -> float:
    from streams.cli.output import options

    return options().timeout or 5.0
