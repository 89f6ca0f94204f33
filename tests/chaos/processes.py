"""Workers and oracles as processes that die with the runner, watched by pid."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from streams.local.processes import death_with_parent

ROOT = Path(__file__).parents[2]
READY = "owns partitions"


def eventually(condition: Callable[[], object], seconds: float = 30.0, pause: float = 0.02) -> bool:
    """Whether a condition comes true before a deadline."""
    deadline, waiting = time.monotonic() + seconds, threading.Event()
    while time.monotonic() < deadline:
        if condition():
            return True
        waiting.wait(pause)
    return bool(condition())


def pause(seconds: float) -> None:
    """Let a fault last: its length is the fault, not a wait for something."""
    threading.Event().wait(seconds)


class Worker:
    """One worker process; its output is in a file."""

    def __init__(self, folder: Path, code: Path, app: str, environment: dict[str, str]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.log = folder / f"worker-{len(list(folder.glob('worker-*'))):03d}.log"
        self.started = time.monotonic()
        with self.log.open("wb") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "faust", "-A", app, "worker", "--without-web", "-l", "info"],
                cwd=folder,
                env={**os.environ, "PYTHONPATH": str(code), "NO_COLOR": "1", **environment},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                preexec_fn=death_with_parent(),  # noqa: PLW1509 - it makes one system call and takes no lock
            )

    @property
    def text(self) -> str:
        """All it has written."""
        return self.log.read_text(errors="replace")

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self.process.poll() is None

    @property
    def state(self) -> str:
        """The kernel's letter for its state: T is stopped."""
        try:
            stat = Path(f"/proc/{self.process.pid}/stat").read_text()
        except FileNotFoundError:
            return ""
        return stat.rpartition(")")[2].split()[0]

    def says(self, words: str, seconds: float = 40.0, *, times: int = 1) -> bool:
        """Whether it writes some words, so many times, before a deadline or its end."""
        eventually(lambda: self.text.count(words) >= times or not self.alive, seconds, 0.05)
        return self.text.count(words) >= times

    def ready(self, seconds: float = 40.0) -> bool:
        """Whether it comes to own partitions."""
        return self.says(READY, seconds)

    def wait(self, seconds: float = 40.0) -> int | None:
        """Return its exit status, negative for a signal; None while it runs after so long."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def send(self, number: signal.Signals) -> None:
        """Send a signal to it, by its pid, if it lives."""
        if self.alive:
            self.process.send_signal(number)

    def terminate(self, seconds: float = 30.0) -> int | None:
        """Ask it to stop and return its exit status."""
        self.send(signal.SIGTERM)
        return self.wait(seconds)

    def kill(self) -> None:
        """End it, if it lives."""
        self.send(signal.SIGKILL)
        self.process.wait(20)

    def tail(self, lines: int = 4) -> str:
        """The end of what it has written."""
        return " / ".join(self.text.strip().splitlines()[-lines:])[-600:]


class OracleProcess:
    """The oracle of one run: reads along from its start, checks when told to."""

    def __init__(self, folder: Path, plan: dict[str, Any]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._report = folder / "oracle.json"
        self._log = folder / "oracle.log"
        (folder / "plan.json").write_text(json.dumps(plan, indent=2))
        words = ["-m", "tests.chaos.oracle", "--plan", str(folder / "plan.json")]
        with self._log.open("wb") as out:
            self.process = subprocess.Popen(
                [sys.executable, *words, "--report", str(self._report)],
                cwd=folder,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                stdin=subprocess.PIPE,
                stdout=out,
                stderr=subprocess.STDOUT,
                preexec_fn=death_with_parent(),  # noqa: PLW1509 - as above
            )
        if not eventually(lambda: "reading along" in self.text or self.process.poll() is not None):
            raise RuntimeError(f"the oracle did not start: {self.text[-2000:]}")

    @property
    def text(self) -> str:
        """All it has written."""
        return self._log.read_text(errors="replace")

    def check(self, seconds: float = 150.0) -> dict[str, Any]:
        """Let it check, and return its report.

        Raises:
            RuntimeError: it failed itself; that is no verdict.
        """
        self.process.communicate(b"check\n", timeout=seconds)
        if not self._report.exists():
            raise RuntimeError(f"the oracle failed: {self.text[-3000:]}")
        report: dict[str, Any] = json.loads(self._report.read_text())
        return report

    def end(self) -> None:
        """End it, if it runs."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(20)
        if self.process.stdin is not None:
            self.process.stdin.close()
