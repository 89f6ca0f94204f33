"""Stores as dicts that survive: staged, committed, aborted, crashed and restored in any order."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from streams.engine.execution import changelog_rows
from streams.engine.store.port import Changes, StateStore
from tests.unit.engine_tools import in_hand, make_app, make_batch, make_event
from tests.unit.store_tools import ID, image, in_memory, rocks

KEYS = st.text(alphabet="ab\x00\xe9\U0001f600", max_size=2)
NAMES = ("left", "right")
Rows = dict[str, dict[str, bytes]]


class StoreMachine(RuleBasedStateMachine):
    """Two tables over one store, beside a dict for what is staged and one for what is committed."""

    on_disk = True

    @initialize()
    def begin(self) -> None:
        self.root = Path(tempfile.mkdtemp(prefix="store-"))
        self.crashes = 0
        app = make_app()
        self.tables: dict[str, Any] = {
            name: app.Table(name, key_type=str, value_type=bytes, partitions=1) for name in NAMES
        }
        self.base: Rows = {name: {} for name in NAMES}
        self.staged: Rows = {name: {} for name in NAMES}
        self.changelog: list[tuple[str, list[tuple[bytes, bytes | None]]]] = []
        self.batch = make_batch()
        self._open(self.root / "0")

    def _open(self, folder: Path) -> None:
        self.folder = folder
        self.state: StateStore = (rocks if self.on_disk else in_memory)(folder)
        self.state.open()
        for table in self.tables.values():
            table.store = self.state.table(table)
        self.state.attach([0])
        for name in NAMES:
            found = self.state.standing(name, 0)
            position = 0 if found is None else found.position
            assert position == (len(self.changelog) if self.changelog else 0) or not self.on_disk
            self.state.follow(name, 0, position, ID)

    @rule(name=st.sampled_from(NAMES), key=KEYS, value=st.binary(max_size=3))
    def put(self, name: str, key: str, value: bytes) -> None:
        with in_hand(make_event(batch=self.batch)):
            self.tables[name][key] = self.staged[name][key] = value

    @rule(name=st.sampled_from(NAMES), key=KEYS)
    def remove(self, name: str, key: str) -> None:
        with in_hand(make_event(batch=self.batch)):
            assert self.tables[name].pop(key, None) == self.staged[name].pop(key, None)

    @rule()
    def commit(self) -> None:
        changes = []
        self.changelog.append(("commit", []))
        for name, table in self.tables.items():
            writes = self.batch.writes.get(name, {})
            rows = changelog_rows(table, writes)
            self.changelog.append((name, rows))
            changes.append((name, writes, rows))
        position = len(self.changelog)
        self.state.commit(0, [Changes(*each, position) for each in changes])
        self.base = {name: dict(rows) for name, rows in self.staged.items()}
        self.batch = make_batch()

    @rule()
    def abort(self) -> None:
        self.staged = {name: dict(rows) for name, rows in self.base.items()}
        self.batch = make_batch()

    @rule()
    def crash(self) -> None:
        """Go on from an image of the folder; what was staged is lost."""
        if self.on_disk:
            self.crashes += 1
            copy = image(self.folder, self.root / str(self.crashes))
            self.state.close()
            self._open(copy)
        self.abort()

    @rule()
    def stop(self) -> None:
        """Close and open again."""
        if self.on_disk:
            self.state.close()
            self._open(self.folder)
        self.abort()

    @rule(name=st.sampled_from(NAMES))
    def wipe(self, name: str) -> None:
        """Forget one table and fold its changelog again."""
        self.state.attach([0])
        self.state.wipe(name, 0)
        rows = [row for table, rows in self.changelog if table == name for row in rows]
        self.state.restore(name, 0, rows, len(self.changelog), ID)
        for each in NAMES:
            self.state.follow(each, 0, len(self.changelog), ID)

    @invariant()
    def agrees(self) -> None:
        for name, table in self.tables.items():
            with in_hand(make_event(batch=self.batch)):
                assert list(table.items()) == sorted(
                    self.staged[name].items(), key=lambda row: row[0].encode()
                )
                assert len(table) == len(self.staged[name])
                for key in ("", "a", "\x00"):
                    assert table.get(key) == self.staged[name].get(key)
            assert table.committed(0) == self.base[name]

    def teardown(self) -> None:
        self.state.close()
        shutil.rmtree(self.root)


class MemoryMachine(StoreMachine):
    """The same in memory."""

    on_disk = False


TestOnDisk = StoreMachine.TestCase
TestOnDisk.settings = settings(max_examples=15, stateful_step_count=25)
TestInMemory = MemoryMachine.TestCase
