"""Bad topic bytes in the shipped engine, codec and all: each has its outcome, and stops nothing else."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.codec import Codecs
from schemas.registry import MemoryRegistry
from streams.engine.event import Message
from streams.serde import RecordSchema
from tests.unit.engine_rig import IN, OUT, Rig
from tests.unit.test_schemas_codec import BAD_BODIES, Sample, body

CODECS = Codecs(MemoryRegistry(), {Sample: "t-value"})
SCHEMA_ID = CODECS.codec(Sample).schema_id
HEADER = b"\0" + SCHEMA_ID.to_bytes(4, "big")
GOOD = HEADER + body()
MANY: list[tuple[str, bytes | None]] = [("h", b"%d" % n) for n in range(10_000)]

Row = tuple[bytes | None, bytes | None, list[tuple[str, bytes | None]] | None, int]


def at(micros: int) -> bytes:
    """The body of a sample of some moment."""
    zigzag = (micros << 1) ^ (micros >> 63)
    out = bytearray()
    while zigzag > 0x7F:
        out.append(zigzag & 0x7F | 0x80)
        zigzag >>= 7
    return HEADER + body(at=bytes([*out, zigzag]))


def price(unscaled: int) -> bytes:
    """The body of a sample of some price, in 10^-18."""
    data = unscaled.to_bytes(24, "big", signed=True)
    return HEADER + body(price=bytes([len(data) * 2]) + data)


DEAD: dict[str, Row] = {
    "1 null value": (b"k", None, None, 0),
    "2 empty value": (b"k", b"", None, 0),
    "3 null key": (None, GOOD, None, 0),
    "3 empty key": (b"", GOOD, None, 0),
    "4 one byte": (b"k", b"\0", None, 0),
    "5 wrong magic": (b"k", b"\1" + GOOD[1:], None, 0),
    "6 id of three bytes": (b"k", b"\0\0\0\1", None, 0),
    "7 id 0": (b"k", b"\0\0\0\0\0" + body(), None, 0),
    "7 id 2^31-1": (b"k", b"\0\x7f\xff\xff\xff" + body(), None, 0),
    "7 id below zero": (b"k", b"\0\xff\xff\xff\xff" + body(), None, 0),
    "8 cut": (b"k", GOOD[:-3], None, 0),
    "9 trailing": (b"k", GOOD + b"\0", None, 0),
    **{f"10-16 {name}": (b"k", HEADER + raw, None, 0) for name, raw in BAD_BODIES.items()},
    "17 amount 0": (b"k", price(0), None, 0),
    "17 amount below zero": (b"k", price(-1), None, 0),
    "17 amount 10^30": (b"k", price(10**48), None, 0),
    "18 year 10000": (b"k", at(253_402_300_800_000_000), None, 0),
    "21 key of no text": (b"\xff\xfe", GOOD, None, 0),
    "21 ten thousand headers": (b"k", b"", MANY, 0),
    "21 odd headers": (b"k", b"", [("", None), ("a", None), ("a", b"\xff"), ("dlq.app", b"x")], 0),
    "18 stamp -1": (b"k", b"", None, -1),
}
READ: dict[str, Row] = {
    "15 -0.0": (b"k", HEADER + body(ratio=struct.pack("<d", -0.0)), None, 0),
    "15 denormal": (b"k", HEADER + body(ratio=struct.pack("<d", 5e-324)), None, 0),
    "17 smallest amount": (b"k", price(1), None, 0),
    "17 largest amount": (b"k", price(10**38 - 1), None, 0),
    "18 time 0": (b"k", at(0), None, 0),
    "18 before 1970": (b"k", at(-1), None, 0),
    "18 year 9999": (b"k", at(253_402_300_799_999_999), None, 0),
    "18 stamp -1": (b"k", GOOD, None, -1),
    "18 stamp of the far future": (b"k", GOOD, None, 253_402_300_799_999),
    "21 ten thousand headers": (b"k", GOOD, MANY, 0),
    "21 odd headers": (b"k", GOOD, [("", None), ("a", None), ("a", b"\xff")], 0),
    "21 key of many bytes": (b"k" * 100_000, GOOD, None, 0),
    "22 the same record twice": (b"k", GOOD, None, 0),
}


@contextmanager
def worker(rows: list[Row]) -> Iterator[Rig]:
    """A worker that has read rows of one partition to their end; it echoes the offsets it was handed."""

    async def act(event: Any) -> None:
        assert isinstance(event.value, Sample)
        value = b"%d" % event.message.offset
        await event.send(OUT, key=event.key, value=value, partition=0)

    log = [
        Message(IN, 0, n, stamp, key, value, headers)
        for n, (key, value, headers, stamp) in enumerate(rows)
    ]
    rig = Rig({0: log}, act, schema=RecordSchema(CODECS, {IN: Sample}))
    asyncio.run(rig.drain())
    yield rig


def letters(rig: Rig) -> dict[int, tuple[Any, Any, Any]]:
    """Key, value and headers of the dead letters by the offset they came from."""
    found = {}
    for topic, _, key, value, headers in rig.client.sent:
        if topic == f"{IN}.dlq":
            offset = int(dict(headers)["dlq.offset"])
            assert offset not in found
            found[offset] = (key, value, headers)
    return found


def check(rows: list[tuple[bool, Row]]) -> None:
    """Each good row is handed out once and in order, each bad one a dead letter with its bytes and a reason."""
    with worker([row for _, row in rows]) as rig:
        assert [int(v) for v in rig.values(OUT)] == [n for n, (good, _) in enumerate(rows) if good]
        found = letters(rig)
        assert sorted(found) == [n for n, (good, _) in enumerate(rows) if not good]
        for offset, (key, value, headers) in found.items():
            _, row = rows[offset]
            own = row[2] or []
            assert (key, value, headers[: len(own)]) == (row[0], row[1], own)
            facts = dict(headers[len(own) :])
            assert facts["dlq.error"] == b"DecodeError"
            assert facts["dlq.reason"]
            assert facts["dlq.attempts"] == b"1"
        assert rig.client.aborts == 0


def test_every_bad_input_of_the_list_has_its_outcome() -> None:
    """The list of bad topic bytes, one after the other, a good record after each."""
    rows: list[tuple[bool, Row]] = []
    for row in DEAD.values():
        rows += [(False, row), (True, (b"k", GOOD, None, 0))]
    check(rows + [(True, row) for row in READ.values()])


@settings(deadline=None, max_examples=40)
@given(st.lists(st.sampled_from([*((False, r) for r in DEAD.values()), *((True, r) for r in READ.values())]), max_size=40))  # fmt: skip
def test_no_order_of_bad_inputs_touches_a_good_one(rows: list[tuple[bool, Row]]) -> None:
    """Whatever stands before and behind it, a record's outcome is its own."""
    check(rows)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.none() | st.binary(max_size=8), st.none() | st.binary(max_size=60)), max_size=12))  # fmt: skip
def test_any_bytes_are_a_record_or_a_dead_letter(
    rows: list[tuple[bytes | None, bytes | None]],
) -> None:
    """Nothing is skipped, whatever stands in a topic: outputs and letters add up to the inputs."""
    with worker([(key, value, None, 0) for key, value in rows]) as rig:
        assert len(rig.values(OUT)) + len(letters(rig)) == len(rows)
