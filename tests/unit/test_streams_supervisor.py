"""The supervisor: restarts, leaves down, stops in order. Real children, no Kafka."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from streams.cli.output import Exit

HARNESS = """
import sys
from streams.cli.supervisor import Supervisor
names, idle = sys.argv[1].split(","), sys.argv[2] == "idle"
code = {code!r}
commands = {{name: [sys.executable, "-c", code, name] for name in names}}
sys.exit(Supervisor(commands, None, (lambda: True) if idle else None).run())
"""
STAYS = """
import signal, sys, time
def stop(*_):
    print("stopped", sys.argv[1], flush=True)
    sys.exit(0)
signal.signal(signal.SIGTERM, stop)
print("up", sys.argv[1], flush=True)
while True:
    time.sleep(0.05)
"""


def _start(
    code: str, names: str, tmp_path: Path, mode: str = ""
) -> tuple[subprocess.Popen[bytes], Path]:
    out = tmp_path / "out"
    with out.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-c", HARNESS.format(code=code), names, mode],
            stdout=file,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
    return process, out


def _until(condition: Callable[[], bool], seconds: float = 20.0) -> bool:
    deadline, waiting = time.monotonic() + seconds, threading.Event()
    while not condition() and time.monotonic() < deadline:
        waiting.wait(0.02)
    return condition()


def test_sigterm_stops_producers_of_work_before_their_consumers(tmp_path: Path) -> None:
    """The children end in the order in which they are named, and the status is 0."""
    process, out = _start(STAYS, "first,second,third", tmp_path)
    assert _until(lambda: out.read_text().count("up ") == 3)
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0
    stopped = [line.split()[1] for line in out.read_text().splitlines() if line[:8] == "stopped "]
    assert stopped == ["first", "second", "third"]


def test_a_crashed_child_is_started_again(tmp_path: Path) -> None:
    """A child that dies, or asks for a restart with 75, comes back after a delay that grows."""
    code = 'import sys; print("up", sys.argv[1], flush=True); sys.exit(75)'
    process, out = _start(code, "one", tmp_path)
    try:
        assert _until(lambda: out.read_text().count("up one") >= 3)
        assert process.poll() is None
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


@pytest.mark.parametrize(
    ("status", "word"), [(Exit.FENCED, "slot"), (Exit.USAGE, "settings"), (Exit.DATA, "dlq list")]
)
def test_a_child_that_must_not_come_back_is_left_down(
    tmp_path: Path, status: Exit, word: str
) -> None:
    """Fenced, set up wrongly or stopped over bad records: it is started once, the reason is told, and the status is its own."""
    code = f'import sys; print("up", flush=True); sys.exit({int(status)})'
    process, out = _start(code, "one", tmp_path)
    assert process.wait(20) == status
    assert out.read_text().count("up\n") == 1
    assert "left_down" in out.read_text()
    assert word in out.read_text()


def test_an_idle_run_ends_by_itself(tmp_path: Path) -> None:
    """When all is worked off, the children are stopped and the status is 0."""
    process, out = _start(STAYS, "one,two", tmp_path, "idle")
    assert process.wait(20) == 0
    assert "all_worked_off" in out.read_text()


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's call is Linux's")
def test_children_die_with_their_supervisor(tmp_path: Path) -> None:
    """A supervisor that is killed with -9 leaves no child behind."""
    code = "import os, time; print('pid', os.getpid(), flush=True); time.sleep(60)"
    process, out = _start(code, "one,two", tmp_path)
    assert _until(lambda: out.read_text().count("pid ") == 2)
    pids = [int(line.split()[1]) for line in out.read_text().splitlines() if line[:4] == "pid "]
    process.kill()
    process.wait(10)
    assert _until(lambda: not any(_alive(pid) for pid in pids))


def _alive(pid: int) -> bool:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return False
    return fields[0] not in "ZX"
