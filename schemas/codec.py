"""Records to bytes and back, in Confluent's frame: a zero byte, four bytes of schema id, the body.

Our own schema goes through generated code; what another schema wrote is resolved by fastavro.
Whatever is wrong with the bytes comes out as DecodeError, whatever is wrong with the values of a
record that is to be written as RuleViolation; both name the record and say where.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Mapping
from typing import Any, Generic, TypeVar

from pydantic import ValidationError

from processors.errors import (
    ConfigError,
    DecodeError,
    InvariantError,
    PipelineError,
    RuleViolation,
    UnavailableError,
)
from processors.records.base import Record
from schemas.binding import differences
from schemas.canonical import fingerprint
from schemas.catalog import packaged
from schemas.derive import document_of
from schemas.foreign import Foreign
from schemas.generate import Generated, generate
from schemas.registry_port import (
    ID_MAX,
    NotARegistryError,
    Registry,
    RegistryError,
    RegistryUnreachableError,
    SchemaNotFoundError,
)
from schemas.shape import fields_of, full_name
from schemas.why import why

R = TypeVar("R", bound=Record)

HEADER = struct.Struct(">bI")
"""Magic byte and schema id."""

BROKEN = (LookupError, ValueError, TypeError, AttributeError, ArithmeticError, struct.error)
"""What damaged bytes, or values of the wrong kind, raise in generated code and in fastavro."""


def schema_text(model: type[Record]) -> str:
    """Return the schema of a model as a registry is given it.

    A record of `processors.records` has a source in this package, which must agree with it; the
    schema of any other is derived on the spot.

    Raises:
        ConfigError: there is no source, or model and source differ.
    """
    if not model.__module__.startswith("processors.records."):
        return json.dumps(document_of(model), separators=(",", ":"))
    schema = packaged().get(full_name(model))
    if schema is None:
        raise ConfigError(
            "a record has no .avsc: run python -m schemas.derive", avro_name=model.avro_name
        )
    lines = differences(model, schema.document)
    if lines:
        raise ConfigError(
            "a record and its .avsc differ: run python -m schemas.derive",
            avro_name=model.avro_name,
            first=lines[0],
        )
    return schema.text


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

    __slots__ = ("_codecs", "_foreign", "_header", "_made", "model", "schema", "schema_id")

    def __init__(self, codecs: Codecs, model: type[R], text: str, schema_id: int) -> None:
        self.model = model
        self.schema = text
        self.schema_id = schema_id
        self._codecs = codecs
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
            text = self._codecs.writer(schema_id, self.model.avro_name)
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


class Codecs:
    """Makes the codecs of one process and keeps what the registry told it.

    Args:
        registry: where schemas have their ids.
        subjects: subject of each model, or several: a record kept in more than one topic. A
            table's subject is `<changelog topic>-value`.
        register: whether a schema that its subject lacks is registered; otherwise it is an error.
    """

    def __init__(
        self,
        registry: Registry,
        subjects: Mapping[type[Record], str | Iterable[str]],
        *,
        register: bool = True,
    ) -> None:
        self._registry = registry
        self._subjects = {
            model: (names,) if isinstance(names, str) else tuple(names)
            for model, names in subjects.items()
        }
        self._register = register
        self._codecs: dict[type[Record], Codec[Any]] = {}
        self._writers: dict[int, str] = {}

    def codec(self, model: type[R]) -> Codec[R]:
        """Return the codec of a model; the registry is asked once.

        Raises:
            ConfigError: the model has no subject, no schema, or none that the registry takes.
            UnavailableError: the registry does not answer.
        """
        if model not in self._codecs:
            names = self._subjects.get(model, ())
            if not names:
                raise ConfigError("a record has no subject", avro_name=model.avro_name)
            text = schema_text(model)
            ids = {name: self._id(name, text, model) for name in names}
            if len(set(ids.values())) != 1:
                raise ConfigError(
                    "one schema has several ids", avro_name=model.avro_name, subjects=ids
                )
            self._codecs[model] = Codec(self, model, text, ids[names[0]])
        return self._codecs[model]

    def prepare(self) -> dict[str, int]:
        """Make every codec now, so that a worker starts with all its ids or not at all.

        Returns:
            Schema id by subject.
        """
        return {
            name: self.codec(model).schema_id
            for model, names in self._subjects.items()
            for name in names
        }

    def _id(self, subject: str, text: str, model: type[Record]) -> int:
        try:
            try:
                return self._registry.id_of(subject, text)
            except SchemaNotFoundError:
                if not self._register:
                    raise
                return self._registry.register(subject, text)
        except RegistryError as error:
            raise _translated(error, avro_name=model.avro_name, subject=subject) from error

    def writer(self, schema_id: int, avro_name: str) -> str:
        """Return the text of a writer's schema; each id is asked for once.

        Raises:
            DecodeError: the registry has no Avro schema of that id.
            UnavailableError: the registry does not answer.
        """
        if schema_id not in self._writers:
            try:
                if not 0 < schema_id <= ID_MAX:
                    raise SchemaNotFoundError("no registry gives out such an id")
                self._writers[schema_id] = self._registry.schema_by_id(schema_id)
            except SchemaNotFoundError as error:
                raise DecodeError(
                    "the schema id is unknown", avro_name=avro_name, schema_id=schema_id
                ) from error
            except RegistryError as error:
                raise _translated(error, avro_name=avro_name, schema_id=schema_id) from error
        return self._writers[schema_id]


def _translated(error: RegistryError, **context: object) -> PipelineError:
    """Return the pipeline's error for a registry's: no answer is retried, a refusal is not."""
    facts = {**error.context, **context}
    if isinstance(error, RegistryUnreachableError | NotARegistryError):
        return UnavailableError(error.message, **facts)
    return ConfigError(error.message, **facts)
