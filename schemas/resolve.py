"""Make a source whole: put in what it refers to, and spell every name out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from schemas.canonical import LOGICAL, NAMED, PRIMITIVES, full_name

Documents = dict[str, tuple[str, dict[str, Any]]]
"""Path and source of each top-level type, by its full name."""

MAX_DEPTH = 64
"""Most levels of nesting in a source; deeper ones are refused, not followed."""


def inline(document: dict[str, Any], documents: Documents) -> dict[str, Any]:
    """Return a source with full names, in which every type is defined at its first use.

    Raises:
        ValueError: a type is unknown, defined twice, no type at all, or nested too deeply.
    """
    whole: dict[str, Any] = _inline(document, "", set(), documents, 0)
    return whole


def _inline(
    schema: Any,
    namespace: str,
    defined: set[str],
    documents: Documents,
    depth: int,
) -> Any:
    """Return a schema with full names, in which every type is defined at its first use."""
    if depth > MAX_DEPTH:
        raise ValueError("types are nested too deeply")
    if isinstance(schema, list):
        return [_inline(item, namespace, defined, documents, depth + 1) for item in schema]
    if isinstance(schema, str):
        name = schema if schema in PRIMITIVES else full_name(schema, namespace)
        if name in PRIMITIVES or name in defined:
            return name
        if name not in documents:
            raise ValueError(f"{name} is not defined")
        return _inline(documents[name][1], "", defined, documents, depth + 1)
    if not isinstance(schema, dict) or "type" not in schema:
        raise ValueError("a type is neither a name, a union nor an object with a type")
    kind = schema["type"]
    if not isinstance(kind, str) or kind not in PRIMITIVES | NAMED | {"array", "map"}:
        return _inline(kind, namespace, defined, documents, depth + 1)
    result = dict(schema)
    if kind in NAMED:
        namespace = _define(result, namespace, defined)
    for part in ("items", "values"):
        if part in schema:
            result[part] = _inline(schema[part], namespace, defined, documents, depth + 1)
    if "fields" in schema:
        result["fields"] = [
            {**field, "type": _inline(field["type"], namespace, defined, documents, depth + 1)}
            for field in schema["fields"]
        ]
    return result


def _define(schema: dict[str, Any], namespace: str, defined: set[str]) -> str:
    """Spell the name of a definition out, enter it in `defined` and return its namespace."""
    name = full_name(str(schema["name"]), schema.get("namespace", namespace))
    if name in defined:
        raise ValueError(f"{name} is defined twice")
    defined.add(name)
    space, _, schema["name"] = name.rpartition(".")
    schema.pop("namespace", None)
    if space:
        schema["namespace"] = space
    return space


def _references(schema: Any, namespace: str) -> Iterator[str]:
    """Yield the full names that a source mentions, also those it defines."""
    if isinstance(schema, str):
        if schema not in PRIMITIVES | NAMED | {"array", "map"}:
            yield full_name(schema, namespace)
    elif isinstance(schema, list):
        for item in schema:
            yield from _references(item, namespace)
    elif isinstance(schema, dict):
        if schema.get("type") in NAMED and isinstance(schema.get("name"), str):
            name = full_name(schema["name"], schema.get("namespace", namespace))
            namespace = name.rpartition(".")[0]
        for part in ("type", "items", "values"):
            yield from _references(schema.get(part, "null"), namespace)
        fields = schema.get("fields")
        for field in fields if isinstance(fields, list) else ():
            if isinstance(field, dict):
                yield from _references(field.get("type", "null"), namespace)


def ordered(documents: Documents) -> list[str]:
    """Return names so that whoever is referred to comes first; a circle is cut where it closes."""
    order: dict[str, None] = {}
    entered: set[str] = set()

    def visit(name: str) -> None:
        if name in entered:
            return
        entered.add(name)
        for other in sorted(set(_references(documents[name][1], ""))):
            if other in documents:
                visit(other)
        order[name] = None

    for name in sorted(documents):
        visit(name)
    return list(order)


def definitions(schema: Any) -> Iterator[tuple[str, str]]:
    """Yield name and form of each type that a whole schema defines."""
    if isinstance(schema, list):
        for item in schema:
            yield from definitions(item)
    elif isinstance(schema, dict):
        if schema["type"] in NAMED:
            name = full_name(schema["name"], schema.get("namespace", ""))
            # Shallow: an inner type is compared under its own name.
            fields = [(f["name"], _mention(f["type"])) for f in schema.get("fields", ())]
            form = [fields, *(schema.get(key) for key in ("symbols", "default", "size", *LOGICAL))]
            yield name, json.dumps(form)
        for part in ("type", "items", "values"):
            yield from definitions(schema.get(part, "null"))
        for field in schema.get("fields", ()):
            yield from definitions(field["type"])


def _mention(schema: Any) -> Any:
    """Return a type with every definition in it cut down to its name."""
    if isinstance(schema, list):
        return [_mention(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if schema["type"] in NAMED:
        return full_name(schema["name"], schema.get("namespace", ""))
    return {
        key: _mention(schema[key]) if key in {"items", "values"} else schema[key]
        for key in ("type", "items", "values", *LOGICAL)
        if key in schema
    }
