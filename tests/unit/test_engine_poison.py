"""When a record is retried alone, and when it is a dead letter."""

from __future__ import annotations

from streams.engine.poison import Poison, dead_letter_headers
from tests.unit.engine_tools import make_event, message


def test_a_culprit_is_retried_alone_and_then_condemned() -> None:
    """Two retries, then a verdict; meanwhile it is handed out by itself."""
    poison, event = Poison(2), make_event()
    assert not poison.suspect(event.message)
    assert [poison.blame(event, "E: x", at_once=False) for _ in range(3)] == [False, False, True]
    assert poison.suspect(event.message)
    assert poison.verdict(event.message) == "E: x"


def test_an_error_that_blames_the_record_condemns_at_once() -> None:
    """The disposition DEAD_LETTER needs no retry."""
    poison, event = Poison(2), make_event()
    assert poison.blame(event, "E: x", at_once=True)


def test_a_committed_record_is_forgotten_and_others_were_never_named() -> None:
    """After the commit nothing is remembered; other offsets were not touched."""
    poison, event = Poison(0), make_event()
    poison.blame(event, "E: x", at_once=False)
    other = message(offset=1)
    assert poison.verdict(other) is None
    assert not poison.suspect(other)
    poison.settle(event.message)
    assert not poison
    assert poison.verdict(event.message) is None


def test_a_dead_letter_keeps_the_original_headers_first() -> None:
    """Where it came from and why stand after the record's own headers, in order."""
    headers = dead_letter_headers(
        "unit",
        message("in", 2, 7, 99, headers=[("a", b"1"), ("a", None)]),
        "ValueError: no: good",
    )
    assert headers[:2] == [("a", b"1"), ("a", None)]
    assert dict(headers[2:]) == {
        "dlq.app": b"unit",
        "dlq.topic": b"in",
        "dlq.partition": b"2",
        "dlq.offset": b"7",
        "dlq.timestamp": b"99",
        "dlq.error": b"ValueError",
        "dlq.reason": b"no: good",
    }
