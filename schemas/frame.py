"""One record to bytes and back, in Confluent's frame: a zero byte, a schema id, the body.

Our own schema goes through generated code; what another schema wrote is resolved by fastavro.
Whatever is wrong with the bytes comes out as DecodeError, whatever is wrong with the values of a
record that is to be written as RuleViolation; both name the record and say where.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from typing import Generic, TypeVar

from pydantic import ValidationError

from processors.errors import DecodeError, InvariantError, RuleViolation
from processors.records.base import Record
from schemas.canonical import fingerprint
from schemas.foreign import Foreign
from schemas.generate import Generated, generate
from schemas.shape import fields_of
from schemas.why import why

R = TypeVar("R", bound=Record)

HEADER = struct.Struct(">bI")
"""Magic byte and schema id."""

BROKEN = (LookupError, ValueError, TypeError, AttributeError, ArithmeticError, struct.error)
"""What damaged bytes, or values of the wrong kind, raise in generated code and in fastavro."""


def schema_id_of(data: bytes | None) -> int | None:
    """Return the schema id of a frame, none if the bytes are no frame; never raises."""
    if data is None or len(data) < HEADER.size or data[0] != 0:
        return None
    return int.from_bytes(data[1:5], "big")


class Codec(Generic[R]):
    """Encodes and decodes one model.

    Attributes:
        model: the record.
        schema_id: id under which the registry holds its schema.
        schema: text of the schema.
    """

    __slots__ = ("_foreign", "_header", "_made", "_writer", "model", "schema", "schema_id")

    def __init__(
        self, model: type[R], text: str, schema_id: int, writer: Callable[[int, str], str]
    ) -> None:
        self.model = model
        self.schema = text
        self.schema_id = schema_id
        self._writer = writer
        self._header = HEADER.pack(0, schema_id)
        self._made: Generated = generate(model)
        self._foreign: dict[int, Foreign | None] = {}

    @property
    def source(self) -> str:
        """The generated code, to be read by people."""
        return self._made.source

    def encode(self, record: R) -> bytes:
        """Return a record as one frame; the same record always gives the same bytes.

        Raises:
            RuleViolation: a value does not fit its Avro type, such as a decimal of 19 places.
                Nothing is ever rounded.
            InvariantError: the record is of another model.
        """
        if record.__class__ is not self.model:
            raise InvariantError(
                "a codec was given another record",
                avro_name=self.model.avro_name,
                given=type(record).__name__,
            )
        try:
            return self._header + self._made.encode(record)
        except BROKEN as error:
            field, reason = self._culprit(record, error)
            raise RuleViolation(
                "a value does not fit its Avro type",
                avro_name=self.model.avro_name,
                field=field,
                reason=reason,
            ) from error

    def _culprit(self, record: Record, error: Exception) -> tuple[str, str]:
        """Return the first field whose value can't be written, and why."""
        for name, _, shape in fields_of(self.model):
            reason = why(shape, record.__dict__.get(name))
            if reason:
                return name, reason
        return "", f"{type(error).__name__}: {error}"

    def decode(self, data: bytes | None, *, trusted: bool = False) -> R:
        """Return the record of one frame.

        Args:
            data: the frame.
            trusted: leave the model's constraints out: for table values and changelogs, which
                only this codec writes. Bytes are checked all the same.
        Raises:
            DecodeError: the bytes are not the record, or its schema is unknown or unfit.
            UnavailableError: the registry must be asked for the schema, and does not answer.
        """
        if data is None or data[:5] != self._header:
            return self._decode_other(data)
        try:
            record, end = (self._made.trusted if trusted else self._made.decode)(data, 5)
        except BROKEN as error:
            raise self._error("the bytes are not the record", self.schema_id, error) from error
        if end != len(data):
            reason = "the bytes end too early" if end > len(data) else "bytes follow the record"
            raise self._error("the bytes are not the record", self.schema_id, reason)
        return record  # type: ignore[return-value]  # made for this model by generate()

    def _decode_other(self, data: bytes | None) -> R:
        """Decode what is not framed with our own schema id."""
        schema_id = schema_id_of(data)
        if data is None or schema_id is None:
            if data is None:
                reason = "there is no value"
            elif len(data) < HEADER.size:
                reason = "shorter than a header"
            else:
                reason = f"the first byte is {data[0]}, not 0"
            raise self._error("the bytes are no frame", None, reason)
        foreign = self._foreign_of(schema_id)
        try:
            if foreign is None:  # the same schema under another id
                record, end = self._made.decode(data, 5)
                if end != len(data):
                    raise ValueError("the bytes end too early or too late")
                return record  # type: ignore[return-value]
            return self.model.model_validate(foreign.read(data))
        except BROKEN as error:
            raise self._error("the bytes are not the record", schema_id, error) from error

    def _foreign_of(self, schema_id: int) -> Foreign | None:
        """Return the reader of another schema, none if that schema is ours but for its id."""
        if schema_id not in self._foreign:
            text = self._writer(schema_id, self.model.avro_name)
            ours = json.loads(self.schema)
            try:
                document = json.loads(text)
                same = fingerprint(document) == fingerprint(ours)
            except (LookupError, ValueError, TypeError, AttributeError, RecursionError) as error:
                raise self._error("the writer's schema is none", schema_id, error) from error
            try:
                self._foreign[schema_id] = None if same else Foreign(self.model, ours, text)
            except ValueError as error:
                raise self._error("the writer's schema is unfit", schema_id, error) from error
        return self._foreign[schema_id]

    def _error(self, message: str, schema_id: int | None, reason: Exception | str) -> DecodeError:
        return DecodeError(
            message,
            avro_name=self.model.avro_name,
            schema_id=schema_id,
            reason=reason if isinstance(reason, str) else _words(reason),
        )


def _words(error: Exception) -> str:
    """Return an error in one line; a validation error without the values it was about."""
    if isinstance(error, ValidationError):
        parts = error.errors(include_url=False, include_input=False, include_context=False)
        return "; ".join(f"{'.'.join(map(str, part['loc']))}: {part['msg']}" for part in parts)
    return f"{type(error).__name__}: {error}"[:500]
