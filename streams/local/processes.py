"""Child processes that outlive us or die with us, and are never mistaken for another."""

from __future__ import annotations

import ctypes
import os
import re
import signal
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from processors.errors import UnavailableError
from streams.local.artifacts import Notify, quiet

_PR_SET_PDEATHSIG = 1
_POLL_SECONDS = 0.05
_PROC = Path("/proc")
_COMPLAINT = re.compile(r"\b(ERROR|FATAL|Caused by|[A-Za-z.]+(Exception|Error):)")
_CLASH = ("Address already in use", "in use by another process")
# Children of this very process: only we can reap them, and an unreaped one looks alive.
_CHILDREN: dict[int, subprocess.Popen[bytes]] = {}


@dataclass(frozen=True, slots=True)
class ProcessRef:
    """A process by its number and its birth: the number alone is given to others once it died."""

    pid: int
    born: str

    def alive(self) -> bool:
        """Whether this very process still runs; one that ended but was not reaped does not."""
        child = _CHILDREN.get(self.pid)
        if child is not None and child.poll() is not None:
            del _CHILDREN[self.pid]
        return birth_of(self.pid) == self.born


def birth_of(pid: int) -> str | None:
    """Return what tells a process from a later one of the same number, or None if none runs.

    Args:
        pid: process number.
    """
    if not _PROC.joinpath("self", "stat").exists():
        return _birth_by_ps(pid)
    try:
        # The name in parentheses may hold anything, so the fields are counted from its end.
        fields = _PROC.joinpath(str(pid), "stat").read_text().rpartition(")")[2].split()
        boot = _PROC.joinpath("sys", "kernel", "random", "boot_id").read_text().strip()
    except (FileNotFoundError, ProcessLookupError):
        return None
    state, started = fields[0], fields[19]
    return None if state in "ZX" else f"{boot}:{started}"


def _birth_by_ps(pid: int) -> str | None:
    asked = ["ps", "-o", "state=,lstart=", "-p", str(pid)]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)  # noqa: S603 - no shell
    told = done.stdout.strip()
    state, _, started = told.partition(" ")
    return None if not told or state.startswith("Z") else started.strip()


def spawn(
    command: Sequence[str | Path],
    *,
    log: Path,
    cwd: Path,
    die_with_parent: bool = False,
    env: Mapping[str, str] | None = None,
) -> ProcessRef:
    """Start a child in a session of its own, so that the terminal's Ctrl-C does not reach it.

    Args:
        command: program and arguments.
        log: file that its output is appended to.
        cwd: its working folder.
        die_with_parent: let the kernel kill it when the calling thread ends, however it ends (Linux
            only). It is the thread that counts: start such children from one that lives on.
        env: its whole environment; ours if not given.
    Returns:
        The running child.
    """
    prepare = death_with_parent() if die_with_parent else None
    with log.open("ab") as out:
        child = subprocess.Popen(  # noqa: S603 - no shell, and the arguments are ours
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            cwd=cwd,
            env=env,
            start_new_session=True,
            preexec_fn=prepare,  # noqa: PLW1509 - it makes one system call and takes no lock
        )
    _CHILDREN[child.pid] = child
    return ProcessRef(child.pid, birth_of(child.pid) or "ended at once")


def death_with_parent() -> Callable[[], None] | None:
    """Return what a child calls before it runs, so that the kernel kills it when its parent dies.

    Returns:
        A function for `preexec_fn`; None where the kernel has no such call.
    """
    if sys.platform != "linux":
        return None
    parent, prctl = os.getpid(), ctypes.CDLL(None, use_errno=True).prctl  # loaded before the fork

    def ask_kernel() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:  # it died before we could ask
            os._exit(1)

    return ask_kernel


def stop(process: ProcessRef, *, grace: float = 10.0) -> None:
    """End a process and return when it has ended: politely first, then not.

    Args:
        process: what to end; nothing is sent to another process that has its number by now.
        grace: seconds between the polite signal and the other.
    """
    for number, patience in ((signal.SIGTERM, grace), (signal.SIGKILL, 10.0)):
        if not _send(process, number):
            return
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            if not process.alive():
                return
            time.sleep(_POLL_SECONDS)
    raise UnavailableError("a process did not end when killed", pid=process.pid)


