"""Say why a value can't be written: the slow way round, taken once encoding has failed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from decimal import Context, Decimal
from enum import StrEnum
from typing import TypeVar

from processors.records.base import Record
from schemas.shape import Shape, fields_of
from schemas.wire import finite, unscaled, varint

T = TypeVar("T")


def why(shape: Shape, value: object) -> str:
    """Return why a value does not fit a shape, in words; empty if it does."""
    match shape.kind, value:
        case "optional", None:
            return ""
        case "optional", _:
            return why(shape.item, value)
        case "decimal", Decimal() | int():
            return _decimal(Decimal(value))
        case "string", str():
            return _string(value)
        case "long", int():
            return _tried(varint, value, "has more than 64 bits")
        case "double", float() | int():
            return _tried(finite, value, "is not finite")
        case "boolean", bool():
            return ""
        case "timestamp", datetime():
            return "" if value.tzinfo else "an instant needs a time zone"
        case "enum", StrEnum():
            return "" if isinstance(value, shape.enum) else "is a symbol of another enum"
        case "array", tuple() | list():
            return next(filter(None, (why(shape.item, item) for item in value)), "")
        case "map", dict():
            keys = (why(Shape("string"), key) for key in value)
            values = (why(shape.item, item) for item in value.values())
            return next(filter(None, (*keys, *values)), "")
        case "record", Record() if type(value) is shape.record:
            for name, _, inner in fields_of(shape.record):
                reason = why(inner, value.__dict__.get(name))
                if reason:
                    return f"{name}: {reason}"
            return ""
    return f"a {type(value).__name__} is no {shape.kind}"


def _decimal(value: Decimal) -> str:
    if not value.is_finite():
        return "is not finite"
    exponent = Context(prec=999).normalize(value).as_tuple().exponent
    if isinstance(exponent, int) and exponent < -18:
        return f"has {-exponent} decimal places, more than 18"
    try:
        unscaled(value)
    except ArithmeticError:
        return "has more than 38 digits with its 18 decimal places"
    return ""


def _string(value: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError:
        return "holds a character that UTF-8 can't write"
    return ""


def _tried(function: Callable[[T], object], value: T, reason: str) -> str:
    try:
        function(value)
    except (ArithmeticError, ValueError):
        return reason
    return ""
