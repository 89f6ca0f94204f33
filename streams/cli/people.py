"""What a command tells people besides its result, on stderr, and what it asks them."""

from __future__ import annotations

import sys
from typing import Any, Self

import typer

from streams.cli.contract import CliError, Exit, options
from streams.cli.results import console


def note(text: str) -> None:
    """Tell people something that is no result; `-q` silences it.

    Args:
        text: one line.
    """
    if options().verbosity >= 0:
        sys.stderr.write(text + "\n")


def confirm(question: str) -> None:
    """Go on only if the user agrees: by `--yes`, or by an answer on a terminal.

    Args:
        question: with its question mark.
    Raises:
        CliError: REFUSED; the user said no, or could not be asked.
    """
    if options().yes:
        return
    if not (sys.stdin and sys.stdin.isatty() and sys.stderr.isatty()):
        raise CliError(
            Exit.REFUSED, "nobody is here to confirm it", "add --yes", {"question": question}
        )
    if not typer.confirm(question, err=True):
        raise CliError(Exit.REFUSED, "not confirmed, so nothing was done")


class Progress:
    """Tells what is being done: in one changing line on a terminal, else line by line.

    Used as a context manager; called with a text, and whether that stands for a moment only.
    """

    def __init__(self) -> None:
        self._status: Any = None

    def __enter__(self) -> Self:
        """Take the line, if there is a terminal for it."""
        if sys.stderr.isatty() and options().verbosity >= 0:
            self._status = console(stderr=True).status("")
            self._status.start()
        return self

    def __exit__(self, *_error: object) -> None:
        """Clear the line."""
        if self._status is not None:
            self._status.stop()
            self._status = None

    def __call__(self, text: str, passing: bool = False) -> None:
        """Tell one thing.

        Args:
            text: one line.
            passing: not worth a line of its own where lines stay.
        """
        if self._status is not None:
            from rich.markup import escape

            self._status.update(escape(text))
        if not passing:
            note(text)
