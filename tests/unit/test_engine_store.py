"""Stores: one contract for memory and RocksDB; whose the folder is; when a store is wiped."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from streams.engine.errors import AgentFailed, ConfigError, StoreError
from streams.engine.judge import Judge
from streams.engine.recovery import reason_to_wipe
from streams.engine.settings import EngineSettings
from streams.engine.store.cache import MISSING, Cache
from streams.engine.store.choose import state_of
from streams.engine.store.folder import MANIFEST, StateFolder
from streams.engine.store.memory import MemoryState
from streams.engine.store.merge import merged
from streams.engine.store.port import DELETED, Standing, StateStore
from tests.unit.engine_tools import in_hand, make_app, make_batch, make_event
from tests.unit.store_tools import (
    ID,
    Codec,
    commit,
    contents,
    image,
    in_memory,
    opened,
    rocks,
    running,
    table_of,
)

Make = Callable[[Path], StateStore]
both = pytest.mark.parametrize("make", [in_memory, rocks], ids=["memory", "rocksdb"])


# -- the contract


@both
def test_a_commit_is_seen_whole_with_its_position(make: Make, tmp_path: Path) -> None:
    """Values, tombstones and the position of each table move together; other partitions do not."""
    with running(tmp_path, make, (0, 1)) as state:
        commit(state, 7, left={"a": 1, "b": 2}, right={"z": 9})
        commit(state, 9, left={"a": DELETED, "c": 3})
        left = table_of(state, "left")
        assert [left.get(0, key) for key in "abc"] == [DELETED, 2, 3]
        assert contents(state) == {"left": {"b": 2, "c": 3}, "right": {"z": 9}}
        assert contents(state, 1) == {"left": {}, "right": {}}
        found = [state.standing(name, 0) for name in ("left", "right")]
        assert [each.position if each else None for each in found] == [9, 7]


@both
def test_rows_come_in_the_order_of_key_bytes(make: Make, tmp_path: Path) -> None:
    """Whatever the order of insertion, and after each change of the keys."""
    keys = ["b", "a|2", "a|10", "é", "z", "A", "\U0001f600", "\uffee", "", "\x00", "\x01"]
    with running(tmp_path, make) as state:
        left = table_of(state, "left")
        for number, key in enumerate(keys, start=1):
            commit(state, number, left={key: number})
            expected = sorted(keys[:number], key=str.encode)
            assert [key for _, key, _ in left.rows(0)] == expected
            assert left.count(0) == number
        commit(state, 99, left={"z": DELETED, "absent": DELETED, "A": 5})
        assert [row[1:] for row in left.rows(0)] == [
            (key, 5 if key == "A" else keys.index(key) + 1)
            for key in sorted(set(keys) - {"z"}, key=str.encode)
        ]
        assert left.count(0) == len(keys) - 1


@both
def test_an_iteration_sees_what_was_there_when_it_began(make: Make, tmp_path: Path) -> None:
    """An outside reader on another task is never shown half a commit."""
    with running(tmp_path, make) as state:
        commit(state, 1, left=dict.fromkeys("abcd", 1))
        copy = table_of(state, "left").committed(0)
        commit(state, 2, left={"a": DELETED, "b": 2, "e": 2})
        assert copy == dict.fromkeys("abcd", 1)
        assert table_of(state, "left").committed(0) == {"b": 2, "c": 1, "d": 1, "e": 2}


@both
def test_a_restore_folds_records_in_their_order(make: Make, tmp_path: Path) -> None:
    """The last value of a key wins, null removes, and what was read before is not believed any more."""
    with running(tmp_path, make) as state:
        left = table_of(state, "left")
        commit(state, 1, left={"a": 1, "b": 1})
        assert (left.get(0, "a"), left.get(0, "new"), left.count(0)) == (1, DELETED, 2)
        state.attach([0])
        rows = [(b"a", b"5"), (b"b", None), (b"new", b"6"), (b"a", b"7"), (b"c", b"8")]
        state.restore("left", 0, rows, 5, ID)
        state.follow("left", 0, 6, ID)
        assert [left.get(0, key) for key in ("a", "b", "new")] == [7, DELETED, 6]
        assert left.count(0) == 3
        standing = state.standing("left", 0)
        assert standing is not None
        assert standing.position == 6


@both
def test_a_wipe_forgets_one_table_of_one_partition(make: Make, tmp_path: Path) -> None:
    """Its rows and its standing; nothing of the others."""
    with running(tmp_path, make, (0, 1)) as state:
        for partition in (0, 1):
            commit(state, 3, partition, left={"a": 1}, right={"a": 2})
        assert table_of(state, "left").get(0, "a") == 1
        state.wipe("left", 0)
        assert table_of(state, "left").get(0, "a") is DELETED
        assert contents(state) == {"left": {}, "right": {"a": 2}}
        assert contents(state, 1) == {"left": {"a": 1}, "right": {"a": 2}}
        assert state.standing("left", 0) is None
        assert state.standing("right", 0) is not None


@both
def test_tables_behave_the_same_over_both(make: Make, tmp_path: Path) -> None:
    """Overlay then store; len, iteration and views count what is staged."""
    table: Any = make_app().Table("left", key_type=str, value_type=bytes, partitions=1)
    state = make(tmp_path)
    state.open()
    table.store = state.table(table)
    state.attach([0])
    state.restore("left", 0, [(b"a", b"1"), (b"b", b"2"), (b"c", b"3")], 3, ID)
    state.follow("left", 0, 3, ID)
    batch = make_batch()
    with in_hand(make_event(batch=batch)):
        items = table.items()
        assert len(table) == len(items) == 3
        table["bb"] = b"x"
        table["a"] = b"9"
        del table["c"]
        assert list(items) == [("a", b"9"), ("b", b"2"), ("bb", b"x")]
        assert len(table) == 3
        for key in table:
            del table[key]
        assert (len(table), list(table.values())) == (0, [])
    assert table.committed(0) == {"a": b"1", "b": b"2", "c": b"3"}
    assert batch.overlay_bytes >= 2
    state.close()


@both
def test_a_partition_that_comes_back_goes_on_from_where_it_stood(
    make: Make, tmp_path: Path
) -> None:
    """A revoked partition keeps data and position; its last use is that of its last following."""
    with running(tmp_path, make, (0, 1)) as state:
        commit(state, 4, 1, left={"a": 1})
        state.attach([0])
        before = state.standing("left", 1)
        assert before is not None
        used = before.used
        state.touch()
        state.attach([0, 1])
        after = state.standing("left", 1)
        assert after is not None
        assert (after.position, after.used) == (4, used)
        assert table_of(state, "left").get(1, "a") == 1


# -- on disk


def test_what_was_committed_is_there_after_a_crash(tmp_path: Path) -> None:
    """An image of the folder without any close has every commit, and each table's position."""
    with running(tmp_path / "live") as state:
        for number in range(1, 50):
            commit(state, number, left={f"k{number}": number}, right={"n": number})
        image(tmp_path / "live", tmp_path / "crashed")
    with running(tmp_path / "crashed") as state:
        assert contents(state) == {
            "left": {f"k{number}": number for number in range(1, 50)},
            "right": {"n": 49},
        }
        assert [state.standing(name, 0).position for name in ("left", "right")] == [49, 49]  # type: ignore[union-attr] # it is there


