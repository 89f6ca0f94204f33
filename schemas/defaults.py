"""Check the defaults of a schema: a reader uses them as values, and Avro's parser lets most pass."""

from __future__ import annotations

from typing import Any

from schemas.canonical import NAMED, PRIMITIVES, full_name

LIMITS = {"int": 1 << 31, "long": 1 << 63}


def check_defaults(schema: Any, named: dict[str, Any] | None = None) -> None:
    """Check every default of a whole schema.

    Args:
        schema: the schema, every type defined at its first use.
        named: definitions met so far, by full name.
    Raises:
        ValueError: a default is no value of its field's type, or of the first branch of its union.
    """
    named = {} if named is None else named
    if isinstance(schema, list):
        for branch in schema:
            check_defaults(branch, named)
    elif isinstance(schema, dict):
        if schema["type"] in NAMED:
            named[full_name(schema["name"], schema.get("namespace", ""))] = schema
        if (
            schema["type"] == "enum"
            and schema.get("default", schema["symbols"][0]) not in (schema["symbols"])
        ):
            raise ValueError(f"the default of enum {schema['name']} is none of its symbols")
        for part in ("items", "values"):
            check_defaults(schema.get(part, "null"), named)
        for field in schema.get("fields", ()):
            check_defaults(field["type"], named)
            if "default" in field and not _fits(field["type"], field["default"], named):
                raise ValueError(f"the default of {schema['name']}.{field['name']} is no value")


def _fits(schema: Any, value: Any, named: dict[str, Any]) -> bool:
    if isinstance(schema, list):
        return bool(schema) and _fits(schema[0], value, named)
    if isinstance(schema, str) and schema not in PRIMITIVES:
        schema = named[schema]
    kind = schema if isinstance(schema, str) else schema["type"]
    match kind, value:
        case "null", None:
            return True
        case "boolean", bool():
            return True
        case "int" | "long", int() if not isinstance(value, bool):
            return -LIMITS[kind] <= value < LIMITS[kind]
        case "float" | "double", (int() | float()) if not isinstance(value, bool):
            return True
        case "string", str():
            return True
        case "bytes", str():
            return all(ord(character) < 256 for character in value)
        case "fixed", str():
            return bool(len(value) == schema["size"])
        case "enum", str():
            return bool(value in schema["symbols"])
        case "array", list():
            return all(_fits(schema["items"], item, named) for item in value)
        case "map", dict():
            return all(_fits(schema["values"], item, named) for item in value.values())
        case "record" | "error", dict():
            return all(
                _fits(field["type"], value[field["name"]], named)
                if field["name"] in value
                else "default" in field
                for field in schema["fields"]
            )
    return False
