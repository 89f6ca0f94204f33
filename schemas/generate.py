"""Make the codec functions of one model: straight-line Python, written and compiled at start.

Reading a schema again for every record is what makes a general codec slow; here it is read once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from processors.records.base import Record
from schemas.emit_decode import emit_decode
from schemas.emit_encode import emit_encode
from schemas.shape import Shape, fields_of
from schemas.source import Writer


@dataclass(slots=True)
class Generated:
    """The functions of one model, and the source they were made of."""

    encode: Callable[[Record], bytes]
    decode: Callable[[bytes, int], tuple[Record, int]]
    trusted: Callable[[bytes, int], tuple[Record, int]]
    source: str


def generate(model: type[Record]) -> Generated:
    """Return the functions of a model; nested models get functions of their own."""
    writer = Writer()
    name = _functions(writer, model)
    source = "\n".join(writer.lines) + "\n"
    exec(compile(source, f"<codec of {model.avro_name}>", "exec"), writer.names)  # noqa: S102 - our own source
    found = writer.names
    return Generated(found[f"E_{name}"], found[f"D_{name}"], found[f"T_{name}"], source)


def _functions(writer: Writer, model: type[Record]) -> str:
    """Write the three functions of a model after those of the models inside it."""
    if model in writer.functions:
        return writer.functions[model]
    for _, _, shape in fields_of(model):
        for inner in _models(shape):
            _functions(writer, inner)
    name = writer.functions[model] = f"{model.__name__}_{writer.fresh()}"
    emit_encode(writer, model, name)
    emit_decode(writer, model, f"D_{name}", trusted=False)
    emit_decode(writer, model, f"T_{name}", trusted=True)
    return name


def _models(shape: Shape) -> list[type[Record]]:
    if shape.kind == "record":
        return [shape.record]
    return [] if shape.inner is None else _models(shape.inner)
