"""Compatibility: levels, directions, rules, places."""

from __future__ import annotations

import json
from typing import Any

import pytest

from schemas import compat
from schemas.compat import BACKWARD, FORWARD, check


def schema(*fields: dict[str, Any], **more: Any) -> str:
    return json.dumps({"type": "record", "name": "R", "namespace": "a", "fields": fields, **more})


def of(name: str, kind: Any, **more: Any) -> dict[str, Any]:
    return {"name": name, "type": kind, **more}


def enum(*symbols: str, **more: Any) -> dict[str, Any]:
    return {"type": "enum", "name": "E", "symbols": list(symbols), **more}


def decimal(scale: int, precision: int = 38) -> dict[str, Any]:
    return {"type": "bytes", "logicalType": "decimal", "precision": precision, "scale": scale}


X = of("x", "long")
BASE = schema(X)
WITH = schema(X, of("y", "long"))
WITH_DEFAULT = schema(X, of("y", "long", default=0))


@pytest.mark.parametrize(
    ("level", "added", "removed"),
    [
        ("NONE", set(), set()),
        ("BACKWARD", {BACKWARD}, set()),
        ("FORWARD", set(), {FORWARD}),
        ("FULL", {BACKWARD}, {FORWARD}),
        ("BACKWARD_TRANSITIVE", {BACKWARD}, set()),
        ("FORWARD_TRANSITIVE", set(), {FORWARD}),
        ("FULL_TRANSITIVE", {BACKWARD}, {FORWARD}),
    ],
)
def test_a_level_asks_for_its_directions(level: str, added: set[str], removed: set[str]) -> None:
    """Backward: we read the old. Forward: the old read us. A field without default breaks one."""
    assert {one.direction for one in check(WITH, [("1", BASE)], level)} == added
    assert {one.direction for one in check(BASE, [("1", WITH)], level)} == removed
    assert check(WITH_DEFAULT, [("1", BASE)], level) == []
    assert check(BASE, [("1", WITH_DEFAULT)], level) == []


def test_only_a_transitive_level_looks_behind_the_latest() -> None:
    """A default that was dropped in between is found by the transitive levels alone."""
    history = [("1", BASE), ("2", WITH_DEFAULT)]
    assert check(WITH, history, "BACKWARD") == []
    found = check(WITH, history, "BACKWARD_TRANSITIVE")
    assert [(one.version, one.path) for one in found] == [("1", "R.y")]


@pytest.mark.parametrize("level", ["", "full", "NONE_TRANSITIVE", "BOTH", "FULL_TRANSITIVELY"])
def test_an_unknown_level_is_refused(level: str) -> None:
    """A level that is none is an error, never a check that finds nothing."""
    with pytest.raises(ValueError, match="no such compatibility level"):
        check(BASE, [], level)


PAIRS: dict[str, tuple[str, str, str, str]] = {
    "type": (schema(X), schema(of("x", "string")), "type_mismatch", "R.x"),
    "symbol": (
        schema(of("e", ["null", {"type": "array", "items": enum("A")}])),
        schema(of("e", ["null", {"type": "array", "items": enum("A", "B")}])),
        "missing_enum_symbols",
        "R.e[]",
    ),
    "branch": (
        schema(of("x", ["null", "long"])),
        schema(of("x", ["null", "long", "string"])),
        "missing_union_branch",
        "R.x",
    ),
    "null": (schema(X), schema(of("x", ["null", "long"])), "type_mismatch", "R.x"),
    "name": (
        schema(of("e", enum("A"))),
        schema(of("e", {**enum("A"), "name": "Other"})),
        "name_mismatch",
        "R.e",
    ),
    "fixed": (
        schema(of("f", {"type": "fixed", "name": "F", "size": 4})),
        schema(of("f", {"type": "fixed", "name": "F", "size": 8})),
        "fixed_size_mismatch",
        "R.f",
    ),
    "nested": (
        schema(of("m", {"type": "map", "values": json.loads(schema(X, name="N"))})),
        schema(of("m", {"type": "map", "values": json.loads(schema(of("z", "long"), name="N"))})),
        "reader_field_missing_default_value",
        "R.m[].x",
    ),
}


