"""Restoring against a real changelog: by delta, and from the start for every reason that a broker can give."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import (
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourceType,
)

from streams.engine import App
from streams.engine.recovery import restore
from streams.engine.store.choose import state_of
from streams.engine.store.memory import MemoryState
from streams.engine.store.port import StateStore
from tests.integration.oracle import Oracle
from tests.integration.workers import eventually

ROWS = [(b"k%d" % number, b"v%d" % number) for number in range(20)]


class Restorer:
    """One worker's table, without the worker: opened, restored and closed."""

    def __init__(self, oracle: Oracle, prefix: str, folder: Path, store: str) -> None:
        self.app = App(f"{prefix}restore", broker=oracle.bootstrap, store=store, state_dir=folder)
        self.table: Any = self.app.Table("rows", key_type=str, value_type=bytes, partitions=1)
        self.changelog = f"{prefix}restore-rows-changelog"
        self.memory = MemoryState() if store == "memory://" else None

    def run(
        self, look: Callable[[StateStore], object] = lambda _: None
    ) -> tuple[int, dict[str, bytes]]:
        """Restore; return how many records were read, and the rows."""
        state = self.memory or state_of(self.app.engine_settings, self.app.conf.id)
        state.open()
        self.table.store = state.table(self.table)
        count = restore(state, [self.table], [0], self.app.engine_settings)
        look(state)
        rows = self.table.committed(0)
        state.close()
        return count, rows


@pytest.fixture(params=["memory://", "rocksdb://"])
def restorer(
    oracle: Oracle, topic_prefix: str, tmp_path: Path, request: pytest.FixtureRequest, services: Any
) -> Restorer:
    """A restorer whose changelog has 20 rows, restored once."""
    made = Restorer(oracle, topic_prefix, tmp_path, request.param)
    oracle.create(made.changelog, compact=True)
    oracle.write(made.changelog, ROWS)
    assert made.run() == (20, {k.decode(): v for k, v in ROWS})
    return made


def test_a_second_restore_reads_what_is_new(oracle: Oracle, restorer: Restorer) -> None:
    """Nothing, then three records: a change, a new row, a tombstone."""
    assert restorer.run()[0] == 0
    oracle.write(restorer.changelog, [(b"k0", b"x"), (b"new", b"y"), (b"k1", None)])
    count, rows = restorer.run()
    assert count == 3
    assert (rows["k0"], rows["new"], "k1" in rows, len(rows)) == (b"x", b"y", False, 20)


def test_a_topic_of_the_same_name_is_another_topic(
    oracle: Oracle, restorer: Restorer, caplog: pytest.LogCaptureFixture
) -> None:
    """Deleted and made again with more records than before: no position tells, its id does."""
    oracle.admin.delete_topics([restorer.changelog])[restorer.changelog].result(20)
    name = restorer.changelog
    assert eventually(lambda: name not in oracle.admin.list_topics(timeout=5).topics)
    oracle.create(restorer.changelog, compact=True)
    oracle.write(restorer.changelog, [(b"other%d" % number, b"z") for number in range(30)])
    count, rows = restorer.run()
    assert count == 30
    assert set(rows) == {f"other{number}" for number in range(30)}
    assert "another topic of the same name" in caplog.text


def test_a_position_before_the_logs_start_is_restored_anew(
    oracle: Oracle, restorer: Restorer, caplog: pytest.LogCaptureFixture
) -> None:
    """What was deleted between the two may have been a change."""
    oracle.write(restorer.changelog, [(b"k%d" % number, b"w") for number in range(10)])
    # Only a log that is deleted from can lose its start.
    _configure(oracle, restorer.changelog, "cleanup.policy", "compact,delete")
    place = TopicPartition(restorer.changelog, 0, 25)
    oracle.admin.delete_records([place])[place].result(20)
    count, rows = restorer.run()
    assert (count, set(rows)) == (5, {f"k{number}" for number in range(5, 10)})
    assert "before the log's start 25" in caplog.text


def test_a_position_behind_the_logs_end_is_restored_anew(
    restorer: Restorer, caplog: pytest.LogCaptureFixture
) -> None:
    """The log has lost what the store holds: it is not believed."""

    def ahead(state: StateStore) -> None:
        standing = state.standing("rows", 0)
        assert standing is not None
        state.restore("rows", 0, [(b"lost", b"1")], 1_000, standing.topic_id)

    assert "lost" in restorer.run(ahead)[1]
    assert restorer.run() == (20, {k.decode(): v for k, v in ROWS})
    assert "behind the log's end 20" in caplog.text


def test_a_store_older_than_the_tombstones_is_restored_anew(
    oracle: Oracle,
    restorer: Restorer,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A changelog that keeps tombstones for a minute: two minutes later a deletion may be forgotten."""
    _configure(oracle, restorer.changelog, "delete.retention.ms", "60000")
    assert restorer.run()[0] == 0
    later = SimpleNamespace(time=lambda: time.time() + 120)
    monkeypatch.setattr("streams.engine.recovery.time", later)
    assert restorer.run()[0] == 20
    assert "tombstones are kept for 60 s" in caplog.text


def _configure(oracle: Oracle, topic: str, name: str, value: str) -> None:
    entry = ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
    oracle.admin.incremental_alter_configs([resource])[resource].result(20)
    asked = ConfigResource(ResourceType.TOPIC, topic)
    assert eventually(
        lambda: oracle.admin.describe_configs([asked])[asked].result(20)[name].value == value
    )
