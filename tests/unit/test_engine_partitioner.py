"""The partitioner against the Java client's own vectors."""

from __future__ import annotations

import pytest

from streams.engine.partitioner import first_part, murmur2, partition_of, whole_key


@pytest.mark.parametrize(
    ("text", "signed"),
    [
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
    ],
)
def test_murmur2_is_that_of_the_java_client(text: bytes, signed: int) -> None:
    """The hash equals Utils.murmur2 of Kafka's own test."""
    assert murmur2(text) == signed % 2**32


def test_the_sign_bit_is_cut_off_before_the_remainder() -> None:
    """ToPositive is a mask, not abs: a negative hash lands where Java puts it."""
    assert partition_of(b"21", 4) == (-973932308 & 0x7FFFFFFF) % 4
    assert partition_of(b"foobar", 7) == (-790332482 & 0x7FFFFFFF) % 7


def test_records_of_one_owner_share_a_partition() -> None:
    """Only what stands before the first bar counts, where an app says so."""
    assert first_part(b"A-1|BTC|x") == b"A-1"
    assert first_part(b"A-1") == b"A-1"
    assert first_part(b"|x") == b""
    assert whole_key(b"A-1|BTC") == b"A-1|BTC"
