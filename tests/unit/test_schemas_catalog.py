"""Sources: references, canonical form, fingerprints, and what is no schema."""

from __future__ import annotations

import json
from typing import Any

import fastavro.schema
import pytest

from schemas import catalog
from schemas.canonical import canonical, fingerprint
from schemas.catalog import SchemaSourceError, parse

SIDE = {"type": "enum", "name": "Side", "namespace": "a.b", "symbols": ["BUY", "SELL"]}


def record(name: str, *types: Any, **more: Any) -> str:
    fields = [{"name": f"f{number}", "type": kind} for number, kind in enumerate(types)]
    return json.dumps({"type": "record", "name": name, "namespace": "a", "fields": fields, **more})


def test_a_reference_is_put_in_at_its_first_use_and_comes_first() -> None:
    """Who is referred to comes first, and who refers is whole: defined once, named after that."""
    found = parse(
        {"1.avsc": record("Order", ["null", "a.b.Side"], "a.b.Side"), "2.avsc": json.dumps(SIDE)}
    )
    assert list(found) == ["a.b.Side", "a.Order"]
    fields = found["a.Order"].document["fields"]
    assert fields[0]["type"] == ["null", SIDE]
    assert fields[1]["type"] == "a.b.Side"


def test_a_name_without_a_namespace_is_that_of_its_file() -> None:
    """A short name means the referring type's own namespace."""
    found = parse({"1": record("A", "B"), "2": record("B", "long")})
    assert found["a.A"].document["fields"][0]["type"]["name"] == "B"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "is not JSON"),
        ("[]", "is not the definition"),
        ('"string"', "is not the definition"),
        ("[" * 100_000, "is not JSON"),
        (record("A", "Nowhere"), "a.Nowhere is not defined"),
        (record("A", {"type": "array"}), "bad.avsc: .*array"),
        (record("A", 7), "neither a name"),
        (json.dumps({"type": "record", "name": "A", "fields": [{"name": "x", "type": "long", "default": "y"}]}), "default"),
        (record("A", SIDE, SIDE), "a.b.Side is defined twice"),
        (json.dumps({"type": "enum", "name": "E", "symbols": ["BUY", "no symbol"]}), "enum symbol"),
        (json.dumps({"type": "enum", "name": "E", "symbols": ["BUY"], "namespace": 7}), "namespace"),
        (json.dumps({**SIDE, "default": "SHORT"}), "default"),
    ],
)  # fmt: skip
def test_what_is_no_schema_is_named(text: str, words: str) -> None:
    """Every broken source is one error with its path and the reason, whatever is wrong in it."""
    with pytest.raises(SchemaSourceError, match=words) as caught:
        parse({"bad.avsc": text})
    assert caught.value.path == "bad.avsc"


def test_deep_nesting_is_refused_and_not_followed() -> None:
    """A hundred levels of arrays are refused."""
    kind: Any = "long"
    for _ in range(100):
        kind = {"type": "array", "items": kind}
    with pytest.raises(SchemaSourceError, match="nested too deeply"):
        parse({"deep.avsc": record("A", kind)})


def test_a_type_that_two_files_define_otherwise_is_refused() -> None:
    """Two files may define a nested type each, but only alike."""
    other = {**SIDE, "symbols": ["BUY", "SELL", "SHORT"]}
    assert len(parse({"1": record("A", SIDE), "2": record("B", SIDE)})) == 2
    with pytest.raises(SchemaSourceError, match=r"a\.b\.Side is defined otherwise"):
        parse({"1": record("A", SIDE), "2": record("B", other)})


def test_a_byte_order_mark_is_no_part_of_the_source() -> None:
    """An editor's byte order mark before the JSON changes nothing."""
    assert parse({"1": "\ufeff" + record("A", "long")}) == parse({"1": record("A", "long")})


def test_canonical_form_is_that_of_fastavro() -> None:
    """Every packaged schema has the parsing canonical form that fastavro gives it."""
    packaged = catalog.packaged()
    assert packaged
    for schema in packaged.values():
        parsed = fastavro.schema.parse_schema(schema.document)
        assert schema.canonical == fastavro.schema.to_parsing_canonical_form(parsed)


def test_a_fingerprint_sees_scale_and_not_docs() -> None:
    """Another scale is another fingerprint; another doc, default or layout is not."""

    def amount(scale: int, **more: Any) -> dict[str, Any]:
        kind = {"type": "bytes", "logicalType": "decimal", "precision": 38, "scale": scale}
        found: dict[str, Any] = json.loads(record("A", kind, **more))
        return found

    assert canonical(amount(18)) == canonical(amount(8))
    assert fingerprint(amount(18)) != fingerprint(amount(8))
    assert fingerprint(amount(18)) == fingerprint(amount(18, doc="in words"))


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        ("long", [0, -(1 << 63)], ["0", 1 << 63, True, None, 1.5]),
        ("int", [7], [1 << 31]),
        ("double", [1, 1.5], ["1", True]),
        ("boolean", [True], [0]),
        ("bytes", ["\u0000\u00ff"], ["\u0100", 0]),
        ("string", [""], [0, None]),
        (["null", "long"], [None], [0]),
        (SIDE, ["BUY"], ["SHORT", None]),
        ({"type": "array", "items": "long"}, [[], [1]], [["x"], {}]),
        ({"type": "map", "values": "long"}, [{}, {"a": 1}], [{"a": "x"}, []]),
        ({"type": "fixed", "name": "F", "size": 2}, ["ab"], ["a"]),
        (json.loads(record("N", "long")), [{"f0": 1}], [{}, {"f0": "x"}]),
    ],
    ids=str,
)
def test_a_default_is_a_value_of_its_type(kind: Any, good: list[Any], bad: list[Any]) -> None:
    """A default that a reader could not use is refused with the name of its field."""

    def source(value: Any) -> dict[str, str]:
        field = {"name": "x", "type": kind, "default": value}
        return {"1": json.dumps({"type": "record", "name": "R", "fields": [field]})}

    for value in good:
        parse(source(value))
    for value in bad:
        with pytest.raises(SchemaSourceError, match="default"):
            parse(source(value))
