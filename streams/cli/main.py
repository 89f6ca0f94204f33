"""The entry of the program: global options, and where the commands are."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Annotated

import typer

from streams.cli import output
from streams.cli.output import Exit, Format, LogFormat, Options

# Each has `register(app)`, and imports what is heavy inside its commands: `--help` is quick.
MODULES = (
    "streams.cli.demo",
    "streams.cli.local",
    "streams.cli.simulator",
    "streams.cli.replay",
    "streams.cli.audit",
    "streams.cli.schemas",
    "streams.cli.worker",
    "streams.cli.topics",
    "streams.cli.dlq",
    "streams.cli.accounts",
    "streams.cli.orders",
    "streams.cli.holds",
    "streams.cli.send",
    "streams.cli.config",
    "streams.cli.processors",
    "streams.cli.completion",
    "streams.cli.doctor",
)

COMPLETE = "_FILLONCE_COMPLETE"
"""Variable by which a shell asks for completions."""

_WITH_VALUE = ("--config", "--output", "--log-format", "--timeout")
_WITHOUT_VALUE = ("--verbose", "--quiet", "--no-color", "--yes")
_SHORT = re.compile(r"-(v+|q)$")
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h)?")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def main() -> None:
    """Run the program with the arguments of the process."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run the program and return its exit status.

    Args:
        arguments: without the program's name.
    """
    # A process may be started without them; nothing we write then is an error.
    sys.stdout = sys.stdout or Path(os.devnull).open("w")  # noqa: SIM115 - open until the end
    sys.stderr = sys.stderr or Path(os.devnull).open("w")  # noqa: SIM115
    if COMPLETE in os.environ:  # a shell asks what could come next: see `fillonce completion`
        from typer._completion_classes import completion_init

        completion_init()
    first, rest = hoist(arguments or ["--help"])
    _foresee(first)
    return output.boundary(
        lambda: typer.main.get_command(build()).main(
            args=[*first, *rest], prog_name="fillonce", standalone_mode=False
        )
    )


def build() -> typer.Typer:
    """Return the program with all its commands."""
    app = typer.Typer(
        name="fillonce",
        add_completion=False,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
        epilog="Global options may stand before or after the command. Exit status: 0 done,"
        " 1 failed, 2 called wrongly, 3 found something, 4 a service cannot be reached, 5 refused.",
    )
    app.callback()(_global_options)
    for module in MODULES:
        import_module(module).register(app)
    return app


def hoist(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Part the global options, wherever they stand, from the rest.

    Args:
        arguments: as typed; those after `--` are left alone.
    """
    first: list[str] = []
    rest: list[str] = []
    left = iter(arguments)
    for argument in left:
        name, equals, _ = argument.partition("=")
        if argument == "--":
            rest += [argument, *left]
        elif (
            argument in _WITHOUT_VALUE or _SHORT.match(argument) or (equals and name in _WITH_VALUE)
        ):
            first.append(argument)
        elif argument in _WITH_VALUE:
            first += [argument, *[value for value in [next(left, None)] if value is not None]]
        else:
            rest.append(argument)
    return first, rest


def seconds(text: str) -> float:
    """Return the seconds of a duration such as `30s`, `500ms`, `2m` or plain `30`.

    Args:
        text: as typed.
    """
    found = _DURATION.fullmatch(text.strip())
    if found is None:
        raise typer.BadParameter(f"{text!r} is no duration: write 30s, 500ms, 2m or 1h")
    return float(found.group(1)) * _UNITS[found.group(2) or "s"]


def _foresee(first: Sequence[str]) -> None:
    """Set what the report of a wrong call depends on, as the parser may not get that far."""
    if "--no-color" in first:
        os.environ["NO_COLOR"] = "1"
    typed = " ".join(first).replace("=", " ").split(" ")
    wanted = [after for name, after in pairwise(typed) if name == "--output"]
    chosen = Format(wanted[-1]) if wanted and wanted[-1] in set(Format) else Format.TABLE
    output.set_options(Options(output=chosen))


def _version(asked: bool) -> None:
    if asked:
        from importlib.metadata import PackageNotFoundError, version

        try:
            typer.echo(f"fillonce {version('fillonce')}")
        except PackageNotFoundError:
            typer.echo("fillonce, not installed")
        raise typer.Exit(Exit.OK)


def _global_options(
    config: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="Settings file (TOML).", metavar="FILE"),
    ] = None,
    output_format: Annotated[
        Format, typer.Option("--output", help="How results are written to stdout.")
    ] = Format.TABLE,
    log_format: Annotated[
        LogFormat, typer.Option(help="How log lines are written to stderr.")
    ] = LogFormat.AUTO,
    verbose: Annotated[
        int,
        typer.Option("--verbose", "-v", count=True, help="Tell more; tracebacks of errors too."),
    ] = 0,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Tell results and errors only.")
    ] = False,
    no_color: Annotated[
        bool, typer.Option("--no-color", help="No colours; NO_COLOR does the same.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Confirm whatever would be asked.")] = False,
    timeout: Annotated[
        float | None,
        typer.Option(parser=seconds, metavar="DUR", help="Limit for a service's answer: 30s, 2m."),
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Tell the version.")
    ] = False,
) -> None:
    """Kafka-backed, Avro-typed trade pipeline: exactly once, replayable byte for byte."""
    del no_color, version  # seen to before: by `_foresee` and by its callback
    if quiet and verbose:
        raise typer.BadParameter("-q and -v contradict each other")
    output.set_options(
        Options(
            config=config,
            output=output_format,
            log_format=log_format,
            verbosity=-1 if quiet else verbose,
            yes=yes,
            timeout=timeout,
        )
    )
