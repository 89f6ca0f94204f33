"""`fillonce topics`: broker and registry against the catalogue."""

from __future__ import annotations

import typer

from streams.cli.context import settings
from streams.cli.output import CliError, Exit, confirm, emit, note

COLUMNS = ("kind", "name", "action", "setting", "found", "wanted")

topics = typer.Typer(no_args_is_help=True, help="Topics and schemas, as the catalogue has them.")


def register(app: typer.Typer) -> None:
    """Add the commands of this file.

    Args:
        app: the program.
    """
    app.add_typer(topics, name="topics", rich_help_panel="Pipeline")


@topics.command("plan")
def plan() -> None:
    """Tell what `topics apply` would change.

    Exit status: 0 nothing, 3 something would change or is wrong, 2 settings, 4 no answer.
    """
    from streams.app import registry_of
    from streams.cli.provision import schema_changes, topic_changes

    chosen = settings()
    changes = [*topic_changes(chosen), *schema_changes(registry_of(chosen))]
    emit([change.row() for change in changes], columns=COLUMNS)
    note(f"{len(changes)} differences; shortest retention of inputs is 30 days: what is older")
    note("than that can be verified by digest only, not replayed")
    if changes:
        raise typer.Exit(Exit.FOUND)


@topics.command("apply")
def apply() -> None:
    """Create topics, set their settings, register schemas; counts of partitions are never changed.

    Exit status: 0 all is as the catalogue says, 2 settings, 4 no answer, 5 a topic has another
    count of partitions: nothing is done then.
    """
    from streams.app import registry_of
    from streams.cli import provision

    chosen = settings()
    registry = registry_of(chosen)
    admin = provision.admin_of(chosen)
    changes = provision.topic_changes(chosen, admin)
    refused = [change for change in changes if change.action is provision.Action.REFUSED]
    if refused:
        raise CliError(
            Exit.REFUSED,
            "a topic has another count of partitions, and none is ever changed under its data",
            "set `partitions` to what is there, or remove the topic and its state",
            {one.name: f"{one.found}, not {one.wanted}" for one in refused},
        )
    schemas = provision.schema_changes(registry)
    everything = [*changes, *schemas]
    if any(change.action is not provision.Action.REGISTER for change in everything) and _is_asked():
        confirm(f"Make {len(everything)} changes?")
    provision.apply_topics(chosen, changes, admin)
    provision.apply_schemas(registry, schemas)
    emit([change.row() for change in everything], columns=COLUMNS)
    note(f"{len(everything)} changes made" if everything else "nothing to change")


def _is_asked() -> bool:
    """Ask only where somebody sits: scripts say what they want by running it."""
    import sys

    return sys.stdin is not None and sys.stdin.isatty()