def test_the_time_of_the_last_use_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It moves while the store follows its changelog, commits or none, and is there after a crash."""
    monkeypatch.setattr("streams.engine.store.rocks.time.time", lambda: 1_000.0)
    with running(tmp_path / "live") as state:
        monkeypatch.setattr("streams.engine.store.rocks.time.time", lambda: 5_000.0)
        state.touch()
        image(tmp_path / "live", tmp_path / "crashed")
    again = rocks(tmp_path / "crashed")
    again.open()
    again.attach([0])
    found = again.standing("left", 0)
    assert found is not None
    assert found.used == 5_000.0
    again.close()


def test_a_second_process_is_told_who_has_the_folder(tmp_path: Path) -> None:
    """One clear error with the pid; after its end, or its kill, the folder is free."""
    code = (
        "import sys, pathlib; from streams.engine.store.folder import StateFolder\n"
        "StateFolder(pathlib.Path(sys.argv[1]), 'unit', '0').open(); print('open', flush=True)\n"
        "sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"open\n"
        with pytest.raises(ConfigError, match=f"in use by process {holder.pid}") as told:
            rocks(tmp_path).open()
        assert told.value.exit_code == 2
        rocks(tmp_path, instance="1").folder.open()
        holder.kill()
        holder.wait(10)
    state = rocks(tmp_path)
    state.open()
    state.close()


def test_the_folder_is_the_owners_alone(tmp_path: Path) -> None:
    """Mode 0700, also where it was there with another."""
    (tmp_path / "state" / "unit").mkdir(parents=True, mode=0o755)
    with running(tmp_path / "state") as state:
        assert isinstance(state, type(rocks(tmp_path)))
        for folder in (state.path, state.path.parent):
            assert folder.stat().st_mode & 0o777 == 0o700


def test_a_folder_of_another_app_is_refused(tmp_path: Path) -> None:
    """A copied folder is not taken for one's own, and not wiped either."""
    with running(tmp_path) as state:
        commit(state, 1, left={"a": 1})
    (tmp_path / "other").mkdir()
    image(tmp_path / "unit" / "0", tmp_path / "other" / "0")
    with pytest.raises(ConfigError, match="belongs to app 'unit', instance '0'"):
        rocks(tmp_path, app="other").open()
    assert (tmp_path / "other" / "0" / "0").is_dir()


