"""What every command shares; commands import it from here.

Data goes to stdout, all else to stderr. A command calls `emit` for its result, `note` for what
people may want to know besides, and raises `CliError` (or any PipelineError) for what went wrong.
A result that is a finding ends with `raise typer.Exit(Exit.FOUND)`.
"""

from __future__ import annotations

from streams.cli.contract import (
    CliError,
    Exit,
    Format,
    LogFormat,
    Options,
    options,
    set_options,
)
from streams.cli.failure import boundary, describe
from streams.cli.people import Progress, confirm, note
from streams.cli.results import console, emit, emit_one, to_json

__all__ = [
    "CliError",
    "Exit",
    "Format",
    "LogFormat",
    "Options",
    "Progress",
    "boundary",
    "confirm",
    "console",
    "describe",
    "emit",
    "emit_one",
    "note",
    "options",
    "set_options",
    "to_json",
]
