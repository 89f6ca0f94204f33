"""`fillonce run`: one processor in this process, or several under a supervisor."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.cli.context import json_logs, settings
from streams.cli.output import CliError, Exit, note, options

if TYPE_CHECKING:
    from streams.settings import Settings


def register(app: typer.Typer) -> None:
    """Add the command of this file.

    Args:
        app: the program.
    """
    app.command(rich_help_panel="Pipeline")(run)


def run(
    processor: Annotated[
        list[str] | None,
        typer.Argument(help="data_collection, technical_analysis, strategy ...; all if none."),
    ] = None,
    app: Annotated[
        str | None, typer.Option("--app", metavar="MODULE:APP", help="Any app on the engine.")
    ] = None,
    instance_id: Annotated[
        str | None, typer.Option(help="Slot in the group; one that no other worker has.")
    ] = None,
    until_idle: Annotated[
        bool, typer.Option("--until-idle", help="Stop when all input has been worked off.")
    ] = False,
    web_port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Port of the app's web server.")
    ] = None,
) -> None:
    """Run processors: one in this process, several in a process each, restarted when they crash.

    SIGTERM ends the batch in hand and stops, producers of work before their consumers.

    Exit status: 0 stopped or idle, 1 failed, 2 called wrongly, 4 a service cannot be reached,
    65 a record fails and the policy is to stop, or too many are dead letters, 70 another worker
    holds the slot, 75 start me again.
    """
    if app is not None:
        if processor:
            raise typer.BadParameter("name processors, or give --app")
        status = _outside(app, until_idle=until_idle, web_port=web_port)
    else:
        chosen = settings(instance_id=instance_id)
        names = _names(processor, chosen)
        _require_topics(chosen, names)
        if len(names) == 1:
            status = _alone(names[0], chosen, until_idle=until_idle, web_port=web_port)
        else:
            if web_port is not None:
                raise typer.BadParameter("a web port is one processor's: run it alone")
            status = _supervised(names, chosen, until_idle=until_idle)
    raise typer.Exit(status)


def _names(asked: list[str] | None, chosen: Settings) -> list[str]:
    """Return the processors to run, producers of work first; by default all that are configured."""
    from streams.topics import PROCESSORS

    unknown = sorted(set(asked or ()) - set(PROCESSORS))
    if unknown:
        raise CliError(
            Exit.USAGE,
            "there is no such processor",
            f"one of {', '.join(PROCESSORS)}",
            {"name": unknown[0]},
        )
    if asked:
        return [name for name in PROCESSORS if name in asked]
    without = set()
    if chosen.source.kind == "none" and chosen.venue.kind == "none":
        without.add("data_collection")
    if chosen.venue.kind == "none":
        without.add("execution")
    for name in sorted(without):
        note(f"{name} is left out: neither source nor venue is configured for it")
    return [name for name in PROCESSORS if name not in without]


def _require_topics(chosen: Settings, names: list[str]) -> None:
    from streams.cli.provision import require_topics

    require_topics(chosen, names)


def _alone(name: str, chosen: Settings, *, until_idle: bool, web_port: int | None) -> int:
    from streams import log
    from streams.app import build_app, registry_of
    from streams.cli.serve import serve
    from streams.serde import pipeline_codecs
    from streams.settle import Settled

    log.configure(json=json_logs(), verbosity=options().verbosity, processor=name)
    settled = None
    if name == "data_collection" and chosen.source.pace == "settled":
        settled = Settled(chosen, pipeline_codecs(registry_of(chosen)))
    built = build_app(name, chosen, wait_settled=None if settled is None else settled.wait)
    return serve(built, until_idle=until_idle, web_port=web_port)


def _outside(path: str, *, until_idle: bool, web_port: int | None) -> int:
    from streams import log
    from streams.cli.replay import load_app
    from streams.cli.serve import serve

    log.configure(json=json_logs(), verbosity=options().verbosity)
    found: Any = load_app(path)
    return serve(found, until_idle=until_idle, web_port=web_port)


def _supervised(names: list[str], chosen: Settings, *, until_idle: bool) -> int:
    from streams import log
    from streams.app import registry_of
    from streams.cli.idle import Idle
    from streams.cli.supervisor import Supervisor, command_of
    from streams.serde import pipeline_codecs

    log.configure(json=json_logs(), verbosity=options().verbosity)
    flags = ["--log-format", "json" if json_logs() else "text"]
    flags += ["-q"] if options().verbosity < 0 else ["-v"] * options().verbosity
    commands = {
        name: command_of(name, "--instance-id", chosen.instance_id, *flags) for name in names
    }
    idle = None
    if until_idle:
        idle = Idle(chosen, pipeline_codecs(registry_of(chosen)), names)
    return Supervisor(commands, dict(os.environ), idle).run()
