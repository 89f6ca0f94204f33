"""The benchmark's arithmetic: percentiles, slopes, ratios, shares of pairs, trends."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.bench.figures import percentile, ratios, share_of_pairs, slope, spread, trend

numbers = st.floats(-1e6, 1e6, allow_nan=False)


@given(st.lists(numbers, min_size=1), st.floats(0.01, 1.0))
def test_a_percentile_is_the_smallest_value_that_covers_its_share(
    found: list[float], share: float
) -> None:
    """At least the share lies at or below it, and less than the share lies below it."""
    ordered = sorted(found)
    value = percentile(ordered, share)
    assert sum(one <= value for one in ordered) >= share * len(ordered) - 1e-9
    assert sum(one < value for one in ordered) < share * len(ordered)


def test_percentiles_of_a_hundred_values_are_their_places() -> None:
    """Of 1 to 100, p50 is 50, p99 is 99 and the maximum is 100."""
    assert spread(range(100, 0, -1)) == {"count": 100, "p50": 50, "p95": 95, "p99": 99, "max": 100}


def test_a_percentile_of_nothing_is_refused() -> None:
    """No value, or a share of zero, is an error and not a number."""
    with pytest.raises(ValueError, match="needs values"):
        percentile([], 0.5)
    with pytest.raises(ValueError, match="needs values"):
        percentile([1.0], 0.0)


@given(st.integers(-100, 100), st.integers(-100, 100), st.integers(2, 50))
def test_the_slope_of_a_line_is_the_lines(rise: int, start: int, count: int) -> None:
    """Points on a line give its slope, however many there are and wherever it begins."""
    points = [(float(x), float(start + rise * x)) for x in range(count)]
    assert slope(points) == pytest.approx(rise, abs=1e-9)


def test_a_slope_at_one_moment_is_none() -> None:
    """Points of the same x have no slope; no points are refused."""
    assert slope([(1.0, 2.0), (1.0, 9.0)]) == 0.0
    with pytest.raises(ValueError, match="needs points"):
        slope([])


def test_ratios_are_ours_over_theirs_and_leave_out_what_was_not_measured() -> None:
    """A peer that was left out has no ratio; without ours there is none at all."""
    rates = {"ours": 30_000.0, "slow": 1_000.0, "fast": 60_000.0}
    assert ratios(rates, "ours", ["slow", "fast", "absent"]) == {"slow": 30.0, "fast": 0.5}
    assert ratios(rates, "absent", ["slow"]) == {}


def test_the_share_of_pairs_is_a_median_that_one_bad_pair_does_not_move() -> None:
    """Nine pairs at five percent and one measured while the machine was busy give five percent."""
    pairs = [(21.0, 20.0)] * 9 + [(80.0, 20.0)]
    assert share_of_pairs(pairs) == pytest.approx(0.05)


def test_a_trend_leaves_the_warm_up_out() -> None:
    """What grows only while it warms up holds still afterwards; what goes on growing is told an hour."""
    warmed = [(float(t), float(min(t, 25))) for t in range(101)]
    assert trend(warmed, 0.25)["grown"] == pytest.approx(0.0)
    leaking = [(float(t), 100 + t / 3600) for t in range(101)]
    assert trend(leaking, 0.25)["per_hour"] == pytest.approx(1.0)
    with pytest.raises(ValueError, match="two points"):
        trend([(0.0, 1.0)], 0.25)
