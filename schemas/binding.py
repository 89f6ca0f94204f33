"""Hold a model to its schema, field by field and both ways."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from processors.records.base import Record
from schemas.catalog import Schema
from schemas.derive import document_of
from schemas.shape import full_name

ASPECTS = ("name", "namespace", "doc", "symbols", "default", *("logicalType", "precision", "scale"))


def differences(model: type[Record], document: Mapping[str, Any]) -> list[str]:
    """Compare a model with a schema document: types, nullability, order, defaults, symbols, docs.

    Args:
        model: a record.
        document: its schema, whole.
    Returns:
        One line for each difference, with its path; none if the two are the same.
    """
    return list(_compare(document_of(model), dict(document), model.__name__))


def unbound(models: Mapping[str, type[Record]], schemas: Mapping[str, Schema]) -> list[str]:
    """Compare all models with all schemas.

    Returns:
        One line for each model without a schema, schema without a model, and difference.
    """
    lines: list[str] = []
    names = {full_name(model): model for model in models.values()}
    for name, model in names.items():
        if name in schemas:
            lines += differences(model, schemas[name].document)
        else:
            lines.append(f"{name}: the model has no schema")
    lines += [f"{name}: the schema has no model" for name in schemas if name not in names]
    return lines


def _compare(model: Any, schema: Any, path: str) -> Iterator[str]:
    if isinstance(model, dict) and isinstance(schema, dict):
        for aspect in ASPECTS:
            here, there = model.get(aspect, "(none)"), schema.get(aspect, "(none)")
            if here != there or type(here) is not type(there):
                yield f"{path}: {aspect} is {here!r} in the model, {there!r} in the schema"
        for part in ("type", "items", "values"):
            if part in model or part in schema:
                yield from _compare(model.get(part), schema.get(part), path)
        if "fields" in model or "fields" in schema:
            yield from _fields(model.get("fields", []), schema.get("fields", []), path)
    elif isinstance(model, list) and isinstance(schema, list) and len(model) == len(schema):
        for here, there in zip(model, schema, strict=True):
            yield from _compare(here, there, path)
    elif model != schema:
        yield f"{path}: type is {_words(model)} in the model, {_words(schema)} in the schema"


def _fields(model: list[Any], schema: list[Any], path: str) -> Iterator[str]:
    here = {field["name"]: field for field in model}
    there = {field["name"]: field for field in schema}
    for name, field in here.items():
        if name not in there:
            yield f"{path}.{name}: the schema has no such field"
        else:
            yield from _compare(field, there[name], f"{path}.{name}")
    yield from (f"{path}.{name}: the model has no such field" for name in there if name not in here)
    shared = [name for name in here if name in there]
    if shared != [name for name in there if name in here]:
        yield f"{path}: the fields stand in another order"


def _words(schema: Any) -> str:
    if isinstance(schema, dict):
        return str(schema.get("name") or schema.get("logicalType") or schema.get("type"))
    return "[" + ", ".join(map(_words, schema)) + "]" if isinstance(schema, list) else str(schema)
