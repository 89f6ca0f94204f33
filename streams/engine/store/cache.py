"""Decoded values of hot keys, in bounded memory."""

from __future__ import annotations

from typing import Any, Final

MISSING: Final = object()


class Cache:
    """Two generations of a dict: a hit in the younger one costs one look-up.

    When the younger one is half of the bound it becomes the older one, whose unread rest is dropped:
    close to least recently used, without moving anything at a hit.
    """

    __slots__ = ("_half", "_old", "_young")

    def __init__(self, rows: int) -> None:
        self._half = max(rows // 2, 1)
        self._young: dict[Any, Any] = {}
        self._old: dict[Any, Any] = {}

    def get(self, key: Any) -> Any:
        """Return what is kept of a key, or MISSING."""
        value = self._young.get(key, MISSING)
        if value is MISSING and self._old:
            value = self._old.pop(key, MISSING)
            if value is not MISSING:
                self.put(key, value)
        return value

    def put(self, key: Any, value: Any) -> None:
        """Keep a value, for as long as there is room."""
        if len(self._young) >= self._half and key not in self._young:
            self._old = self._young
            self._young = {}
        elif self._old:
            self._old.pop(key, None)
        self._young[key] = value

    def clear(self) -> None:
        """Keep nothing."""
        self._young.clear()
        self._old.clear()

    def __len__(self) -> int:
        return len(self._young) + len(self._old)
