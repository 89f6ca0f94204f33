"""The folder of one worker's state: whose it is, who has it in use, and what may be done with it."""

from __future__ import annotations

import fcntl
import json
import logging
import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Final

from streams.engine.errors import ConfigError

log = logging.getLogger(__name__)

FORMAT: Final = 1
"""Of what lies in the folder; another one is wiped and restored from the changelogs."""

LOCK, MANIFEST = "lock", "manifest.json"


class StateFolder:
    """STATE_DIR/<app>/<instance>: one process at a time, one app and instance for ever."""

    def __init__(self, state_dir: Path, app: str, instance: str) -> None:
        self.state_dir = state_dir
        self.app = app
        self.instance = instance
        self.path = state_dir / app / instance
        self._lock = -1

    def open(self) -> None:
        """Make the folder, take its lock, check its manifest.

        Raises:
            ConfigError: it cannot be made or written, another process has it, or it is another app's.
        """
        try:
            self._make()
            self._take_lock()
            self._check()
        except OSError as error:
            self.close()
            raise ConfigError(
                f"state_dir: {self.path} cannot be used ({error.strerror}): name a folder that this "
                "user may write"
            ) from error
        except ConfigError:
            self.close()
            raise

    def close(self) -> None:
        """Release the lock."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def _make(self) -> None:
        # An absolute path may be a disk that is not mounted: it is not made up on another one.
        parent = self.state_dir.parent
        if self.state_dir.is_absolute() and not parent.is_dir():
            raise ConfigError(f"state_dir: {parent} is not there: create it, or mount it")
        self.state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        for folder in (self.path.parent, self.path):
            folder.mkdir(mode=0o700, exist_ok=True)
            if folder.stat().st_mode & 0o077:
                folder.chmod(0o700)

    def _take_lock(self) -> None:
        self._lock = os.open(self.path / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(self._lock, 32).decode(errors="replace").strip() or "unknown"
            raise ConfigError(
                f"state_dir: {self.path} is in use by process {holder}: stop it, or give this worker "
                "an instance_id of its own"
            ) from None
        os.ftruncate(self._lock, 0)
        os.pwrite(self._lock, f"{os.getpid()}\n".encode(), 0)

    def _check(self) -> None:
        file = self.path / MANIFEST
        wanted = {"format": FORMAT, "app": self.app, "instance": self.instance}
        found: object = None
        with suppress(FileNotFoundError):
            try:
                found = json.loads(file.read_bytes())
            except ValueError:
                found = "unreadable"
        if found == wanted:
            return
        if isinstance(found, dict) and {**found, "format": FORMAT} != wanted:
            raise ConfigError(
                f"state_dir: {self.path} belongs to app {found.get('app')!r}, instance "
                f"{found.get('instance')!r}: name another folder"
            )
        why = "has no manifest" if found is None else f"has another format ({found})"
        for old in self.path.iterdir():
            if old.is_dir():
                log.warning("%s %s: wiped, and restored from the changelogs", old, why)
                shutil.rmtree(old)
        fresh = file.with_suffix(".new")
        with fresh.open("w") as out:
            json.dump(wanted, out)
            out.flush()
            os.fsync(out.fileno())
        fresh.replace(file)
