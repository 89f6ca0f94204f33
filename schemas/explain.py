"""Why a reader can't read a writer's records: rule, path and words for each place.

Avro's checker says whether; its own locations and messages are merged over a whole schema and
can't be told apart, so the places are found here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import avro.schema
from avro.compatibility import (
    ReaderWriterCompatibilityChecker,
    SchemaCompatibilityType,
    lookup_writer_field,
    schema_name_equals,
)

from schemas.canonical import PRIMITIVES

Reason = tuple[str, str, str]
"""Rule, path, words."""


def incompatible(reader: avro.schema.Schema, writer: avro.schema.Schema) -> bool:
    """Return whether the reader can't read everything that the writer may write."""
    result = ReaderWriterCompatibilityChecker().get_compatibility(reader, writer)
    return bool(result.compatibility is SchemaCompatibilityType.incompatible)


def reasons(reader: avro.schema.Schema, writer: avro.schema.Schema) -> list[Reason]:
    """Return every place where the reader fails, in the order of the reader's fields."""
    if not incompatible(reader, writer):
        return []
    found = list(_walk(reader, writer, str(getattr(reader, "name", "")), set()))
    # The verdict stands even if the place was not found.
    return found or [("incompatible", "", "the reader can't read what the writer writes")]


def _walk(reader: Any, writer: Any, path: str, seen: set[tuple[int, int]]) -> Iterator[Reason]:
    if (id(reader), id(writer)) in seen or not incompatible(reader, writer):
        return
    seen.add((id(reader), id(writer)))
    if writer.type == "union":
        for branch in writer.schemas:
            yield from _walk(reader, branch, path, seen)
    elif reader.type == "union":
        yield from _union(reader, writer, path, seen)
    elif reader.type != writer.type:
        yield (
            "type_mismatch",
            path,
            f"the reader expects {_words(reader)}, the writer writes {_words(writer)}",
        )
    elif reader.type in {"array", "map"}:
        part = "items" if reader.type == "array" else "values"
        yield from _walk(getattr(reader, part), getattr(writer, part), f"{path}[]", seen)
    else:
        yield from _named(reader, writer, path, seen)


def _union(reader: Any, writer: Any, path: str, seen: set[tuple[int, int]]) -> Iterator[Reason]:
    """Look inside the branch of the same kind; without one, the branch itself is what lacks."""
    for branch in reader.schemas:
        if branch.type == writer.type and branch.type not in PRIMITIVES:
            yield from _walk(branch, writer, path, seen)
            return
    yield (
        "missing_union_branch",
        path,
        f"the writer may write {_words(writer)}, which is no branch of the reader's union",
    )


def _named(reader: Any, writer: Any, path: str, seen: set[tuple[int, int]]) -> Iterator[Reason]:
    if not schema_name_equals(reader, writer):
        yield (
            "name_mismatch",
            path,
            f"the reader's {reader.fullname} is the writer's {writer.fullname}, and has no alias",
        )
    if reader.type == "fixed" and reader.size != writer.size:
        yield "fixed_size_mismatch", path, f"{reader.size} bytes read, {writer.size} written"
    if reader.type == "enum":
        lacking = sorted(set(writer.symbols) - set(reader.symbols))
        if lacking and reader.props.get("default") not in reader.symbols:
            yield (
                "missing_enum_symbols",
                path,
                f"the reader knows no {', '.join(lacking)} and its enum has no default",
            )
    for field in getattr(reader, "fields", ()):
        place = f"{path}.{field.name}"
        written = lookup_writer_field(writer_schema=writer, reader_field=field)
        if written is not None:
            yield from _walk(field.type, cast("Any", written).type, place, seen)
        elif not field.has_default:
            yield (
                "reader_field_missing_default_value",
                place,
                "the writer writes no such field and the reader has no default for it",
            )


def _words(schema: Any) -> str:
    """Return a type as a person would name it."""
    logical = schema.props.get("logicalType")
    name = getattr(schema, "fullname", None) if schema.type in {"record", "enum", "fixed"} else None
    return f"{schema.type} {name}" if name else f"{schema.type}{f' ({logical})' if logical else ''}"
