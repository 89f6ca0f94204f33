"""Walk over the bytes of any writer's record before a general reader is let near them.

A general reader believes what the bytes say: a count of a billion items without a byte each, a
length below zero, a union branch that is not there. Here each is refused, and the walk says
where the record ends. It is no hot path: our own schema has generated code.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from schemas.canonical import NAMED, PRIMITIVES, full_name
from schemas.wire import DOUBLE, finite, read_count, read_long, read_size

MAX_DEPTH = 64
"""Most levels of nesting in a record."""

FLOAT_BYTES = 4

Step = Callable[[bytes, int, int], int]
"""Frame, position, depth; returns the position behind the value."""


def walker(document: Any) -> Callable[[bytes, int], int]:
    """Return a function that walks over one record of a schema.

    Args:
        document: the writer's schema, whole, as a JSON document.
    Returns:
        A function of frame and start that returns where the record ends; it raises IndexError or
        ValueError where the bytes are not a record of the schema.
    Raises:
        ValueError: the schema is none, or its arrays or maps hold items that take no byte.
    """
    step = _Builder().step(document, "")
    return lambda data, at: step(data, at, 0)


class _Builder:
    """Builds the steps of one schema, once for each named type."""

    def __init__(self) -> None:
        self.named: dict[str, Step] = {}
        self.sizeless: set[str] = set()

    def step(self, schema: Any, namespace: str) -> Step:
        if isinstance(schema, str):
            if schema in PRIMITIVES:
                return SIMPLE[schema]
            name = full_name(schema, namespace)
            if name not in self.named and schema not in self.named:
                raise ValueError(f"{name} is not defined")
            name = name if name in self.named else schema
            # Looked up when it runs: a record may hold itself.
            return lambda data, at, depth: self.named[name](data, at, _deeper(depth))
        if isinstance(schema, list):
            return _union([self.step(branch, namespace) for branch in schema])
        kind = schema["type"]
        if not isinstance(kind, str) or kind not in NAMED | {"array", "map"}:
            return self.step(kind, namespace)
        if kind in {"array", "map"}:
            inner = schema["items" if kind == "array" else "values"]
            if kind == "array" and self.takes_nothing(inner, namespace):
                raise ValueError("an array's items take no byte: its length has no bound")
            return _block(self.step(inner, namespace), keyed=kind == "map")
        return self.definition(schema, namespace)

    def definition(self, schema: dict[str, Any], namespace: str) -> Step:
        name = full_name(schema["name"], schema.get("namespace", namespace))
        if schema["type"] == "enum":
            step = _enum(len(schema["symbols"]))
        elif schema["type"] == "fixed":
            step = _fixed(schema["size"])
        else:
            self.named[name] = SIMPLE["null"]  # until the fields are known
            inner = name.rpartition(".")[0]
            fields = schema["fields"]
            step = _record([self.step(field["type"], inner) for field in fields])
            if all(self.takes_nothing(field["type"], inner) for field in fields):
                self.sizeless.add(name)
        self.named[name] = step
        return step

    def takes_nothing(self, schema: Any, namespace: str) -> bool:
        """Return whether values of a type may take no byte at all."""
        if isinstance(schema, str):
            return schema == "null" or full_name(schema, namespace) in self.sizeless
        if isinstance(schema, list) or schema["type"] in {"array", "map", "enum"}:
            return False
        if schema["type"] == "fixed":
            return bool(schema["size"] == 0)
        if schema["type"] in {"record", "error"}:
            inner = full_name(schema["name"], schema.get("namespace", namespace)).rpartition(".")[0]
            return all(self.takes_nothing(field["type"], inner) for field in schema["fields"])
        return self.takes_nothing(schema["type"], namespace)


def _deeper(depth: int) -> int:
    if depth >= MAX_DEPTH:
        raise ValueError("the record is nested too deeply")
    return depth + 1


def _skip(size: int) -> Step:
    def step(data: bytes, at: int, _depth: int) -> int:
        if size > len(data) - at:
            raise IndexError("the bytes end inside a value")
        return at + size

    return step


def _boolean(data: bytes, at: int, _depth: int) -> int:
    if data[at] > 1:
        raise ValueError("a boolean is neither 0 nor 1")
    return at + 1


def _int(data: bytes, at: int, _depth: int) -> int:
    value, at = read_long(data, at)
    if not -(1 << 31) <= value < 1 << 31:
        raise ValueError("an int has more than 32 bits")
    return at


def _long(data: bytes, at: int, _depth: int) -> int:
    return read_long(data, at)[1]


def _double(data: bytes, at: int, _depth: int) -> int:
    if DOUBLE.size > len(data) - at:
        raise IndexError("the bytes end inside a double")
    finite(DOUBLE.unpack_from(data, at)[0])
    return at + DOUBLE.size


def _float(data: bytes, at: int, depth: int) -> int:
    end = _skip(FLOAT_BYTES)(data, at, depth)
    if data[end - 1] & 0x7F == 0x7F and data[end - 2] & 0x80:
        raise ValueError("a float is not finite")
    return end


def _bytes(data: bytes, at: int, _depth: int) -> int:
    return read_size(data, at)[1]


def _string(data: bytes, at: int, _depth: int) -> int:
    start, end = read_size(data, at)
    data[start:end].decode()
    return end


SIMPLE: dict[str, Step] = {
    "null": lambda _data, at, _depth: at,
    "boolean": _boolean,
    "int": _int,
    "long": _long,
    "float": _float,
    "double": _double,
    "bytes": _bytes,
    "string": _string,
}


def _record(steps: list[Step]) -> Step:
    def step(data: bytes, at: int, depth: int) -> int:
        inner = _deeper(depth)
        for one in steps:
            at = one(data, at, inner)
        return at

    return step


def _union(branches: list[Step]) -> Step:
    def step(data: bytes, at: int, depth: int) -> int:
        index, at = read_long(data, at)
        if not 0 <= index < len(branches):
            raise ValueError("no such branch of a union")
        return branches[index](data, at, _deeper(depth))

    return step


def _enum(count: int) -> Step:
    def step(data: bytes, at: int, _depth: int) -> int:
        index, at = read_long(data, at)
        if not 0 <= index < count:
            raise ValueError("no such symbol of an enum")
        return at

    return step


def _fixed(size: int) -> Step:
    return _skip(size)


def _block(item: Step, *, keyed: bool) -> Step:
    def step(data: bytes, at: int, depth: int) -> int:
        inner = _deeper(depth)
        count, at = read_count(data, at)
        while count:
            for _ in range(count):
                at = item(data, _string(data, at, inner) if keyed else at, inner)
            count, at = read_count(data, at)
        return at

    return step
