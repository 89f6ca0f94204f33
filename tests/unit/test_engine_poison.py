"""When a record is retried alone, when it is a dead letter, and how one at fault is found."""

from __future__ import annotations

import pytest

from streams.engine.poison import BACKOFF_MAX_SECONDS, Poison, Verdict
from tests.unit.engine_tools import message


def test_a_culprit_is_retried_alone_and_then_condemned() -> None:
    """Two retries, then a verdict with the tries; meanwhile it is handed out by itself."""
    poison, record = Poison(2), message()
    assert not poison.suspect(record)
    assert [poison.blame(record, "E: x", at_once=False) for _ in range(3)] == [False, False, True]
    assert poison.suspect(record)
    assert poison.verdict(record) == Verdict("E: x", 3)


def test_an_error_that_blames_the_record_condemns_at_once() -> None:
    """The disposition DEAD_LETTER needs no retry."""
    poison, record = Poison(2), message()
    assert poison.blame(record, "E: x", at_once=True)
    assert poison.verdict(record) == Verdict("E: x", 1)


def test_a_committed_record_is_forgotten_and_others_were_never_named() -> None:
    """After the commit nothing is remembered; other offsets were not touched."""
    poison, record = Poison(0), message()
    poison.blame(record, "E: x", at_once=False)
    other = message(offset=1)
    assert poison.verdict(other) is None
    assert not poison.suspect(other)
    poison.settle(record)
    assert not poison
    assert poison.verdict(record) is None


def test_each_pause_is_longer_than_the_one_before_up_to_a_bound() -> None:
    """0.1 s, 0.5 s, 2.5 s, then 5 s however often it fails."""
    poison, record = Poison(2_000, 0.1), message()
    pauses = []
    for _ in range(6):
        poison.blame(record, "E: x", at_once=False)
        pauses.append(poison.pause(record))
    assert pauses[:3] == pytest.approx([0.1, 0.5, 2.5])
    assert set(pauses[3:]) == {BACKOFF_MAX_SECONDS}
    for _ in range(1_000):
        poison.blame(record, "E: x", at_once=False)
    assert poison.pause(record) == BACKOFF_MAX_SECONDS


def test_without_a_culprit_the_batch_is_halved_until_one_record_is_alone() -> None:
    """Of 100 records: 50, 25, 12, 6, 3, 1; then the one that is alone is named."""
    poison = Poison(2)
    rows = [message(offset=n) for n in range(100)]
    sizes, taken = [], rows
    while (named := poison.narrow(taken, ticks=False)) is None:
        assert poison.limit is not None
        sizes.append(poison.limit)
        taken = rows[: poison.limit]
    assert sizes == [50, 25, 12, 6, 3, 1]
    assert named is rows[0]


def test_clock_ticks_are_parted_from_records_before_a_record_is_named() -> None:
    """One record and a tick in a batch that fails: either may be at fault, so each comes alone next."""
    poison, record = Poison(2), message()
    assert poison.narrow([record], ticks=True) is None
    assert poison.ticks_apart
    assert poison.limit == 1
    assert poison.narrow([record], ticks=False) is record


def test_batches_grow_again_after_commits() -> None:
    """Twofold with each commit, until nothing bounds them but the settings."""
    poison = Poison(2)
    poison.narrow([message(offset=n) for n in range(8)], ticks=False)
    limits = []
    for _ in range(4):
        limits.append(poison.limit)
        poison.widen(20)
    assert limits == [4, 8, 16, None]


def test_a_letter_that_is_too_large_loses_its_value_once() -> None:
    """The second refusal of a bare letter is told apart: nothing is left to leave out."""
    poison, record = Poison(0), message()
    poison.blame(record, "E: x", at_once=True)
    assert [poison.strip(record), poison.strip(record)] == [True, False]
    assert poison.verdict(record) == Verdict("E: x", 1, bare=True)
