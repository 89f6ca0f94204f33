"""Two sorted views made one: the store's rows, and what a transaction has staged over them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from streams.engine.store.port import DELETED

Row = tuple[bytes, Any, Any]
"""Key bytes, key, value."""


def merged(base: Iterator[Row], overlay: list[Row]) -> Iterator[Row]:
    """Yield the rows of both in the order of key bytes; the overlay wins, its tombstones hide.

    Args:
        base: rows in the order of key bytes; read one at a time.
        overlay: rows in the same order, DELETED for a tombstone.
    """
    staged = iter(overlay)
    over = next(staged, None)
    for row in base:
        while over is not None and over[0] < row[0]:
            if over[2] is not DELETED:
                yield over
            over = next(staged, None)
        if over is not None and over[0] == row[0]:
            if over[2] is not DELETED:
                yield over
            over = next(staged, None)
        else:
            yield row
    while over is not None:
        if over[2] is not DELETED:
            yield over
        over = next(staged, None)
