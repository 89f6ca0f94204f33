"""Schema registries: one in memory, and one over HTTP (the only input and output in `schemas`)."""

from __future__ import annotations

import hashlib
import ipaddress
import json
import weakref
from collections.abc import Callable, Mapping
from typing import Any, TypeVar
from urllib.parse import urlsplit
from urllib.request import getproxies

from confluent_kafka.schema_registry import Schema, SchemaRegistryClient
from confluent_kafka.schema_registry.error import SchemaRegistryError

from schemas import compat
from schemas.registry_port import (
    DEFAULT_LEVEL,
    ID_MAX,
    LEVELS,
    IncompatibleSchemaError,
    NotARegistryError,
    Registry,
    RegistryError,
    RegistryRefusedError,
    RegistryUnreachableError,
    SchemaNotFoundError,
    Version,
)

__all__ = [
    "DEFAULT_LEVEL",
    "LEVELS",
    "HttpRegistry",
    "IncompatibleSchemaError",
    "MemoryRegistry",
    "NotARegistryError",
    "Registry",
    "RegistryError",
    "RegistryRefusedError",
    "RegistryUnreachableError",
    "SchemaNotFoundError",
    "Version",
]

T = TypeVar("T")
MAX_SCHEMA_CHARS = 1_000_000
"""Longest schema text taken from a registry."""

RETRIABLE = frozenset({408, 425, 429, 500, 502, 503, 504})


class MemoryRegistry:
    """A registry in memory, whose ids depend on the schema alone and not on any order.

    Args:
        schemas: schemas known from the start, by id: those of a file that is replayed.
    """

    def __init__(self, schemas: Mapping[int, str] | None = None) -> None:
        self._texts: dict[int, str] = dict(schemas or {})
        self._subjects: dict[str, list[Version]] = {}
        self._levels: dict[str, str] = {}

    def schema_by_id(self, schema_id: int) -> str:
        """See Registry."""
        try:
            return self._texts[schema_id]
        except KeyError:
            raise SchemaNotFoundError("no such schema id", schema_id=schema_id) from None

    def id_of(self, subject: str, schema_text: str) -> int:
        """See Registry."""
        wanted = _normal(schema_text)
        for version in self._subjects.get(subject, ()):
            if _normal(version.text) == wanted:
                return version.schema_id
        raise SchemaNotFoundError("the subject does not hold this schema", subject=subject)

    def register(self, subject: str, schema_text: str) -> int:
        """See Registry. The level is enforced, unlike by the client's own mock."""
        try:
            return self.id_of(subject, schema_text)
        except SchemaNotFoundError:
            history = self._subjects.setdefault(subject, [])
        level = self._levels.setdefault(subject, DEFAULT_LEVEL)
        earlier = [(str(version.number), version.text) for version in history]
        findings = compat.check(schema_text, earlier, level, subject=subject)
        if findings:
            raise IncompatibleSchemaError(
                "the schema is not compatible", subject=subject, reason=findings[0].message
            )
        schema_id = self._new_id(_normal(schema_text))
        self._texts.setdefault(schema_id, schema_text)
        history.append(Version(len(history) + 1, schema_id, schema_text))
        return schema_id

    def _new_id(self, normal: str) -> int:
        for schema_id, text in self._texts.items():
            if _normal(text) == normal:
                return schema_id
        number = int.from_bytes(hashlib.sha256(normal.encode()).digest()[:4], "big") & ID_MAX
        while number in self._texts or number == 0:
            number = (number + 1) & ID_MAX
        return number

    def subjects(self) -> tuple[str, ...]:
        """See Registry."""
        return tuple(sorted(self._subjects))

    def latest(self, subject: str) -> Version:
        """See Registry."""
        return self.versions(subject)[-1]

    def versions(self, subject: str) -> tuple[Version, ...]:
        """See Registry."""
        history = self._subjects.get(subject)
        if not history:
            raise SchemaNotFoundError("no such subject", subject=subject)
        return tuple(history)

    def level(self, subject: str) -> str:
        """See Registry."""
        return self._levels.get(subject, DEFAULT_LEVEL)

    def set_level(self, subject: str, level: str) -> None:
        """See Registry."""
        self._levels[subject] = _known(level)


