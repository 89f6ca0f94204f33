"""What the codec and the gate ask of a schema registry, and what can go wrong.

RegistryError                  base
├── SchemaNotFoundError        the registry knows no such subject, version or id
├── IncompatibleSchemaError    it refused a schema at the subject's level
├── RegistryRefusedError       it refused the call: credentials, rights, a malformed schema
├── RegistryUnreachableError   no answer, or one that says "later": trying again makes sense
└── NotARegistryError          something answered that is no registry: a page, a redirect, nothing
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

LEVELS = (
    "NONE",
    "BACKWARD",
    "BACKWARD_TRANSITIVE",
    "FORWARD",
    "FORWARD_TRANSITIVE",
    "FULL",
    "FULL_TRANSITIVE",
)
DEFAULT_LEVEL = "FULL_TRANSITIVE"
"""Level of every subject of ours: old records are replayed, and old readers read new ones."""

ID_MAX = (1 << 31) - 1
"""Largest schema id: four bytes on the wire, signed in the registries."""


class RegistryError(Exception):
    """Base: one stable sentence, and the values apart, in `context`."""

    def __init__(self, message: str, /, **context: object) -> None:
        super().__init__(message)
        self.message = message
        self.context = context

    def __str__(self) -> str:
        """Return the sentence, then the values that belong to it."""
        values = ", ".join(f"{name}={value!r}" for name, value in self.context.items())
        return f"{self.message} ({values})" if values else self.message


class SchemaNotFoundError(RegistryError):
    """The registry knows no such subject, version or id."""


class IncompatibleSchemaError(RegistryError):
    """The registry refused a schema at the level of its subject."""


class RegistryRefusedError(RegistryError):
    """The registry refused the call; the same call will be refused again."""


class RegistryUnreachableError(RegistryError):
    """No usable answer; the same call may work later."""


class NotARegistryError(RegistryError):
    """Something answered that is no schema registry."""


@dataclass(frozen=True, slots=True)
class Version:
    """One registered version of a subject: its number, its schema's id and text."""

    number: int
    schema_id: int
    text: str


class Registry(Protocol):
    """A schema registry; every call may raise any RegistryError."""

    def schema_by_id(self, schema_id: int) -> str:
        """Return the text of the Avro schema with that id."""
        ...

    def id_of(self, subject: str, schema_text: str) -> int:
        """Return the id under which a subject holds a schema; registers nothing."""
        ...

    def register(self, subject: str, schema_text: str) -> int:
        """Register a schema under a subject, at FULL_TRANSITIVE if it has no level; return its id.

        Registering what is registered already changes nothing.
        """
        ...

    def subjects(self) -> tuple[str, ...]:
        """Return the names of all subjects, sorted."""
        ...

    def latest(self, subject: str) -> Version:
        """Return the newest version of a subject."""
        ...

    def versions(self, subject: str) -> tuple[Version, ...]:
        """Return every live version of a subject, oldest first."""
        ...

    def level(self, subject: str) -> str:
        """Return the compatibility level that holds for a subject."""
        ...

    def set_level(self, subject: str, level: str) -> None:
        """Set the compatibility level of a subject."""
        ...
