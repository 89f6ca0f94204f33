"""`fillonce send`: records from JSON to a topic, checked as strictly as any other."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from streams.cli.context import codecs_of, settings
from streams.cli.output import CliError, Exit, emit

if TYPE_CHECKING:
    from processors.records.base import Record

COLUMNS = ("topic", "partition", "offset", "key")


def register(app: typer.Typer) -> None:
    """Add the command of this file.

    Args:
        app: the program.
    """
    app.command(rich_help_panel="Trading")(send)


def send(
    topic: Annotated[str, typer.Argument(help="A topic of the catalogue that carries records.")],
    file: Annotated[
        Path,
        typer.Option("--json", help="One object, a list of them, or one a line; - is stdin."),
    ],
) -> None:
    """Send records to a topic, each under its own key; all are checked before the first is sent.

    Amounts are texts (`"84.54"`), times RFC 3339.

    Exit status: 0 sent, 2 a record or the topic is wrong, 4 no answer.
    """
    from streams import topics
    from streams.cli.sending import send_all

    known = topics.BY_NAME.get(topic)
    if known is None or known.record is None:
        raise CliError(
            Exit.USAGE,
            "no topic of this name carries records",
            f"one of {', '.join(topics.BY_NAME)}",
            {"topic": topic},
        )
    text = sys.stdin.read() if str(file) == "-" else _text(file)
    records = [_record(known.record, place, each) for place, each in enumerate(_objects(text), 1)]
    chosen = settings()
    sent = send_all(chosen, codecs_of(chosen), records)
    emit([asdict(each) for each in sent], columns=COLUMNS)


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CliError(
            Exit.USAGE, "the file cannot be read", None, {"file": str(file), "error": str(error)}
        ) from error


def _objects(text: str) -> list[str]:
    """Return each object as its own text: numbers must reach the record as they were written."""
    try:
        whole = json.loads(text, parse_float=str)
    except ValueError:
        return [line for line in text.splitlines() if line.strip()]
    return [json.dumps(each) for each in (whole if isinstance(whole, list) else [whole])]


def _record(model: type[Record], place: int, text: str) -> Record:
    from pydantic import ValidationError

    try:
        return model.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise CliError(
            Exit.USAGE,
            "a record is wrong",
            f"fields of {model.__name__}: {', '.join(model.model_fields)}",
            {
                "number": place,
                "field": ".".join(str(part) for part in first["loc"]),
                "error": first["msg"],
            },
        ) from error
