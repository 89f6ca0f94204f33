"""`fillonce completion`: a script that completes commands and options in a shell."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer


class Shell(StrEnum):
    """Shells that scripts are known for."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


def register(app: typer.Typer) -> None:
    """Add the command of this file.

    Args:
        app: the program.
    """
    app.command(rich_help_panel="Tools")(completion)


def completion(shell: Annotated[Shell, typer.Argument(help="bash, zsh or fish.")]) -> None:
    """Print a completion script: `source <(fillonce completion bash)`.

    Exit status: 0.
    """
    from typer._completion_shared import get_completion_script

    from streams.cli.main import COMPLETE

    typer.echo(
        get_completion_script(prog_name="fillonce", complete_var=COMPLETE, shell=shell.value)
    )
