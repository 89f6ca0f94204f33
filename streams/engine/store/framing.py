"""A look at the frames of RocksDB's logs before it opens them itself.

Two things that RocksDB 10 makes of one flipped bit (both measured):

- It reads for ever, and holds the interpreter's lock meanwhile, where a record becomes one of a recycled log (kinds 5
  to 8). We never recycle logs: such a frame is damage.
- It takes a record of its MANIFEST whose length reaches past the end of the file for one that was being written, and
  goes on without it and all behind it: a file of rows is forgotten, and older values show. So every frame of a MANIFEST
  must have its checksum, and the last one must end where the file does.

A log (WAL) needs no such check: what is lost at its end is an earlier state, and the changelog has the rest.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

_BLOCK: Final = 32_768
_HEADER: Final = 7
_KINDS: Final = frozenset({0, 1, 2, 3, 4, 9, 10, 130})
"""Preallocated zeros, whole records and parts of some, and what describes a log."""


def _table() -> tuple[int, ...]:
    table = []
    for byte in range(256):
        value = byte
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return tuple(table)


_CRC32C: Final = _table()


def masked_crc32c(data: bytes) -> int:
    """Return the CRC-32C (Castagnoli) of bytes as RocksDB writes it: rotated by 15 bits, and a constant added."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _CRC32C[(crc ^ byte) & 0xFF] ^ crc >> 8
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def strange_frame(folder: Path) -> str:
    """Return in words the first frame of a MANIFEST or log that RocksDB must not see; empty for none."""
    for file in sorted([*folder.glob("MANIFEST-*"), *folder.glob("*.log")]):
        found = _strange(file.read_bytes(), whole=file.suffix != ".log")
        if found:
            return f"{file.name} has {found}"
    return ""


def _strange(data: bytes, *, whole: bool) -> str:
    """Look at the frames of one file; `whole`: checksums too, and that nothing is missing."""
    at, end = 0, len(data) - _HEADER
    while at <= end:
        left = _BLOCK - at % _BLOCK
        if left < _HEADER:
            at += left
            continue
        kind, length = data[at + 6], data[at + 4] | data[at + 5] << 8
        if kind not in _KINDS:
            return f"a frame of kind {kind} at byte {at}"
        if kind == 0 and length == 0:
            return "bytes behind its end" if whole and any(data[at:]) else ""
        after = at + _HEADER + length
        if whole:
            if after > len(data) or after > at + left:
                return f"a frame that ends behind its place at byte {at}"
            if int.from_bytes(data[at : at + 4], "little") != masked_crc32c(data[at + 6 : after]):
                return f"a frame without its checksum at byte {at}"
        at = after
    return "a part of a frame at its end" if whole and any(data[at:]) else ""
