"""Children of ours: told from others of the same number, ended politely, then not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from processors.errors import UnavailableError
from streams.local.processes import Daemon, ProcessRef, birth_of, kill, spawn, stop

SLEEPER = [sys.executable, "-c", "import threading; threading.Event().wait()"]
DEAF = (
    "import signal, threading; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
    " print('deaf', flush=True); threading.Event().wait()"
)
STUBBORN = [sys.executable, "-c", DEAF]


def wait_for_text(log: Path, text: str) -> None:
    """Wait until a child has written something."""
    deadline, pause = time.monotonic() + 10, threading.Event()
    while text not in log.read_text():
        assert time.monotonic() < deadline
        pause.wait(0.02)


def test_a_child_lives_until_it_is_stopped(tmp_path: Path) -> None:
    """Alive after the start, not alive after the stop, and no zombie is taken for alive."""
    child = spawn(SLEEPER, log=tmp_path / "log", cwd=tmp_path)
    assert child.alive()
    stop(child)
    assert not child.alive()
    assert birth_of(child.pid) is None


def test_a_child_has_a_session_of_its_own(tmp_path: Path) -> None:
    """Ctrl-C on our terminal must not reach the broker."""
    child = spawn(SLEEPER, log=tmp_path / "log", cwd=tmp_path)
    try:
        assert os.getsid(child.pid) == child.pid != os.getsid(0)
    finally:
        kill(child)


def test_a_deaf_child_is_killed(tmp_path: Path) -> None:
    """One that ignores the polite signal ends after the time of grace."""
    child = spawn(STUBBORN, log=tmp_path / "log", cwd=tmp_path)
    wait_for_text(tmp_path / "log", "deaf")
    began = time.monotonic()
    stop(child, grace=0.3)
    assert not child.alive()
    assert 0.3 <= time.monotonic() - began < 5


@pytest.mark.parametrize("end", [stop, kill])
def test_a_recycled_number_is_never_signalled(tmp_path: Path, end: object) -> None:
    """A process that got the number of a dead one of ours is left alone."""
    with subprocess.Popen(SLEEPER) as stranger:
        ours = ProcessRef(stranger.pid, "an earlier birth")
        assert not ours.alive()
        end(ours)  # type: ignore[operator]
        assert stranger.poll() is None
        stranger.kill()


def test_stopping_twice_is_stopping_once(tmp_path: Path) -> None:
    """A process that has ended already is no error."""
    child = spawn(SLEEPER, log=tmp_path / "log", cwd=tmp_path)
    kill(child)
    stop(child)
    kill(child)


def test_output_goes_to_the_log_and_adds_up(tmp_path: Path) -> None:
    """A second start does not wipe what the first one said."""
    log = tmp_path / "log"
    for word in ("first", "second"):
        child = spawn([sys.executable, "-c", f"print({word!r})"], log=log, cwd=tmp_path)
        wait_for_text(log, word)
        stop(child)
    assert log.read_text().split() == ["first", "second"]


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's help is Linux's")
def test_a_bound_child_dies_with_its_parent(tmp_path: Path) -> None:
    """Kill the parent with -9: the child ends without anybody's doing."""
    script = (
        "import sys, threading\n"
        "from pathlib import Path\n"
        "from streams.local.processes import spawn\n"
        "here = Path(sys.argv[1])\n"
        "child = spawn(sys.argv[2:], log=here / 'log', cwd=here, die_with_parent=True)\n"
        "print(child.pid, flush=True)\n"
        "threading.Event().wait()\n"
    )
    root = Path(__file__).parents[2]
    with subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path), *SLEEPER],
        cwd=root,
        stdout=subprocess.PIPE,
        text=True,
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        born = birth_of(pid)
        assert born is not None
        parent.send_signal(signal.SIGKILL)
    deadline, pause = time.monotonic() + 10, threading.Event()
    while birth_of(pid) == born:
        assert time.monotonic() < deadline
        pause.wait(0.02)


class _Quitter(Daemon):
    """A service that complains and ends."""

    name = "quitter"
    says = "java.io.IOException: disk is full\n\tat some.Frame(X.java:1)\nnothing of note"

    @property
    def address(self) -> str:
        return "nowhere"

    def provide(self, notify: object = None) -> None:
        """Nothing is needed."""

    def prepare(self) -> None:
        """Nothing is needed."""

    def command(self) -> list[str | Path]:
        return [sys.executable, "-c", f"print({self.says!r})"]

    def probe(self) -> bool:
        return False


def test_a_service_that_ends_tells_its_complaint(tmp_path: Path) -> None:
    """The error holds the log's complaint, and neither stack frames nor chatter."""
    quitter = _Quitter(tmp_path)
    quitter.spawn()
    with pytest.raises(UnavailableError, match="ended while it started") as caught:
        quitter.wait_ready(time.monotonic() + 10)
    assert caught.value.context["complaints"] == "java.io.IOException: disk is full"


def test_complaints_of_an_earlier_start_do_not_count(tmp_path: Path) -> None:
    """Only what the last start wrote is told, and only it decides on a port clash."""
    tmp_path.joinpath("quitter.log").write_text("Address already in use\nERROR old\n")
    quitter = _Quitter(tmp_path)
    assert quitter.port_clash()  # not started by us: all of it counts
    quitter.spawn()
    assert quitter.process is not None
    stop(quitter.process)
    assert not quitter.port_clash()
    assert "old" not in quitter.complaints()
