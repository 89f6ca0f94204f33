"""What a frame of Kafka's protocol says, as far as the fault tests ask: header, producer, outcome."""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import NamedTuple


class Api(IntEnum):
    """The requests of a worker that faults are aimed at."""

    PRODUCE = 0
    FETCH = 1
    METADATA = 3
    OFFSET_COMMIT = 8
    OFFSET_FETCH = 9
    FIND_COORDINATOR = 10
    JOIN_GROUP = 11
    HEARTBEAT = 12
    LEAVE_GROUP = 13
    SYNC_GROUP = 14
    INIT_PRODUCER_ID = 22
    ADD_PARTITIONS_TO_TXN = 24
    ADD_OFFSETS_TO_TXN = 25
    END_TXN = 26
    TXN_OFFSET_COMMIT = 28


_FLEXIBLE_FROM = {
    Api.PRODUCE: 9,
    Api.INIT_PRODUCER_ID: 2,
    Api.ADD_PARTITIONS_TO_TXN: 3,
    Api.ADD_OFFSETS_TO_TXN: 3,
    Api.END_TXN: 3,
    Api.TXN_OFFSET_COMMIT: 3,
}
"""From which version on lengths are varints and structures end with tagged fields, by request."""

_RECORDS_PRODUCER_AT = 43
"""Where a record batch has its producer id (int64), followed by the epoch (int16)."""


class Facts(NamedTuple):
    """What a request says of a transaction."""

    transactional_id: str | None = None
    producer_id: int = -1
    epoch: int = -1
    committed: bool | None = None
    """EndTxn: whether it commits or aborts."""
    offsets: tuple[tuple[str, int, int], ...] = ()
    """TxnOffsetCommit: topic, partition, offset."""


class Header(NamedTuple):
    """The header of a request."""

    api: int
    version: int
    correlation: int
    client_id: str


class _Reader:
    def __init__(self, frame: bytes, at: int, *, flexible: bool) -> None:
        self._frame = frame
        self._at = at
        self._flexible = flexible

    def number(self, form: str) -> int:
        value = struct.unpack_from(f">{form}", self._frame, self._at)[0]
        self._at += struct.calcsize(f">{form}")
        return int(value)

    def varint(self) -> int:
        value = shift = 0
        while True:
            byte = self._frame[self._at]
            self._at += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7

    def size(self, form: str) -> int:
        """Length of what follows, -1 where it is null."""
        return self.varint() - 1 if self._flexible else self.number(form)

    def data(self, form: str) -> bytes | None:
        size = self.size(form)
        if size < 0:
            return None
        self._at += size
        return self._frame[self._at - size : self._at]

    def text(self) -> str | None:
        found = self.data("h")
        return None if found is None else found.decode()

    def tags(self) -> None:
        if self._flexible:
            for _ in range(self.varint()):
                self.varint()
                self._at += self.varint()


def _flexible(api: int, version: int) -> bool:
    return version >= _FLEXIBLE_FROM.get(Api(api), 1 << 15) if api in _FLEXIBLE_FROM else False


def header_of(frame: bytes) -> Header:
    """Read the header of a request (without its length)."""
    api, version, correlation, size = struct.unpack_from(">hhih", frame)
    return Header(api, version, correlation, frame[10 : 10 + max(size, 0)].decode())


def facts_of(frame: bytes) -> Facts:
    """Read what a request says of a transaction; nothing where it says nothing."""
    header = header_of(frame)
    if header.api not in _FLEXIBLE_FROM:
        return Facts()
    flexible = _flexible(header.api, header.version)
    reader = _Reader(frame, 10 + max(struct.unpack_from(">h", frame, 8)[0], 0), flexible=flexible)
    reader.tags()
    name = reader.text()
    if header.api == Api.PRODUCE:
        return _produced(reader, name)
    if header.api == Api.INIT_PRODUCER_ID:
        return Facts(name)
    if header.api == Api.TXN_OFFSET_COMMIT:
        reader.text()
    producer, epoch = reader.number("q"), reader.number("h")
    if header.api == Api.END_TXN:
        return Facts(name, producer, epoch, committed=bool(reader.number("b")))
    if header.api == Api.TXN_OFFSET_COMMIT:
        return Facts(name, producer, epoch, offsets=_offsets(reader, header.version))
    return Facts(name, producer, epoch)


def _produced(reader: _Reader, name: str | None) -> Facts:
    reader.number("h")
    reader.number("i")
    for _ in range(reader.size("i")):
        reader.text()
        for _ in range(reader.size("i")):
            reader.number("i")
            records = reader.data("i") or b""
            producer, epoch = struct.unpack_from(">qh", records, _RECORDS_PRODUCER_AT)
            return Facts(name, producer, epoch)
    return Facts(name)


def _offsets(reader: _Reader, version: int) -> tuple[tuple[str, int, int], ...]:
    if version >= 3:
        reader.number("i")
        reader.text()
        reader.text()
    found = []
    for _ in range(reader.size("i")):
        topic = reader.text() or ""
        for _ in range(reader.size("i")):
            found.append((topic, reader.number("i"), reader.number("q")))
            if version >= 2:
                reader.number("i")
            reader.text()
            reader.tags()
        reader.tags()
    return tuple(found)


def error_of(api: int, version: int, frame: bytes) -> int | None:
    """Return the error code of an answer, the first other than 0 of many; None where it is not read."""
    if api not in _FLEXIBLE_FROM:
        return None
    reader = _Reader(frame, 4, flexible=_flexible(api, version))
    reader.tags()
    if api in {Api.INIT_PRODUCER_ID, Api.ADD_OFFSETS_TO_TXN, Api.END_TXN}:
        reader.number("i")
        return reader.number("h")
    if api != Api.PRODUCE:
        reader.number("i")
    errors = []
    for _ in range(reader.size("i")):
        reader.text()
        for _ in range(reader.size("i")):
            reader.number("i")
            errors.append(reader.number("h"))
            if api == Api.PRODUCE:  # the rest of it differs from version to version
                return errors[0]
            reader.tags()
        reader.tags()
    return next((error for error in errors if error), 0)
