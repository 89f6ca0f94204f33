"""Find Avro sources, resolve what they refer to, and say when two schemas are the same.

A file may define its nested types itself or name a type that another file defines. Either way a
`Schema` is whole: every type is defined at its first use, every name is a full name.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import avro.errors
import avro.schema

from schemas.canonical import canonical, fingerprint, full_name
from schemas.defaults import check_defaults
from schemas.resolve import Documents, definitions, inline, ordered


class SchemaSourceError(ValueError):
    """A source that is no schema, with its path; always the fault of the file."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Schema:
    """One record's schema, whole by itself.

    Attributes:
        name: full name.
        path: where its source was found.
        text: the schema as compact JSON, docs included: what a registry is given.
        canonical: Avro's parsing canonical form.
        fingerprint: SHA-256, hex, of the canonical form with logical types kept in it.
    """

    name: str
    path: str
    text: str
    canonical: str
    fingerprint: str

    @property
    def document(self) -> dict[str, Any]:
        """The schema as a JSON document, made anew for each caller."""
        document: dict[str, Any] = json.loads(self.text)
        return document


def parse(files: Mapping[str, str]) -> dict[str, Schema]:
    """Parse all sources together.

    Args:
        files: text by path.
    Returns:
        Schemas by full name; whoever is referred to by another file comes before it.
    Raises:
        SchemaSourceError: the first source that is no schema, names an unknown type, or defines a
            type otherwise than another source does.
    """
    documents: Documents = {}
    for path, text in sorted(files.items()):
        document = _load(path, text)
        name = full_name(document["name"], document.get("namespace", ""))
        if name in documents:
            raise SchemaSourceError(path, f"{name} is defined in {documents[name][0]} already")
        documents[name] = (path, document)
    found: dict[str, Schema] = {}
    shared: dict[str, tuple[str, str]] = {}
    try:
        names = ordered(documents)
    except RecursionError as error:
        raise SchemaSourceError(", ".join(files), "types are nested too deeply") from error
    for name in names:
        path, document = documents[name]
        try:
            whole = inline(document, documents)
            text = json.dumps(whole, separators=(",", ":"), ensure_ascii=True)
            avro.schema.parse(text)
            check_defaults(whole)
        except (avro.errors.AvroException, ValueError, TypeError, KeyError) as error:
            raise SchemaSourceError(path, str(error)) from error
        for inner, form in definitions(whole):
            first = shared.setdefault(inner, (path, form))
            if first[1] != form:
                raise SchemaSourceError(path, f"{inner} is defined otherwise than in {first[0]}")
        found[name] = Schema(name, path, text, canonical(whole), fingerprint(whole))
    return found


def _load(path: str, text: str) -> dict[str, Any]:
    try:
        document = json.loads(text.removeprefix("\ufeff"))
    except (ValueError, RecursionError) as error:
        raise SchemaSourceError(path, f"is not JSON: {error}") from error
    if not isinstance(document, dict) or not isinstance(document.get("name"), str):
        raise SchemaSourceError(path, "is not the definition of a named type")
    if not isinstance(document.get("namespace", ""), str):
        raise SchemaSourceError(path, "has a namespace that is no string")
    return document


def read_folder(root: Path | Traversable) -> dict[str, str]:
    """Return the text of every `.avsc` file under a folder, by its path within it."""
    files: dict[str, str] = {}

    def walk(folder: Path | Traversable, prefix: str) -> None:
        for entry in sorted(folder.iterdir(), key=lambda item: item.name):
            if entry.is_dir():
                walk(entry, f"{prefix}{entry.name}/")
            elif entry.name.endswith(".avsc"):
                try:
                    files[f"{prefix}{entry.name}"] = entry.read_text(encoding="utf-8")
                except UnicodeDecodeError as error:
                    raise SchemaSourceError(f"{prefix}{entry.name}", "is not UTF-8") from error

    walk(root, "")
    return files


@functools.cache
def packaged() -> Mapping[str, Schema]:
    """Return the schemas that this installation carries, by full name."""
    return parse(read_folder(resources.files("schemas") / "avro"))