@pytest.mark.parametrize("damage", ["format", "garbage", "gone"])
def test_another_format_is_wiped(
    tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    """So is what has no manifest that can be read; the log says why."""
    with running(tmp_path) as state:
        commit(state, 1, left={"a": 1})
    manifest = tmp_path / "unit" / "0" / MANIFEST
    if damage == "format":
        manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "format": 0}))
    elif damage == "garbage":
        manifest.write_bytes(b"\xff{")
    else:
        manifest.unlink()
    with running(tmp_path) as state:
        assert contents(state)["left"] == {}
    assert "wiped" in caplog.text


def test_a_database_of_another_partition_is_wiped(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A folder moved to another partition's name is no state of that partition."""
    with running(tmp_path) as state:
        commit(state, 1, left={"a": 1})
    (tmp_path / "unit" / "0" / "0").rename(tmp_path / "unit" / "0" / "1")
    with running(tmp_path, partitions=(1,)) as state:
        assert contents(state, 1)["left"] == {}
    assert "no state of this partition" in caplog.text


def test_a_folder_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    """A missing parent, a file in its place, a folder that may not be written: one sentence each."""
    with pytest.raises(ConfigError, match=r"/nowhere is not there: create it, or mount it"):
        rocks(tmp_path / "nowhere" / "state").open()
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be used"):
        rocks(tmp_path / "file").open()
    if os.geteuid() != 0:
        (tmp_path / "closed").mkdir(mode=0o500)
        with pytest.raises(ConfigError, match="cannot be used"):
            rocks(tmp_path / "closed").open()


@pytest.mark.parametrize("name", ["..", ".", "", "a b", "a/b", "ä", "x" * 250, "a\n"])
def test_names_that_no_folder_or_topic_can_have_are_refused(name: str) -> None:
    """App and instance, at once and by name."""
    with pytest.raises(ConfigError, match="the app's id is at most 200 of"):
        type(make_app())(name)
    with pytest.raises(ConfigError, match="instance_id is at most 200 of"):
        make_app(instance_id=name)


def test_the_store_is_one_of_two(tmp_path: Path) -> None:
    """By its URL; RocksDB is imported for an app that asks for it, and for no other."""
    with pytest.raises(ConfigError, match="store is one of"):
        make_app(store="sqlite://")
    assert isinstance(state_of(EngineSettings("x"), "unit"), MemoryState)
    asked = EngineSettings("x", store="rocksdb://", state_dir=tmp_path, instance_id="7")
    assert state_of(asked, "unit").path == tmp_path / "unit" / "7"  # type: ignore[attr-defined] # RocksDB's
    code = (
        "import sys; from streams.engine import App; app = App('unit'); app.Table('t'); app.engine\n"
        "sys.exit('rocksdict' in sys.modules)"
    )
    folder = Path(__file__).parents[2]
    assert subprocess.run([sys.executable, "-c", code], cwd=folder, check=False).returncode == 0


# -- wiping by the changelog

DAY = 86_400.0
STANDING = Standing(50, ID, 1_000_000.0)
REASONS: dict[str, tuple[dict[str, Any], str]] = {
    "in order": ({}, ""),
    "at the end": ({"bounds": (0, 50)}, ""),
    "at the start": ({"bounds": (50, 60)}, ""),
    "behind the end": ({"bounds": (0, 49)}, "behind the log's end 49"),
    "before the start": ({"bounds": (51, 60)}, "before the log's start 51"),
    "another topic": ({"topic_id": "b" * 32}, "another topic of the same name"),
    "young": ({"now": 1_000_000.0 + DAY - 3_601}, ""),
    "old": ({"now": 1_000_000.0 + DAY - 3_599}, "tombstones are kept for 86400 s"),
    "clock back a little": ({"now": 1_000_000.0 - 3_599}, ""),
    "clock back": ({"now": 1_000_000.0 - 3_601}, "in the future"),
}


@pytest.mark.parametrize(("changed", "reason"), REASONS.values(), ids=REASONS)
def test_a_store_is_wiped_for_these_reasons_only(changed: dict[str, Any], reason: str) -> None:
    """Where the log does not hold its position, is another one, or may have lost tombstones since."""
    asked = {"bounds": (0, 60), "topic_id": ID, "now": 1_000_000.0, "retention": DAY, **changed}
    found = reason_to_wipe(STANDING, **asked)
    assert reason in found
    assert bool(found) == bool(reason)


# -- parts


def test_a_cache_is_bounded_and_keeps_what_is_read() -> None:
    """Never more rows than its bound; a key read between other keys stays; nothing old comes back."""
    cache = Cache(10)
    cache.put("hot", 1)
    for number in range(1_000):
        cache.put(number, number)
        assert cache.get("hot") == 1
        assert cache.get(number) == number
        assert len(cache) <= 10
    assert cache.get(0) is MISSING
    cache.put("hot", 2)
    for number in range(4):
        cache.put(("other", number), 0)
    assert cache.get("hot") in (2, MISSING)
    cache.clear()
    assert (cache.get("hot"), len(cache)) == (MISSING, 0)


def test_a_merge_reads_its_base_one_row_at_a_time() -> None:
    """A scan that stops early has not read the whole store."""
    taken = []

    def base() -> Any:
        for number in range(1_000):
            taken.append(number)
            yield b"%04d" % number, number, number

    rows = merged(base(), [(b"0001", 1, DELETED), (b"0002", 2, "over")])
    assert [next(rows)[2] for _ in range(3)] == [0, "over", 3]
    assert len(taken) <= 5


def test_a_store_that_failed_commits_nothing_more(tmp_path: Path) -> None:
    """An agent may swallow the error of a read; the batch is not sealed."""
    with running(tmp_path) as state:
        commit(state, 1, left={"a": 1})
        state.check()
        assert isinstance(state, type(rocks(tmp_path)))
        state._databases[0]._db.close()
        with pytest.raises(StoreError, match="cannot be used"):
            state.table(Codec("left")).get(0, "other")
        with pytest.raises(StoreError):
            state.check()
        state._databases.clear()


def test_a_store_that_fails_is_no_poison_record() -> None:
    """The record in hand is not blamed and not dead-lettered: the worker ends with 75."""
    failed = AgentFailed("agent", make_event(), StoreError("the disk is full"))
    with pytest.raises(StoreError, match="the disk is full") as ended:
        asyncio.run(Judge.judge(SimpleNamespace(), failed, [], ticks=False))  # type: ignore[arg-type] # it needs no engine
    assert ended.value.exit_code == 75


def test_a_folder_can_be_opened_again_by_the_same_process(tmp_path: Path) -> None:
    """Closing lets go of the lock."""
    first, second = StateFolder(tmp_path, "unit", "0"), StateFolder(tmp_path, "unit", "0")
    first.open()
    with pytest.raises(ConfigError, match=str(os.getpid())):
        second.open()
    first.close()
    second.open()
    second.close()


def test_opened_states_follow_from_where_they_stood(tmp_path: Path) -> None:
    """A clean stop and start loses nothing."""
    with running(tmp_path) as state:
        commit(state, 3, left={"a": 1})
    again = opened(rocks(tmp_path))
    assert contents(again)["left"] == {"a": 1}
    again.close()
