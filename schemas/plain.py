"""Reads a frame as plain values, by the schema that its writer names: for people who look at bytes."""

from __future__ import annotations

import json
from collections.abc import Callable
from io import BytesIO
from typing import Any

import fastavro

from schemas.frame import HEADER, schema_id_of
from schemas.registry_port import ID_MAX, Registry
from schemas.resolve import inline
from schemas.walk import walker


class PlainReader:
    """Reads frames of any record; each schema is asked for once.

    Args:
        registry: where schemas have their ids; nothing is registered.
    """

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._known: dict[int, tuple[Callable[[bytes, int], int], Any]] = {}

    def read(self, data: bytes | None) -> dict[str, Any]:
        """Return the fields of a frame by name.

        Raises:
            ValueError: the bytes are no frame, or not the record that they promise to be.
            RegistryError: the registry does not know the schema, or does not answer.
        """
        schema_id = schema_id_of(data)
        if data is None or schema_id is None or not 0 < schema_id <= ID_MAX:
            raise ValueError("the bytes are no frame of a registry's schema")
        end, schema = self._of(schema_id)
        try:
            if end(data, HEADER.size) != len(data):
                raise ValueError("bytes follow the record")
            found: Any = fastavro.schemaless_reader(BytesIO(data[HEADER.size :]), schema, None)
        except (EOFError, LookupError, TypeError, AttributeError, ArithmeticError) as error:
            raise ValueError(f"the bytes are not the record: {error}") from error
        if not isinstance(found, dict):
            raise ValueError("the schema is of no record")
        return found

    def _of(self, schema_id: int) -> tuple[Callable[[bytes, int], int], Any]:
        if schema_id not in self._known:
            text = self._registry.schema_by_id(schema_id)
            try:
                whole = inline(json.loads(text), {})
                self._known[schema_id] = (walker(whole), fastavro.parse_schema(whole))
            except (LookupError, TypeError, AttributeError, RecursionError) as error:
                raise ValueError(f"the writer's schema is none: {error}") from error
            except fastavro.schema.SchemaParseException as error:
                raise ValueError(f"the writer's schema does not parse: {error}") from error
        return self._known[schema_id]
