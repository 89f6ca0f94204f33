"""Which store an app asked for; what it needs is imported only then."""

from __future__ import annotations

from pathlib import Path

from streams.engine.settings import EngineSettings
from streams.engine.store.memory import MemoryState
from streams.engine.store.port import StateStore


def state_of(settings: EngineSettings, app: str) -> StateStore:
    """Return the state of one worker; nothing is opened yet.

    Args:
        settings: what the app was told.
        app: its name.
    """
    if settings.store == "memory://":
        return MemoryState()
    from streams.engine.store.folder import StateFolder
    from streams.engine.store.rocks import RocksState

    return RocksState(
        StateFolder(Path(settings.state_dir), app, settings.instance_id),
        settings.store_memory,
        settings.cache_rows,
    )
