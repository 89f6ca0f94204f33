"""Results and errors of the program: formats that stay, statuses that tell."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from pathlib import Path

import pytest
import typer
from confluent_kafka import KafkaError, KafkaException

from processors.errors import ConfigError, InvariantError, UnavailableError
from streams.cli import output
from streams.cli.output import CliError, Exit, Format, Options

ROOT = Path(__file__).parents[2]


class Side(StrEnum):
    BUY = "BUY"


@dataclass(frozen=True)
class Point:
    x: Decimal


ROWS = [
    {"order": "a", "price": Decimal("1E-8"), "side": Side.BUY, "open": True, "note": None},
    {"order": 'b,"c"', "price": Decimal("10.50"), "side": Side.BUY, "open": False, "note": "x"},
]


@pytest.fixture(autouse=True)
def fresh_options() -> Iterator[None]:
    """Each test starts with the options that a plain call has."""
    output.set_options(Options())
    yield
    output.set_options(Options())


def choose(chosen: Format, **more: object) -> None:
    """Set the format as `--output` would."""
    output.set_options(Options(output=chosen, **more))  # type: ignore[arg-type]


def test_json_keeps_every_digit(capsys: pytest.CaptureFixture[str]) -> None:
    """Amounts are strings in plain notation: a reader's floats must not round them."""
    choose(Format.JSON)
    output.emit(ROWS)
    assert [row["price"] for row in json.loads(capsys.readouterr().out)] == ["0.00000001", "10.50"]


