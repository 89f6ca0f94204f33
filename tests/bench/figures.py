"""What is computed of measurements: percentiles, slopes, ratios, medians of pairs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import median


def percentile(ordered: Sequence[float], share: float) -> float:
    """Return the smallest value that at least `share` of the values do not exceed.

    Args:
        ordered: values, smallest first; at least one.
        share: above 0, at most 1.
    """
    if not ordered or not 0 < share <= 1:
        raise ValueError("a percentile needs values, and a share above 0 and at most 1")
    return ordered[max(math.ceil(share * len(ordered)), 1) - 1]


def spread(values: Sequence[float], digits: int = 2) -> dict[str, float]:
    """Return count, p50, p95, p99 and max of values."""
    ordered = sorted(values)
    found: dict[str, float] = {"count": len(ordered)}
    for name, share in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99), ("max", 1.0)):
        found[name] = round(percentile(ordered, share), digits)
    return found


def slope(points: Sequence[tuple[float, float]]) -> float:
    """Return the least-squares slope of (x, y) points; 0 where all x are the same."""
    if not points:
        raise ValueError("a slope needs points")
    mean_x = sum(x for x, _ in points) / len(points)
    mean_y = sum(y for _, y in points) / len(points)
    below = sum((x - mean_x) ** 2 for x, _ in points)
    if not below:
        return 0.0
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / below


def ratios(rates: Mapping[str, float], ours: str, others: Sequence[str]) -> dict[str, float]:
    """Return how many times faster `ours` is than each of the others that were measured."""
    if ours not in rates:
        return {}
    return {name: round(rates[ours] / rates[name], 2) for name in others if rates.get(name)}


def share_of_pairs(pairs: Sequence[tuple[float, float]]) -> float:
    """Return what a feature costs: the median, over (with, without) pairs, of with / without - 1.

    Pairs are measured side by side, so what drifts over minutes cancels out in each of them.
    """
    return median(with_it / without - 1 for with_it, without in pairs)


def trend(points: Sequence[tuple[float, float]], warm: float) -> dict[str, float]:
    """Return what a quantity did after its warm-up: its mean, and how much it grew by the fitted line.

    Args:
        points: (seconds, value), in order of time.
        warm: share of the time that is warm-up and left out, below 1.
    """
    if len(points) < 2:
        raise ValueError("a trend needs two points")
    begin, end = points[0][0], points[-1][0]
    kept = [point for point in points if point[0] >= begin + warm * (end - begin)]
    rise = slope(kept)
    return {
        "mean": sum(value for _, value in kept) / len(kept),
        "grown": rise * (kept[-1][0] - kept[0][0]),
        "per_hour": rise * 3600,
        "points": len(kept),
    }
