"""The journal's chain, and how a new owner takes it up."""

from __future__ import annotations

import pytest

from streams.engine.batch import PartitionBatch
from streams.engine.journal import GENESIS, JsonCodec, PartitionState, head_of, journal_record
from tests.unit.engine_tools import message


def record(state: PartitionState, value: bytes) -> dict[str, object]:
    batch = PartitionBatch("unit", 0, state.sequence + 1, 5)
    batch.take([message(value=value)])
    return journal_record(batch, state, "boot", None)


def test_a_head_holds_all_that_came_before() -> None:
    """A change in one record changes its head and every later one."""
    heads = []
    for first in (b"a", b"b"):
        state = PartitionState(0)
        one = record(state, first)
        state.sequence, state.head = 1, str(one["head"])
        heads.append((one["head"], record(state, b"same")["head"]))
    assert heads[0][0] != heads[1][0]
    assert heads[0][1] != heads[1][1]


def test_the_head_leaves_only_itself_out() -> None:
    """Recomputed from the stored record and the previous head it is the same; any field counts."""
    made = record(PartitionState(0), b"a")
    assert head_of(GENESIS, made) == made["head"]
    for name in made:
        if name != "head":
            assert head_of(GENESIS, {**made, name: "other"}) != made["head"], name


def test_a_journal_record_survives_its_codec() -> None:
    """JSON gives back what went in, whatever the order of names."""
    made = record(PartitionState(0), b"a")
    assert JsonCodec().decode(JsonCodec().encode(made)) == made
    assert JsonCodec().encode(dict(reversed(made.items()))) == JsonCodec().encode(made)
    with pytest.raises(ValueError, match="JSON object"):
        JsonCodec().decode(b"[]")


def test_a_new_owner_goes_on_where_the_newest_mark_stands() -> None:
    """The newest sequence among the topics' marks wins; broken ones count for nothing."""
    state = PartitionState(3, sequence=9, head="f" * 64, last_now=77, introduced=True)
    newest = PartitionState(3, sequence=12, head="a" * 64, last_now=50)
    older = PartitionState(3, sequence=7, head="b" * 64, last_now=40)
    state.known[("t", b"k")] = 1
    state.resume([older.mark("x"), newest.mark("y"), "", "torn:12", "a:b:c:d"])
    assert (state.sequence, state.head, state.last_now) == (12, "a" * 64, 50)
    assert not state.introduced
    assert state.known == {}


def test_without_a_mark_the_chain_begins() -> None:
    """No committed metadata: sequence 0, the genesis head."""
    state = PartitionState(3, sequence=9, head="f" * 64, last_now=77)
    state.resume(["", ""])
    assert (state.sequence, state.head, state.last_now) == (0, GENESIS, 0)
