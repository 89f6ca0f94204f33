"""Workers as processes of their own: started, watched, killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[2]


def eventually(condition: Callable[[], bool], seconds: float = 30.0, pause: float = 0.05) -> bool:
    """Whether a condition comes true before a deadline."""
    deadline, waiting = time.monotonic() + seconds, threading.Event()
    while time.monotonic() < deadline:
        if condition():
            return True
        waiting.wait(pause)
    return condition()


class Worker:
    """One worker process: `python -m faust -A APP worker`, its output in a file."""

    def __init__(self, app: str, folder: Path, **environment: str) -> None:
        folder.mkdir(exist_ok=True)
        self.log = folder / f"worker-{len(list(folder.glob('worker-*')))}.log"
        self.started = time.monotonic()
        with self.log.open("wb") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "faust", "-A", app, "worker", "--without-web", "-l", "info"],
                cwd=folder,
                env={**os.environ, "PYTHONPATH": str(ROOT), "NO_COLOR": "1", **environment},
                stdout=out,
                stderr=subprocess.STDOUT,
            )

    @property
    def text(self) -> str:
        """All it has written."""
        return self.log.read_text(errors="replace")

    def until(self, words: str, seconds: float = 30.0) -> None:
        """Wait until it has written some words."""
        found = eventually(lambda: words in self.text or self.process.poll() is not None, seconds)
        assert found, "it wrote nothing and did not end"
        assert words in self.text, f"{words!r} did not come:\n{self.text[-4000:]}"

    def ready(self, seconds: float = 30.0) -> float:
        """Wait until it owns partitions; return the seconds since it was started."""
        self.until("owns partitions", seconds)
        return time.monotonic() - self.started

    def wait(self, seconds: float = 30.0) -> int:
        """Wait for its end and return its exit status, negative for a signal."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"it did not end:\n{self.text[-4000:]}") from None

    def terminate(self, seconds: float = 20.0) -> int:
        """Ask it to stop and return its exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.wait(seconds)

    def kill(self) -> None:
        """Kill it, if it lives."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(10)


class Workers:
    """All workers of one test; none of them outlives it."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self.folder = folder
        self.environment = environment
        self.all: list[Worker] = []

    def start(self, app: str, **environment: str) -> Worker:
        """Start one more."""
        worker = Worker(app, self.folder, **{**self.environment, **environment})
        self.all.append(worker)
        return worker

    def end(self) -> None:
        """Kill those that live."""
        for worker in self.all:
            worker.kill()
