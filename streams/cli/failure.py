"""The place where errors end: one clear line, and an exit status that tells what kind it was."""

from __future__ import annotations

import json
import os
import select
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress

import typer

from processors.errors import ConfigError, PipelineError, UnavailableError
from streams.cli.contract import CliError, Exit, options
from streams.cli.results import to_json

_SIGPIPE_STATUS = 141
_INTERRUPTED_STATUS = 130


def boundary(work: Callable[[], object]) -> int:
    """Run a command to its exit status; every error ends here, in one clear line.

    Args:
        work: the command; a returned number is the exit status, None is 0.
    """
    try:
        status = work()
        sys.stdout.flush()  # here, where a closed pipe is still caught
    except BaseException as error:  # noqa: BLE001 - the one place where all of them end
        return _end(error)
    return int(status) if isinstance(status, int) else Exit.OK


def _end(error: BaseException) -> int:
    if isinstance(error, typer.Exit):
        return error.exit_code
    if isinstance(error, SystemExit):
        return (
            error.code
            if isinstance(error.code, int)
            else Exit.OK
            if not error.code
            else Exit.FAILED
        )
    if isinstance(error, KeyboardInterrupt | typer.Abort):
        with suppress(OSError):
            sys.stderr.write("\n")
        return _INTERRUPTED_STATUS
    if isinstance(error, BrokenPipeError) and _stdout_is_closed():
        return _SIGPIPE_STATUS
    told = describe(error)
    if options().verbosity > 0 and not isinstance(error, CliError | typer.TyperException):
        traceback.print_exception(error, file=sys.stderr)
    with suppress(OSError):  # stderr closed: the status still tells
        _tell(told)
    return told.code


def describe(error: BaseException) -> CliError:
    """Return what an error means to the user of a command.

    Args:
        error: anything that was raised.
    """
    if isinstance(error, CliError):
        return error
    if isinstance(error, PipelineError):
        details = dict(error.context)
        hint = details.pop("hint", None)
        code = Exit.FAILED
        if isinstance(error, ConfigError):
            code = Exit.USAGE
        elif isinstance(error, UnavailableError):
            code = Exit.UNREACHABLE
        return CliError(code, error.message, str(hint) if hint else None, details)
    if isinstance(error, typer.TyperException):  # the parser's own
        context = getattr(error, "ctx", None)
        command = getattr(context, "command_path", None) or "fillonce"
        written = getattr(error, "format_message", error.__str__)()
        return CliError(Exit.USAGE, written, f"see `{command} --help`")
    if _is_unreachable(error):
        return CliError(Exit.UNREACHABLE, str(error) or type(error).__name__)
    message = f"unexpected {type(error).__name__}: {error}"
    return CliError(Exit.FAILED, message, "run it again with -v for the traceback")


def _is_unreachable(error: BaseException) -> bool:
    if isinstance(error, TimeoutError | ConnectionError):
        return True
    client = sys.modules.get("confluent_kafka")  # not imported for the sake of this question
    if client is None or not isinstance(error, client.KafkaException):
        return False
    kinds = client.KafkaError
    code = error.args[0].code() if error.args and hasattr(error.args[0], "code") else None
    return code in {
        kinds._TRANSPORT,  # noqa: SLF001 - its public names begin so
        kinds._ALL_BROKERS_DOWN,  # noqa: SLF001
        kinds._TIMED_OUT,  # noqa: SLF001
        kinds._RESOLVE,  # noqa: SLF001
        kinds.REQUEST_TIMED_OUT,
    }


def _tell(told: CliError) -> None:
    if options().machine:
        fields = {
            "code": int(told.code),
            "message": told.message,
            "hint": told.hint,
            "details": told.details,
        }
        sys.stderr.write(_json_or_text({"error": fields}) + "\n")
        return
    if not told.message:  # the parser showed the help already
        return
    short = {name: str(value) for name, value in told.details.items() if "\n" not in str(value)}
    values = ", ".join(f"{name}={value}" for name, value in short.items() if value != "")
    sys.stderr.write(f"error: {told.message}" + (f" ({values})" if values else "") + "\n")
    for name, value in told.details.items():
        if name not in short:
            block = "\n".join(f"    {line}" for line in str(value).splitlines())
            sys.stderr.write(f"  {name}:\n{block}\n")
    if told.hint:
        sys.stderr.write(f"hint: {told.hint}\n")


def _json_or_text(document: object) -> str:
    try:
        return to_json(document)
    except TypeError:
        return json.dumps(document, default=str, ensure_ascii=False)


def _stdout_is_closed() -> bool:
    """Whether it is the reader of our result that left, and not the other end of some socket."""
    try:
        stdout = sys.stdout.fileno()
    except (OSError, ValueError):  # not a file at all
        return False
    poll = select.poll()
    poll.register(stdout, select.POLLOUT)
    if not any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0)):
        return False
    # What is left in the buffer would fail once more when the interpreter ends.
    os.dup2(os.open(os.devnull, os.O_WRONLY), stdout)
    return True
