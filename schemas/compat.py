"""Whether a schema may follow others: every finding says which rule, where, and what to do.

The verdict is Avro's own checker's. It agrees with the Java one that registries use but for
aliases under a namespace, which it does not qualify: they are spelt out here before it sees them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import avro.errors
import avro.schema

from schemas import explain
from schemas import semantics as meaning
from schemas.canonical import NAMED, full_name

BACKWARD, FORWARD = "backward", "forward"
"""Backward: the candidate reads old data. Forward: an old schema reads the candidate's data."""

UPGRADE = {
    BACKWARD: "old records can't be read any more: keep the old readers, or make it readable",
    FORWARD: "readers at that version must be upgraded before the first writer of the new one",
}
DIRECTIONS = {
    "NONE": (),
    "BACKWARD": (BACKWARD,),
    "FORWARD": (FORWARD,),
    "FULL": (BACKWARD, FORWARD),
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One reason why a schema may not follow another.

    Attributes:
        rule: stable id, such as `reader_field_missing_default_value`.
        subject: subject or full name of the record.
        path: where in the reader's schema, such as `TradeIntent.sizing.kind`.
        direction: backward (the candidate is the reader) or forward (it is the writer).
        version: the earlier version it breaks with.
        message: in words.
        advice: which side has to be upgraded first, or what is lost.
    """

    rule: str
    subject: str
    path: str
    direction: str
    version: str
    message: str
    advice: str


def check(
    candidate: str,
    existing: Sequence[tuple[str, str]],
    level: str,
    *,
    subject: str = "",
    semantics: bool = False,
) -> list[Finding]:
    """Check a schema against those it follows.

    Args:
        candidate: text of the new schema.
        existing: (version, text) of the earlier ones, oldest first.
        level: NONE, BACKWARD, FORWARD or FULL, each but NONE also with _TRANSITIVE.
        subject: what the findings are about.
        semantics: whether changes count that Avro calls compatible though amounts or times change.
    Returns:
        The findings; none if the schema is compatible.
    Raises:
        ValueError: there is no such level.
    """
    base, _, transitive = level.partition("_")
    if base not in DIRECTIONS or transitive not in {"", "TRANSITIVE"} or level == "NONE_TRANSITIVE":
        raise ValueError(f"no such compatibility level: {level}")
    if not DIRECTIONS[base]:
        return []
    new = _parse(candidate)
    if isinstance(new, str):
        return [Finding("not_a_schema", subject, "", "", "candidate", new, "repair the source")]
    findings: list[Finding] = []
    for version, text in existing if transitive else existing[-1:]:
        old = _parse(text)
        if isinstance(old, str):
            message = f"the earlier version does not parse: {old}"
            findings.append(Finding("not_a_schema", subject, "", "", version, message, ""))
            continue
        for direction in DIRECTIONS[base]:
            reader, writer = (new, old) if direction == BACKWARD else (old, new)
            reasons = explain.reasons(reader, writer)
            if semantics:
                reasons += meaning.changes(reader, writer)
            findings += [
                Finding(rule, subject, path, direction, version, message, UPGRADE[direction])
                for rule, path, message in reasons
            ]
    return findings


def readable(reader: str, writer: str, *, subject: str = "") -> list[Finding]:
    """Return why a reader can't read what a writer may write; nothing if it can."""
    return check(reader, [("writer", writer)], BACKWARD.upper(), subject=subject)


def _parse(text: str) -> avro.schema.Schema | str:
    """Return a schema ready to be compared, or why it is none."""
    try:
        return avro.schema.parse(json.dumps(qualified(json.loads(text))))
    except (avro.errors.AvroException, ValueError, TypeError, KeyError, RecursionError) as error:
        return str(error)[:500] or type(error).__name__


def qualified(schema: Any, namespace: str = "") -> Any:
    """Return a schema document in which every alias of a named type is a full name."""
    if isinstance(schema, list):
        return [qualified(item, namespace) for item in schema]
    if not isinstance(schema, dict):
        return schema
    result = dict(schema)
    if schema.get("type") in NAMED and isinstance(schema.get("name"), str):
        name = full_name(schema["name"], schema.get("namespace", namespace))
        namespace = name.rpartition(".")[0]
        if "aliases" in schema:
            result["aliases"] = [full_name(alias, namespace) for alias in schema["aliases"]]
    for part in ("type", "items", "values"):
        if part in schema:
            result[part] = qualified(schema[part], namespace)
    if isinstance(schema.get("fields"), list):
        result["fields"] = [
            {**field, "type": qualified(field["type"], namespace)} for field in schema["fields"]
        ]
    return result