class HttpRegistry:
    """A registry that speaks Confluent's API (Confluent, Apicurio's ccompat, Karapace).

    Args:
        url: base URL, with its path where it has one (`http://127.0.0.1:8081/apis/ccompat/v7`).
        timeout: seconds that one attempt may wait for a connection or an answer.
        retries: attempts after the first, on lost connections and on 408, 429 and 5xx.
        options: further settings of confluent-kafka's client, such as `basic.auth.user.info`.
    Attributes:
        url: the address, without credentials.
        close: closes the connections; calling it is a courtesy.
    """

    def __init__(
        self,
        url: str,
        *,
        timeout: float = 5.0,
        retries: int = 2,
        options: Mapping[str, object] | None = None,
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise RegistryRefusedError("the registry's address is no URL", url=_masked(url))
        self.url = _masked(url)
        conf: dict[str, object] = {
            **(options or {}),
            "url": url,
            "timeout": timeout,
            "max.retries": retries,
            "retries.wait.ms": 100,
            "retries.max.wait.ms": 1_000,
        }
        try:
            self._client = SchemaRegistryClient(conf)
        except (TypeError, ValueError, OSError) as error:
            raise RegistryRefusedError(
                "the registry client refuses its settings", url=self.url, reason=str(error)
            ) from error
        if _is_loopback(parts.hostname) and getproxies():
            # A proxy from the environment can't reach our own loopback; the client has no setting.
            self._client._rest_client.session._mounts.clear()  # noqa: SLF001
        # Whoever lets go of it without a word leaves no open socket behind.
        self.close = weakref.finalize(self, self._client.close)
        self._texts: dict[int, str] = {}
        self._ids: dict[tuple[str, str], int] = {}

    def schema_by_id(self, schema_id: int) -> str:
        """See Registry."""
        if schema_id not in self._texts:
            found = self._call(self._client.get_schema, schema_id, schema_id=schema_id)
            self._texts[schema_id] = self._avro(found, schema_id=schema_id)
        return self._texts[schema_id]

    def id_of(self, subject: str, schema_text: str) -> int:
        """See Registry."""
        key = (subject, schema_text)
        if key not in self._ids:
            schema = Schema(schema_text, "AVRO")
            found = self._call(self._client.lookup_schema, subject, schema, subject=subject)
            self._ids[key] = self._id(found.schema_id, subject=subject)
        return self._ids[key]

    def register(self, subject: str, schema_text: str) -> int:
        """See Registry. The level is set after the first version: a subject must exist for it."""
        schema = Schema(schema_text, "AVRO")  # named: Apicurio guesses a type that is left out
        found = self._call(self._client.register_schema, subject, schema, subject=subject)
        schema_id = self._id(found, subject=subject)
        if self.level(subject) != DEFAULT_LEVEL:
            self.set_level(subject, DEFAULT_LEVEL)
        self._ids[subject, schema_text] = schema_id
        return schema_id

    def subjects(self) -> tuple[str, ...]:
        """See Registry."""
        return tuple(sorted(self._call(self._client.get_subjects)))

    def latest(self, subject: str) -> Version:
        """See Registry."""
        return self._version(
            self._call(self._client.get_version, subject, "latest", subject=subject)
        )

    def versions(self, subject: str) -> tuple[Version, ...]:
        """See Registry."""
        numbers = self._call(self._client.get_versions, subject, subject=subject)
        found = (
            self._call(self._client.get_version, subject, number, subject=subject)
            for number in sorted(numbers)
        )
        return tuple(self._version(version) for version in found)

    def _version(self, found: Any) -> Version:
        context = {"subject": found.subject, "version": found.version}
        return Version(
            found.version, self._id(found.schema_id, **context), self._avro(found.schema, **context)
        )

    def level(self, subject: str) -> str:
        """See Registry. A subject without a level has the global one."""
        try:
            found = self._call(self._client.get_compatibility, subject, subject=subject)
        except SchemaNotFoundError:
            found = self._call(self._client.get_compatibility)
        return str(found)

    def set_level(self, subject: str, level: str) -> None:
        """See Registry."""
        self._call(self._client.set_compatibility, subject, _known(level), subject=subject)

    def _id(self, value: object, **context: object) -> int:
        if isinstance(value, int) and 0 < value <= ID_MAX:
            return value
        raise NotARegistryError("the answer has no schema id", url=self.url, **context)

    def _avro(self, schema: Any, **context: object) -> str:
        """Return the text of an Avro schema, refusing other kinds and absurd lengths."""
        kind = schema.schema_type or "AVRO"
        if kind != "AVRO":
            raise SchemaNotFoundError("the schema is not Avro", kind=kind, **context)
        text = schema.schema_str
        if not isinstance(text, str) or not text or len(text) > MAX_SCHEMA_CHARS:
            raise NotARegistryError("the answer holds no schema", url=self.url, **context)
        if schema.references:
            raise RegistryRefusedError("the schema refers to other subjects", **context)
        return text

    def _call(self, function: Callable[..., T], *args: object, **context: object) -> T:
        """Call the client once, and translate whatever comes out of it."""
        try:
            found = function(*args)
        except SchemaRegistryError as error:
            raise self._translated(error, context) from error
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            # 200 with a page, with nothing, or with JSON of another shape
            raise NotARegistryError(
                "what answered is no schema registry", url=self.url, **context
            ) from error
        except Exception as error:  # the HTTP library's own classes, of a version we don't choose
            raise RegistryUnreachableError(
                "the registry did not answer", url=self.url, reason=_reason(error), **context
            ) from error
        if found is None:
            raise NotARegistryError("the answer is empty", url=self.url, **context)
        return found

    def _translated(self, error: SchemaRegistryError, context: dict[str, object]) -> RegistryError:
        status = error.http_status_code
        facts = {"url": self.url, "status": status, **context}
        if error.error_code == -1 and not (status in RETRIABLE or status in {401, 403}):
            return NotARegistryError("what answered is no schema registry", **facts)
        facts["reason"] = str(error.error_message)[:500]
        if status in RETRIABLE:
            return RegistryUnreachableError("the registry can't answer now", **facts)
        if status == 404:
            return SchemaNotFoundError("the registry knows no such schema", **facts)
        if status == 409:
            return IncompatibleSchemaError("the registry refused the schema", **facts)
        if status in {401, 403}:
            return RegistryRefusedError("the registry refused our credentials", **facts)
        return RegistryRefusedError("the registry refused the call", **facts)


def _reason(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"[:500]


def _normal(text: str) -> str:
    """Return a schema's text without its layout; as it is where it is no JSON."""
    try:
        return json.dumps(json.loads(text), separators=(",", ":"))
    except (ValueError, RecursionError):
        return text


def _known(level: str) -> str:
    if level not in LEVELS:
        raise RegistryRefusedError("no such compatibility level", level=level)
    return level


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _masked(url: str) -> str:
    """Return a URL without the credentials that it may hold."""
    return urlsplit(url)._replace(netloc=urlsplit(url).netloc.rpartition("@")[2]).geturl()
