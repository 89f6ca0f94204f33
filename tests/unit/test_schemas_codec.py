"""The bad bytes and values of the list, one by one; and what the registry may answer."""

from __future__ import annotations

import io
import json
import struct
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, ClassVar

import fastavro
import pytest
from pydantic import Field

from processors.errors import (
    ConfigError,
    DecodeError,
    Disposition,
    InvariantError,
    RuleViolation,
    UnavailableError,
)
from processors.records.base import Moment, Positive, Record
from schemas.codec import Codecs, schema_id_of, schema_text
from schemas.frame import Codec
from schemas.registry import (
    MemoryRegistry,
    NotARegistryError,
    RegistryRefusedError,
    RegistryUnreachableError,
)


class Colour(StrEnum):
    """A colour."""

    RED = "RED"
    OTHER = "OTHER"


class Leaf(Record):
    """A nested record."""

    avro_name: ClassVar[str] = "test.Leaf"
    name: str = Field(description="x")


class Sample(Record):
    """One field of each kind."""

    avro_name: ClassVar[str] = "test.Sample"
    text: str = Field(description="x")
    count: int = Field(description="x", ge=0)
    flag: bool = Field(description="x")
    ratio: float = Field(description="x")
    price: Positive = Field(description="x")
    at: Moment = Field(description="x")
    colour: Colour = Field(description="x")
    maybe: Decimal | None = Field(default=None, description="x")
    leaves: tuple[Leaf, ...] = Field(default=(), description="x")
    values: dict[str, float] = Field(default={}, description="x")
    step: Decimal = Field(default=Decimal("0.05"), description="x")


SAMPLE = Sample(
    text="é",
    count=3,
    flag=True,
    ratio=0.5,
    price=Decimal("115478.82"),
    at=datetime(2024, 5, 1, tzinfo=UTC),
    colour=Colour.RED,
    leaves=(Leaf(name="a"),),
    values={"x": 1.0},
)

LEAF_OF_SEVEN = Leaf.model_construct(name=7)  # type: ignore[arg-type]  # this is the case


def codec_of(registry: Any = None) -> Codec[Sample]:
    return Codecs(registry or MemoryRegistry(), {Sample: "t-value"}).codec(Sample)


def body(**changes: bytes) -> bytes:
    """Return the body of a sample with single fields replaced by raw bytes."""
    parts = {
        "text": b"\x02a",
        "count": b"\x06",
        "flag": b"\x01",
        "ratio": struct.pack("<d", 0.5),
        "price": b"\x02\x01",
        "at": b"\x00",
        "colour": b"\x00",
        "maybe": b"\x00",
        "leaves": b"\x00",
        "values": b"\x00",
        "step": b"\x02\x01",
    }
    return b"".join({**parts, **changes}.values())


LONG_MIN_COUNT = b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"
BILLION = b"\x80\xa8\xd6\xb9\x07"

BAD_BODIES: dict[str, bytes] = {
    "varint of 11 bytes": body(count=b"\x80" * 10 + b"\x01"),
    "varint of 65 bits": body(count=b"\xff" * 9 + b"\x7f"),
    "length below zero": body(text=b"\x01"),
    "length of many bytes below zero": body(text=b"\xff\x01"),
    "length past the end": body(text=BILLION),
    "array of -2^63": body(leaves=LONG_MIN_COUNT + b"\x00\x00"),
    "array of a billion": body(leaves=BILLION),
    "block of a length past the end": body(leaves=b"\x01" + BILLION),
    "block of a length below zero": body(leaves=b"\x01\x01\x00"),
    "map of a billion": body(values=BILLION),
    "array without an end": body(leaves=b"\x02\x02a")[:-4],
    "union branch 2": body(maybe=b"\x04"),
    "union branch -1": body(maybe=b"\x01"),
    "enum symbol 2": body(colour=b"\x04"),
    "enum symbol -1": body(colour=b"\x01"),
    "bad UTF-8": body(text=b"\x02\xff"),
    "surrogate in UTF-8": body(text=b"\x06\xed\xa0\x80"),
    "bad UTF-8 in a key": body(values=b"\x02\x02\xff" + bytes(8) + b"\x00"),
    "NaN": body(ratio=struct.pack("<d", float("nan"))),
    "infinite": body(ratio=struct.pack("<d", float("-inf"))),
    "NaN in a map": body(values=b"\x02\x02a" + struct.pack("<d", float("nan")) + b"\x00"),
    "boolean 2": body(flag=b"\x02"),
    "decimal without a byte": body(price=b"\x00"),
    "decimal of 39 digits": body(price=b"\x22" + (10**38).to_bytes(17, "big")),
    "decimal of 100 bytes": body(price=b"\xc8\x01" + b"\x7f" * 100),
    "year 0": body(at=b"\xff" * 9 + b"\x01"),
    "trailing byte": body() + b"\x00",
    "empty": b"",
}


