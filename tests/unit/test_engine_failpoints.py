"""Failpoints: off unless asked for, and never misspelt in silence."""

from __future__ import annotations

import re
import signal
from pathlib import Path

import pytest

from streams.engine import failpoints
from streams.engine.errors import ConfigError
from streams.engine.failpoints import NAMES, Failpoint


@pytest.fixture
def kills(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    seen: list[int] = []
    monkeypatch.setattr("os.kill", lambda _pid, number: seen.append(number))
    return seen


def test_the_nth_pass_of_the_named_point_kills(kills: list[int]) -> None:
    """Earlier passes and other points do nothing."""
    point = Failpoint("after_flush:3")
    for name in ("after_flush", "before_flush", "after_flush", "after_offsets"):
        point.hit(name)
    assert kills == []
    point.hit("after_flush")
    assert kills == [signal.SIGKILL]


def test_nothing_is_armed_by_default(kills: list[int]) -> None:
    """Without the variable no point ever strikes."""
    for name in NAMES:
        Failpoint("").hit(name)
    assert kills == []


@pytest.mark.parametrize("asked", ["after_flusch", "after_flush:x", "after_flush:-1"])
def test_an_unknown_point_is_refused(asked: str) -> None:
    """A misspelt point would make a crash test pass without a crash."""
    with pytest.raises(ConfigError, match="FILLONCE_FAILPOINT"):
        Failpoint(asked)


def test_every_name_is_hit_somewhere_and_every_hit_is_named() -> None:
    """The list of names is that of the calls in the engine."""
    folder = Path(failpoints.__file__).parent
    text = "".join(path.read_text() for path in folder.glob("*.py"))
    assert sorted(re.findall(r'\bfailpoint\("(\w+)"\)', text)) == sorted(NAMES)
