"""Buffers, digests and overlays of the engine, for all inputs."""

from __future__ import annotations

from itertools import groupby
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from streams.engine.buffers import Buffers
from streams.engine.digest import TRACE_HEADERS, Digest
from streams.engine.event import Message
from streams.engine.execution import changelog_rows
from streams.engine.store.memory import MemoryTable
from tests.unit.engine_tools import in_hand, make_app, make_batch, make_event

POSITIONS = st.lists(
    st.tuples(st.integers(0, 2), st.sampled_from("abc"), st.integers(0, 5), st.integers(0, 30)),
    max_size=60,
)


def log_of(rows: list[tuple[int, str, int, int]]) -> list[Message]:
    """Return records whose offsets rise by topic and partition, whatever their stamps."""
    ends: dict[tuple[str, int], int] = {}
    made = []
    for partition, topic, stamp, size in rows:
        offset = ends[topic, partition] = ends.get((topic, partition), -1) + 1
        made.append(Message(topic, partition, offset, stamp, None, b"x" * size, None))
    return made


@given(POSITIONS, st.data())
def test_every_record_comes_out_once_and_in_the_order_of_its_topic(
    rows: list[tuple[int, str, int, int]], data: st.DataObject
) -> None:
    """Whatever the limits, suspects and records put back: nothing is lost, doubled or overtaken."""
    messages = log_of(rows)
    buffers = Buffers()
    buffers.add(messages)
    suspects = {id(m) for m in messages if m.value and len(m.value) == 13}
    out: list[Message] = []
    rounds = 0
    while buffers.count:
        limit = data.draw(st.integers(1, 7))
        size = data.draw(st.integers(1, 50))
        batch = buffers.take(limit, size, lambda m: id(m) in suspects)
        taken = [m for run in batch.values() for m in run]
        assert 0 < len(taken) <= limit
        assert all(batch.values())
        if any(id(m) in suspects for m in taken):
            assert len(taken) == 1
        kept = data.draw(st.integers(0, len(taken)))
        if rounds < 20:
            back = [m for run in batch.values() for m in run][kept:]
            buffers.put_back(back)
            taken = taken[:kept]
        rounds += 1
        out += taken
    assert sorted(map(id, out)) == sorted(map(id, messages))
    for partition, topic in {(m.partition, m.topic) for m in messages}:
        offsets = [m.offset for m in out if (m.partition, m.topic) == (partition, topic)]
        assert offsets == sorted(offsets)


@given(POSITIONS)
def test_the_merge_takes_the_oldest_head_first(rows: list[tuple[int, str, int, int]]) -> None:
    """By the stamp of the heads, then the topic's name: the same buffers give the same order."""
    messages = log_of(rows)
    one, two = Buffers(), Buffers()
    one.add(messages)
    # Fetched in another order between topics, never within one.
    two.add(sorted(messages, key=lambda m: (m.topic, m.partition, m.offset)))
    limits = (1000, 10**9, lambda _: False)
    assert one.take(*limits) == two.take(*limits)
    assert one.count == two.count == 0


HEADERS = st.none() | st.lists(
    st.tuples(st.text(max_size=3), st.none() | st.binary(max_size=3)), min_size=1, max_size=3
).map(lambda pairs: [(n, v) for n, v in pairs if n not in TRACE_HEADERS])
RECORDS = st.tuples(
    st.sampled_from(["a", "b"]),
    st.integers(0, 3),
    st.none() | st.binary(max_size=3),
    st.none() | st.binary(max_size=3),
    HEADERS,
    st.integers(0, 3),
)


def outputs_digest(rows: list[Any]) -> str:
    digest = Digest()
    digest.outputs([(*row[:4], row[4] or [], row[5]) for row in rows])
    return digest.hexdigest()


def inputs_digest(rows: list[Any]) -> str:
    digest = Digest()
    digest.inputs([Message(t, 0, at, stamp, k, v, h) for t, at, k, v, h, stamp in rows])
    return digest.hexdigest()


def changes_digest(rows: list[Any]) -> str:
    digest = Digest()
    for topic, of_topic in groupby(rows, lambda row: row[0]):
        digest.changes(topic, [(row[2], row[3]) for row in of_topic])
    return digest.hexdigest()


@given(st.lists(RECORDS, max_size=4), st.lists(RECORDS, max_size=4))
def test_digests_are_unambiguous(one: list[Any], two: list[Any]) -> None:
    """Two different sequences of records never give the same digest: null, empty and order all count."""
    plain = [[(*row[:4], row[4] or None, row[5]) for row in rows] for rows in (one, two)]
    same = plain[0] == plain[1]
    assert (inputs_digest(one) == inputs_digest(two)) == same
    assert (outputs_digest(one) == outputs_digest(two)) == same
    kept = [[(row[0], row[2], row[3]) for row in rows] for rows in (one, two)]
    assert (changes_digest(one) == changes_digest(two)) == (kept[0] == kept[1])


@given(RECORDS, st.sampled_from(sorted(TRACE_HEADERS)), st.binary(max_size=3))
def test_trace_headers_are_left_out(record: Any, name: str, value: bytes) -> None:
    """They differ at each run, so no digest may hold them."""
    traced = (*record[:4], [*(record[4] or []), (name, value)], record[5])
    assert outputs_digest([traced]) == outputs_digest([record])
    assert inputs_digest([traced]) == inputs_digest([record])


KEYS = st.text(max_size=2)
STEPS = st.lists(
    st.tuples(st.sampled_from(["set", "del", "commit", "abort"]), KEYS, st.binary(max_size=2)),
    max_size=40,
)


@given(STEPS)
def test_a_table_is_a_dict_whose_uncommitted_half_can_vanish(
    steps: list[tuple[str, str, bytes]],
) -> None:
    """Store and overlay behave as two dicts; the changelog of commits folds to the store."""
    app = make_app()
    table: Any = app.Table("rows", key_type=str, value_type=bytes, partitions=1)
    base: dict[str, bytes] = {}
    seen: dict[str, bytes] = {}
    folded = MemoryTable(table)
    batch = make_batch()
    for what, key, value in steps:
        with in_hand(make_event(batch=batch)):
            if what == "set":
                table[key] = seen[key] = value
            elif what == "del" and key in seen:
                del table[key], seen[key]
            assert dict(table.items()) == seen
            assert list(table.keys()) == sorted(seen, key=str.encode)
        if what == "commit":
            writes = batch.writes.get("rows", {})
            for row in changelog_rows(table, writes):
                folded.restore(0, [row])
            table.store.commit(0, writes)
            base, batch = dict(seen), make_batch()
        elif what == "abort":
            seen, batch = dict(base), make_batch()
    assert table.committed(0) == base
    assert folded.committed(0) == base
