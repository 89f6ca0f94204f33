"""Properties of reading what another schema wrote: fastavro itself, once the bytes are bounded."""

from __future__ import annotations

import functools
import io
import json
from contextlib import suppress
from typing import Any

import fastavro
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processors.errors import DecodeError
from processors.records.base import Record
from schemas.codec import Codecs, schema_text
from schemas.frame import Codec
from schemas.registry import MemoryRegistry
from schemas.walk import walker
from tests.property.strategies_records import MODELS, plain, records

every_model = pytest.mark.parametrize("model", MODELS, ids=lambda model: model.avro_name)
any_model = st.sampled_from(MODELS)
few = settings(max_examples=max(20, settings().max_examples // 5))  # for each of many models
WRITER_ID = 77


def longer(document: dict[str, Any]) -> dict[str, Any]:
    """Return a writer's schema with a field that we don't know, first, and ours turned round."""
    unknown = {"name": "unknown", "type": ["null", "string", {"type": "array", "items": "double"}]}
    return {**document, "fields": [unknown, *reversed(document["fields"])]}


@functools.cache
def setting(model: type[Record]) -> tuple[Codec[Any], Any]:
    """Return our codec, and the schema of another writer whose id its registry knows."""
    ours = json.loads(schema_text(model))
    # Turned round, a name may be used before its definition: spell it out at its first use.
    theirs = _defined_first(longer(ours), definitions(ours))
    registry = MemoryRegistry({WRITER_ID: json.dumps(theirs)})
    return Codecs(registry, {model: "a"}).codec(model), fastavro.parse_schema(theirs)


def written(model: type[Record], record: Record) -> bytes:
    """Return the frame of that other writer."""
    out = io.BytesIO(b"\0" + WRITER_ID.to_bytes(4, "big"))
    out.seek(0, io.SEEK_END)
    datum = {**plain(record), "unknown": [1.5, 2.5]}
    fastavro.schemaless_writer(out, setting(model)[1], datum)
    return out.getvalue()


def definitions(schema: Any) -> dict[str, Any]:
    if isinstance(schema, list):
        return {name: one for item in schema for name, one in definitions(item).items()}
    if not isinstance(schema, dict):
        return {}
    found = {}
    if "name" in schema and "namespace" in schema:
        found[f"{schema['namespace']}.{schema['name']}"] = schema
    for part in (schema.get("type"), schema.get("items"), schema.get("values")):
        found |= definitions(part)
    for field in schema.get("fields", ()):
        found |= definitions(field["type"])
    return found


def _defined_first(schema: Any, known: dict[str, Any], seen: set[str] | None = None) -> Any:
    seen = set() if seen is None else seen
    if isinstance(schema, list):
        return [_defined_first(item, known, seen) for item in schema]
    if isinstance(schema, str):
        return (
            _defined_first(known[schema], known, seen)
            if schema in known and schema not in seen
            else schema
        )
    name = f"{schema.get('namespace')}.{schema.get('name')}"
    if name in seen:
        return name
    if name in known:
        seen.add(name)
    result = dict(schema)
    for part in ("items", "values"):
        if part in schema:
            result[part] = _defined_first(schema[part], known, seen)
    if "fields" in schema:
        result["fields"] = [
            {**field, "type": _defined_first(field["type"], known, seen)}
            for field in schema["fields"]
        ]
    return result


@every_model
@few
@given(data=st.data())
def test_another_writer_is_read_as_ourselves(model: type[Record], data: st.DataObject) -> None:
    """Fields in another order, and one more, change nothing about the record that is read."""
    record = data.draw(records(model))
    codec, frame = setting(model)[0], written(model, record)
    try:
        assert codec.decode(frame) == record
    except DecodeError:
        with pytest.raises(DecodeError):
            codec.decode(codec.encode(record))


@given(model=any_model, data=st.data())
def test_damaged_bytes_of_another_writer(model: type[Record], data: st.DataObject) -> None:
    """Damaged bytes under another writer's id end as a record or as DecodeError, never else."""
    codec = setting(model)[0]
    broken = bytearray(written(model, data.draw(records(model))))
    at = data.draw(st.integers(5, len(broken) - 1))
    broken[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=12))
    with suppress(DecodeError):
        codec.decode(bytes(broken))


@given(model=any_model, data=st.data())
def test_the_walk_ends_where_the_record_ends(model: type[Record], data: st.DataObject) -> None:
    """Walking over a record's bytes ends exactly at their end, wherever they begin."""
    codec = setting(model)[0]
    frame = codec.encode(data.draw(records(model)))
    assert walker(json.loads(codec.schema))(frame + b"\7\7", 5) == len(frame)
