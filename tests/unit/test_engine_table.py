"""Tables: the partition of the event in hand, an overlay, one order, immutable values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict

from streams.engine.errors import DeadEvent
from streams.engine.execution import changelog_rows
from streams.engine.store.port import DELETED
from streams.engine.table import require_immutable
from tests.unit.engine_tools import RAW, in_hand, make_app, make_batch, make_event


@pytest.fixture
def table() -> Any:
    app = make_app()
    return app.Table("rows", key_type=str, value_type=bytes, partitions=2)


def test_reads_see_the_batch_and_the_store_only_after_the_commit(table: Any) -> None:
    """Staged writes are visible to the batch alone; the store has them when they are settled."""
    batch = make_batch()
    table.store.commit(0, {"a": b"1", "b": b"2"})
    with in_hand(make_event(batch=batch)):
        table["a"] = b"9"
        table["c"] = b"3"
        del table["b"]
        assert table["a"] == b"9"
        assert "b" not in table
        assert table.get("b", b"none") == b"none"
        assert list(table.items()) == [("a", b"9"), ("c", b"3")]
        assert len(table) == 2
    assert table.committed(0) == {"a": b"1", "b": b"2"}
    with in_hand(make_event(batch=make_batch())):
        assert list(table.items()) == [("a", b"1"), ("b", b"2")]
    table.store.commit(0, batch.writes["rows"])
    assert table.committed(0) == {"a": b"9", "c": b"3"}


def test_a_partition_sees_nothing_of_another(table: Any) -> None:
    """Get, iterate and len belong to the event's partition."""
    table.store.commit(1, {"other": b"1"})
    with in_hand(make_event(batch=make_batch(0))):
        assert "other" not in table
        assert len(table) == 0
        assert list(table) == []
        with pytest.raises(KeyError):
            table["other"]
        with pytest.raises(KeyError):
            del table["other"]
        with pytest.raises(KeyError):
            table.pop("other")
        assert table.pop("other", b"d") == b"d"


def test_iteration_is_in_the_order_of_key_bytes(table: Any) -> None:
    """Not in that of insertion, nor that of code points: of UTF-8 bytes, store and overlay mixed."""
    keys = ["b", "a|2", "a|10", "é", "z", "A", "\U0001f600", "\uffee"]
    table.store.commit(0, dict.fromkeys(keys[:4], b"x"))
    with in_hand(make_event()):
        for key in keys[4:]:
            table[key] = b"y"
        assert list(table.keys()) == sorted(keys, key=str.encode)
        assert [key for key, _ in table.items()] == list(table)


def test_dict_methods_are_staged_too(table: Any) -> None:
    """update, setdefault, pop and clear go through the overlay."""
    batch = make_batch()
    table.store.commit(0, {"a": b"1"})
    with in_hand(make_event(batch=batch)):
        table.update({"b": b"2"})
        assert table.setdefault("a", b"9") == b"1"
        assert table.setdefault("c", b"3") == b"3"
        assert table.pop("a") == b"1"
        table.clear()
        assert list(table.values()) == []
    assert table.committed(0) == {"a": b"1"}
    assert batch.writes["rows"] == {"a": DELETED, "b": DELETED, "c": DELETED}


def test_changelog_rows_are_in_the_order_of_first_writes_with_tombstones(table: Any) -> None:
    """The last value of each key, once; null removes."""
    assert changelog_rows(table, {"b": b"1", "a": DELETED}) == [(b"b", b"1"), (b"a", None)]


def test_without_an_event_a_table_has_no_partition(table: Any) -> None:
    """Start-up and timers cannot read or write it."""
    for attempt in (
        lambda: table["a"],
        lambda: table.get("a"),
        lambda: list(table),
        lambda: table.__setitem__("a", b"1"),
    ):
        with pytest.raises(RuntimeError, match="event in hand"):
            attempt()


def test_a_dead_event_reaches_no_table(table: Any) -> None:
    """A task that outlives its event can neither read nor write."""
    event = make_event()
    event.alive = False
    with in_hand(event):
        with pytest.raises(DeadEvent):
            table["a"] = b"1"
        with pytest.raises(DeadEvent):
            table.get("a")


@dataclass(frozen=True)
class Frozen:
    inner: object = 1


@dataclass
class Open:
    inner: int = 1


class FrozenModel(BaseModel):
    model_config = ConfigDict(frozen=True)
    x: object = 1


class OpenModel(BaseModel):
    x: int = 1


KEPT = {
    "int": 1,
    "float": 1.5,
    "str": "x",
    "bytes": b"x",
    "none": None,
    "decimal": Decimal(1),
    "datetime": datetime(2024, 1, 1, tzinfo=UTC),
    "tuple": (1, ("a", b"b")),
    "frozenset": frozenset({1}),
    "dataclass": Frozen((1, 2)),
    "model": FrozenModel(),
    "deep": (FrozenModel(), Frozen()),
}
REFUSED = {
    "list": [],
    "dict": {},
    "set": set(),
    "bytearray": bytearray(),
    "dataclass": Open(),
    "model": OpenModel(),
    "deep": ([],),
    "in a dataclass": Frozen([]),
}


@pytest.mark.parametrize("value", KEPT.values(), ids=KEPT)
def test_immutable_values_are_kept(value: object) -> None:
    """Scalars, tuples, frozen sets and frozen records."""
    require_immutable(value)


@pytest.mark.parametrize("value", REFUSED.values(), ids=REFUSED)
def test_mutable_values_are_refused(table: Any, value: object) -> None:
    """A change in place would escape the transaction, however deep it hides."""
    with in_hand(make_event()), pytest.raises(TypeError, match="immutable"):
        table["a"] = value


def test_a_global_table_notes_each_read_once_until_it_changes() -> None:
    """Key, value and absence are mentioned in the journal, again only after a change."""
    app = make_app()
    prices = app.GlobalTable("price", changelog_topic=app.topic("price", **RAW))
    prices.apply(b"a", b"1")
    batch = make_batch()
    with in_hand(make_event(batch=batch)):
        assert prices.get("a") == b"1"
        assert prices["a"] == b"1"
        assert prices.get("b") is None
        assert "b" not in prices
        with pytest.raises(TypeError, match="read only"):
            prices["a"] = b"2"
    assert batch.mentions == [("price", b"a", b"1"), ("price", b"b", None)]
    later = make_batch(known=batch.mentioned)
    prices.apply(b"b", b"2")
    with in_hand(make_event(batch=later)):
        assert prices.get("a") == b"1"
        assert prices.get("b") == b"2"
    assert later.mentions == [("price", b"b", b"2")]
    prices.apply(b"b", None)
    last = make_batch(known={**batch.mentioned, **later.mentioned})
    with in_hand(make_event(batch=last)):
        assert prices.get("b", b"d") == b"d"
    assert last.mentions == [("price", b"b", None)]


def test_a_scan_of_a_global_table_mentions_what_is_new() -> None:
    """The first scan notes every row; a later one what changed, and what went."""
    app = make_app()
    prices = app.GlobalTable("price", changelog_topic=app.topic("price", **RAW))
    for key in (b"b", b"a"):
        prices.apply(key, b"1")
    first = make_batch()
    with in_hand(make_event(batch=first)):
        assert prices.items() == [("a", b"1"), ("b", b"1")]
        assert len(prices) == 2
    assert first.mentions == [("price", b"a", b"1"), ("price", b"b", b"1")]
    prices.apply(b"a", None)
    second = make_batch(known=first.mentioned, known_scans=first.scanned)
    with in_hand(make_event(batch=second)):
        assert list(prices) == ["b"]
    assert second.mentions == [("price", b"a", None)]
