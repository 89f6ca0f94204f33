"""One process for each processor: started, restarted, and stopped in the order of the work."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import structlog

from streams.cli.output import Exit
from streams.local.processes import death_with_parent

FIRST_DELAY: Final = 0.2
LONGEST_DELAY: Final = 30.0
STEADY_SECONDS: Final = 60.0
"""A child that ran this long is started again at once, as if it had never failed."""
GRACE_SECONDS: Final = 30.0
POLL_SECONDS: Final = 0.05
FINAL: Final = frozenset({Exit.USAGE, Exit.DATA, Exit.FENCED})
"""Statuses after which a restart would change nothing, or do harm."""

_WHY: Final = {
    Exit.USAGE: "its settings are wrong: see its last lines",
    Exit.DATA: "records fail, or too many of them: see its last lines and `fillonce dlq list`",
    Exit.FENCED: "another worker holds its slot: give this one an --instance-id of its own",
}

log = structlog.get_logger("fillonce.supervisor")


@dataclass(slots=True)
class Child:
    """One processor and its process."""

    name: str
    command: Sequence[str]
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    delay: float = FIRST_DELAY
    start_at: float = 0.0
    down: int | None = None
    """Status after which it stays down; None while it is kept running."""
    restarts: int = field(default=0)


class Supervisor:
    """Keeps children running until it is told to stop.

    Args:
        commands: what to run for each processor, producers of work first.
        env: the environment of all of them.
        idle: asked about once a second; true ends the run, cleanly.
    """

    def __init__(
        self,
        commands: Mapping[str, Sequence[str]],
        env: Mapping[str, str] | None = None,
        idle: Callable[[], bool] | None = None,
    ) -> None:
        self.children = [Child(name, command) for name, command in commands.items()]
        self._env = dict(env or os.environ)
        self._idle = idle
        self._signals: list[int] = []
        # Loaded before any fork; the kernel watches the thread that forks: the one that runs us.
        self._prepare = death_with_parent()

    def run(self) -> int:
        """Start all, keep them running, stop them; return the exit status."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        looked = time.monotonic()
        while not self._signals:
            now = time.monotonic()
            for child in self.children:
                self._watch(child, now)
            if all(child.down is not None for child in self.children):
                return self._verdict()
            if self._idle is not None and now - looked > 1.0:
                if self._idle():
                    log.info("all_worked_off")
                    break
                looked = time.monotonic()
            time.sleep(POLL_SECONDS)
        return self._stop()

    def _on_signal(self, number: int, _frame: object) -> None:
        self._signals.append(number)
        if len(self._signals) > 1:
            for child in self.children:
                if child.process is not None and child.process.poll() is None:
                    child.process.kill()
            os._exit(128 + number)

    def _watch(self, child: Child, now: float) -> None:
        if child.down is not None:
            return
        if child.process is None:
            if now >= child.start_at:
                self._start(child, now)
            return
        status = child.process.poll()
        if status is None:
            return
        child.process = None
        if status in FINAL:
            child.down = status
            log.error("left_down", child=child.name, status=status, why=_WHY[Exit(status)])
            return
        if now - child.started > STEADY_SECONDS:
            child.delay = FIRST_DELAY
        child.restarts += 1
        child.start_at = now + child.delay
        log.warning(
            "restarting", child=child.name, status=status, seconds=child.delay, times=child.restarts
        )
        child.delay = min(child.delay * 2, LONGEST_DELAY)

    def _start(self, child: Child, now: float) -> None:
        child.process = subprocess.Popen(  # noqa: S603 - no shell, and the arguments are ours
            list(child.command),
            stdin=subprocess.DEVNULL,
            env=self._env,
            start_new_session=True,
            preexec_fn=self._prepare,  # noqa: PLW1509 - it makes one system call and takes no lock
        )
        child.started = now
        log.info("started", child=child.name, pid=child.process.pid)

    def _stop(self) -> int:
        """Stop producers of work before their consumers, each given time to end its batch."""
        worst = 0
        for child in self.children:
            process = child.process
            if process is None or process.poll() is not None:
                continue
            process.terminate()
            try:
                status = process.wait(GRACE_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                status = process.wait()
                log.error("killed", child=child.name, seconds=GRACE_SECONDS)  # noqa: TRY400 - no trace needed
            log.info("stopped", child=child.name, status=status)
            worst = worst or status
        if worst:
            return Exit.FAILED
        return self._verdict()

    def _verdict(self) -> int:
        """Return 0 when all are as they should be, else the status of the first that is not."""
        return next((child.down for child in self.children if child.down), Exit.OK)


def command_of(processor: str, *options: str) -> list[str]:
    """Return the command that runs one processor in a process of its own.

    Args:
        processor: its name.
        options: more arguments of `fillonce run`.
    """
    code = "from streams.cli.main import main; main()"
    return [sys.executable, "-P", "-c", code, "run", processor, *options]
