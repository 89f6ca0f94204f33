"""`up`, `down`, `status` over a folder's record, without any service."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from processors.errors import ConfigError
from streams.cli import main
from streams.local import services as local
from streams.local.group import Services, make_kafka, make_registry
from streams.local.ports import free_ports, is_free
from streams.local.processes import ProcessRef


@pytest.fixture
def recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that remembers two services whose processes are long gone."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    gone = ProcessRef(os.getpid(), "before the last boot")  # the number is in use, by another
    data = tmp_path / ".fillonce"
    Services(
        data,
        kafka=make_kafka(data, (19092, 19093), process=gone),
        registry=make_registry(data, (18081, 18981), process=gone),
    ).save()
    return data


def test_the_record_tells_it_all_again(recorded: Path) -> None:
    """What is saved is what is loaded, and no draft is left."""
    known = Services.load(recorded)
    assert known is not None
    assert known.bootstrap == "127.0.0.1:19092"
    assert known.registry_url == "http://127.0.0.1:18081/apis/ccompat/v7"
    assert (known.kafka.ports, known.registry.ports) == ((19092, 19093), (18081, 18981))
    assert [path.name for path in recorded.iterdir()] == ["state.json"]


def test_the_dead_are_told(recorded: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Recorded as running, but not running: status 3, and no addresses to use."""
    assert main.run(["status", "--output", "json"]) == 3
    told = json.loads(capsys.readouterr().out)
    assert [one["status"] for one in told["services"]] == ["dead", "dead"]
    assert told["environment"] == {}


def test_down_forgets_the_dead_and_signals_no_stranger(recorded: Path) -> None:
    """The number in the record is ours by now: were it signalled, this test would not end."""
    assert main.run(["down"]) == 0
    known = Services.load(recorded)
    assert known is not None
    assert [one.status for one in known.status()] == ["stopped", "stopped"]


def test_nothing_started_is_no_error_for_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`down` twice is `down`; `status` finds something wrong."""
    monkeypatch.chdir(tmp_path)
    assert main.run(["down", "--output", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["services"] == []
    assert main.run(["status"]) == 3
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"services": {"kafka": {}}}', '{"services": 1}'])
def test_a_broken_record_is_told(
    recorded: Path, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Status 2 and the file's name, not a traceback."""
    recorded.joinpath("state.json").write_text(text)
    assert main.run(["status"]) == 2
    assert "state.json" in capsys.readouterr().err


def test_only_our_own_is_deleted(recorded: Path) -> None:
    """A folder that holds other things keeps them."""
    recorded.joinpath("kafka").mkdir()
    recorded.joinpath("mine.txt").touch()
    assert main.run(["down", "--delete-data"]) == 5
    assert recorded.joinpath("kafka").exists()
    assert main.run(["down", "--delete-data", "--yes"]) == 0
    assert [path.name for path in recorded.iterdir()] == ["mine.txt"]


def test_a_taken_port_is_refused_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The user's port is either used or refused, never another one in silence."""
    monkeypatch.setattr(local, "is_free", lambda _port: False)
    with pytest.raises(ConfigError, match="the port is taken"):
        local.up(tmp_path, kafka_port=19092)


def test_services_without_a_broker_say_so(tmp_path: Path) -> None:
    """Asking for what was not started is an error with a name."""
    alone = Services(tmp_path, registry=make_registry(tmp_path, (1, 2)))
    with pytest.raises(ConfigError, match="no broker"):
        _ = alone.bootstrap


@pytest.mark.enable_socket
def test_free_ports_are_free_and_different() -> None:
    """And a port that is listened on is not free."""
    ports = free_ports(5)
    assert len(set(ports)) == 5
    assert all(is_free(port) for port in ports)
