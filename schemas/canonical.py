"""When two schemas are the same: Avro's parsing canonical form, and a digest of it."""

from __future__ import annotations

import hashlib
import json
from typing import Any

PRIMITIVES = frozenset({"null", "boolean", "int", "long", "float", "double", "bytes", "string"})
NAMED = frozenset({"record", "error", "enum", "fixed"})
LOGICAL = ("logicalType", "precision", "scale")


def full_name(name: str, namespace: str) -> str:
    """Return a name with its namespace, unless it has one already or there is none."""
    return name if "." in name or not namespace else f"{namespace}.{name}"


def canonical(document: Any, *, logical: bool = False) -> str:
    """Return the parsing canonical form of a whole schema.

    Args:
        document: the schema as a JSON document.
        logical: whether to keep logical types, with precision and scale: the form that the
            fingerprint is made of, because a decimal of another scale is another type to us.
    Returns:
        Compact JSON.
    """
    form = _canonical(document, "", logical)
    return json.dumps(form, separators=(",", ":"), ensure_ascii=False)


def _canonical(schema: Any, namespace: str, logical: bool) -> Any:
    if isinstance(schema, str):
        return schema if schema in PRIMITIVES else full_name(schema, namespace)
    if isinstance(schema, list):
        return [_canonical(item, namespace, logical) for item in schema]
    kind = schema["type"]
    kept = {key: schema[key] for key in LOGICAL if logical and key in schema}
    if not isinstance(kind, str):
        return _canonical(kind, namespace, logical)
    if kind not in NAMED | {"array", "map"}:
        form = _canonical(kind, namespace, logical)
        return {"type": form, **kept} if kept else form
    result: dict[str, Any] = {}
    if kind in NAMED:
        result["name"] = full_name(schema["name"], schema.get("namespace", namespace))
        namespace = result["name"].rpartition(".")[0]
    result["type"] = kind
    if "fields" in schema:
        result["fields"] = [
            {"name": field["name"], "type": _canonical(field["type"], namespace, logical)}
            for field in schema["fields"]
        ]
    if "symbols" in schema:
        result["symbols"] = schema["symbols"]
    for part in ("items", "values"):
        if part in schema:
            result[part] = _canonical(schema[part], namespace, logical)
    if "size" in schema:
        result["size"] = schema["size"]
    return {**result, **kept}


def fingerprint(document: Any) -> str:
    """Return SHA-256, hex, of the canonical form with logical types kept in it."""
    return hashlib.sha256(canonical(document, logical=True).encode()).hexdigest()
