"""Lines of generated code under way, and the objects that they name."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Any

from processors.records.base import Record
from schemas import wire

GLOBALS: dict[str, Any] = {
    "COUNT": wire.read_count,
    "DECIMAL": wire.decimal_of,
    "EIGHTEEN": Decimal(18),
    "EPOCH": wire.EPOCH,
    "FALSE_TRUE": (False, True),
    "FINITE": wire.finite,
    "FLAGS": {False: b"\x00", True: b"\x01"},
    "HIGH": wire.HIGH_GROUPS,
    "INT": int.from_bytes,
    "LEN": wire.LENGTHS,
    "LONG": wire.read_long,
    "LOW": wire.LOW_GROUPS,
    "MINUS_EIGHTEEN": Decimal(-18),
    "MOMENT": wire.moment_of_eight,
    "NEW": object.__new__,
    "PACK": wire.DOUBLE.pack,
    "PLACES": wire.PLACES,
    "QUANTIZE": wire.EXACT.quantize,
    "SCALEB": wire.EXACT.scaleb,
    "SCALEB_READ": wire.READ.scaleb,
    "SET": object.__setattr__,
    "SIZE": wire.read_size,
    "SPAN": timedelta,
    "UNPACK": wire.DOUBLE.unpack_from,
    "VARINT": wire.varint,
}


@dataclass(slots=True)
class Writer:
    """Lines, the names they use, and the functions that stand for models."""

    names: dict[str, Any] = field(default_factory=lambda: dict(GLOBALS))
    lines: list[str] = field(default_factory=list)
    functions: dict[type[Record], str] = field(default_factory=dict)
    counter: int = 0
    indent: int = 0

    def add(self, *lines: str) -> None:
        """Append lines at the present indent."""
        self.lines += ["    " * self.indent + line for line in lines]

    def fresh(self) -> int:
        """Return a number that no name has yet."""
        self.counter += 1
        return self.counter

    def name(self, prefix: str, value: object) -> str:
        """Give an object a name that the written code can use."""
        name = f"{prefix}{self.fresh()}"
        self.names[name] = value
        return name
