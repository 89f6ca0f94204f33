"""`fillonce config`: the settings as they are resolved, secrets masked."""

from __future__ import annotations

from typing import Annotated

import typer

from streams.cli.context import resolved
from streams.cli.output import emit, note, to_json

config = typer.Typer(no_args_is_help=True, help="Settings: where they come from, what they are.")


def register(app: typer.Typer) -> None:
    """Add the commands of this file.

    Args:
        app: the program.
    """
    app.add_typer(config, name="config", rich_help_panel="Tools")


@config.command("show")
def show(
    origin: Annotated[bool, typer.Option("--origin", help="Tell which source won.")] = False,
) -> None:
    """Show every setting; secrets are masked.

    Exit status: 0 shown, 2 a setting is wrong.
    """
    from streams.origins import flat

    chosen, origins = resolved()
    masked = chosen.masked()
    rows: list[dict[str, object]] = [
        {"setting": name, "value": value, **({"origin": _origin(name, origins)} if origin else {})}
        for name, value in flat(masked).items()
    ]
    columns = ("setting", "value", "origin") if origin else ("setting", "value")
    emit(rows, columns=columns, document=rows if origin else masked)


@config.command("check")
def check() -> None:
    """Check the settings, and whether they fit every processor; nothing is started or asked.

    Exit status: 0 all is right, 2 something is wrong.
    """
    from streams.agents.technical_analysis import config_of

    chosen, origins = resolved()
    config_of(chosen)
    rows = [{"setting": name, "origin": source} for name, source in sorted(origins.items())]
    emit(rows, columns=("setting", "origin"), document={"valid": True, "given": rows})
    note("the settings are right")


@config.command("schema")
def schema() -> None:
    """Print the JSON Schema of the settings, for editors.

    Exit status: 0.
    """
    from streams.settings import Settings

    typer.echo(to_json(Settings.model_json_schema(), indent=2))


def _origin(name: str, origins: dict[str, str]) -> str:
    """Return the source of a value; one inside a list or table was given with the whole of it."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        found = origins.get(".".join(parts[:length]))
        if found is not None:
            return found
    return "default"