def test_json_shows_the_document_and_lines_show_the_rows(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """JSON is one document, JSON lines one object per row."""
    choose(Format.JSON)
    output.emit(ROWS, document={"orders": ROWS})
    assert list(json.loads(capsys.readouterr().out)) == ["orders"]
    choose(Format.JSONL)
    output.emit(ROWS, document={"orders": ROWS})
    lines = capsys.readouterr().out.splitlines()
    assert [json.loads(line)["order"] for line in lines] == ["a", 'b,"c"']


def test_csv_can_be_read_back(capsys: pytest.CaptureFixture[str]) -> None:
    """Commas and quotes survive; nothing is a number by accident."""
    choose(Format.CSV)
    output.emit(ROWS, columns=("order", "price", "open", "note"))
    read = list(csv.reader(io.StringIO(capsys.readouterr().out)))
    assert read == [
        ["order", "price", "open", "note"],
        ["a", "0.00000001", "yes", ""],
        ['b,"c"', "10.50", "no", "x"],
    ]


def test_no_rows_still_have_a_head(capsys: pytest.CaptureFixture[str]) -> None:
    """A script that cuts columns finds them in an empty result too."""
    choose(Format.CSV)
    output.emit([], columns=("a", "b"))
    assert capsys.readouterr().out == "a,b\n"
    choose(Format.JSON)
    output.emit([])
    assert json.loads(capsys.readouterr().out) == []


def test_a_table_cuts_nothing_where_no_terminal_is(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pipe gets whole values on one line, without colours, and brackets are no markup."""
    monkeypatch.delenv("COLUMNS", raising=False)
    long = "[red]" + "x" * 300
    output.emit([{"name": long, "value": 1}], after=["export A=1"])
    told = capsys.readouterr().out
    assert any(long in line for line in told.splitlines())
    assert told.endswith("export A=1\n")
    assert "\x1b" not in told


def test_one_record_is_an_object(capsys: pytest.CaptureFixture[str]) -> None:
    """Not a list of one."""
    choose(Format.JSON)
    output.emit_one({"a": Point(Decimal("1.10")), "t": datetime(2013, 11, 25, tzinfo=UTC)})
    read = json.loads(capsys.readouterr().out)
    assert read == {"a": {"x": "1.10"}, "t": "2013-11-25T00:00:00Z"}
    choose(Format.TABLE)
    output.emit_one({"a": 1})
    assert "a" in capsys.readouterr().out


def test_what_has_no_json_is_an_error() -> None:
    """Rather than a text that happens to be its repr."""
    with pytest.raises(TypeError, match="no JSON for object"):
        output.to_json({"a": object()})


def raising(error: BaseException) -> object:
    """A command that ends with this error."""

    def work() -> object:
        raise error

    return work


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (CliError(Exit.REFUSED, "no"), 5),
        (ConfigError("no"), 2),
        (UnavailableError("no"), 4),
        (InvariantError("no"), 1),
        (TimeoutError("no"), 4),
        (ConnectionRefusedError("no"), 4),
        (ValueError("no"), 1),
        (KafkaException(KafkaError(KafkaError._TRANSPORT)), 4),
        (KafkaException(KafkaError(KafkaError._ALL_BROKERS_DOWN)), 4),
        (KafkaException(KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED)), 1),
        (typer.BadParameter("no"), 2),
        (typer.Exit(3), 3),
        (SystemExit(70), 70),
        (SystemExit(None), 0),
        (KeyboardInterrupt(), 130),
        (typer.Abort(), 130),
    ],
)
def test_the_status_tells_the_kind_of_error(error: BaseException, status: int) -> None:
    """Scripts branch on the status; it is the contract."""
    assert output.boundary(raising(error)) == status  # type: ignore[arg-type]


def test_statuses_are_those_that_the_docs_promise() -> None:
    """Renumbering one breaks every script there is."""
    assert {one.name: one.value for one in Exit} == {
        "OK": 0,
        "FAILED": 1,
        "USAGE": 2,
        "FOUND": 3,
        "UNREACHABLE": 4,
        "REFUSED": 5,
        "DATA": 65,
        "FENCED": 70,
        "RESTART": 75,
    }


def test_a_commands_own_status_is_kept() -> None:
    """A returned number is the status, and no number is 0."""
    assert output.boundary(lambda: 3) == 3
    assert output.boundary(lambda: None) == 0


def test_an_error_is_one_line_and_a_hint(capsys: pytest.CaptureFixture[str]) -> None:
    """No traceback; values beside the sentence, long ones under it; nothing on stdout."""
    error = ConfigError("the port is taken", port=9092, log="a\nb", hint="choose another")
    assert output.boundary(raising(error)) == 2  # type: ignore[arg-type]
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err == (
        "error: the port is taken (port=9092)\n  log:\n    a\n    b\nhint: choose another\n"
    )


def test_an_error_in_json_mode_is_one_object(capsys: pytest.CaptureFixture[str]) -> None:
    """With keys that stay, whatever the values are."""
    choose(Format.JSON)
    error = CliError(Exit.FOUND, "found", "look", {"amount": Decimal("1.0"), "odd": object})
    assert output.boundary(raising(error)) == 3  # type: ignore[arg-type]
    told = json.loads(capsys.readouterr().err)["error"]
    assert set(told) == {"code", "message", "hint", "details"}
    assert (told["code"], told["message"], told["hint"]) == (3, "found", "look")
    assert told["details"]["amount"] == "1.0"


@pytest.mark.parametrize(("verbosity", "traced"), [(0, False), (1, True)])
def test_tracebacks_are_for_those_who_ask(
    capsys: pytest.CaptureFixture[str], verbosity: int, traced: bool
) -> None:
    """Without -v an unexpected error is one line that names it, and how to see more."""
    output.set_options(Options(verbosity=verbosity))
    assert output.boundary(raising(ValueError("odd"))) == 1  # type: ignore[arg-type]
    told = capsys.readouterr().err
    assert "error: unexpected ValueError: odd" in told
    assert ("Traceback" in told) is traced


def test_quiet_silences_notes_only(capsys: pytest.CaptureFixture[str]) -> None:
    """-q leaves results and errors."""
    output.note("first")
    output.set_options(Options(verbosity=-1))
    output.note("second")
    with output.Progress() as progress:
        progress("third")
    output.emit([{"a": 1}])
    told = capsys.readouterr()
    assert told.err == "first\n"
    assert "1" in told.out


def test_progress_is_plain_lines_where_no_terminal_is(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """What lasts is told, what passes is not."""
    with output.Progress() as progress:
        progress("downloading", passing=False)
        progress("1 of 9 MB", passing=True)
    assert capsys.readouterr().err == "downloading\n"


def test_nothing_is_confirmed_in_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a terminal and without --yes the answer is no."""
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
    with pytest.raises(CliError) as caught:
        output.confirm("Delete?")
    assert caught.value.code is Exit.REFUSED
    output.set_options(Options(yes=True))
    output.confirm("Delete?")


def test_a_reader_that_leaves_early_is_no_error() -> None:
    """`fillonce ... | head` ends without a word, with the status that a pipe's end has."""
    script = (
        "import sys\n"
        "from streams.cli import output\n"
        "sys.stdin.readline()\n"  # the reader has left by then
        "rows = [{'n': n} for n in range(100_000)]\n"
        "output.set_options(output.Options(output=output.Format.JSONL))\n"
        "sys.exit(output.boundary(lambda: output.emit(rows)))\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        assert child.stderr is not None
        child.stdout.close()
        child.stdin.write(b"\n")
        child.stdin.close()
        told = child.stderr.read()
    assert told == b""
    assert child.returncode == 141


def test_a_full_disk_is_an_error() -> None:
    """A result that could not be written is no success."""
    script = (
        "import sys\n"
        "from streams.cli import output\n"
        "sys.exit(output.boundary(lambda: output.emit([{'a': 1}])))\n"
    )
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-c", script],
            cwd=ROOT,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            env={**os.environ, "PYTHONUNBUFFERED": ""},
        )
    assert "No space left" in done.stderr
    assert done.returncode != 0
