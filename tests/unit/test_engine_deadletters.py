"""What a dead letter says: the record's bytes as they were, and facts that tell no secret."""

from __future__ import annotations

import pytest

from streams import topics
from streams.engine.deadletters import (
    LETTER_BYTES,
    REASON_CHARS,
    dead_letter,
    facts_of,
    noted,
    reason_of,
    schema_id_of,
    verdict_of,
)
from streams.engine.poison import Verdict
from tests.unit.engine_tools import as_read, make_batch, message

FACTS = {
    "dlq.app": b"unit",
    "dlq.topic": b"in",
    "dlq.partition": b"2",
    "dlq.offset": b"7",
    "dlq.timestamp": b"99",
    "dlq.error": b"ValueError",
    "dlq.reason": b"no: good",
    "dlq.schema_id": b"258",
    "dlq.code_version": b"abc",
    "dlq.attempts": b"3",
}


def test_a_dead_letter_is_the_record_with_facts_behind_its_headers() -> None:
    """Key, value and headers, doubles and nulls too, are as they were; the facts stand after them."""
    own = [("a", b"1"), ("a", None), ("dlq.app", b"an earlier one")]
    record = message("in", 2, 7, 99, b"\xff\x00", b"\x00\x00\x00\x01\x02body", own)
    letter = as_read(
        dead_letter("unit", make_batch(2), record, Verdict("ValueError: no: good", 3), "abc")
    )
    assert (letter.topic, letter.partition) == ("in.dlq", 2)
    assert (letter.key, letter.value) == (record.key, record.value)
    assert (letter.headers or [])[:3] == own
    assert dict((letter.headers or [])[3:]) == {**FACTS, "cause": b"unit|in|2|7|0"}
    assert record.headers == own


@pytest.mark.parametrize(
    ("value", "schema_id"),
    [(None, None), (b"", None), (b"\x00\x00\x00\x07", None), (b"\x01\x00\x00\x00\x07", None),
     (b"\x00\x00\x00\x00\x07", 7), (b"\x00\xff\xff\xff\xffx", 0xFFFFFFFF)],
)  # fmt: skip
def test_the_schema_id_is_that_of_the_frame(value: bytes | None, schema_id: int | None) -> None:
    """A value in no frame has none."""
    assert schema_id_of(value) == schema_id
    facts = facts_of("unit", message(value=value), Verdict("E: x"), None)
    assert facts.get("dlq.schema_id") == (None if schema_id is None else str(schema_id))
    assert "dlq.code_version" not in facts


def test_a_bare_letter_says_how_much_was_left_out() -> None:
    """Its value is null, the original stands at the position in the facts."""
    letter = as_read(
        dead_letter("unit", make_batch(), message(value=b"abc"), Verdict("E: x", 1, bare=True))
    )
    assert letter.value is None
    assert dict(letter.headers or [])["dlq.omitted"] == b"3"


@pytest.mark.parametrize(
    "verdict", [Verdict("E: x"), Verdict("E: x", 3), Verdict("", 2, bare=True)]
)
def test_the_journal_keeps_all_that_a_replay_needs(verdict: Verdict) -> None:
    """From what the journal keeps comes the same verdict, so the same letter."""
    assert verdict_of(noted(verdict)) == verdict


def test_a_journal_of_before_gives_the_letters_of_before() -> None:
    """Where no tries were kept, the later facts are left out, as they were then."""
    facts = facts_of("unit", message(value=b"\0\0\0\0\7"), verdict_of(["E: x"]), "abc")
    assert [name.removeprefix("dlq.") for name in facts] == [
        "app", "topic", "partition", "offset", "timestamp", "error", "reason",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        "login failed: password=marker-5 for bob",
        "{'api_key': 'marker-5', 'x': 1}",
        'secret: "marker-5 and more"',
        "GET https://bob:marker-5@host/path gave 401",
        "Authorization: Bearer marker-5.abc.def",
        "Authorization: Basic marker-5",
        "TOKEN = marker-5",
        "-----BEGIN PRIVATE KEY-----\nmarker-5\n-----END PRIVATE KEY-----",
        "-----BEGIN PRIVATE KEY-----\nmarker-5",
    ],
)
def test_a_reason_holds_no_secret(text: str) -> None:
    """What looks like a password, a token or a key is masked."""
    assert "marker-5" not in reason_of(ValueError(text))


class Untold(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ValueError("two\nlines\tand more"), "ValueError: two lines and more"),
        (KeyError("m"), "KeyError: 'm'"),
        (ValueError("\ud800"), "ValueError: \\ud800"),
        (ValueError(), "ValueError: "),
        (Untold(), "Untold: it has no text"),
    ],
)
def test_a_reason_is_one_line_of_valid_text(error: Exception, reason: str) -> None:
    """It stands in a header and in the journal, whatever an error says."""
    assert reason_of(error) == reason


def test_a_reason_is_bounded() -> None:
    """A megabyte of words does not reach the journal."""
    assert len(reason_of(ValueError("x" * 1_000_000))) == REASON_CHARS


def test_catalogue_and_engine_agree_on_the_size_of_a_letter() -> None:
    """The topics that `topics apply` creates take what the engine sends."""
    assert topics.LETTER_BYTES == LETTER_BYTES
    dead = next(topic for topic in topics.catalogue() if topic.name.endswith(topics.DEAD))
    assert dead.config["max.message.bytes"] == str(LETTER_BYTES)