@pytest.mark.parametrize("trusted", [False, True])
@pytest.mark.parametrize("case", BAD_BODIES)
def test_bad_bytes_are_a_decode_error(case: str, trusted: bool) -> None:
    """Each way for bytes to be wrong is DecodeError with record and schema id, trusted or not."""
    codec = codec_of()
    frame = b"\0" + codec.schema_id.to_bytes(4, "big") + BAD_BODIES[case]
    with pytest.raises(DecodeError) as caught:
        codec.decode(frame, trusted=trusted)
    assert caught.value.context["avro_name"] == "test.Sample"
    assert caught.value.context["schema_id"] == codec.schema_id
    assert caught.value.disposition is Disposition.DEAD_LETTER


@pytest.mark.parametrize("trusted", [False, True])
def test_no_beginning_of_a_frame_is_a_record(trusted: bool) -> None:
    """A frame cut at any of its bytes is refused, also inside its last field."""
    codec = codec_of()
    frames = [codec.encode(SAMPLE), codec.encode(SAMPLE.model_copy(update={"leaves": ()}))]
    for frame in frames:
        assert codec.decode(frame, trusted=trusted).text == "é"
        for cut in range(len(frame)):
            with pytest.raises(DecodeError):
                codec.decode(frame[:cut], trusted=trusted)


@pytest.mark.parametrize("case", BAD_BODIES)
def test_bad_bytes_of_another_writer_are_a_decode_error(case: str) -> None:
    """The same bytes under another writer's id are refused just as well."""
    theirs = json.loads(schema_text(Sample))
    theirs["fields"].append({"name": "more", "type": "string"})
    codec = codec_of(MemoryRegistry({9: json.dumps(theirs)}))
    codec.decode(b"\0\0\0\0\x09" + body() + b"\x02a")
    with pytest.raises(DecodeError):
        codec.decode(b"\0\0\0\0\x09" + BAD_BODIES[case] + b"\x02a" * (case != "empty"))


@pytest.mark.parametrize(
    ("field", "raw"),
    [("price", b"\x02\x00"), ("price", b"\x02\xff"), ("count", b"\x01")],
)
def test_constraints_hold_unless_trusted(field: str, raw: bytes) -> None:
    """Whole bytes whose values break the model are refused, and taken over only when trusted."""
    codec = codec_of()
    frame = b"\0" + codec.schema_id.to_bytes(4, "big") + body(**{field: raw})
    with pytest.raises(DecodeError, match=field):
        codec.decode(frame)
    assert codec.decode(frame, trusted=True).text == "a"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (None, "there is no value"),
        (b"", "shorter than a header"),
        (b"\0", "shorter than a header"),
        (b"\0\0\0\0", "shorter than a header"),
        (b"\1\0\0\0\1", "the first byte is 1"),
        (b'{"account":', "the first byte is 123"),
    ],
)
def test_what_is_no_frame_is_named(data: bytes | None, reason: str) -> None:
    """No value, too few bytes and another first byte are told apart."""
    with pytest.raises(DecodeError, match=reason):
        codec_of().decode(data)
    assert schema_id_of(data) is None


@pytest.mark.parametrize("number", [0, 1, (1 << 31) - 1, 1 << 31, (1 << 32) - 1])
def test_an_unknown_id_is_a_decode_error(number: int) -> None:
    """An id that the registry lacks, or that can be none, is a dead letter that names it."""
    with pytest.raises(DecodeError, match="schema id is unknown") as caught:
        codec_of().decode(b"\0" + number.to_bytes(4, "big") + body())
    assert caught.value.context["schema_id"] == number


