"""When dead letters are too many, and that restarts and aborts count none twice and forget none."""

from __future__ import annotations

from typing import Any

import pytest

from streams.engine.errors import ConfigError
from streams.engine.rates import Rates, Tally
from streams.engine.settings import EngineSettings

DEFAULT = Rates(0.01, 1_000, 50)


def good(count: int) -> tuple[list[Any], int]:
    """A batch of good records: its runs and its size."""
    return [["records", "in", 0, count - 1]], count


def dead(count: int) -> tuple[list[Any], int]:
    """A batch of dead letters."""
    return [["dead", "in", n, "E: x"] for n in range(count)], count


def after(rates: Rates, *batches: tuple[list[Any], int]) -> Tally:
    """The tally after some batches."""
    tally = Tally()
    for runs, inputs in batches:
        tally = rates.count(tally, runs, inputs)
    return tally


def test_fifty_in_a_row_are_too_many() -> None:
    """Not 49, and a good record between them begins the row anew."""
    assert DEFAULT.exceeded(after(DEFAULT, dead(49))) is None
    assert "50 dead letters in a row" in str(DEFAULT.exceeded(after(DEFAULT, dead(49), dead(1))))
    assert DEFAULT.exceeded(after(DEFAULT, dead(49), good(1), dead(49))) is None


def test_more_than_a_hundredth_of_a_full_window_is_too_many() -> None:
    """Ten of 1,000 pass, eleven do not; before 1,000 records were seen nothing is judged by rate."""
    some = [good(90), dead(1)] * 10
    assert DEFAULT.exceeded(after(DEFAULT, *some, good(90))) is None
    assert "11 dead letters among the last 1000" in str(
        DEFAULT.exceeded(after(DEFAULT, *some, good(90), dead(1)))
    )
    assert DEFAULT.exceeded(after(DEFAULT, *[good(1), dead(1)] * 30)) is None


def test_what_has_left_the_window_counts_no_more() -> None:
    """Ten dead letters, 1,000 good records, ten dead letters: at no time more than ten in a window."""
    tally = after(DEFAULT, *[dead(1), good(1)] * 10, good(1_000), *[dead(1), good(1)] * 10)
    assert DEFAULT.exceeded(tally) is None
    assert len(tally.dead) == 10


@pytest.mark.parametrize("rates", [Rates(0, 1_000, 0), Rates(0, 1_000, 10**9), Rates(1, 1_000, 0)])
def test_a_bound_can_be_switched_off(rates: Rates) -> None:
    """0 is none, and then all records of a topic may be set aside."""
    assert rates.exceeded(after(rates, *[dead(100)] * 30)) is None


def test_a_higher_bound_allows_so_many_more() -> None:
    """Who stopped at 50 and starts with 60 sets ten more aside, counted from the committed mark."""
    stopped = after(DEFAULT, dead(49))
    more = Rates(0.01, 1_000, 60)
    resumed = more.parse(DEFAULT.text(stopped))
    assert more.exceeded(more.count(resumed, *dead(10))) is None
    assert more.exceeded(more.count(resumed, *dead(11))) is not None


def test_a_tally_goes_on_from_its_mark() -> None:
    """Row, full window and dead letters are as they were; their places are spread over the window."""
    tally = after(DEFAULT, good(5_000), *[dead(1), good(99)] * 8, dead(2))
    again = DEFAULT.parse(DEFAULT.text(tally))
    assert (again.run, again.seen, len(again.dead)) == (2, 1_000, 10)
    assert len(set(again.dead)) == 10
    assert all(0 < at <= again.seen for at in again.dead)
    assert DEFAULT.exceeded(DEFAULT.count(again, *dead(1))) is not None


@pytest.mark.parametrize("text", ["", "1.2", "a.b.c", "1.2.3.4", "-1.0.0"])
def test_a_mark_without_counts_begins_anew(text: str) -> None:
    """Marks of an earlier version have none."""
    assert DEFAULT.parse(text) == Tally()


def test_a_torn_mark_has_no_more_dead_letters_than_records() -> None:
    """More dead letters than records can't be, and are not believed."""
    assert DEFAULT.parse("3.5.9") == Tally(3, 5)


@pytest.mark.parametrize(
    "wrong",
    [
        {"dead_letter_rate": 1.5},
        {"dead_letter_rate": -0.1},
        {"dead_letter_run": -1},
        {"dead_letter_window": 0},
        {"dead_letter_window": 10**9},
        {"poison_retries": -1},
        {"poison_backoff": -1.0},
        {"poison_backoff": 60.0},
        {"dead_letter_rate": float("nan")},
    ],
)
def test_bounds_that_are_none_are_refused(wrong: dict[str, Any]) -> None:
    """At start, by name."""
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        EngineSettings("127.0.0.1:1", **wrong)
