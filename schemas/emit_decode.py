"""Write the function that turns Avro bytes into a record, with validation or without.

Names in the written code: `d` the frame, `p` where to read next, `vN` the value of one field.
A read past the end raises IndexError; a slice past the end does not, but then `p` lies past the
end too, where the next read fails or the caller, who compares `p` with the size of the frame.
"""

from __future__ import annotations

from processors.records.base import Record
from schemas.shape import Shape, fields_of
from schemas.source import Writer

SMALL_ENUM = 64
"""Most symbols whose index takes one byte."""


def emit_decode(
    writer: Writer,
    model: type[Record],
    name: str,
    *,
    trusted: bool,
) -> None:
    """Write `<name>(d, p) -> (record, end)`; a trusted body is taken over without validation."""
    writer.add(f"def {name}(d, p):")
    writer.indent = 1
    entries: list[str] = []
    for field_name, _, shape in fields_of(model):
        value = f"v{writer.fresh()}"
        _read(writer, shape, value, trusted=trusted)
        entries.append(f"{field_name!r}: {value}")
    values = "{" + ", ".join(entries) + "}"
    if trusted:
        writer.add(
            f"o = NEW({writer.name('M', model)})",
            f"SET(o, '__dict__', {values})",
            # Shared by all: no field of a frozen model can be set, and a copy copies it.
            f"SET(o, '__pydantic_fields_set__', {writer.name('F', set(model.model_fields))})",
            "SET(o, '__pydantic_extra__', None)",
            "SET(o, '__pydantic_private__', None)",
            "return o, p",
        )
    else:
        validate = writer.name("V", model.__pydantic_validator__.validate_python)
        writer.add(f"return {validate}({values}), p")
    writer.indent = 0


def _read(
    writer: Writer,
    shape: Shape,
    value: str,
    *,
    trusted: bool,
) -> None:
    """Write the lines that read one value at `p` and move `p` behind it."""
    match shape.kind:
        case "string":
            # A byte with its top bit set goes on; with its lowest bit set it is negative.
            writer.add(
                "n = d[p]",
                "if n & 129:",
                "    b, p = SIZE(d, p)",
                "else:",
                "    b = p + 1",
                "    p = b + (n >> 1)",
                f"{value} = d[b:p].decode()",
            )
        case "decimal":
            writer.add(
                "n = d[p]",
                "if n & 129 or not n:",
                "    b, p = SIZE(d, p)",
                f"    {value} = DECIMAL(d[b:p])",
                "else:",
                "    b = p + 1",
                "    p = b + (n >> 1)",
                f"    {value} = SCALEB_READ(INT(d[b:p], 'big', signed=True), MINUS_EIGHTEEN)",
            )
        case "long":
            writer.add(
                "n = d[p]",
                "if n & 129:",
                f"    {value}, p = LONG(d, p)",
                "else:",
                "    p += 1",
                f"    {value} = n >> 1",
            )
        case "timestamp":
            writer.add(*_read_moment(value))
        case "boolean":
            writer.add(f"{value} = FALSE_TRUE[d[p]]", "p += 1")
        case "double":
            writer.add(f"{value} = FINITE(UNPACK(d, p)[0])", "p += 8")
        case "enum":
            _read_enum(writer, shape, value)
        case "record":
            prefix = "T" if trusted else "D"
            writer.add(f"{value}, p = {prefix}_{writer.functions[shape.record]}(d, p)")
        case "optional":
            writer.add("n = d[p]", "p += 1", "if n == 2:")
            writer.indent += 1
            _read(writer, shape.item, value, trusted=trusted)
            writer.indent -= 1
            writer.add("elif n:", "    raise ValueError('no such branch of a union')")
            writer.add("else:", f"    {value} = None")
        case _:
            _read_block(writer, shape, value, trusted=trusted)


def _read_moment(value: str) -> list[str]:
    """Return the lines for a timestamp: eight bytes from 1978 to 3111, else any number."""
    return [
        f"{value} = MOMENT(d[p:p + 8])",
        f"if {value} is None:",
        "    n, p = LONG(d, p)",
        f"    {value} = EPOCH + SPAN(0, 0, n)",
        "else:",
        "    p += 8",
    ]


def _read_enum(writer: Writer, shape: Shape, value: str) -> None:
    members = list(shape.enum)
    if len(members) <= SMALL_ENUM:
        table = writer.name("S", {index << 1: member for index, member in enumerate(members)})
        writer.add(f"{value} = {table}[d[p]]", "p += 1")
    else:
        table = writer.name("S", dict(enumerate(members)))
        writer.add("n, p = LONG(d, p)", f"{value} = {table}[n]")


def _read_block(
    writer: Writer,
    shape: Shape,
    value: str,
    *,
    trusted: bool,
) -> None:
    item, key, count = (f"{letter}{writer.fresh()}" for letter in "vkc")
    writer.add(f"{value} = {'{}' if shape.kind == 'map' else '[]'}")
    writer.add(f"{count}, p = COUNT(d, p)", f"while {count}:")
    writer.indent += 1
    writer.add(f"for _ in range({count}):")
    writer.indent += 1
    if shape.kind == "map":
        _read(writer, Shape("string"), key, trusted=trusted)
    _read(writer, shape.item, item, trusted=trusted)
    writer.add(f"{value}[{key}] = {item}" if shape.kind == "map" else f"{value}.append({item})")
    writer.indent -= 1
    writer.add(f"{count}, p = COUNT(d, p)")
    writer.indent -= 1
    if shape.kind == "array":
        writer.add(f"{value} = tuple({value})")
