"""Write the function that turns a model's attributes into Avro bytes, in one straight line.

Names in the written code: `r` the record's values, `vN` the value and `xN` the bytes of one field.
"""

from __future__ import annotations

from processors.records.base import Record
from schemas import wire
from schemas.shape import Shape, fields_of
from schemas.source import Writer


def emit_encode(writer: Writer, model: type[Record], name: str) -> None:
    """Write `E_<name>(record) -> bytes`: the record's body, without a header."""
    writer.add(f"def E_{name}(record):")
    writer.indent = 1
    writer.add("r = record.__dict__")
    parts: list[str] = []
    for field_name, _, shape in fields_of(model):
        value = f"v{writer.fresh()}"
        writer.add(f"{value} = r[{field_name!r}]")
        parts += _write(writer, shape, value)
    writer.add(f"return b''.join(({', '.join(parts)},))")
    writer.indent = 0


def _write(writer: Writer, shape: Shape, value: str) -> list[str]:
    """Write the lines that encode `value`; return the expressions whose bytes follow each other."""
    x = f"x{writer.fresh()}"
    match shape.kind:
        case "string":
            writer.add(f"{x} = {value}.encode()")
            return [_length(f"len({x})"), x]
        case "long":
            return [f"(LEN[{value}] if 0 <= {value} < 1024 else VARINT({value}))"]
        case "boolean":
            return [f"FLAGS[{value}]"]
        case "double":
            return [f"PACK(FINITE({value}))"]
        case "decimal":
            writer.add(
                f"if {value}:",
                f"    n = int(SCALEB(QUANTIZE({value}, PLACES), EIGHTEEN))",
                "    z = (n.bit_length() + 8) >> 3",
                f"    {x} = LEN[z] + n.to_bytes(z, 'big', signed=True)",
                "else:",
                f"    {x} = b'\\x02\\x00'",
            )
            return [x]
        case "timestamp":
            # Eight groups of seven bits, two at a time: 1978 to 3111 take exactly eight.
            writer.add(
                f"t = {value} - EPOCH",
                "n = ((t.days * 86400 + t.seconds) * 1000000 + t.microseconds) << 1",
                f"{x} = (LOW[n & 16383] + LOW[(n >> 14) & 16383] + LOW[(n >> 28) & 16383]"
                f" + HIGH[n >> 42]) if 127 < n >> 42 < 16384 else VARINT(n >> 1)",
            )
            return [x]
        case "enum":
            symbols = {member.value: wire.varint(index) for index, member in enumerate(shape.enum)}
            return [f"{writer.name('S', symbols)}[{value}._value_]"]
        case "record":
            model = writer.name("M", shape.record)
            writer.add(f"if {value}.__class__ is not {model}: raise TypeError('another record')")
            return [f"E_{writer.functions[shape.record]}({value})"]
        case "optional":
            writer.add(f"if {value} is None:", f"    {x} = b'\\x00'", "else:")
            writer.indent += 1
            parts = _write(writer, shape.item, value)
            writer.add(f"{x} = " + " + ".join([r"b'\x02'", *parts]))
            writer.indent -= 1
            return [x]
        case _:
            return [_write_block(writer, shape, value, x)]


def _length(expression: str) -> str:
    return f"(LEN[n] if (n := {expression}) < 1024 else VARINT(n))"


def _write_block(writer: Writer, shape: Shape, value: str, x: str) -> str:
    """Write an array or map as one block, as fastavro does."""
    item, key = f"v{writer.fresh()}", f"k{writer.fresh()}"
    writer.add(f"{x} = b'\\x00'", f"if {value}:")
    writer.indent += 1
    writer.add(f"a{x} = [VARINT(len({value}))]")
    if shape.kind == "map":
        writer.add(f"for {key}, {item} in {value}.items():", f"    {key} = {key}.encode()")
        first = [_length(f"len({key})"), key]
    else:
        writer.add(f"for {item} in {value}:")
        first = []
    writer.indent += 1
    parts = [*first, *_write(writer, shape.item, item)]
    writer.add(f"a{x} += ({', '.join(parts)},)")
    writer.indent -= 1
    writer.add(f"a{x}.append(b'\\x00')", f"{x} = b''.join(a{x})")
    writer.indent -= 1
    return x
