"""The program's entry: global options anywhere, a quick help, clear words for wrong calls."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from streams.cli import main, output

ROOT = Path(__file__).parents[2]
HEAVY = ("ccxt", "confluent_kafka", "faust", "mode", "fastavro", "aiohttp", "matplotlib", "avro")


@pytest.fixture(autouse=True)
def fresh_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a run sets ends with the test."""
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "200")


@pytest.mark.parametrize(
    ("typed", "first", "rest"),
    [
        (["up", "--output", "json"], ["--output", "json"], ["up"]),
        (["--yes", "down", "-q"], ["--yes", "-q"], ["down"]),
        (["status", "--output=csv", "-vv"], ["--output=csv", "-vv"], ["status"]),
        (["send", "--", "--yes"], [], ["send", "--", "--yes"]),
        (["up", "--data", "x", "--timeout"], ["--timeout"], ["up", "--data", "x"]),
        (["topics", "-vx"], [], ["topics", "-vx"]),
    ],
)
def test_global_options_stand_anywhere(typed: list[str], first: list[str], rest: list[str]) -> None:
    """Before or after the command; what follows `--` is the command's."""
    assert main.hoist(typed) == (first, rest)


@pytest.mark.parametrize(
    ("text", "value"),
    [("30", 30.0), ("30s", 30.0), ("500ms", 0.5), ("2m", 120.0), ("1.5h", 5400.0)],
)
def test_durations(text: str, value: float) -> None:
    """Units as people write them; plain numbers are seconds."""
    assert main.seconds(text) == pytest.approx(value)


@pytest.mark.parametrize("text", ["", "s", "-1s", "1 day", "1s2"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    """With a word on how to write one."""
    with pytest.raises(typer.BadParameter, match="no duration"):
        main.seconds(text)


def test_a_wrong_command_names_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    """Status 2, one line, a hint where to look."""
    assert main.run(["statsu"]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith("error: No such command 'statsu'")
    assert "hint: see `fillonce --help`" in told.err


@pytest.mark.parametrize("typed", [["--output", "json", "nonsense"], ["nonsense", "--output=json"]])
def test_wrong_calls_are_objects_in_json_mode(
    typed: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Even though the parser failed before it had read the format."""
    assert main.run(typed) == 2
    assert json.loads(capsys.readouterr().err)["error"]["code"] == 2


@pytest.mark.parametrize(
    "typed",
    [
        ["status", "--output", "xml"],
        ["status", "--timeout", "soon"],
        ["status", "--config", "/nowhere/x.toml"],
        ["status", "-q", "-v"],
        ["up", "--kafka-port", "0"],
        ["up", "--kafka-port", "x"],
        ["up", "--nonsense"],
        ["up", "surplus"],
    ],
)
def test_wrong_calls_end_with_two(typed: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is started, and the message is one line with a hint."""
    assert main.run(typed) == 2
    told = capsys.readouterr().err.splitlines()
    assert [line.split(":")[0] for line in told] == ["error", "hint"]


def test_options_reach_the_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was typed is what `options()` tells."""
    monkeypatch.chdir(tmp_path)
    tmp_path.joinpath("x.toml").touch()
    typed = ["status", "--config", "x.toml", "--output", "jsonl", "-vv", "--yes", "--timeout", "2m"]
    assert main.run([*typed, "--log-format", "json"]) == 3  # nothing was ever started here
    assert output.options() == output.Options(
        config=Path("x.toml"),
        output=output.Format.JSONL,
        log_format=output.LogFormat.JSON,
        verbosity=2,
        yes=True,
        timeout=120.0,
    )


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """One line, status 0."""
    assert main.run(["--version"]) == 0
    assert capsys.readouterr().out.startswith("fillonce")


def test_no_arguments_are_a_call_for_help(capsys: pytest.CaptureFixture[str]) -> None:
    """Status 0, every command listed with what it does."""
    assert main.run([]) == 0
    told = capsys.readouterr().out
    assert all(word in told for word in ("up", "down", "status", "--output", "Exit status"))


def test_every_command_has_help(capsys: pytest.CaptureFixture[str]) -> None:
    """Each module that is listed registers, and each command tells what its statuses mean."""
    for command in ("up", "down", "status"):
        assert main.run([command, "--help"]) == 0
        assert "Exit status:" in capsys.readouterr().out


def test_help_is_quick_and_imports_nothing_heavy() -> None:
    """Half a second of work at most: people and completion ask often."""
    script = (
        "import sys\n"
        "from streams.cli.main import run\n"
        "status = run(['--help'])\n"
        f"heavy = sorted(set({HEAVY!r}) & set(sys.modules))\n"
        "sys.exit(f'imported: {heavy}' if heavy or status else 0)\n"
    )
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "COVERAGE_PROCESS_START": ""},
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 0, done.stderr
    work = (after.ru_utime + after.ru_stime) - (before.ru_utime + before.ru_stime)
    assert work < 0.5


def test_a_closed_stdout_is_survived(tmp_path: Path) -> None:
    """A process that was started without standard streams still ends with its status."""
    script = "from streams.cli.main import main; main()"
    shell = f'exec "{sys.executable}" -c "{script}" status >&- 2>&-'
    done = subprocess.run(
        ["/bin/sh", "-c", shell],
        cwd=tmp_path,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 3