@pytest.mark.parametrize("case", PAIRS)
def test_a_finding_names_rule_and_place(case: str) -> None:
    """Each way to break a reader is found under its rule, at its place, in words."""
    reader, writer, rule, path = PAIRS[case]
    found = check(reader, [("1", writer)], "BACKWARD", subject="t-value")
    assert [(one.rule, one.path, one.subject) for one in found] == [(rule, path, "t-value")]
    assert found[0].message
    assert found[0].advice


def test_two_breaks_are_two_findings() -> None:
    """Places are told apart, each with its own rule."""
    reader = schema(of("x", "string"), of("y", "long"))
    found = check(reader, [("1", schema(X))], "BACKWARD")
    assert [(one.rule, one.path) for one in found] == [
        ("type_mismatch", "R.x"),
        ("reader_field_missing_default_value", "R.y"),
    ]


def test_an_alias_without_a_namespace_is_in_the_types_own() -> None:
    """`aliases: [Old]` on a.R means a.Old; Avro's own checker takes it for a name without one."""
    old = schema(X, name="Old")
    assert check(schema(X, aliases=["Old"]), [("1", old)], "BACKWARD") == []
    assert check(schema(X, aliases=["a.Old"]), [("1", old)], "BACKWARD") == []
    elsewhere = schema(X, name="Old", namespace="b")
    assert check(schema(X, aliases=["Old"]), [("1", elsewhere)], "BACKWARD")
    assert check(schema(X), [("1", old)], "BACKWARD")


def test_an_enum_default_takes_what_is_unknown() -> None:
    """A symbol more is readable where the reader's enum has a default."""
    reader = schema(of("e", enum("A", "OTHER", default="OTHER")))
    writer = schema(of("e", enum("A", "B", "OTHER")))
    assert check(reader, [("1", writer)], "BACKWARD") == []


MEANING: dict[str, tuple[str, str, str]] = {
    "scale": (schema(of("p", decimal(4))), schema(of("p", decimal(2))), "decimal_scale_changed"),
    "precision": (
        schema(of("p", ["null", decimal(2, 10)])),
        schema(of("p", decimal(2, 20))),
        "decimal_precision_reduced",
    ),
    "dropped": (schema(of("p", "bytes")), schema(of("p", decimal(2))), "logical_type_changed"),
    "unit": (
        schema(of("t", {"type": "long", "logicalType": "timestamp-micros"})),
        schema(of("t", {"type": "long", "logicalType": "timestamp-millis"})),
        "logical_type_changed",
    ),
}


@pytest.mark.parametrize("case", MEANING)
def test_a_change_of_meaning_is_found_when_asked_for(case: str) -> None:
    """Scale, precision and unit are compatible to Avro, and findings with `semantics`."""
    reader, writer, rule = MEANING[case]
    assert check(reader, [("1", writer)], "BACKWARD") == []
    found = check(reader, [("1", writer)], "BACKWARD", semantics=True)
    assert [one.rule for one in found] == [rule]
    assert check(reader, [("1", reader)], "FULL", semantics=True) == []


@pytest.mark.parametrize("bad", ["", "{", '{"type": "record"}', '{"type": "nothing"}'])
def test_what_does_not_parse_is_a_finding(bad: str) -> None:
    """A candidate or an earlier version that is no schema is a finding and no traceback."""
    assert [one.rule for one in check(bad, [("1", BASE)], "FULL")] == ["not_a_schema"]
    assert [one.rule for one in check(BASE, [("1", bad)], "BACKWARD")] == ["not_a_schema"]


def test_a_record_that_holds_itself_is_compared() -> None:
    """Recursive types end."""
    tree = schema(of("x", "long"), of("next", ["null", "a.R"], default=None))
    other = schema(of("x", "string"), of("next", ["null", "a.R"], default=None))
    assert check(tree, [("1", tree)], "FULL", semantics=True) == []
    assert {one.path for one in check(tree, [("1", other)], "BACKWARD")} == {"R.x"}


def test_readable_says_why_not() -> None:
    """`readable` is a backward check against one writer."""
    assert compat.readable(WITH_DEFAULT, BASE) == []
    assert [one.path for one in compat.readable(WITH, BASE)] == ["R.y"]
