"""Whatever a record holds, its dead letter gives it back byte for byte."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from streams import dlq
from streams.engine.deadletters import PREFIX, dead_letter, noted, verdict_of
from streams.engine.poison import Verdict
from tests.unit.engine_tools import as_read, make_batch, message

NAMES = st.text(max_size=4) | st.sampled_from(["dlq.app", "dlq.topic", "cause", dlq.FROM, dlq.OF])
HEADERS = st.lists(st.tuples(NAMES, st.none() | st.binary(max_size=4)), max_size=6)
PART = st.none() | st.binary(max_size=8)


@given(PART, PART, HEADERS, st.text(max_size=20), st.integers(1, 9))
def test_a_letter_gives_the_record_back(
    key: bytes | None,
    value: bytes | None,
    headers: list[tuple[str, bytes | None]],
    reason: str,
    tries: int,
) -> None:
    """Key, value and headers come out as they went in, even where they are named like facts."""
    record = message("in", 2, 7, 99, key, value, headers)
    verdict = Verdict(f"ValueError: {reason}", tries)
    made = dead_letter("app", make_batch(2), record, verdict)
    read = dlq.read("in.dlq", [as_read(made)])
    (letter,) = read.letters
    assert (letter.key, letter.value, letter.headers) == (key, value, tuple(headers))
    assert (letter.facts["reason"], letter.facts["attempts"]) == (reason, str(tries))
    (sent,) = dlq.plan(read, dlq.Choice(), {"in": 3})
    assert (sent.value, sent.letter.key) == (value, key)
    assert not any(name.startswith(PREFIX) for name, _ in sent.headers)
    assert [name for name, _ in sent.headers].count(dlq.FROM) == 1
    again = dead_letter("app", make_batch(2), record, verdict_of(noted(verdict)))
    assert again == made