def kill(process: ProcessRef) -> None:
    """End a process without any warning, as a crash would, and return when it has ended.

    Args:
        process: what to end.
    """
    if not _send(process, signal.SIGKILL):
        return
    deadline = time.monotonic() + 10.0
    while process.alive():
        if time.monotonic() > deadline:
            raise UnavailableError("a process did not end when killed", pid=process.pid)
        time.sleep(_POLL_SECONDS / 5)


def _send(process: ProcessRef, number: signal.Signals) -> bool:
    if not process.alive():
        return False
    try:
        os.kill(process.pid, number)
    except ProcessLookupError:
        return False
    return True


class Daemon(ABC):
    """One local service: how it is started, when it is ready, how it ends.

    Args:
        folder: its data, its log and its temporary files; made if it is not there.
        die_with_parent: see `spawn`.
        process: a process of an earlier start that is to be taken over.
    """

    name: str
    grace = 15.0  # seconds for a clean end

    def __init__(
        self, folder: Path, *, die_with_parent: bool = False, process: ProcessRef | None = None
    ) -> None:
        self.folder = folder.absolute()
        self.die_with_parent = die_with_parent
        self.process = process
        self._log_from = 0

    @property
    def log(self) -> Path:
        """The file with the output of every start."""
        return self.folder / f"{self.name}.log"

    @property
    def pid(self) -> int | None:
        """Process number of the last start, None if it was never started or was stopped."""
        return self.process.pid if self.process else None

    @property
    def alive(self) -> bool:
        """Whether the process runs; it may not be ready yet."""
        return self.process is not None and self.process.alive()

    @property
    @abstractmethod
    def address(self) -> str:
        """What clients are given to reach it."""

    @abstractmethod
    def provide(self, notify: Notify = quiet) -> None:
        """Find Java and the program itself, fetching it if need be; quick when done before.

        Args:
            notify: told what is being done.
        """

    @abstractmethod
    def prepare(self) -> None:
        """Write configuration and format storage, before the process is started."""

    @abstractmethod
    def command(self) -> list[str | Path]:
        """Program and arguments."""

    @abstractmethod
    def probe(self) -> bool:
        """Whether it answers a client's request now."""

    def spawn(self) -> None:
        """Start the process without waiting for it; nothing is done if it runs."""
        if self.alive:
            return
        self.provide()
        temporary = self.folder / "tmp"
        temporary.mkdir(parents=True, exist_ok=True)
        self.prepare()
        self._log_from = self.log.stat().st_size if self.log.exists() else 0
        self.process = spawn(
            self.command(), log=self.log, cwd=self.folder, die_with_parent=self.die_with_parent
        )

    def wait_ready(self, deadline: float) -> None:
        """Return once it answers.

        Args:
            deadline: moment of `time.monotonic()` to give up at.
        Raises:
            UnavailableError: it ended, or did not answer in time; the end of its log is told.
        """
        while True:
            if self.probe():
                return
            if not self.alive:
                raise UnavailableError(
                    "a local service ended while it started",
                    service=self.name,
                    log=str(self.log),
                    complaints=self.complaints(),
                )
            if time.monotonic() > deadline:
                raise UnavailableError(
                    "a local service was not ready in time",
                    service=self.name,
                    log=str(self.log),
                    complaints=self.complaints(),
                )
            time.sleep(_POLL_SECONDS)

    def stop(self) -> None:
        """End it cleanly and keep its data."""
        if self.process is not None:
            stop(self.process, grace=self.grace)
            self.process = None

    def kill(self) -> None:
        """End it as a crash would."""
        if self.process is not None:
            kill(self.process)
            self.process = None

    def complaints(self, count: int = 4) -> str:
        """Return what the last start complained of in its log; the end of it if of nothing.

        Args:
            count: number of lines.
        """
        lines = [line.rstrip() for line in self._log_of_last_start().splitlines()]
        lines = [line for line in lines if line and not line.startswith("\t")]  # no stack frames
        bad = [line for line in lines if _COMPLAINT.search(line)]
        last = [*dict.fromkeys(reversed(bad or lines))][:count]  # causes are told again and again
        return "\n".join(reversed(last))

    def port_clash(self) -> bool:
        """Whether the last start found one of its ports taken."""
        text = self._log_of_last_start()
        return any(words in text for words in _CLASH)

    def _log_of_last_start(self) -> str:
        try:
            with self.log.open("rb") as log:
                log.seek(max(self._log_from, log.seek(0, os.SEEK_END) - 65536))
                return log.read().decode(errors="replace")
        except FileNotFoundError:
            return ""
