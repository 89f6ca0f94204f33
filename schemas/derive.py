"""Write `schemas/avro/<domain>/<Record>.avsc` from the models: `python -m schemas.derive`.

Each file is whole by itself: a nested type is defined where it is first used. So a file is what a
subject of the registry holds, and one file out of any revision can be read without the others.
"""

from __future__ import annotations

import argparse
import copy
import importlib
import inspect
import json
import pkgutil
import sys
from collections.abc import Iterable
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Any

from processors import records
from processors.errors import ConfigError
from processors.records.base import Record
from schemas.shape import Shape, enum_default, enum_name, fields_of, full_name
from schemas.wire import decimal_bytes

PRECISION, SCALE = 38, 18
"""Digits of a decimal, and how many of them follow the point."""

ROOT = Path(__file__).parent / "avro"

SIMPLE: dict[str, Any] = {
    "string": "string",
    "long": "long",
    "boolean": "boolean",
    "double": "double",
    "decimal": {
        "type": "bytes",
        "logicalType": "decimal",
        "precision": PRECISION,
        "scale": SCALE,
    },
    "timestamp": {"type": "long", "logicalType": "timestamp-micros"},
}


def models() -> dict[str, type[Record]]:
    """Return every record model by `avro_name`, after importing all of `processors.records`."""
    for module in pkgutil.iter_modules(records.__path__):
        importlib.import_module(f"{records.__name__}.{module.name}")
    found: dict[str, type[Record]] = {}
    pending: list[type[Record]] = list(Record.__subclasses__())
    while pending:
        model = pending.pop()
        pending += model.__subclasses__()
        if not model.__module__.startswith(f"{records.__name__}."):
            continue
        if found.setdefault(model.avro_name, model) is not model:
            raise ConfigError("two models have one Avro name", avro_name=model.avro_name)
    return dict(sorted(found.items()))


def document_of(model: type[Record]) -> dict[str, Any]:
    """Return the Avro schema of a model as a JSON document, nested types inside.

    Args:
        model: a record; every field has a description.
    Returns:
        The schema, keys in a fixed order.
    Raises:
        ConfigError: a type, default or description that Avro can't carry or that is missing.
    """
    return _record(model, {}, ())


def _record(
    model: type[Record], seen: dict[str, type], path: tuple[type[Record], ...]
) -> dict[str, Any]:
    if model in path:
        raise ConfigError("a record that holds itself is refused", avro_name=model.avro_name)
    namespace, _, name = full_name(model).rpartition(".")
    seen[full_name(model)] = model
    fields: list[dict[str, Any]] = []
    for field, info, shape in fields_of(model):
        if not info.description:
            raise ConfigError("a field has no doc", avro_name=model.avro_name, field=field)
        entry: dict[str, Any] = {"name": field, "doc": info.description}
        entry["type"] = _type(shape, seen, (*path, model))
        if not info.is_required():
            value = info.get_default(call_default_factory=True, validated_data={})
            if shape.kind == "optional" and value is not None:
                raise ConfigError(
                    "an optional field may only default to none",
                    avro_name=model.avro_name,
                    field=field,
                )
            entry["default"] = _default(shape, value)
        fields.append(entry)
    if not fields:
        raise ConfigError("a record without fields is refused", avro_name=model.avro_name)
    return {
        "type": "record",
        "name": name,
        "namespace": namespace,
        "doc": _doc(model),
        "fields": fields,
    }


def _doc(owner: type) -> str:
    """Return the docstring of a model or enum as one line."""
    text = owner.__dict__.get("__doc__")
    if not text:
        raise ConfigError("a record or enum has no doc", name=owner.__qualname__)
    return " ".join(inspect.cleandoc(text).split())


