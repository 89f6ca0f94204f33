"""What the demo starts: services, simulator, supervisor; each by the commands that users have."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from importlib.resources import as_file, files
from pathlib import Path

from processors.errors import ConfigError, UnavailableError
from streams.local import services as local
from streams.local.processes import ProcessRef, birth_of, kill, spawn, stop

_PROGRAM = [sys.executable, "-P", "-c", "from streams.cli.main import main; main()"]
_MARK = "demo.json"
Notify = Callable[[str], None]


class Stage:
    """The processes of one demo.

    Args:
        data: folder of services, logs and the simulator's ledger.
        pace: how fast the source sends: settled, max or Nx.
        notify: told what is being done.
    """

    def __init__(self, data: Path, pace: str, notify: Notify) -> None:
        self.data = data.absolute()
        self.pace = pace
        self.notify = notify
        self.services: local.Services | None = None
        self.simulator: ProcessRef | None = None
        self.supervisor: ProcessRef | None = None
        self.simulator_url = ""

    # -- set up

    def prepare(self) -> None:
        """Start with empty topics: what an earlier demo left is removed, anything else is refused.

        Raises:
            ConfigError: the folder holds data that is not a demo's.
        """
        known = local.Services.load(self.data)
        mark = self.data / _MARK
        if known is not None:
            if not mark.exists():
                raise ConfigError(
                    "the folder holds services with data that is not a demo's",
                    data=str(self.data),
                    hint="give the demo a folder of its own with --data, or `fillonce down --delete-data`",
                )
            self.notify("removing what the last demo left")
            end_recorded(self.data)
            known.stop()
            known.remove_data()
        self.data.mkdir(parents=True, exist_ok=True)
        mark.write_text("{}")
        self._simulator_folder.mkdir(parents=True, exist_ok=True)
        for left in sorted(self._simulator_folder.iterdir()):
            left.unlink()

    @property
    def _simulator_folder(self) -> Path:
        return self.data / "simulator"

    def config(self) -> Path:
        """Return the demo's settings file, written where every process can read it."""
        with as_file(files("streams.local") / "demo.toml") as shipped:
            text = shipped.read_text()
        target = self.data / "demo.toml"
        target.write_text(text)
        return target

    def environment(self) -> Mapping[str, str]:
        """Return the environment of every process: addresses, and nothing secret."""
        services = self.services
        if services is None:
            raise ConfigError("the services are not started")
        return {
            **os.environ,
            "FILLONCE_KAFKA__BOOTSTRAP": services.bootstrap,
            "FILLONCE_REGISTRY__URL": services.registry_url,
            "FILLONCE_VENUE__BASE_URL": self.simulator_url,
            "FILLONCE_SOURCE__PACE": self.pace,
            "PYTHONUNBUFFERED": "1",
        }

    def start_services(self) -> None:
        """Start Kafka and registry; they outlive the demo."""
        self.services, _ = local.up(self.data, notify=self._tell)

    def _tell(self, text: str, passing: bool = False) -> None:
        self.notify(text)

    def start_simulator(self) -> None:
        """Start the venue, and wait for its address."""
        log = self.data / "simulator.log"
        start = log.stat().st_size if log.exists() else 0
        self.simulator = spawn(
            [
                *_PROGRAM,
                "--config",
                str(self.config()),
                "simulator",
                "--data",
                str(self._simulator_folder),
            ],
            log=log,
            cwd=self.data,
            env=self._plain(),
        )
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            for line in log.read_text()[start:].splitlines():
                if line.startswith("listening on "):
                    self.simulator_url = line.removeprefix("listening on ").strip()
                    self._record()
                    return
            if not self.simulator.alive():
                break
            time.sleep(0.05)
        raise UnavailableError("the simulator did not start", log=str(log))

    @staticmethod
    def _plain() -> Mapping[str, str]:
        return {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("FILLONCE_VENUE")
        }

    def command(self, *arguments: str) -> str:
        """Run one of the program's commands to its end.

        Returns:
            What it printed.
        Raises:
            UnavailableError: it did not exit with 0.
        """
        done = subprocess.run(  # noqa: S603 - our own program
            [*_PROGRAM, "--config", str(self.data / "demo.toml"), "--yes", *arguments],
            capture_output=True,
            text=True,
            env=dict(self.environment()),
            timeout=120,
            check=False,
        )
        if done.returncode != 0:
            raise UnavailableError(
                f"`fillonce {' '.join(arguments)}` ended with {done.returncode}: {done.stderr.strip()[-600:]}"
            )
        return done.stdout

    # -- processors

    def start_supervisor(self) -> None:
        """Start all five processors under one supervisor."""
        self.supervisor = spawn(
            [*_PROGRAM, "--config", str(self.data / "demo.toml"), "--log-format", "json", "run"],
            log=self.data / "processors.log",
            cwd=self.data,
            env=self.environment(),
        )
        self._record()

    def _record(self) -> None:
        entries = {
            name: {"pid": ref.pid, "born": ref.born}
            for name, ref in (("supervisor", self.supervisor), ("simulator", self.simulator))
            if ref is not None
        }
        (self.data / _MARK).write_text(json.dumps(entries))

    def children(self) -> dict[str, ProcessRef]:
        """Return the processors that run, by name: the supervisor's children."""
        if self.supervisor is None:
            return {}
        found: dict[str, ProcessRef] = {}
        path = Path(f"/proc/{self.supervisor.pid}/task")
        pids = [
            int(pid)
            for task in (path.iterdir() if path.exists() else ())
            for pid in _read(task / "children").split()
        ]
        for pid in pids:
            words = _read(Path(f"/proc/{pid}/cmdline")).split("\0")
            born = birth_of(pid)
            name = next((w for w in reversed(words) if w in _NAMES), None)
            if name is not None and born is not None:
                found[name] = ProcessRef(pid, born)
        return found

    def kill_processor(self, name: str) -> int:
        """Kill one processor with -9; the supervisor brings it back."""
        child = self.children()[name]
        kill(child)
        return child.pid

    def kill_supervisor(self) -> tuple[int, list[int], list[int]]:
        """Kill the supervisor with -9.

        Returns:
            Its pid, those of its children, and those of them that still ran two seconds later.
        """
        if self.supervisor is None:
            raise ConfigError("no supervisor runs")
        children = self.children()
        pid = self.supervisor.pid
        kill(self.supervisor)
        deadline = time.monotonic() + 2.0
        while time.monotonic() < deadline and any(c.alive() for c in children.values()):
            time.sleep(0.02)
        return (
            pid,
            [c.pid for c in children.values()],
            [c.pid for c in children.values() if c.alive()],
        )

    def stop_processors(self) -> None:
        """Stop the supervisor, and with it the processors, in order."""
        if self.supervisor is not None and self.supervisor.alive():
            stop(self.supervisor, grace=40.0)
        self.supervisor = None
        self._record()

    def abandon(self) -> None:
        """End all that the demo started, after a failure."""
        self.stop_processors()
        if self.simulator is not None:
            stop(self.simulator)
        if self.services is not None:
            self.services.stop()


_NAMES = ("data_collection", "technical_analysis", "strategy", "risk_manager", "execution")


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def suspend(process: ProcessRef) -> None:
    """Stop a process where it stands."""
    os.kill(process.pid, signal.SIGSTOP)


def resume(process: ProcessRef) -> None:
    """Let a suspended process go on."""
    os.kill(process.pid, signal.SIGCONT)


def end_recorded(data: Path) -> list[str]:
    """End the venue and the processors of a demo, if one left them in the folder.

    Args:
        data: the demo's folder.
    Returns:
        Names of what was still running.
    """
    mark = data / _MARK
    if not mark.exists():
        return []
    ended = []
    for name, entry in json.loads(mark.read_text() or "{}").items():
        process = ProcessRef(entry["pid"], entry["born"])
        if process.alive():
            stop(process)
            ended.append(name)
    mark.write_text("{}")
    return ended
