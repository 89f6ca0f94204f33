"""Changes that Avro calls compatible and that still change amounts and times.

A price written with scale 2 and read with scale 4 is another price; a timestamp in milliseconds
read as microseconds is another moment. No Avro checker minds; this one does.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from avro.compatibility import lookup_writer_field

from schemas.canonical import LOGICAL
from schemas.explain import Reason


def changes(reader: Any, writer: Any) -> list[Reason]:
    """Return every place where the meaning of the bytes changes between writer and reader."""
    return list(_walk(reader, writer, str(getattr(reader, "name", "")), set()))


def _walk(reader: Any, writer: Any, path: str, seen: set[tuple[int, int]]) -> Iterator[Reason]:
    if (id(reader), id(writer)) in seen:
        return
    seen.add((id(reader), id(writer)))
    if reader.type == "union" or writer.type == "union":
        yield from _branches(reader, writer, path, seen)
    elif reader.type != writer.type:
        return
    elif reader.type in {"array", "map"}:
        part = "items" if reader.type == "array" else "values"
        yield from _walk(getattr(reader, part), getattr(writer, part), f"{path}[]", seen)
    elif reader.type in {"record", "error"}:
        for field in reader.fields:
            written: Any = lookup_writer_field(writer_schema=writer, reader_field=field)
            if written is not None:
                yield from _walk(field.type, written.type, f"{path}.{field.name}", seen)
    else:
        yield from _meaning(reader, writer, path)


def _branches(reader: Any, writer: Any, path: str, seen: set[tuple[int, int]]) -> Iterator[Reason]:
    """Pair the branches of two unions by their kind; a type by itself is a union of one."""
    written = writer.schemas if writer.type == "union" else (writer,)
    for branch in reader.schemas if reader.type == "union" else (reader,):
        for other in written:
            if _kind(branch) == _kind(other):
                yield from _walk(branch, other, path, seen)


def _kind(schema: Any) -> tuple[str, str]:
    return schema.type, getattr(schema, "name", "") or ""


def _meaning(reader: Any, writer: Any, path: str) -> Iterator[Reason]:
    read, written = ({key: one.props.get(key) for key in LOGICAL} for one in (reader, writer))
    if read["logicalType"] != written["logicalType"]:
        kinds = [one["logicalType"] or "plain" for one in (read, written)]
        yield "logical_type_changed", path, f"read as {kinds[0]}, written as {kinds[1]}"
    elif read["logicalType"] == "decimal":
        scales = [one["scale"] or 0 for one in (read, written)]
        digits = [one["precision"] or 0 for one in (read, written)]
        if scales[0] != scales[1]:
            words = f"amounts change by powers of ten: read {scales[0]}, written {scales[1]} places"
            yield "decimal_scale_changed", path, words
        if digits[0] < digits[1]:
            words = f"read with {digits[0]} digits, written with {digits[1]}"
            yield "decimal_precision_reduced", path, words
