"""Read records that were written with another schema than ours: resolved, then whole again.

fastavro resolves the writer's schema to ours, after `schemas.walk` has bounded the bytes. Values
come out of it as plain Python and are made into what the model holds.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from io import BytesIO
from typing import Any

import fastavro

from processors.records.base import Record
from schemas.canonical import full_name as qualify
from schemas.compat import qualified
from schemas.resolve import inline
from schemas.shape import Shape, fields_of
from schemas.walk import walker
from schemas.wire import decimal_of, unscaled

HEADER_SIZE = 5


class Foreign:
    """Reads what one other schema wrote.

    Args:
        model: the record that is wanted.
        reader: our schema of it, as a JSON document.
        writer: text of the writer's schema.
    Raises:
        ValueError: the writer's text is no schema, or a schema of another record.
    """

    def __init__(self, model: type[Record], reader: dict[str, Any], writer: str) -> None:
        try:
            whole = inline(json.loads(writer), {})
            if not _same_record(reader, whole):
                raise ValueError("the writer's schema is of another record")
            self._end: Callable[[bytes, int], int] = walker(whole)
            self._writer = fastavro.parse_schema(whole)
            self._reader = fastavro.parse_schema(reader)
        except (LookupError, TypeError, AttributeError, RecursionError) as error:
            raise ValueError(f"the writer's schema is none: {error}") from error
        except fastavro.schema.SchemaParseException as error:
            raise ValueError(f"the writer's schema does not parse: {error}") from error
        self._model = model

    def read(self, data: bytes) -> dict[str, Any]:
        """Return the field values of one frame, ready to be validated.

        Raises:
            ValueError, LookupError, TypeError, ArithmeticError: the bytes are no such record, or
                can't be resolved to ours.
        """
        if self._end(data, HEADER_SIZE) != len(data):
            raise ValueError("bytes follow the record")
        try:
            datum: Any = fastavro.schemaless_reader(
                BytesIO(data[HEADER_SIZE:]), self._writer, self._reader
            )
        except (EOFError, fastavro.read.SchemaResolutionError) as error:
            raise ValueError(str(error)) from error
        return {
            name: rebuild(shape, datum[name], f"{self._model.__name__}.{name}")
            for name, _, shape in fields_of(self._model)
        }


def _same_record(reader: dict[str, Any], writer: dict[str, Any]) -> bool:
    """Return whether the names match as Avro wants it: the short ones, or through an alias."""
    aliases = qualified(reader).get("aliases", ())
    written = qualify(str(writer.get("name")), str(writer.get("namespace", "")))
    return writer.get("name") == reader["name"] or written in aliases


def rebuild(shape: Shape, value: Any, path: str) -> Any:
    """Return a value of fastavro's as the model holds it.

    A default of our own schema comes out of fastavro as its JSON: bytes as text, symbols as text.
    """
    match shape.kind, value:
        case "optional", None:
            return None
        case "optional", _:
            return rebuild(shape.item, value, path)
        case "decimal", Decimal():
            unscaled(value)  # a writer's scale or precision may go beyond ours
            return value
        case "decimal", str():  # a default: a written decimal never comes out as text
            return decimal_of(value.encode("latin-1"))
        case "timestamp", datetime():
            return value
        case "string", str():
            return value
        case "boolean", bool():
            return value
        case "long", int() if not isinstance(value, bool):
            return value
        case "double", (float() | int()) if not isinstance(value, bool):
            return float(value)
        case "enum", str():
            return shape.enum(value)
        case "array", list():
            return tuple(rebuild(shape.item, item, path) for item in value)
        case "map", dict():
            return {key: rebuild(shape.item, item, path) for key, item in value.items()}
        case "record", dict():
            fields = {
                name: rebuild(inner, value[name], f"{path}.{name}")
                for name, _, inner in fields_of(shape.record)
            }
            return shape.record.model_validate(fields)
    raise TypeError(f"{path}: the writer's type is not ours ({type(value).__name__})")
