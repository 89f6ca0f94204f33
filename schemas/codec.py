"""The codecs of one process: every model with its schema, its subject and its schema id."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from processors.errors import ConfigError, DecodeError, PipelineError, UnavailableError
from processors.records.base import Record
from schemas.binding import differences
from schemas.catalog import packaged
from schemas.derive import document_of
from schemas.frame import Codec, schema_id_of
from schemas.registry_port import (
    ID_MAX,
    NotARegistryError,
    Registry,
    RegistryError,
    RegistryUnreachableError,
    SchemaNotFoundError,
)
from schemas.shape import full_name

__all__ = ["Codec", "Codecs", "schema_id_of", "schema_text"]

R = TypeVar("R", bound=Record)

REPLICATION_SECONDS = 60.0
"""How long a processor waits for a schema id that its registry does not know yet."""
MISSING_ASKED_EVERY = 1.0
"""Seconds between two questions for an id that was given up."""
MISSING_KEPT = 1_000
"""Missing ids remembered: those of damaged records have no end."""


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


class Codecs:
    """Makes the codecs of one process and keeps what the registry told it.

    Args:
        registry: where schemas have their ids.
        subjects: subject of each model, or several: a record kept in more than one topic. A
            table's subject is `<changelog topic>-value`.
        register: whether a schema that its subject lacks is registered; otherwise it is an error.
        patience: seconds for which an id that the registry does not know may yet come: another
            registry's node may know it already. Until then it is unavailable, not wrong.
        monotonic: seconds of a clock that never goes back; without one there is no patience.
    """

    def __init__(
        self,
        registry: Registry,
        subjects: Mapping[type[Record], str | Iterable[str]],
        *,
        register: bool = True,
        patience: float = 0.0,
        monotonic: Callable[[], float] | None = None,
    ) -> None:
        self._registry = registry
        self._patience = patience
        self._monotonic = monotonic
        self._missing: dict[int, tuple[float, float]] = {}
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
            self._codecs[model] = Codec(model, text, ids[names[0]], self.writer)
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
        """Return the text of a writer's schema; each id is asked for once, a missing one again.

        Raises:
            DecodeError: the registry has no Avro schema of that id.
            UnavailableError: the registry does not answer, or may yet come to know the id.
        """
        if schema_id not in self._writers:
            try:
                self._writers[schema_id] = self._ask(schema_id)
            except SchemaNotFoundError as error:
                facts = {"avro_name": avro_name, "schema_id": schema_id}
                if error.context.get("passing"):
                    raise UnavailableError("the schema id is not known yet", **facts) from error
                raise DecodeError("the schema id is unknown", **facts) from error
            except RegistryError as error:
                raise _translated(error, avro_name=avro_name, schema_id=schema_id) from error
        return self._writers[schema_id]

    def _ask(self, schema_id: int) -> str:
        """Ask the registry for a schema, not more often than `MISSING_ASKED_EVERY` for a missing one."""
        if not 0 < schema_id <= ID_MAX:
            raise SchemaNotFoundError("no registry gives out such an id")
        if self._monotonic is None:
            return self._registry.schema_by_id(schema_id)
        now = self._monotonic()
        first, asked = self._missing.get(schema_id, (now, -MISSING_ASKED_EVERY))
        late = now - first >= self._patience
        if late and now - asked < MISSING_ASKED_EVERY:
            raise SchemaNotFoundError("the registry did not know it a moment ago")
        try:
            text = self._registry.schema_by_id(schema_id)
        except SchemaNotFoundError as error:
            if len(self._missing) >= MISSING_KEPT:
                self._missing.pop(next(iter(self._missing)))
            self._missing[schema_id] = (first, now)
            error.context["passing"] = not late and "kind" not in error.context
            raise
        self._missing.pop(schema_id, None)
        return text


def _translated(error: RegistryError, **context: object) -> PipelineError:
    """Return the pipeline's error for a registry's: no answer is retried, a refusal is not."""
    facts = {**error.context, **context}
    if isinstance(error, RegistryUnreachableError | NotARegistryError):
        return UnavailableError(error.message, **facts)
    return ConfigError(error.message, **facts)
