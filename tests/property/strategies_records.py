"""Records of any model, made from its own schema: values at the bounds included."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from processors.records.base import Record
from schemas.catalog import packaged
from schemas.derive import models
from schemas.shape import Shape, fields_of, full_name

MODELS = [model for model in models().values() if full_name(model) in packaged()]
"""Every record with a schema; the binding test names those without."""

DECIMALS = (st.integers(-(10**38) + 1, 10**38 - 1) | st.integers(-300, 300)).map(
    lambda number: Decimal(f"{number}E-18")  # by text: arithmetic would round to 28 digits
) | st.sampled_from([Decimal("-0"), Decimal("1E+19"), Decimal("115478.82"), Decimal("1.500")])
LONGS = st.integers(-(1 << 63), (1 << 63) - 1) | st.integers(-200, 2000)
FIRST, LAST = (datetime.fromisoformat(f"{year}T00:00:00") for year in ("0001-01-01", "9999-12-31"))
EIGHT_BYTES = datetime.fromisoformat("1978-11-05T00:00:00")  # from here on, nearly
MOMENTS = st.datetimes(FIRST, LAST, timezones=st.just(UTC)) | st.datetimes(
    EIGHT_BYTES, EIGHT_BYTES.replace(month=12), timezones=st.just(UTC)
)
TEXTS = st.text(max_size=80) | st.sampled_from(["x" * 1023, "é" * 512, "y" * 1024, ""])


def values(shape: Shape) -> st.SearchStrategy[Any]:
    """Return values of a shape, whatever the model's own constraints."""
    match shape.kind:
        case "optional":
            return st.none() | values(shape.item)
        case "array":
            return st.lists(values(shape.item), max_size=4).map(tuple)
        case "map":
            return st.dictionaries(TEXTS, values(shape.item), max_size=4)
        case "record":
            return records(shape.record)
        case "enum":
            return st.sampled_from(list(shape.enum))
        case _:
            return {
                "string": TEXTS,
                "long": LONGS,
                "boolean": st.booleans(),
                "double": st.floats(allow_nan=False, allow_infinity=False),
                "decimal": DECIMALS,
                "timestamp": MOMENTS,
            }[shape.kind]


def records(model: type[Record]) -> st.SearchStrategy[Record]:
    """Return records of a model that fit its schema; they may break the model's constraints."""
    fields = {name: values(shape) for name, _, shape in fields_of(model)}
    return st.fixed_dictionaries(fields).map(lambda made: model.model_construct(**made))


def plain(value: Any) -> Any:
    """Return a record as the plain values that fastavro takes."""
    if isinstance(value, Record):
        return {name: plain(inner) for name, inner in value.__dict__.items()}
    if isinstance(value, tuple):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return value
