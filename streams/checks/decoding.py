"""Bytes to records, by the schema id that each record carries."""

from __future__ import annotations

from typing import Any, Self, TypeVar

from processors.errors import DecodeError
from processors.records.base import Record
from schemas.codec import Codec, Codecs, schema_id_of, schema_text
from schemas.registry import HttpRegistry
from schemas.registry_port import Registry
from streams.checks.reading import Row

__all__ = ["Decoder", "schema_id_of"]

R = TypeVar("R", bound=Record)
_NO_SCHEMA = 0
"""No registry gives this id out: so every record is read by the schema that its writer names."""


class Decoder:
    """Decodes rows; it registers nothing, and asks the registry only for the ids it meets.

    Args:
        registry: where schemas have their ids.
    """

    def __init__(self, registry: Registry) -> None:
        self._writers = Codecs(registry, {}, register=False)
        self._codecs: dict[type[Record], Codec[Any]] = {}

    @classmethod
    def at(cls, url: str, timeout: float = 5.0) -> Self:
        """Return the decoder for a registry's URL."""
        return cls(HttpRegistry(url, timeout=timeout))

    def record(self, row: Row, model: type[R]) -> R:
        """Return the record of a row.

        Raises:
            DecodeError: the bytes are not the record; the error names the row.
            UnavailableError: the registry does not answer.
        """
        codec = self._codecs.get(model)
        if codec is None:
            codec = Codec(model, schema_text(model), _NO_SCHEMA, self._writers.writer)
            self._codecs[model] = codec
        try:
            found: R = codec.decode(row.value)
        except DecodeError as error:
            raise DecodeError(error.message, **{**error.context, "position": row.place}) from error
        return found
