"""A command's result on stdout: as a table for people, as JSON, JSON lines or CSV for programs."""

from __future__ import annotations

import csv
import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, is_dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

from streams.cli.contract import Format, options

if TYPE_CHECKING:
    from rich.console import Console

_UNCUT = 1000  # columns: where no terminal is, nothing is cut or wrapped


def emit(
    rows: Sequence[Mapping[str, object]],
    *,
    columns: Sequence[str] | None = None,
    document: object = None,
    title: str | None = None,
    after: Sequence[str] = (),
) -> None:
    """Write a command's result to stdout in the format that was asked for.

    Args:
        rows: the result as records; every format but JSON shows these.
        columns: which fields to show in a table or CSV, in this order; the first row's if not
            given. Give them where there may be no row: the head is shown even so.
        document: what JSON shows, if that is more than the rows.
        title: over a table.
        after: lines under a table, for people.
    """
    names = list(columns if columns is not None else rows[0] if rows else ())
    match options().output:
        case Format.JSON:
            _write(to_json(rows if document is None else document, indent=2))
        case Format.JSONL:
            for row in rows:
                _write(to_json(row))
        case Format.CSV:
            writer = csv.writer(sys.stdout, lineterminator="\n")
            writer.writerow(names)
            writer.writerows([_cell(row.get(name)) for name in names] for row in rows)
        case Format.TABLE:
            _table(rows, names, title)
            for line in after:
                _write(line)


def emit_one(record: Mapping[str, object], *, title: str | None = None) -> None:
    """Write one record: field by field in a table, as one object in JSON.

    Args:
        record: the result.
        title: over the table.
    """
    if options().output is Format.TABLE:
        fields = [{"field": name, "value": value} for name, value in record.items()]
        emit(fields, columns=("field", "value"), title=title)
    else:
        emit([record], document=record)


def to_json(value: object, *, indent: int | None = None) -> str:
    """Return JSON with stable shapes: a Decimal is a string, a time RFC 3339, an enum its value.

    Args:
        value: mappings, sequences, records, dataclasses and plain values.
        indent: spaces per level; one line if not given.
    """
    separators = (",", ":") if indent is None else None
    return json.dumps(
        value, default=_plain, indent=indent, separators=separators, ensure_ascii=False
    )


def _plain(value: object) -> object:
    dump = getattr(value, "model_dump", None)  # a pydantic record, whatever its module
    if callable(dump):
        return dump()
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, date):  # datetime too
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, set | frozenset):
        return sorted(value)
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"no JSON for {type(value).__name__}")


def _cell(value: object) -> str:
    match value:
        case None:
            return ""
        case str():
            return str(value)
        case bool():
            return "yes" if value else "no"
        case int() | float():
            return str(value)
        case datetime() | date() | Decimal() | Enum() | Path():
            return str(_plain(value))
        case _:
            return to_json(value)


def _table(rows: Sequence[Mapping[str, object]], names: Sequence[str], title: str | None) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(
        title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False
    )
    for name in names:
        table.add_column(name.replace("_", " "), overflow="fold")
    for row in rows:
        table.add_row(*(Text(_cell(row.get(name))) for name in names))
    if names:
        console().print(table)


def _write(line: str) -> None:
    sys.stdout.write(line + "\n")


def console(*, stderr: bool = False) -> Console:
    """Return a console that colours only on a terminal, and never under NO_COLOR.

    Args:
        stderr: for what is no result.
    """
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() or "COLUMNS" in os.environ else _UNCUT
    return Console(file=stream, width=width, highlight=False, soft_wrap=False)
