"""Damage on disk: torn and flipped bytes are detected or wiped, a full disk ends the worker; no wrong value ever."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest

from streams.engine.errors import StoreError
from streams.engine.store.framing import masked_crc32c, strange_frame
from tests.unit.store_tools import ID, Codec, commit, contents, image, opened, rocks, running

COMMITS = 60


def _expected(number: int) -> dict[str, dict[str, int]]:
    """All rows after so many commits: each writes both tables."""
    return {
        "left": {f"k{n % 7}": n for n in range(max(number - 6, 1), number + 1)},
        "right": {"n": number} if number else {},
    }


STATES = {number: _expected(number) for number in range(COMMITS + 1)}


def _build(live: Path, crashed: Path, *, flushed: bool) -> None:
    """A store after 60 commits, as a crash leaves it; `flushed`: in files of sorted rows too."""
    with running(live) as state:
        for number in range(1, COMMITS + 1):
            commit(state, number, left={f"k{number % 7}": number}, right={"n": number})
            if flushed and number % 20 == 0:
                state._databases[0]._db.flush()  # type: ignore[attr-defined] # RocksDB's
        image(live, crashed)


def _files(folder: Path, pattern: str) -> list[Path]:
    return [file for file in sorted(folder.glob(f"unit/0/0/{pattern}")) if file.stat().st_size]


def _outcome(folder: Path) -> str:
    """Open and read all; return what became of it, and check that nothing of it is wrong.

    A detected damage ends the worker, so the next start is looked at as well.
    """
    for attempt in range(2):
        state = rocks(folder)
        state.open()
        for name in ("left", "right"):
            state.table(Codec(name))
        try:
            state.attach([0])
            found = contents(state)
            known = {name: state.standing(name, 0) for name in ("left", "right")}
        except StoreError:
            assert attempt == 0, "a start after a detected damage does not wipe it"
            state._databases.clear()
            state.close()
            continue
        positions = {name: each.position if each else 0 for name, each in known.items()}
        state.close()
        assert positions["left"] == positions["right"], "half a transaction is there"
        assert found == STATES[positions["left"]], "a value is wrong"
        whole = "whole" if positions["left"] == COMMITS else "earlier"
        if not any(known.values()):
            whole = "wiped"
        return ("detected, then " if attempt else "") + whole
    raise AssertionError("it can never be opened again")


@pytest.mark.parametrize(
    "pattern", ["*.log", "*.sst", "MANIFEST-*", "CURRENT", "OPTIONS-*", "*.json"]
)
@pytest.mark.parametrize("kind", ["flip", "truncate", "remove"])
def test_damage_is_detected_or_wiped(tmp_path: Path, pattern: str, kind: str) -> None:
    """Every file of a store, at chance places: what is read afterwards is a state that was committed."""
    chance = random.Random(f"{pattern} {kind}")
    _build(tmp_path / "live", tmp_path / "crashed", flushed=pattern == "*.sst")
    files = _files(tmp_path / "crashed", pattern)
    assert files
    outcomes = []
    for trial in range(1 if kind == "remove" else 10):
        copy = image(tmp_path / "crashed", tmp_path / f"trial-{trial}")
        file = chance.choice(_files(copy, pattern))
        data = bytearray(file.read_bytes())
        place = chance.randrange(len(data))
        if kind == "flip":
            data[place] ^= 1 << chance.randrange(8)
            file.write_bytes(data)
        elif kind == "truncate":
            file.write_bytes(data[:place])
        else:
            file.unlink()
        outcomes.append(_outcome(copy))
    if pattern in ("*.log", "*.sst"):
        assert set(outcomes) != {"whole"}, "no damage was noticed at all"
    if pattern == "*.sst":
        assert set(outcomes) <= {"wiped", "detected, then wiped", "whole"}, outcomes


@pytest.mark.parametrize("kind", [*range(14), 128, 129, 130, 131, 255])
def test_no_kind_of_frame_makes_rocksdb_read_for_ever(tmp_path: Path, kind: int) -> None:
    """Whatever a bit flip makes of the kind of the MANIFEST's second record, the open comes back."""
    source = tmp_path.parent / "frames"
    if not source.exists():
        _build(tmp_path / "live", source, flushed=False)
    copy = image(source, tmp_path / "copy")
    (file,) = _files(copy, "MANIFEST-*")
    data = bytearray(file.read_bytes())
    place = 7 + data[4] + 256 * data[5] + 6
    data[place] = kind
    file.write_bytes(data)
    assert _outcome(copy) in ("wiped", "whole")


