"""A look at the frames of RocksDB's logs before it opens them itself.

RocksDB 10 reads for ever, and holds the interpreter's lock meanwhile, where one bit of its MANIFEST turns a record
into one of a recycled log (kinds 5 to 8, measured). We never recycle logs: such a frame is damage.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

_BLOCK: Final = 32_768
_HEADER: Final = 7
_KINDS: Final = frozenset({0, 1, 2, 3, 4, 9, 10, 130})
"""Preallocated zeros, whole records and parts of some, and what describes a log."""


def strange_frame(folder: Path) -> str:
    """Return in words the first frame of a MANIFEST or log that RocksDB must not see; empty for none."""
    for file in sorted([*folder.glob("MANIFEST-*"), *folder.glob("*.log")]):
        data = file.read_bytes()
        at, end = 0, len(data) - _HEADER
        while at <= end:
            left = _BLOCK - at % _BLOCK
            if left < _HEADER:
                at += left
                continue
            kind, length = data[at + 6], data[at + 4] | data[at + 5] << 8
            if kind not in _KINDS:
                return f"{file.name} has a frame of kind {kind} at byte {at}"
            if kind == 0 and length == 0:
                break
            at += _HEADER + length
    return ""
