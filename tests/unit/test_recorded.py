"""Recorded files: each row is a tick or a refusal, and reading goes on where it stopped."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from connectors.recorded import MAX_ROW_BYTES, Position, RecordedFile, RefusedRow
from processors.errors import ConfigError
from processors.records.market import Tick

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
INSTRUMENT = "SIMULATOR:BTC/USD"
GOOD = "1385337600,800.010000000000,0.100000000000\n"


def recorded(tmp_path: Path, text: str | bytes) -> RecordedFile:
    path = tmp_path / "trades.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return RecordedFile(path, INSTRUMENT, lambda: NOW)


def test_a_row_becomes_a_tick_with_its_row_as_identity(tmp_path: Path) -> None:
    """Market time is the row's, received time the caller's, identity the row number."""
    file = recorded(tmp_path, "timestamp,price,amount\n" + GOOD + GOOD)
    first, second = [row for row, _ in file.read()]
    assert isinstance(first, Tick)
    assert isinstance(second, Tick)
    assert first.execution_time == datetime(2013, 11, 25, tzinfo=UTC)
    assert first.received_time == NOW
    assert (first.price, first.quantity) == (Decimal("800.01"), Decimal("0.1"))
    assert (first.trade_id, second.trade_id) == ("1", "2")
    assert file.digest[:16] in first.source


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("1385337600,800,0", "quantity_zero"),
        ("1385337600,800,0.000000000000", "quantity_zero"),
        ("1385337600,800,-1", "quantity_negative"),
        ("1385337600,0,1", "price_zero"),
        ("1385337600,-0.5,1", "price_negative"),
        ("1385337600,NaN,1", "price_invalid"),
        ("1385337600,inf,1", "price_invalid"),
        ("1385337600,8_00,1", "price_invalid"),
        ("1385337600,,1", "price_invalid"),
        ("1385337600,800,1e-19", "quantity_too_precise"),
        ("1385337600,1e30,1", "price_too_precise"),
        ("1385337600,800", "columns"),
        ("", "columns"),
        ("1385337600,800,1,2", "columns"),
        ("0,800,1", "time_invalid"),
        ("-5,800,1", "time_invalid"),
        ("1385337600.5,800,1", "time_invalid"),
        ("99999999999999,800,1", "time_invalid"),
        ("1385337599,800,1", "out_of_order"),
        ("1385337600,800,\u00bd", "encoding"),
        ("1385337600,800," + "1" * MAX_ROW_BYTES, "row_too_long"),
    ],
)
def test_a_broken_row_is_refused_by_name_and_the_rest_goes_on(
    tmp_path: Path, row: str, reason: str
) -> None:
    """One bad row costs itself alone."""
    rows = [r for r, _ in recorded(tmp_path, GOOD + row + "\n" + GOOD).read()]
    assert [type(r) for r in rows] == [Tick, RefusedRow, Tick]
    assert isinstance(rows[1], RefusedRow)
    assert rows[1].reason == reason
    assert rows[1].row == 2
    assert len(rows[1].raw) <= MAX_ROW_BYTES


def test_reading_goes_on_from_any_position(tmp_path: Path) -> None:
    """Stopping after any row and starting again gives the rows of one read, in order and once."""
    text = (
        "timestamp,price,amount\r\n"
        + GOOD
        + "broken\n"
        + "1385337601,1,2\n1385337600,1,2\n"
        + GOOD[:-1]
    )
    file = recorded(tmp_path, text)
    whole = list(file.read())
    assert len(whole) == 5
    for index, (_, position) in enumerate(whole):
        rest = list(file.read(Position.parse(position.text())))
        assert rest == whole[index + 1 :]


def test_a_wrong_cursor_file_or_instrument_is_a_clear_error(tmp_path: Path) -> None:
    """What is configured wrongly stops, with a sentence."""
    file = recorded(tmp_path, GOOD)
    with pytest.raises(ConfigError, match="shorter than the cursor"):
        list(file.read(Position(9, 9999, 0)))
    with pytest.raises(ConfigError, match="no position"):
        Position.parse("12:x:1")
    with pytest.raises(ConfigError, match="cannot be read"):
        RecordedFile(tmp_path / "none.csv", INSTRUMENT, lambda: NOW)
    for wrong in ("BTC/USD", "SIMULATOR:BTCUSD", "SIMULATOR:/USD"):
        with pytest.raises(ConfigError, match="EXCHANGE:BASE/QUOTE"):
            RecordedFile(file.path, wrong, lambda: NOW)
