"""`fillonce replay verify`: is what stands in the topics what the code derives from history?"""

from __future__ import annotations

import asyncio
import sys
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.cli.output import CliError, Exit, Progress, emit, note, options

if TYPE_CHECKING:
    from streams.replay.verify import Report

PROCESSORS = ("technical_analysis", "strategy", "risk_manager", "execution")
"""The re-derivable ones: a source's topic is its own record."""

replay = typer.Typer(no_args_is_help=True, help="Re-derive history and compare it, byte for byte.")


def register(app: typer.Typer) -> None:
    """Add the commands of this file.

    Args:
        app: the program.
    """
    app.add_typer(replay, name="replay", rich_help_panel="Replay and audit")


@replay.command("verify")
def verify(
    processors: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[PROCESSOR]...",
            help="Of the pipeline; all four re-derivable ones if not given.",
        ),
    ] = None,
    app: Annotated[
        list[str] | None,
        typer.Option("--app", help="MODULE:APP of any app on the engine, instead."),
    ] = None,
    partition: Annotated[
        list[int] | None,
        typer.Option("--partition", min=0, help="Only this one; may be given again."),
    ] = None,
    cross_version: Annotated[
        bool,
        typer.Option(
            "--cross-version", help="Also where another version of the code wrote the history."
        ),
    ] = False,
) -> None:
    """Feed every journaled transaction to the code again and compare outputs and table changes.

    Nothing is sent, no group is touched, no venue can be reached. A live worker may run meanwhile.

    Exit status: 0 no divergence, 2 called wrongly or no such history, 3 a divergence, 4 Kafka unreachable.
    """
    unknown = sorted(set(processors or ()) - set(PROCESSORS))
    if unknown:
        raise CliError(
            Exit.USAGE,
            f"{unknown[0]} is not a processor that can be re-derived",
            hint=f"one of {', '.join(PROCESSORS)}",
        )
    if processors and app:
        raise CliError(Exit.USAGE, "give processors or --app, not both")
    names = (
        [(name, True) for name in app]
        if app
        else [(name, False) for name in processors or PROCESSORS]
    )
    reports = [
        _verify(name, outside=outside, partition=partition, cross_version=cross_version)
        for name, outside in names
    ]
    rows = [
        {
            "processor": r.processor,
            "partitions": r.partitions,
            "transactions": r.transactions,
            "sealed": r.sealed,
            "compared": r.compared,
            "compacted": r.compacted,
            "divergences": len(r.divergences),
        }
        for r in reports
    ]
    found = [d for r in reports for d in r.divergences]
    emit(rows, document={"processors": [r.as_dict() for r in reports], "divergences": len(found)})
    for divergence in found:
        _tell(asdict(divergence))
    note(
        f"{sum(r.transactions for r in reports)} transactions re-derived, {sum(r.sealed for r in reports)} input "
        f"records sealed, {sum(r.compared for r in reports)} records compared, {len(found)} divergences"
    )
    if found:
        raise typer.Exit(code=Exit.FOUND)


def _verify(
    name: str, *, outside: bool, partition: list[int] | None, cross_version: bool
) -> Report:
    from streams.engine.errors import ConfigError, UnreachableError
    from streams.replay.verify import Verifier

    with Progress() as progress:
        try:
            verifier = Verifier(
                load_app(name) if outside else _processor(name),
                cross_version=cross_version,
                progress=lambda done, total: progress(
                    f"{name}: {done} of {total} transactions", passing=True
                ),
            )
            return asyncio.run(verifier.run(partition or None))
        except ConfigError as error:
            raise CliError(Exit.USAGE, str(error)) from error
        except UnreachableError as error:
            raise CliError(Exit.UNREACHABLE, str(error)) from error


def load_app(path: str) -> Any:
    """Return the app of MODULE:APP, the folder we stand in being importable.

    Raises:
        CliError: there is no such module or app.
    """
    module, _, attribute = path.partition(":")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        found = getattr(import_module(module), attribute or "app")
    except (ImportError, AttributeError) as error:
        raise CliError(
            Exit.USAGE, f"{path} is not to be loaded: {error}", hint="give MODULE:APP"
        ) from error
    return found


def _processor(name: str) -> Any:
    """Build a processor under the configuration that wrote its history, at today's addresses."""
    from streams.app import build_app, settings_of
    from streams.engine.settings import EngineSettings
    from streams.replay.configuration import configuration_of
    from streams.settings import load_settings
    from streams.topics import app_id

    here = load_settings(options().config)
    engine = EngineSettings(bootstrap=here.kafka.bootstrap, client=here.kafka_client)
    written = settings_of(configuration_of(engine, app_id(name)))
    places = {"kafka": here.kafka, "registry": here.registry, "data": here.data}
    return build_app(name, written.model_copy(update=places), replay=True)


def _tell(divergence: dict[str, Any]) -> None:
    if options().machine:
        return
    note(
        "first divergence: {processor} partition {partition}, transaction {sequence}, {kind}\n"
        "  cause     {cause}\n  where     {where}\n  committed {committed}\n  derived   {derived}".format(
            **divergence
        )
    )
