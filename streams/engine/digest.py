"""SHA-256 over many records at once: column by column, so that a record costs a fraction of a microsecond."""

from __future__ import annotations

import hashlib
import sys
from array import array
from collections.abc import Iterable, Sequence
from itertools import groupby
from operator import attrgetter, itemgetter
from typing import Any

TRACE_HEADERS = frozenset({"traceparent", "tracestate"})
"""Headers left out of digests and comparison, by name: they differ at each run."""

Headers = Sequence[tuple[str, bytes | None]]

TOPIC = attrgetter("topic")


def _integers(column: Iterable[int]) -> bytes:
    """Return numbers as eight bytes each, the most significant last, whatever the machine."""
    numbers = array("q", column)
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers.tobytes()


def _strings(column: Sequence[bytes | None]) -> tuple[bytes, bytes]:
    """Return the lengths of a column, -1 for null, and its contents in one piece."""
    try:
        # A null is seldom, and to look for one would cost as much as the rest.
        return _integers(map(len, column)), b"".join(column)  # type: ignore[arg-type]
    except TypeError:
        return (
            _integers([-1 if item is None else len(item) for item in column]),
            b"".join([item for item in column if item is not None]),
        )


def _headers(column: list[Headers | None]) -> bytes:
    """Return all headers of a column; what is left out by name leaves no trace."""
    if not any(column):
        return b""
    if all(column) and set(map(len, column)) == {1}:  # type: ignore[arg-type]
        own = [headers[0] for headers in column if headers]
        names_of_all = {pair[0] for pair in own}
        if len(names_of_all) == 1 and TRACE_HEADERS.isdisjoint(names_of_all):
            # The engine's own header alone, as nearly every output has it: -1 is no count of headers.
            (name,) = names_of_all
            lengths, contents = _strings([pair[1] for pair in own])
            return _integers((-1, len(name))) + name.encode() + lengths + contents
    pairs = [pair for headers in column if headers for pair in headers]
    names = [pair[0] for pair in pairs]
    if not TRACE_HEADERS.isdisjoint(names):
        return _headers(
            [[p for p in headers or () if p[0] not in TRACE_HEADERS] for headers in column]
        )
    lengths, contents = _strings([pair[1] for pair in pairs])
    counts = _integers([len(headers) if headers else 0 for headers in column])
    # Names are encoded in one piece: their lengths in characters tell them apart again.
    return counts + _integers(map(len, names)) + "".join(names).encode() + lengths + contents


class Digest:
    """One growing SHA-256 and the number of records in it.

    Records are taken in segments of one topic, whole histories at once: how they were cut into calls
    would show. Each segment is unambiguous: its topic and every column come with their lengths, so no
    two histories share their bytes.
    """

    __slots__ = ("_sha", "count")

    def __init__(self) -> None:
        self._sha = hashlib.sha256()
        self.count = 0

    def _segment(
        self,
        topic: str,
        numbers: Sequence[Iterable[int]],
        keys: list[bytes | None],
        values: list[bytes | None],
        headers: bytes,
    ) -> None:
        name = topic.encode()
        key_lengths, key_bytes = _strings(keys)
        value_lengths, value_bytes = _strings(values)
        self.count += len(keys)
        lengths = (len(name), len(keys), len(key_bytes), len(value_bytes), len(headers))
        update = self._sha.update
        # Piece by piece: one string of all of them would be a copy of the whole batch.
        for piece in (
            _integers(lengths),
            name,
            *map(_integers, numbers),
            key_lengths,
            value_lengths,
        ):
            update(piece)
        for piece in (key_bytes, value_bytes, headers):
            update(piece)

    def inputs(self, messages: Sequence[Any]) -> None:
        """Take messages in: topic, offset, time stamp, key, value, headers."""
        for topic, group in segments(messages, TOPIC):
            self._segment(
                topic,
                ([m.offset for m in group], [m.timestamp_ms for m in group]),
                [m.key for m in group],
                [m.value for m in group],
                _headers([m.headers for m in group]),
            )

    def outputs(self, sent: Sequence[tuple[Any, ...]]) -> None:
        """Take outputs in: (topic, partition, key, value, headers, time stamp in ms); partition -1 is the key's."""
        for topic, group in segments(sent, itemgetter(0)):
            _, partitions, keys, values, headers, stamps = zip(*group, strict=True)
            self._segment(
                topic, (partitions, stamps), list(keys), list(values), _headers(list(headers))
            )

    def changes(self, topic: str, rows: Sequence[tuple[bytes | None, bytes | None]]) -> None:
        """Take changelog records of one topic in: key and value, null for a tombstone."""
        if rows:
            self._segment(topic, (), [row[0] for row in rows], [row[1] for row in rows], b"")

    def hexdigest(self) -> str:
        """Return the digest of all that was taken."""
        return self._sha.hexdigest()


def segments(rows: Sequence[Any], topic_of: Any) -> Iterable[tuple[str, Sequence[Any]]]:
    """Split rows where the topic changes; nearly always there is nothing to split."""
    if not rows:
        return
    if len(set(map(topic_of, rows))) == 1:
        yield topic_of(rows[0]), rows
        return
    for topic, group in groupby(rows, topic_of):
        yield topic, list(group)
