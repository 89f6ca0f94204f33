"""Tells when a run has nothing left to do: the sources have ended, and all is worked off."""

from __future__ import annotations

from typing import Any

from schemas.codec import Codecs
from streams import topics
from streams.cli.reading import newest
from streams.settings import Settings
from streams.settle import Settled


class Idle:
    """Asked again and again; true once.

    Args:
        settings: of the process.
        codecs: of the process.
        processors: that run.
    """

    def __init__(self, settings: Settings, codecs: Codecs, processors: list[str]) -> None:
        self._settings = settings
        self._codecs = codecs
        self._waits = "data_collection" in processors and settings.source.kind != "none"
        self._settled = Settled(settings, codecs, processors)

    def __call__(self) -> bool:
        """Look once; services that do not answer are not idle."""
        from streams.engine.errors import EngineError

        try:
            return self._sources_done() and self._settled.scan()
        except EngineError:
            return False

    def _sources_done(self) -> bool:
        if self._waits:
            cursors: dict[str, Any] = newest(self._settings, self._codecs, topics.CURSOR)
            cursor = cursors.get("recorded")
            self._waits = cursor is None or not cursor.finished
        return not self._waits