def test_a_torn_log_leaves_whole_transactions(tmp_path: Path) -> None:
    """Cut anywhere, both tables stand at one commit: the cut one is missing as a whole."""
    _build(tmp_path / "live", tmp_path / "crashed", flushed=False)
    log = _files(tmp_path / "crashed", "*.log")[-1]
    size = log.stat().st_size
    for trial, cut in enumerate(range(size - 150, size, 11)):
        copy = image(tmp_path / "crashed", tmp_path / f"trial-{trial}")
        file = _files(copy, "*.log")[-1]
        file.write_bytes(log.read_bytes()[:cut])
        assert _outcome(copy) == "earlier"


FILL = """
import resource, signal, sys
from pathlib import Path
from streams.engine.errors import StoreError
from streams.engine.store.framing import masked_crc32c, strange_frame
from tests.unit.store_tools import commit, opened, rocks
state = opened(rocks(Path(sys.argv[1])))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
number = 0
try:
    while number < 100_000:
        commit(state, number + 1, left={f"k{(number + 1) % 7}": number + 1}, right={"n": number + 1})
        number += 1
except StoreError as error:
    print(number, int(error.exit_code), str(error))
"""


def test_a_full_disk_ends_the_worker_and_loses_nothing(tmp_path: Path) -> None:
    """The write that does not fit raises with exit 75; the next start stands at what was written before."""
    run = subprocess.run(
        [sys.executable, "-c", FILL, str(tmp_path)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    number, code, text = run.stdout.split(maxsplit=2)
    assert code == "75"
    assert "the state in" in text
    assert "File too large" in text
    assert int(number) > COMMITS
    state = opened(rocks(tmp_path))
    assert contents(state) == _expected(int(number))
    commit(state, int(number) + 1, left={"more": 1})
    assert state.standing("left", 0).position == int(number) + 1  # type: ignore[union-attr] # it is there
    state.close()


def test_a_disk_that_fails_at_the_start_is_no_reason_to_wipe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk or an unreadable one is told, exit 75; the rows stay for when it is well again."""
    with running(tmp_path) as state:
        commit(state, 1, left={"a": 1})

    def full(*_: object) -> None:
        raise RuntimeError("IO error: No space left on device: While appending to file")

    with monkeypatch.context() as patched:
        patched.setattr("streams.engine.store.database.Rdict", full)
        state = rocks(tmp_path)
        state.open()
        with pytest.raises(StoreError, match="No space left") as told:
            state.attach([0])
        assert told.value.exit_code == 75
        state.folder.close()
    with running(tmp_path) as state:
        assert contents(state)["left"] == {"a": 1}
        state.restore("left", 0, [(b"b", b"2")], 2, ID)
        assert contents(state)["left"] == {"a": 1, "b": 2}


def test_no_length_of_a_frame_makes_rocksdb_forget_rows(tmp_path: Path) -> None:
    """A record of the MANIFEST that seems to end behind the file is damage, and no end of the file."""
    _build(tmp_path / "live", tmp_path / "crashed", flushed=True)
    assert _outcome(image(tmp_path / "crashed", tmp_path / "untouched")) == "whole"
    (original,) = _files(tmp_path / "crashed", "MANIFEST-*")
    data, at, outcomes = original.read_bytes(), 0, set()
    while at + 7 <= len(data):
        length = int.from_bytes(data[at + 4 : at + 6], "little")
        for bit in (0, 3, 7, 8, 14):
            copy = image(tmp_path / "crashed", tmp_path / f"copy-{at}-{bit}")
            (file,) = _files(copy, "MANIFEST-*")
            changed = length ^ 1 << bit
            file.write_bytes(data[: at + 4] + changed.to_bytes(2, "little") + data[at + 6 :])
            outcomes.add(_outcome(copy))
        at += 7 + length
    assert at == len(data)
    assert outcomes <= {"wiped", "detected, then wiped"}


def test_checksums_are_those_of_rocksdb(tmp_path: Path) -> None:
    """CRC-32C by its published check value, and every frame of a MANIFEST that RocksDB has written."""
    crc = 0xE3069283  # of "123456789"
    assert masked_crc32c(b"123456789") == ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
    _build(tmp_path / "live", tmp_path / "crashed", flushed=True)
    assert strange_frame(tmp_path / "crashed" / "unit" / "0" / "0") == ""
