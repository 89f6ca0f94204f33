"""Avro's binary primitives: variable-length longs, decimals, timestamps; nothing is ever rounded.

The code that `schemas.generate` writes leans on the tables and functions here.
"""

from __future__ import annotations

import functools
import struct
from datetime import UTC, datetime, timedelta
from decimal import Context, Decimal, DivisionByZero, Inexact, InvalidOperation, Overflow, Rounded

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LONG_MIN, LONG_MAX = -(1 << 63), (1 << 63) - 1
MAX_VARINT = 10
"""Most bytes of a long on the wire."""

EXACT = Context(prec=38, traps=[Inexact, InvalidOperation, DivisionByZero, Overflow])
"""38 digits; a place or a digit too many is an error, so `quantize` checks both at once."""

READ = Context(prec=38, traps=[Rounded, InvalidOperation])
"""38 digits; one too many is an error even if it is a zero."""

PLACES = Decimal((0, (1,), -18))
"""The last place of decimal(38,18)."""

DOUBLE = struct.Struct("<d")


def varint(value: int) -> bytes:
    """Return a signed long as Avro writes it: zigzag, then seven bits a byte, low bits first.

    Raises:
        OverflowError: the value has more than 64 bits.
    """
    if not LONG_MIN <= value <= LONG_MAX:
        message = f"{value} does not fit 64 bits"
        raise OverflowError(message)
    rest = (value << 1) ^ (value >> 63)
    out = bytearray()
    while rest > 0x7F:
        out.append((rest & 0x7F) | 0x80)
        rest >>= 7
    out.append(rest)
    return bytes(out)


LENGTHS: tuple[bytes, ...] = tuple(varint(size) for size in range(1024))
"""What stands before a string of that many bytes."""

LOW_GROUPS: tuple[bytes, ...] = tuple(
    bytes(((pair & 0x7F) | 0x80, (pair >> 7) | 0x80)) for pair in range(1 << 14)
)
"""Two groups of seven bits, low ones first, each saying that more follow."""

HIGH_GROUPS: tuple[bytes, ...] = tuple(
    bytes(((pair & 0x7F) | 0x80, pair >> 7)) for pair in range(1 << 14)
)
"""Two groups of seven bits of which the second is the last."""


def read_long(data: bytes, at: int) -> tuple[int, int]:
    """Read one long.

    Args:
        data: the whole frame.
        at: where the long begins.
    Returns:
        The value, and where the next thing begins.
    Raises:
        IndexError: the bytes end inside it.
        ValueError: it is longer than ten bytes or has more than 64 bits.
    """
    result = shift = 0
    for _ in range(MAX_VARINT):
        byte = data[at]
        at += 1
        result |= (byte & 0x7F) << shift
        if byte < 0x80:
            if result >> 64:
                raise ValueError("a long has more than 64 bits")
            return (result >> 1) ^ -(result & 1), at
        shift += 7
    raise ValueError("a long is longer than ten bytes")


def read_size(data: bytes, at: int) -> tuple[int, int]:
    """Read the length of a string or of bytes, which must lie inside `data`.

    Returns:
        Where the content begins, and where it ends.
    """
    size, start = read_long(data, at)
    if not 0 <= size <= len(data) - start:
        raise ValueError("a length is negative or goes past the end")
    return start, start + size


def read_count(data: bytes, at: int) -> tuple[int, int]:
    """Read the item count of one block of an array or map whose items take a byte at least.

    Returns:
        The count, zero at the end of the array; and where the items begin.
    """
    count, at = read_long(data, at)
    if count < 0:  # then the block's length in bytes follows
        count = -count
        size, at = read_long(data, at)
        if not 0 <= size <= len(data) - at:
            raise ValueError("the length of a block is negative or goes past the end")
    if count > len(data) - at:
        raise ValueError("a block claims more items than there are bytes")
    return count, at


def unscaled(value: Decimal) -> int:
    """Return a decimal as a whole number of its 18th place.

    Raises:
        ArithmeticError: more than 18 places or 38 digits, or infinite.
        ValueError: not a number.
    """
    return int(EXACT.scaleb(EXACT.quantize(value, PLACES), 18))


def decimal_bytes(value: Decimal) -> bytes:
    """Return a decimal(38,18) as big-endian two's complement, without its length."""
    number = unscaled(value)
    return number.to_bytes((number.bit_length() + 8) >> 3, "big", signed=True)


def decimal_of(data: bytes) -> Decimal:
    """Return the decimal(38,18) that two's complement bytes stand for.

    Raises:
        ArithmeticError: it has more than 38 digits.
        ValueError: there is no byte.
    """
    if not data:
        raise ValueError("a decimal has no byte")
    return READ.scaleb(READ.create_decimal(int.from_bytes(data, "big", signed=True)), -18)


def finite(value: float) -> float:
    """Return a double that is a number.

    Raises:
        ValueError: NaN or infinite.
    """
    if value - value != 0:
        raise ValueError("a double is not finite")
    return value


@functools.lru_cache(maxsize=8192)
def moment_of_eight(data: bytes) -> datetime | None:
    """Return the instant of a long of exactly eight bytes, none if it is shorter or longer.

    The groups of seven bits are moved together all at once. One event's time stands in several
    fields and in all that follows from it, so most calls find it made already.
    """
    n = int.from_bytes(data, "little")
    if n & 0x8080808080808081 != 0x0080808080808080:  # the lowest bit: before 1970
        return None
    n = (n & 0x007F007F007F007F) | ((n & 0x7F007F007F007F00) >> 1)
    n = (n & 0x00003FFF00003FFF) | ((n & 0x3FFF00003FFF0000) >> 2)
    n = ((n & 0x0FFFFFFF) | ((n & 0x0FFFFFFF00000000) >> 4)) >> 1
    return EPOCH + timedelta(0, 0, n)
