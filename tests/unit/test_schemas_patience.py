"""Schema ids that a registry does not know yet are waited for, and not asked for too often."""

from __future__ import annotations

import pytest

from processors.errors import DecodeError, Disposition, UnavailableError
from schemas.codec import Codecs, schema_text
from schemas.registry import MemoryRegistry
from tests.unit.test_schemas_codec import Sample, body


def test_an_id_that_may_yet_come_is_waited_for() -> None:
    """A minute long an unknown id is unavailable, then wrong; once it is known its records are read."""
    now = [100.0]
    registry = MemoryRegistry()
    codecs = Codecs(registry, {Sample: "t-value"}, patience=60.0, monotonic=lambda: now[0])
    codec, frame = codecs.codec(Sample), b"\0\0\0\0\x09" + body()
    for passed in (0.0, 30.0, 29.9):
        now[0] += passed
        with pytest.raises(UnavailableError, match="not known yet") as caught:
            codec.decode(frame)
        assert caught.value.disposition is Disposition.RETRY
    now[0] += 0.1
    with pytest.raises(DecodeError, match="schema id is unknown"):
        codec.decode(frame)
    with pytest.raises(UnavailableError):
        codec.decode(b"\0\0\0\0\x0a" + body())
    registry._texts[9] = schema_text(Sample)
    now[0] += 1.1
    assert codec.decode(frame).text == "a"


def test_an_id_that_was_given_up_is_not_asked_for_at_every_record() -> None:
    """Once a second is enough; an id that can be none is never asked for, and never waited for."""
    now, asked = [0.0], []

    class Counting(MemoryRegistry):
        def schema_by_id(self, schema_id: int) -> str:
            asked.append(schema_id)
            return super().schema_by_id(schema_id)

    codecs = Codecs(Counting(), {Sample: "t-value"}, patience=1.0, monotonic=lambda: now[0])
    codec = codecs.codec(Sample)
    for _ in range(100):
        now[0] += 0.05
        with pytest.raises((DecodeError, UnavailableError)):
            codec.decode(b"\0\0\0\0\x09" + body())
        with pytest.raises(DecodeError):
            codec.decode(b"\0\0\0\0\0" + body())
    assert set(asked) == {9}
    assert len(asked) <= 20 + 5
    for number in range(10, 3_000):
        with pytest.raises(UnavailableError):
            codec.decode(b"\0" + number.to_bytes(4, "big") + body())
    assert len(codecs._missing) <= 1_000