class Failing(MemoryRegistry):
    """A registry that holds our schema and answers nothing else."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error
        self.calls = 0

    def schema_by_id(self, schema_id: int) -> str:
        self.calls += 1
        raise self.error


@pytest.mark.parametrize(
    ("error", "expected", "disposition"),
    [
        (RegistryUnreachableError("down"), UnavailableError, Disposition.RETRY),
        (NotARegistryError("a page"), UnavailableError, Disposition.RETRY),
        (RegistryRefusedError("401"), ConfigError, Disposition.STOP),
    ],
)
def test_what_the_registry_says_decides(
    error: Exception, expected: type[Exception], disposition: Disposition
) -> None:
    """No answer is retried and never a dead letter; a refusal of our credentials stops."""
    registry = Failing(error)
    codec = codec_of(registry)
    for _ in range(2):  # a failure is not remembered
        with pytest.raises(expected) as caught:
            codec.decode(b"\0\0\0\0\x09" + body())
        assert caught.value.disposition is disposition  # type: ignore[attr-defined]
    assert registry.calls == 2


@pytest.mark.parametrize(
    "text",
    [
        "",
        "7",
        "[]",
        "{",
        '"string"',
        '{"type": "record", "name": "Sample"}',
        '{"type": "record", "name": "Other", "fields": []}',
        '{"type": "record", "name": "Sample", "fields": [{"name": "x", "type": "Nowhere"}]}',
        '{"type": "record", "name": "Sample", "fields": [{"type": "long"}]}',
        "[" * 100_000,
    ],
)
def test_a_writers_schema_that_is_none_is_a_decode_error(text: str) -> None:
    """Whatever a registry holds under an id, a record of it is a dead letter and no traceback."""
    with pytest.raises(DecodeError):
        codec_of(MemoryRegistry({9: text})).decode(b"\0\0\0\0\x09" + body())


def test_an_array_of_nothing_is_no_bomb() -> None:
    """A billion empty records take no byte: a schema that allows it is refused."""
    empty = {"type": "record", "name": "Empty", "fields": []}
    theirs = {"type": "record", "name": "Sample", "namespace": "fillonce.test",
              "fields": [{"name": "x", "type": {"type": "array", "items": empty}}]}  # fmt: skip
    with pytest.raises(DecodeError, match="no bound"):
        codec_of(MemoryRegistry({9: json.dumps(theirs)})).decode(b"\0\0\0\0\x09" + BILLION)


def test_a_record_inside_itself_has_a_bound() -> None:
    """A writer's recursive type can't nest a record deeper than 64 levels."""
    theirs = json.loads(schema_text(Sample))
    theirs["fields"].append(
        {"name": "next", "type": ["null", "fillonce.test.Sample"], "default": None}
    )
    codec = codec_of(MemoryRegistry({9: json.dumps(theirs)}))
    assert codec.decode(b"\0\0\0\0\x09" + (body() + b"\x02") * 3 + body() + b"\x00").text == "a"
    with pytest.raises(DecodeError, match="nested too deeply"):
        codec.decode(b"\0\0\0\0\x09" + (body() + b"\x02") * 1_000 + body() + b"\x00")


def test_defaults_fill_what_an_older_writer_lacks() -> None:
    """A decimal default comes out as the decimal, not as the text that Avro's JSON has for it."""
    theirs = json.loads(schema_text(Sample))
    theirs["fields"] = theirs["fields"][:7]
    frame = b"\0\0\0\0\x09" + body(maybe=b"", leaves=b"", values=b"", step=b"")
    found = codec_of(MemoryRegistry({9: json.dumps(theirs)})).decode(frame)
    assert (found.maybe, found.leaves, found.values, found.step) == (None, (), {}, Decimal("0.05"))


def test_a_writers_enum_symbol_that_we_lack_becomes_the_default() -> None:
    """OTHER stands for a symbol that is newer than we are."""
    theirs = json.loads(schema_text(Sample))
    kind = next(field["type"] for field in theirs["fields"] if field["name"] == "colour")
    kind["symbols"].append("BLUE")
    codec = codec_of(MemoryRegistry({9: json.dumps(theirs)}))
    assert codec.decode(b"\0\0\0\0\x09" + body(colour=b"\x04")).colour is Colour.OTHER


@pytest.mark.parametrize(
    ("name", "kind", "raw"),
    [
        ("price", "bytes", b"\x02\x01"),  # the logical type was dropped
        ("price", "string", b"\x021"),
        ("at", "long", b"\x02"),
        ("count", "string", b"\x021"),
    ],
)
def test_a_writers_type_that_means_something_else_is_refused(
    name: str, kind: str, raw: bytes
) -> None:
    """Bytes without a scale are no amount, a number without a unit is no moment."""
    theirs = json.loads(schema_text(Sample))
    next(field for field in theirs["fields"] if field["name"] == name)["type"] = kind
    with pytest.raises(DecodeError):
        codec_of(MemoryRegistry({9: json.dumps(theirs)})).decode(
            b"\0\0\0\0\x09" + body(**{name: raw})
        )


def test_a_writers_scale_is_the_one_that_counts() -> None:
    """1.50 written with scale 2 is read as 1.50, and milliseconds as milliseconds."""
    theirs = json.loads(schema_text(Sample))
    for field in theirs["fields"]:
        if field["name"] == "price":
            field["type"]["scale"] = 2
        if field["name"] == "at":
            field["type"]["logicalType"] = "timestamp-millis"
    codec = codec_of(MemoryRegistry({9: json.dumps(theirs)}))
    found = codec.decode(b"\0\0\0\0\x09" + body(price=b"\x04\x00\x96", at=b"\xd0\x0f"))
    assert found.price == Decimal("1.50")
    assert found.at == datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)


