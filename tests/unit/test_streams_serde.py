"""The schema between engine and records: whole records only, under the key they name."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from processors.errors import DecodeError
from processors.records.account import Control, ControlAction, Transfer, TransferKind
from schemas.codec import Codecs
from schemas.registry import MemoryRegistry
from streams.engine.event import Message
from streams.engine.store.port import Encoded
from streams.serde import GlobalSchema, RecordSchema, subjects

NOW = datetime(2026, 1, 1, tzinfo=UTC)
TRANSFER = Transfer(
    account="alice",
    transfer_id="t1",
    kind=TransferKind.OPENING,
    asset="USD",
    amount=Decimal("84.54"),
    created_time=NOW,
)
CONTROL = Control(
    account="alice",
    control_id="c1",
    action=ControlAction.HALT,
    reason="r",
    actor="a",
    created_time=NOW,
)


@pytest.fixture
def codecs() -> Codecs:
    return Codecs(MemoryRegistry(), subjects())


def _message(topic: str, key: bytes | None, value: bytes | None) -> Message:
    return Message(topic, 0, 0, 0, key, value, None)


def _loads(schema: RecordSchema, topic: str, key: bytes | None, value: bytes | None) -> Any:
    message = _message(topic, key, value)
    return schema.loads_value(None, message), schema.loads_key(None, message)


def test_a_record_comes_back_as_it_was_sent(codecs: Codecs) -> None:
    """Bytes of a record decode to an equal record under its key."""
    schema = RecordSchema(codecs, Transfer)
    data, headers = schema.dumps_value(None, TRANSFER, headers=[("cause", b"x")])
    key, _ = schema.dumps_key(None, "alice", headers=None)
    assert headers == [("cause", b"x")]
    assert _loads(schema, "account.transfer", key, data) == (TRANSFER, "alice")


def test_a_stream_over_topics_decodes_by_topic(codecs: Codecs) -> None:
    """One schema reads several topics, each with its own record; another topic is refused."""
    schema = RecordSchema(codecs, {"account.transfer": Transfer, "account.control": Control})
    data, _ = schema.dumps_value(None, CONTROL, headers=None)
    assert _loads(schema, "account.control", b"alice", data)[0] == CONTROL
    with pytest.raises(DecodeError):
        _loads(schema, "account.transfer", b"alice", data)
    with pytest.raises(DecodeError, match="no record is known"):
        _loads(schema, "account.policy", b"alice", data)


@pytest.mark.parametrize("key", [None, b"", b"\xff", b"bob", b"alice|USD"])
def test_a_record_under_another_key_is_refused(codecs: Codecs, key: bytes | None) -> None:
    """A missing, broken or foreign key would bring a record to a partition that does not own it."""
    schema = RecordSchema(codecs, Transfer)
    data, _ = schema.dumps_value(None, TRANSFER, headers=None)
    with pytest.raises(DecodeError):
        _loads(schema, "account.transfer", key, data)


@pytest.mark.parametrize(
    "value", [None, b"", b"\x00", b"\x01\x00\x00\x00\x01", b"\x00\x00\x00\x00\x07ab"]
)
def test_bytes_that_are_no_record_are_a_decode_error(codecs: Codecs, value: bytes | None) -> None:
    """No value and broken bytes have the disposition of a dead letter."""
    with pytest.raises(DecodeError) as caught:
        _loads(RecordSchema(codecs, Transfer), "account.transfer", b"alice", value)
    assert caught.value.disposition == "DEAD_LETTER"


def test_a_global_table_has_no_value_where_bytes_are_broken(
    codecs: Codecs, caplog: pytest.LogCaptureFixture
) -> None:
    """One broken record of a compacted topic is logged, and stops no worker."""
    assert GlobalSchema(codecs, Transfer).loads_value(None, Encoded(b"broken")) is None
    assert "cannot be read" in caplog.text
