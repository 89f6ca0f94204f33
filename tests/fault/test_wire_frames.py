"""The proxy's reading of frames, on frames written out by hand from the protocol's description."""

from __future__ import annotations

import struct

import pytest

from tests.fault.proxy_frames import Api, Facts, error_of, facts_of, header_of


def head(api: Api, version: int) -> bytes:
    return struct.pack(">hhih", api, version, 7, 2) + b"me"


def text(value: str) -> bytes:
    return struct.pack(">h", len(value)) + value.encode()


def compact(value: str) -> bytes:
    return bytes([len(value) + 1]) + value.encode()


NO_TAGS = b"\x00"
PRODUCER = struct.pack(">qh", 9, 3)
BATCH = bytes(43) + PRODUCER + bytes(8)


@pytest.mark.parametrize(
    ("frame", "facts"),
    [
        (
            head(Api.END_TXN, 1) + text("slot") + PRODUCER + b"\x01",
            Facts("slot", 9, 3, committed=True),
        ),
        (
            head(Api.END_TXN, 3) + NO_TAGS + compact("slot") + PRODUCER + b"\x00" + NO_TAGS,
            Facts("slot", 9, 3, committed=False),
        ),
        (
            head(Api.ADD_OFFSETS_TO_TXN, 0) + text("slot") + PRODUCER + text("group"),
            Facts("slot", 9, 3),
        ),
        (
            head(Api.TXN_OFFSET_COMMIT, 3)
            + NO_TAGS
            + compact("slot")
            + compact("group")
            + PRODUCER
            + struct.pack(">i", 5)
            + compact("member")
            + b"\x00"  # no instance id
            + b"\x02"  # one topic
            + compact("in")
            + b"\x03"  # two partitions
            + struct.pack(">iqi", 0, 10, -1)
            + compact("mark")
            + NO_TAGS
            + struct.pack(">iqi", 4, 11, -1)
            + b"\x00"  # no metadata
            + NO_TAGS * 3,
            Facts("slot", 9, 3, offsets=(("in", 0, 10), ("in", 4, 11))),
        ),
        (
            head(Api.PRODUCE, 10)
            + NO_TAGS
            + compact("slot")
            + struct.pack(">hi", -1, 8_000)
            + b"\x02"
            + compact("out")
            + b"\x02"
            + struct.pack(">i", 0)
            + bytes([len(BATCH) + 1])
            + BATCH,
            Facts("slot", 9, 3),
        ),
        (head(Api.HEARTBEAT, 3) + text("group"), Facts()),
    ],
    ids=["end", "end-flexible", "add-offsets", "offsets", "produce", "heartbeat"],
)
def test_facts_are_those_of_the_frame(frame: bytes, facts: Facts) -> None:
    """Producer, epoch, outcome and offsets are read in the old form of the protocol and the flexible one."""
    assert header_of(frame)[:2] == struct.unpack_from(">hh", frame)
    assert header_of(frame).client_id == "me"
    assert facts_of(frame) == facts


@pytest.mark.parametrize(
    ("api", "version", "answer", "error"),
    [
        (Api.END_TXN, 1, struct.pack(">iih", 7, 0, 47), 47),
        (Api.END_TXN, 3, struct.pack(">i", 7) + NO_TAGS + struct.pack(">ih", 0, 48) + NO_TAGS, 48),
        (
            Api.ADD_PARTITIONS_TO_TXN,
            0,
            struct.pack(">iii", 7, 0, 1) + text("t") + struct.pack(">iihih", 2, 0, 0, 1, 51),
            51,
        ),
        (Api.HEARTBEAT, 3, struct.pack(">iih", 7, 0, 27), None),
    ],
    ids=["end", "end-flexible", "second-of-two", "not-read"],
)
def test_error_is_that_of_the_answer(
    api: Api, version: int, answer: bytes, error: int | None
) -> None:
    """The error of an answer is read, one of many partitions too."""
    assert error_of(api, version, answer) == error