def test_our_schema_under_another_id_is_read() -> None:
    """The same schema with other docs has another id in some registries, and is still ours."""
    theirs = {**json.loads(schema_text(Sample)), "doc": "in other words"}
    codec = codec_of(MemoryRegistry({9: json.dumps(theirs)}))
    assert codec.decode(b"\0\0\0\0\x09" + codec.encode(SAMPLE)[5:]) == SAMPLE


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("price", Decimal("1E-19"), "19 decimal places"),
        ("price", Decimal("0.1234567890123456789"), "19 decimal places"),
        ("price", Decimal("1E+20"), "38 digits"),
        ("price", Decimal("NaN"), "not finite"),
        ("price", Decimal("-Infinity"), "not finite"),
        ("maybe", Decimal("1E-30"), "30 decimal places"),
        ("price", 1.5, "float is no decimal"),
        ("count", 1 << 63, "64 bits"),
        ("count", 1.0, "float is no long"),
        ("ratio", float("nan"), "not finite"),
        ("values", {"a": float("inf")}, "not finite"),
        ("text", "\ud800", "UTF-8"),
        ("text", 7, "int is no string"),
        ("text", None, "NoneType is no string"),
        ("values", {"\ud800": 1.0}, "UTF-8"),
        ("at", datetime(2024, 5, 1), "time zone"),  # noqa: DTZ001 - this is the case
        ("colour", "RED", "str is no enum"),
        ("leaves", (SAMPLE,), "Sample is no record"),
        ("leaves", (LEAF_OF_SEVEN,), "name: a int is no string"),
    ],
)
def test_a_value_that_does_not_fit_is_never_rounded(field: str, value: Any, reason: str) -> None:
    """What Avro can't hold exactly is RuleViolation with the field and the reason."""
    record = SAMPLE.model_copy(update={field: value})
    with pytest.raises(RuleViolation) as caught:
        codec_of().encode(record)
    assert caught.value.context["field"] == field
    assert reason in str(caught.value.context["reason"])


def test_another_model_is_our_own_defect() -> None:
    """A codec given a record of another model says so, whatever its fields."""
    with pytest.raises(InvariantError):
        codec_of().encode(Leaf(name="x"))  # type: ignore[arg-type]


def test_negative_zero_and_trailing_zeros_are_the_same_bytes() -> None:
    """Equal amounts are equal bytes, however they were written."""
    codec = codec_of()
    made = {codec.encode(SAMPLE.model_copy(update={"maybe": Decimal(text)}))
            for text in ("0", "-0", "0.000", "0E+5")}  # fmt: skip
    assert len(made) == 1


def test_several_blocks_and_sized_blocks_are_read() -> None:
    """Other writers may part an array into blocks, with their length in bytes or without."""
    codec = codec_of()
    leaves = b"\x02\x02a" + b"\x01\x04\x02b" + b"\x00"
    frame = b"\0" + codec.schema_id.to_bytes(4, "big") + body(leaves=leaves)
    assert [leaf.name for leaf in codec.decode(frame).leaves] == ["a", "b"]
    out = fastavro.schemaless_reader(io.BytesIO(frame[5:]), json.loads(codec.schema), None)
    assert [leaf["name"] for leaf in out["leaves"]] == ["a", "b"]  # type: ignore[index, call-overload]


def test_ids_come_from_the_registry_once() -> None:
    """A codec is made once; without `register`, a schema that is not there is an error."""
    registry = MemoryRegistry()
    with pytest.raises(ConfigError, match="does not hold this schema"):
        Codecs(registry, {Sample: "t-value"}, register=False).codec(Sample)
    codecs = Codecs(registry, {Sample: ("t-value", "u-value")})
    assert codecs.prepare().keys() == {"t-value", "u-value"}
    assert codecs.codec(Sample) is codecs.codec(Sample)
    again = Codecs(registry, {Sample: "u-value"}, register=False).codec(Sample)
    assert again.schema_id == codecs.codec(Sample).schema_id
    with pytest.raises(ConfigError, match="no subject"):
        codecs.codec(Leaf)


def test_ids_in_memory_depend_on_the_schema_alone() -> None:
    """The order of registration changes no id: what a replay writes is what was written."""
    one, other = MemoryRegistry(), MemoryRegistry()
    texts = [schema_text(Sample), schema_text(Leaf)]
    ids = [one.register(f"s{n}", text) for n, text in enumerate(texts)]
    assert (
        ids == [other.register(f"t{n}", text) for n, text in reversed(list(enumerate(texts)))][::-1]
    )
