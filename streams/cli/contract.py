"""What commands promise: exit statuses, formats, global options, and the error that ends one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from pathlib import Path


class Exit(IntEnum):
    """Exit statuses; docs and scripts rely on them."""

    OK = 0
    FAILED = 1
    USAGE = 2
    FOUND = 3
    UNREACHABLE = 4
    REFUSED = 5
    DATA = 65
    FENCED = 70
    RESTART = 75


class Format(StrEnum):
    """How a result is written to stdout."""

    TABLE = "table"
    JSON = "json"
    JSONL = "jsonl"
    CSV = "csv"


class LogFormat(StrEnum):
    """How log lines are written to stderr; AUTO: text on a terminal, else JSON."""

    AUTO = "auto"
    JSON = "json"
    TEXT = "text"


@dataclass(frozen=True, slots=True)
class Options:
    """What the global options say."""

    config: Path | None = None
    output: Format = Format.TABLE
    log_format: LogFormat = LogFormat.AUTO
    verbosity: int = 0  # -1 quiet, 1 and more: verbose
    yes: bool = False
    timeout: float | None = None  # seconds

    @property
    def machine(self) -> bool:
        """Whether a program reads the result as JSON."""
        return self.output in {Format.JSON, Format.JSONL}


@dataclass(slots=True)
class _Run:
    options: Options = field(default_factory=Options)


_RUN = _Run()


def options() -> Options:
    """Return the global options of this run."""
    return _RUN.options


def set_options(chosen: Options) -> None:
    """Set the global options; for the program's start.

    Args:
        chosen: all of them.
    """
    _RUN.options = chosen


class CliError(Exception):
    """An end of a command that is no success, with all that its user needs to know.

    Args:
        code: the exit status.
        message: one sentence that does not change with the values.
        hint: what to do about it.
        details: the values, by name.
    """

    def __init__(
        self,
        code: Exit,
        message: str,
        hint: str | None = None,
        details: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint
        self.details = dict(details or {})
