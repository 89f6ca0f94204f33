"""A file of recorded trades as a market: `timestamp,price,amount` with seconds since 1970.

Rows are read one by one and never kept, so the size of a file does not matter. A row is a Tick or a
refusal with its reason; nothing is skipped silently. Equal rows are different trades: a trade's
identity is its file and row.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal, DecimalException
from pathlib import Path
from typing import BinaryIO, Final

from connectors.clock import EPOCH
from processors import money
from processors.errors import ConfigError
from processors.records.market import Tick

HEADER: Final = ("timestamp", "price", "amount")
MAX_ROW_BYTES: Final = 512
_LATEST: Final = 253_402_300_799  # the last second of the year 9999
_CHUNK: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Position:
    """Where reading goes on: everything before it has been read."""

    row: int = 0
    """Data rows read so far; the header is none."""
    offset: int = 0
    """Byte of the file at which the next row starts."""
    newest: int = 0
    """Seconds since 1970 of the newest good row: an older row is out of order."""

    def text(self) -> str:
        """Write the position for a SourceCursor."""
        return f"{self.row}:{self.offset}:{self.newest}"

    @classmethod
    def parse(cls, text: str) -> Position:
        """Read what `text` wrote.

        Args:
            text: the position of a SourceCursor; empty is the start.
        Returns:
            The position.
        Raises:
            ConfigError: it is not one.
        """
        if not text:
            return cls()
        parts = text.split(":")
        if len(parts) != len(cls.__slots__) or not all(p.isascii() and p.isdigit() for p in parts):
            raise ConfigError("cursor is no position in a recorded file", position=text)
        return cls(*(int(part) for part in parts))


@dataclass(frozen=True, slots=True)
class RefusedRow:
    """A row that is no tick, and why."""

    row: int
    """Number of the data row, from 1."""
    raw: bytes
    """The bytes as they were, cut to 512."""
    reason: str
    """Stable name, such as quantity_zero."""


class RecordedFile:
    """One recorded file as a source of ticks."""

    def __init__(self, path: Path, instrument: str, clock: Callable[[], datetime]) -> None:
        """Open nothing yet, but read the file once for its digest.

        Args:
            path: the file.
            instrument: EXCHANGE:BASE/QUOTE that its ticks are to carry.
            clock: gives `received_time` of each tick.
        Raises:
            ConfigError: the file can't be read, has no rows, or the instrument is malformed.
        """
        exchange, _, symbol = instrument.partition(":")
        if not exchange or symbol.count("/") != 1 or symbol.startswith("/") or symbol.endswith("/"):
            raise ConfigError("instrument is not EXCHANGE:BASE/QUOTE", instrument=instrument)
        self.path = path
        self.instrument = instrument
        self._exchange, self._symbol = exchange, symbol
        self._clock = clock
        self.digest = _digest(path)
        self.source = f"file:{path.name}@sha256:{self.digest[:16]}"

    def read(self, start: Position | None = None) -> Iterator[tuple[Tick | RefusedRow, Position]]:
        """Read rows from a position to the end of the file.

        Args:
            start: where to go on; None is the first row.
        Yields:
            A tick or a refusal, and the position after it.
        Raises:
            ConfigError: the file is gone or shorter than the position says.
        """
        position = start or Position()
        try:
            with self.path.open("rb") as file:
                if position.offset > self.path.stat().st_size:
                    raise ConfigError(
                        "recorded file is shorter than the cursor", file=self.path.name
                    )
                file.seek(position.offset)
                yield from self._rows(file, position)
        except OSError as e:
            raise _unreadable(self.path, e) from e

    def _rows(
        self, file: BinaryIO, position: Position
    ) -> Iterator[tuple[Tick | RefusedRow, Position]]:
        row, offset, newest = position.row, position.offset, position.newest
        while True:
            raw, size = _line(file)
            if size == 0:
                return
            start, offset = offset, offset + size
            if start == 0 and _is_header(raw):
                continue
            row += 1
            tick = self._tick(row, raw, size, newest)
            if isinstance(tick, Tick):
                newest = (tick.execution_time - EPOCH) // timedelta(seconds=1)
            yield tick, Position(row, offset, newest)

    def _tick(self, row: int, raw: bytes, size: int, newest: int) -> Tick | RefusedRow:
        parsed = "row_too_long" if size > MAX_ROW_BYTES else _parse(raw, newest)
        if isinstance(parsed, str):
            return RefusedRow(row=row, raw=raw, reason=parsed)
        seconds, price, quantity = parsed
        return Tick(
            instrument=self.instrument,
            exchange=self._exchange,
            symbol=self._symbol,
            trade_id=str(row),
            price=price,
            quantity=quantity,
            execution_time=EPOCH + timedelta(seconds=seconds),
            received_time=self._clock(),
            source=self.source,
        )


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
    except OSError as e:
        raise _unreadable(path, e) from e
    return digest.hexdigest()


def _unreadable(path: Path, error: OSError) -> ConfigError:
    return ConfigError("recorded file cannot be read", path=path.name, error=error.strerror)


def _line(file: BinaryIO) -> tuple[bytes, int]:
    """Read one row of any length in bounded memory: its first bytes, and its size in the file."""
    raw = file.readline(MAX_ROW_BYTES)
    size = len(raw)
    while size and not raw.endswith(b"\n"):
        rest = file.readline(MAX_ROW_BYTES)
        size += len(rest)
        if not rest or rest.endswith(b"\n"):
            break
    return raw.rstrip(b"\r\n"), size


def _is_header(raw: bytes) -> bool:
    names = raw.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "replace").strip().lower()
    return tuple(name.strip() for name in names.split(",")) == HEADER


def _parse(raw: bytes, newest: int) -> tuple[int, Decimal, Decimal] | str:
    """Return the three values of a row, or the reason for which it is refused."""
    try:
        fields = raw.decode("ascii").split(",")
    except UnicodeDecodeError:
        return "encoding"
    if len(fields) != len(HEADER):
        return "columns"
    time, price, quantity = (field.strip() for field in fields)
    if not time.isdigit() or not 0 < int(time) <= _LATEST:
        return "time_invalid"
    amounts: list[Decimal] = []
    for name, text in (("price", price), ("quantity", quantity)):
        amount = _amount(name, text)
        if isinstance(amount, str):
            return amount
        amounts.append(amount)
    if int(time) < newest:
        return "out_of_order"
    return int(time), amounts[0], amounts[1]


def _amount(name: str, text: str) -> Decimal | str:
    if "_" in text:  # Decimal reads 1_000, no venue writes it
        return f"{name}_invalid"
    try:
        amount = Decimal(text)
    except DecimalException:
        return f"{name}_invalid"
    if not amount.is_finite():
        return f"{name}_invalid"
    if amount == 0:
        return f"{name}_zero"
    if amount < 0:
        return f"{name}_negative"
    return amount if money.storable(amount) else f"{name}_too_precise"
