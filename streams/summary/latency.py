"""How long each hop took, by the record times of its two ends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from processors.records.trade import Status
from streams.checks.reading import Cause
from streams.summary.collect import Material

HOPS: Final = (
    "tick_to_bar",
    "bar_to_signal",
    "signal_to_intent",
    "intent_to_order",
    "order_to_submitted",
    "submitted_to_answer",
    "tick_to_submitted",
)
_OURS: Final = frozenset({Status.SUBMITTED, Status.UNKNOWN})


def latency(material: Material) -> dict[str, dict[str, int]]:
    """Return count, median, 95th and 99th percentile and maximum of each hop, milliseconds.

    A worker that was killed on the way is in the figures: its hops wait for its return.

    Args:
        material: what stands in the topics.
    """
    found = samples(material)
    return {hop: percentiles(found[hop]) for hop in HOPS if found[hop]}


def samples(material: Material) -> dict[str, list[int]]:
    """Return the milliseconds of every hop, joined by `cause` headers, or by id where none is."""
    found: dict[str, list[int]] = {hop: [] for hop in HOPS}

    def hop(name: str, start: int | None, end: int) -> None:
        if start is not None:
            found[name].append(max(end - start, 0))

    def stamp(cause: Cause | None) -> int | None:
        if cause is None:
            return None
        return material.stamps.get((cause.topic, cause.partition, cause.offset))

    for at, cause in material.bars:
        hop("tick_to_bar", stamp(cause), at)
    for signal in material.signals.values():
        hop("bar_to_signal", stamp(signal.cause), signal.timestamp_ms)
    for intent, at in material.intents:
        parent = material.signals.get(intent.signal_id or "")
        hop("signal_to_intent", parent.timestamp_ms if parent else None, at)
    for _, at, cause in material.orders:
        hop("intent_to_order", stamp(cause), at)
    submitted: dict[str, int] = {}
    answered: dict[str, int] = {}
    received = _received(material)
    for report, at, cause in material.reports:
        if report.status is Status.SUBMITTED and report.order_id not in submitted:
            submitted[report.order_id] = at
            hop("order_to_submitted", stamp(cause), at)
            hop("tick_to_submitted", received.get(report.order_id), at)
        elif report.status not in _OURS:
            answered.setdefault(report.order_id, at)
    for order_id, at in answered.items():
        hop("submitted_to_answer", submitted.get(order_id), at)
    return found


def percentiles(values: Sequence[int]) -> dict[str, int]:
    """Return the figures of one hop; each percentile is a value that was measured.

    Args:
        values: milliseconds, at least one.
    """
    ordered = sorted(values)

    def at(percent: int) -> int:
        # The nearest rank, in whole numbers: the smallest value that `percent` of all do not exceed.
        return ordered[max(-(-len(ordered) * percent // 100) - 1, 0)]

    return {
        "count": len(ordered),
        "p50": at(50),
        "p95": at(95),
        "p99": at(99),
        "max": ordered[-1],
    }


def _received(material: Material) -> dict[str, int]:
    """Record time, in effect, of the tick at the origin of each order: its `received_time`."""
    return {
        order.order_id: int(order.received_time.timestamp() * 1000)
        for order, _, _ in material.orders
    }