def _type(shape: Shape, seen: dict[str, type], path: tuple[type[Record], ...]) -> Any:
    match shape.kind:
        case "optional":
            return ["null", _type(shape.item, seen, path)]
        case "array":
            return {"type": "array", "items": _type(shape.item, seen, path)}
        case "map":
            return {"type": "map", "values": _type(shape.item, seen, path)}
        case "record":
            return _once(full_name(shape.record), shape.record, seen) or _record(
                shape.record, seen, path
            )
        case "enum":
            return _once(enum_name(shape.enum), shape.enum, seen) or _enum(shape.enum, seen)
        case _:
            return copy.deepcopy(SIMPLE[shape.kind])  # the caller may change what it gets


def _once(name: str, owner: type, seen: dict[str, type]) -> str | None:
    """Return the name of a type that is defined already, none for one that is new."""
    if seen.get(name, owner) is not owner:
        raise ConfigError("two types have one Avro name", name=name)
    return name if name in seen else None


def _enum(enum: type[StrEnum], seen: dict[str, type]) -> dict[str, Any]:
    seen[enum_name(enum)] = enum
    namespace, _, name = enum_name(enum).rpartition(".")
    document: dict[str, Any] = {
        "type": "enum",
        "name": name,
        "namespace": namespace,
        "doc": _doc(enum),
        "symbols": [member.value for member in enum],
    }
    default = enum_default(enum)
    if default is not None:
        document["default"] = default
    return document


def _default(shape: Shape, value: Any) -> Any:
    """Return a model's default as Avro's JSON writes it (bytes as one character each)."""
    match shape.kind, value:
        case _, None:
            return None
        case "decimal", Decimal():
            return decimal_bytes(value).decode("latin-1")
        case "enum", StrEnum():
            return value.value
        case "array", tuple():
            return [_default(shape.item, item) for item in value]
        case "map", dict():
            return {name: _default(shape.item, item) for name, item in value.items()}
        case "record", Record():
            return {
                name: _default(inner, getattr(value, name))
                for name, _, inner in fields_of(shape.record)
            }
        case "string" | "long" | "boolean" | "double", str() | int() | float():
            return value
    raise ConfigError("a default has no Avro counterpart", kind=shape.kind, value=value)


def render(document: dict[str, Any]) -> str:
    """Return a schema document as the text of its file: two spaces, keys as they come, ASCII."""
    return json.dumps(document, indent=2, ensure_ascii=True) + "\n"


def expected(root: Path) -> dict[Path, str]:
    """Return the text of every file that belongs under `root`."""
    files = {}
    for avro_name, model in models().items():
        domain, _, name = avro_name.partition(".")
        files[root / domain / f"{name}.avsc"] = render(document_of(model))
    return files


def stale(root: Path, files: dict[Path, str]) -> list[str]:
    """Return one line for each file that is missing, differs or has no model."""
    lines = []
    for path, text in files.items():
        if not path.is_file():
            lines.append(f"missing: {path.relative_to(root)}")
        elif path.read_text(encoding="utf-8") != text:
            lines.append(f"differs: {path.relative_to(root)}")
    lines += [f"no model: {path.relative_to(root)}" for path in extra(root, files)]
    return lines


def extra(root: Path, files: Iterable[Path]) -> list[Path]:
    """Return the files under `root` that no model stands for."""
    return sorted(set(root.glob("*/*.avsc")) - set(files))


def main(arguments: list[str] | None = None) -> int:
    """Write the files, or with `--check` only compare them.

    Returns:
        0 done or equal, 2 a model that Avro can't carry, 3 files that differ.
    """
    parser = argparse.ArgumentParser(prog="python -m schemas.derive", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; 3 if a file is stale")
    parser.add_argument("--root", type=Path, default=ROOT, help="folder of the .avsc files")
    options = parser.parse_args(arguments)
    try:
        files = expected(options.root)
    except ConfigError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    lines = stale(options.root, files)
    for line in lines:
        sys.stdout.write(f"{line}\n")
    if options.check:
        return 3 if lines else 0
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    for path in extra(options.root, files):
        path.unlink()
    return 0


if __name__ == "__main__":
    sys.exit(main())
