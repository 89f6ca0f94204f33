"""Properties of the codec over every record there is; fastavro is the oracle."""

from __future__ import annotations

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
from schemas.codec import Codecs
from schemas.frame import Codec
from schemas.registry import MemoryRegistry
from tests.property.strategies_records import MODELS, plain, records

CODECS = Codecs(MemoryRegistry(), {model: f"test.{model.__name__}-value" for model in MODELS})
PARSED: dict[type[Record], Any] = {
    model: fastavro.parse_schema(json.loads(CODECS.codec(model).schema)) for model in MODELS
}
every_model = pytest.mark.parametrize("model", MODELS, ids=lambda model: model.avro_name)
any_model = st.sampled_from(MODELS)
few = settings(max_examples=max(20, settings().max_examples // 5))  # for each of many models


def oracle(model: type[Record], record: Record) -> bytes:
    out = io.BytesIO()
    fastavro.schemaless_writer(out, PARSED[model], plain(record))
    return out.getvalue()


@every_model
@few
@given(data=st.data())
def test_bytes_are_those_of_fastavro(model: type[Record], data: st.DataObject) -> None:
    """A record is written as fastavro writes it, read back as it was, and written the same again."""
    codec: Codec[Any] = CODECS.codec(model)
    record = data.draw(records(model))
    frame = codec.encode(record)
    assert frame[:5] == b"\0" + codec.schema_id.to_bytes(4, "big")
    assert frame[5:] == oracle(model, record)
    found = codec.decode(frame, trusted=True)
    assert found == record
    assert found.model_fields_set == set(model.model_fields)
    assert codec.encode(found) == frame


@given(model=any_model, data=st.data())
def test_an_untrusted_read_holds_the_constraints(model: type[Record], data: st.DataObject) -> None:
    """A read gives the very record, or refuses it because the model's constraints are broken."""
    codec: Codec[Any] = CODECS.codec(model)
    record = data.draw(records(model))
    try:
        found = codec.decode(codec.encode(record))
    except DecodeError:
        with pytest.raises(ValueError, match="validation error"):
            model.model_validate(plain(record), strict=False)
    else:
        assert found == record


@given(model=any_model, data=st.data(), trusted=st.booleans())
def test_damaged_bytes_end_as_decode_error(
    model: type[Record], data: st.DataObject, trusted: bool
) -> None:
    """Cut, longer or changed bytes are read as some record or refused; nothing else comes out."""
    codec: Codec[Any] = CODECS.codec(model)
    frame = bytearray(codec.encode(data.draw(records(model))))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(5, len(frame)))
        match data.draw(st.sampled_from(["cut", "change", "insert"])):
            case "cut":
                del frame[at : at + data.draw(st.integers(1, 9))]
            case "insert":
                frame[at:at] = data.draw(st.binary(min_size=1, max_size=12))
            case _ if at < len(frame):
                frame[at] = data.draw(st.integers(0, 255))
    with suppress(DecodeError):
        found = codec.decode(bytes(frame), trusted=trusted)
        assert codec.decode(codec.encode(found), trusted=True) == found


@given(model=any_model, body=st.binary(max_size=200), trusted=st.booleans())
def test_any_bytes_end_as_record_or_decode_error(
    model: type[Record], body: bytes, trusted: bool
) -> None:
    """Whatever the bytes behind our header are, only a record or DecodeError comes out."""
    codec: Codec[Any] = CODECS.codec(model)
    with suppress(DecodeError):
        codec.decode(b"\0" + codec.schema_id.to_bytes(4, "big") + body, trusted=trusted)


@given(model=any_model, data=st.data())
def test_a_cut_record_is_never_read(model: type[Record], data: st.DataObject) -> None:
    """Every proper beginning of a frame is refused, and so is a frame with a byte behind it."""
    codec: Codec[Any] = CODECS.codec(model)
    frame = codec.encode(data.draw(records(model)))
    cut = data.draw(st.integers(0, len(frame) - 1) | st.integers(len(frame) - 5, len(frame) - 1))
    with pytest.raises(DecodeError):
        codec.decode(frame[:cut], trusted=True)
    with pytest.raises(DecodeError):
        codec.decode(frame + b"\0", trusted=True)
