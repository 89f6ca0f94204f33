"""Between the engine's bytes and the house's records: one Faust schema over the Avro codecs."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import faust

from processors.errors import DecodeError
from processors.records.base import Record
from schemas.codec import Codecs
from schemas.registry_port import Registry
from streams import topics

log = logging.getLogger(__name__)


class RecordSchema(faust.Schema):
    """Keys are UTF-8 strings, values Avro records in the Confluent frame.

    What is read from a topic must be whole: a key that is missing or is not the one that the record
    says would bring it to the wrong partition's owner, so it is a DecodeError like broken bytes.

    Args:
        codecs: those of the process.
        models: the record of its topic; or by topic name, for a stream over several topics.
        trusted: leave the models' constraints out: for tables, whose values only we write.
    """

    def __init__(
        self,
        codecs: Codecs,
        models: type[Record] | Mapping[str, type[Record]],
        *,
        trusted: bool = False,
    ) -> None:
        super().__init__()
        self._codecs = codecs
        self._by_topic = dict(models) if isinstance(models, Mapping) else {}
        self._only = None if isinstance(models, Mapping) else models
        self._trusted = trusted

    def loads_key(self, app: Any, message: Any, **_: Any) -> Any:
        """Return the key as text.

        Raises:
            DecodeError: there is none, or it is no UTF-8.
        """
        return _text(message.key)

    def loads_value(self, app: Any, message: Any, **_: Any) -> Any:
        """Return the record of a message.

        Raises:
            DecodeError: there is no value, or it is not the record, or its key is another's.
            UnavailableError: the registry must be asked, and does not answer.
        """
        topic = getattr(message, "topic", None)
        model = self._only or self._by_topic.get(str(topic))
        if model is None:
            raise DecodeError("no record is known for this topic", topic=topic)
        value = self._codecs.codec(model).decode(message.value, trusted=self._trusted)
        if topic is not None:
            self._require_key(str(topic), message.key, value)
        return value

    def dumps_key(self, app: Any, key: Any, *, headers: Any, **_: Any) -> Any:
        """Return the bytes of a key, and the headers as they were."""
        return key if isinstance(key, bytes) else str(key).encode(), headers

    def dumps_value(self, app: Any, value: Any, *, headers: Any, **_: Any) -> Any:
        """Return a record as one frame, and the headers as they were; bytes pass as they are.

        Raises:
            RuleViolation: a value does not fit its Avro type.
        """
        if isinstance(value, bytes):
            return value, headers
        return self._codecs.codec(type(value)).encode(value), headers

    @staticmethod
    def _require_key(name: str, key: bytes | None, value: Record) -> None:
        known = topics.BY_NAME.get(name)
        if known is None or known.record is not type(value):
            return
        wanted = known.key_of(value)
        if _text(key) != wanted:
            raise DecodeError("the key is not the record's", topic=name, wanted=wanted)


class GlobalSchema(RecordSchema):
    """The schema of a global table: a value that cannot be read is absent, and is logged.

    A compacted topic has no dead letters, and one broken record must not stop every worker: what
    needs the value is denied until the next one comes. A replay reads the same bytes the same way.
    """

    def loads_value(self, app: Any, message: Any, **options: Any) -> Any:
        """Return the record of a message, None where its bytes are none."""
        try:
            return super().loads_value(app, message, **options)
        except DecodeError as error:
            log.error("a value of a global table cannot be read: %s", error)  # noqa: TRY400 - no trace needed
            return None


def _text(key: bytes | None) -> str:
    if not key:
        raise DecodeError("the record has no key")
    try:
        return key.decode()
    except UnicodeDecodeError as error:
        raise DecodeError("the key is no UTF-8", reason=error.reason) from error


def subjects() -> dict[type[Record], tuple[str, ...]]:
    """Return the registry's subjects of every record that a topic of the catalogue carries."""
    found: dict[type[Record], tuple[str, ...]] = {}
    for topic in topics.catalogue():
        if topic.record is not None and topic.subject is not None:
            found[topic.record] = (*found.get(topic.record, ()), topic.subject)
    return found


def pipeline_codecs(registry: Registry) -> Codecs:
    """Return the codecs of every record of the catalogue, for commands and checks.

    Args:
        registry: where schemas have their ids; nothing is registered.
    """
    return Codecs(registry, subjects(), register=False)
