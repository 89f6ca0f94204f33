"""What a model's field is in Avro terms: one small tree, read by derive, binding and codec."""

from __future__ import annotations

import types
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import AwareDatetime
from pydantic.fields import FieldInfo

from processors.errors import ConfigError
from processors.records.base import Record

NAMESPACE = "fillonce"
"""First part of every full name; the domain is the second."""

PRIMITIVES: dict[object, str] = {
    str: "string",
    int: "long",
    bool: "boolean",
    float: "double",
    Decimal: "decimal",
    datetime: "timestamp",
    AwareDatetime: "timestamp",
}


@dataclass(frozen=True, slots=True)
class Shape:
    """One Avro type: `kind`, and what it is made of.

    `kind` is string, long, boolean, double, decimal, timestamp, enum, record, optional, array or
    map. `inner` is set for optional, array and map; `model` for record; `symbols` for enum.
    """

    kind: str
    inner: Shape | None = None
    model: type[Record] | None = None
    symbols: type[StrEnum] | None = None

    @property
    def item(self) -> Shape:
        """The shape inside an optional, array or map."""
        if self.inner is None:
            raise ConfigError("a shape of this kind holds no other", kind=self.kind)
        return self.inner

    @property
    def record(self) -> type[Record]:
        """The model of a nested record."""
        if self.model is None:
            raise ConfigError("a shape of this kind is no record", kind=self.kind)
        return self.model

    @property
    def enum(self) -> type[StrEnum]:
        """The Python enumeration of an enum."""
        if self.symbols is None:
            raise ConfigError("a shape of this kind is no enum", kind=self.kind)
        return self.symbols


def shape_of(annotation: Any) -> Shape:
    """Return the Avro shape of a field's annotation.

    Args:
        annotation: the type as pydantic resolved it.
    Returns:
        Its shape.
    Raises:
        ConfigError: the type has no Avro counterpart here.
    """
    origin, args = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return shape_of(args[0])
    if annotation in PRIMITIVES:
        return Shape(PRIMITIVES[annotation])
    if origin in (Union, types.UnionType):
        others = [arg for arg in args if arg is not types.NoneType]
        if len(others) == 1 and len(others) < len(args):
            return Shape("optional", shape_of(others[0]))
    if origin is tuple and len(args) == 2 and args[1] is Ellipsis:
        return Shape("array", shape_of(args[0]))
    if origin is dict and args[0] is str:
        return Shape("map", shape_of(args[1]))
    if isinstance(annotation, type):
        if issubclass(annotation, Record):
            return Shape("record", model=annotation)
        if issubclass(annotation, StrEnum):
            return Shape("enum", symbols=annotation)
    raise ConfigError("a field's type has no Avro counterpart", annotation=str(annotation))


def fields_of(model: type[Record]) -> Iterator[tuple[str, FieldInfo, Shape]]:
    """Yield name, field and shape of each field of a model, in its order."""
    for name, info in model.model_fields.items():
        try:
            yield name, info, shape_of(info.annotation)
        except ConfigError as error:
            raise ConfigError(
                error.message, avro_name=model.avro_name, field=name, **error.context
            ) from error


def full_name(model: type[Record]) -> str:
    """Return the Avro full name of a model, such as `fillonce.trade.TradeIntent`."""
    return f"{NAMESPACE}.{model.avro_name}"


def enum_name(enum: type[StrEnum]) -> str:
    """Return the Avro full name of an enum: its domain is the module that defines it."""
    domain = enum.__module__.rpartition(".")[2].partition("_")[0]
    return f"{NAMESPACE}.{domain}.{enum.__name__}"


def enum_default(enum: type[StrEnum]) -> str | None:
    """Return the symbol that stands for an unknown one: OTHER or TICKET where there is one."""
    return next((name for name in ("OTHER", "TICKET") if name in enum.__members__), None)
