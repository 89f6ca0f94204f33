"""`fillonce schema`: statuses, and the shape of what it writes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from schemas import catalog, derive
from streams.cli.main import run

Change = Callable[[dict[str, Any]], object]


def git(folder: Path, *arguments: str) -> None:
    clean = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    subprocess.run(
        ["git", "-c", "user.name=t", "-c", "user.email=t@t.invalid", *arguments],
        cwd=folder,
        check=True,
        capture_output=True,
        env={**clean, "GIT_CONFIG_GLOBAL": os.devnull},
    )


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A repository with the packaged sources, committed as the tag `old`, in a folder below."""
    folder = tmp_path / "below" / "avro"
    shutil.copytree(derive.ROOT, folder)
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "old")
    git(tmp_path, "tag", "old")
    return folder


def change(root: Path, name: str, how: Change) -> None:
    path = root / f"{name}.avsc"
    document = json.loads(path.read_text())
    how(document)
    path.write_text(json.dumps(document))


def check(root: Path, capsys: pytest.CaptureFixture[str], *more: str) -> tuple[int, dict[str, Any]]:
    capsys.readouterr()
    status = run(["schema", "check", "--against", "git:old", "--root", str(root),
                  "--report", "json", *more])  # fmt: skip
    out = capsys.readouterr().out
    return status, json.loads(out) if out else {}


def test_nothing_changed_is_compatible(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Equal schemas: 0, every one compared, no finding; a table says so in one word."""
    status, told = check(root, capsys)
    assert status == 0
    assert told["compatible"] is True
    assert told["compared"] == len(catalog.packaged())
    assert (told["new"], told["findings"]) == ([], [])
    assert run(["schema", "check", "--against", "git:old", "--root", str(root)]) == 0
    assert capsys.readouterr().out == "compatible\n"


def test_a_field_with_default_and_a_new_record_pass(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What may be added may be added; a record that was not there is new, and fine."""
    more = {"name": "more", "type": "long", "default": 0, "doc": "x"}
    change(root, "trade/Signal", lambda document: document["fields"].append(more))
    new = {"type": "record", "name": "New", "namespace": "fillonce.trade", "fields": []}
    (root / "trade" / "New.avsc").write_text(json.dumps(new))
    status, told = check(root, capsys)
    assert status == 0
    assert told["new"] == ["fillonce.trade.New"]


BREAKS: dict[str, tuple[str, Change, str, str, set[str]]] = {
    "field without default": (
        "trade/Signal",
        lambda d: d["fields"].append({"name": "more", "type": "long"}),
        "reader_field_missing_default_value",
        "Signal.more",
        {"backward"},
    ),
    "field removed": (
        "trade/Signal",
        lambda d: d["fields"].pop(),
        "reader_field_missing_default_value",
        "Signal.received_time",
        {"forward"},
    ),
    "symbol": (
        "ledger/LedgerEntry",
        lambda d: d["fields"][4]["type"].update(
            symbols=[*d["fields"][4]["type"]["symbols"], "GIFT"], default="GIFT"
        ),
        "",
        "",
        set(),
    ),
    "scale": (
        "ledger/Balance",
        lambda d: d["fields"][2]["type"].update(scale=8),
        "decimal_scale_changed",
        "Balance.total",
        {"backward", "forward"},
    ),
}


@pytest.mark.parametrize("case", BREAKS)
def test_a_break_is_found_with_its_place(
    case: str, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """3, with rule, path and direction; what the enum's default takes care of is no break."""
    name, how, rule, path, directions = BREAKS[case]
    change(root, name, how)
    status, told = check(root, capsys)
    findings = told["findings"]
    assert status == (3 if directions else 0)
    assert {one["direction"] for one in findings} == directions
    assert {one["rule"] for one in findings} == ({rule} if directions else set())
    assert {one["path"] for one in findings} == ({path} if directions else set())
    assert all(one["version"] == "git:old" for one in findings)
    assert all(
        set(one) == {"rule", "subject", "path", "direction", "version", "message", "advice"}
        for one in findings
    )


def test_the_level_chooses_the_directions(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A removed field passes BACKWARD and NONE, and not FORWARD."""
    change(root, "trade/Signal", lambda document: document["fields"].pop())
    statuses = {
        level: check(root, capsys, "--level", level)[0]
        for level in ("NONE", "BACKWARD", "FORWARD", "FULL")
    }
    assert statuses == {"NONE": 0, "BACKWARD": 0, "FORWARD": 3, "FULL": 3}


def test_a_removed_schema_is_found(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A source that is gone is a finding: its records are still in the topics."""
    (root / "ops" / "Alert.avsc").unlink()
    status, told = check(root, capsys)
    assert status == 3
    assert [(one["rule"], one["path"]) for one in told["findings"]] == [
        ("schema_removed", "fillonce.ops.Alert")
    ]


@pytest.mark.parametrize("text", ["", "{", '{"type": "record", "name": "Alert", "fields": 7}'])
def test_a_source_that_is_none_is_found(
    text: str, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A schema that does not parse is a finding with its file, and no traceback."""
    (root / "ops" / "Alert.avsc").write_text(text)
    status, told = check(root, capsys)
    assert status == 3
    assert [(one["rule"], one["subject"]) for one in told["findings"]] == [
        ("not_a_schema", "ops/Alert.avsc")
    ]


@pytest.mark.parametrize(
    "against", ["git:nowhere", "git:", "git:--help", "git:a b", "nowhere", "git:old:below"]
)
def test_an_against_that_is_none_is_a_wrong_call(
    against: str, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No such revision or folder: 2, nothing on stdout, one line on stderr."""
    assert run(["schema", "check", "--root", str(root), "--against", against]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith("error: ")


def test_outside_a_repository_is_a_wrong_call(
    root: Path, tmp_path_factory: pytest.TempPathFactory, capsys: pytest.CaptureFixture[str]
) -> None:
    """A folder that git does not know ends with 2."""
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "avro"
    shutil.copytree(root, elsewhere)
    assert run(["schema", "check", "--root", str(elsewhere), "--against", "git:old"]) == 2


def test_another_folder_is_compared(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder stands for an earlier state just as well as a revision."""
    arguments = ["schema", "check", "--root", str(root), "--against", str(derive.ROOT)]
    assert run(arguments) == 0
    change(root, "trade/Signal", lambda document: document["fields"].pop())
    assert run(arguments) == 3
    assert "Signal.received_time" in capsys.readouterr().out


def test_list_and_show(capsys: pytest.CaptureFixture[str]) -> None:
    """Every record is listed with its subjects; one is shown whole by any unambiguous name."""
    assert run(["schema", "list", "--output", "json"]) == 0
    rows = {row["record"]: row for row in json.loads(capsys.readouterr().out)["schemas"]}
    assert rows["fillonce.trade.TradeIntent"]["subjects"] == ["trade.intent-value"]
    assert set(rows) == set(catalog.packaged())
    for name in ("TradeIntent", "trade.TradeIntent", "fillonce.trade.TradeIntent"):
        assert run(["schema", "show", name]) == 0
        assert json.loads(capsys.readouterr().out)["name"] == "TradeIntent"
    assert run(["schema", "show", "Nothing"]) == 2
