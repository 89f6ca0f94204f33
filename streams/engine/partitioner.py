"""The partition of a key: murmur2, as Kafka's Java clients compute it."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

_M = 0x5BD1E995
_MASK = 0xFFFFFFFF


def murmur2(data: bytes) -> int:
    """Return the unsigned 32-bit murmur2 hash of `data` with Kafka's seed.

    Source: org.apache.kafka.common.utils.Utils.murmur2; test vectors in tests/unit.
    """
    length = len(data)
    h = (0x9747B28C ^ length) & _MASK
    whole = length & ~3
    for i in range(0, whole, 4):
        k = int.from_bytes(data[i : i + 4], "little") * _M & _MASK
        k = (k ^ (k >> 24)) * _M & _MASK
        h = (h * _M & _MASK) ^ k
    rest = data[whole:]
    if rest:
        h = (h ^ int.from_bytes(rest, "little")) * _M & _MASK
    h = (h ^ (h >> 13)) * _M & _MASK
    return h ^ (h >> 15)


@lru_cache(maxsize=131_072)
def partition_of(key: bytes, partitions: int) -> int:
    """Return the partition of a key, the same as the Java client's default partitioner."""
    return (murmur2(key) & 0x7FFFFFFF) % partitions


def first_part(key: bytes) -> bytes:
    """Return a key up to the first `|`: records of one owner share its partition."""
    return key.split(b"|", 1)[0]


PartitionKey = Callable[[bytes], bytes]


def whole_key(key: bytes) -> bytes:
    """Return the key as it is: Kafka's own rule."""
    return key
