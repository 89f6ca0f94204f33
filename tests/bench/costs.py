"""What a record costs: against partitions, against keys, and what journal and cause add to it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tests.bench.avro_hold import PARTITIONS
from tests.bench.feeding import ACCOUNTS, Orders
from tests.bench.figures import share_of_pairs
from tests.bench.systems import System
from tests.bench.throughput import Stand, measure
from tests.integration.oracle import Oracle

PARTITION_COUNTS = (1, 4, 16, 64)
KEY_COUNTS = (1_000, 10_000, 100_000, 1_000_000)


def stand_of(
    oracle: Oracle, folder: Path, topic: str, orders: Orders, partitions: int = PARTITIONS
) -> Stand:
    """Return orders that are written, and what a system needs to be measured on them."""
    stand = Stand(oracle, oracle.create(topic, partitions), orders, folder, "", 60.0, partitions)
    orders.feed(oracle.bootstrap, topic)
    return stand


def _figures(system: System, stand: Stand) -> dict[str, float]:
    found = measure(system, stand)
    bad = found.duplicates + found.missing + found.wrong
    if bad:
        raise SystemExit(f"{system.name}: {bad} decisions are not what they must be")
    return {
        "records_per_second": found.records_per_second,
        "cpu_us_per_record": found.cpu_us_per_record,
    }


def by_partitions(
    system: System, oracle: Oracle, folder: Path, records: int, seed: int
) -> dict[str, dict[str, float]]:
    """Return throughput and processor time by count of partitions."""
    found = {}
    for count in PARTITION_COUNTS:
        topic = f"partitions-{count}-{system.name}.order"
        stand = stand_of(oracle, folder, topic, Orders(seed, records), count)
        found[str(count)] = _figures(replace(system, name=f"{system.name}-p{count}"), stand)
    return found


def by_keys(
    system: System, oracle: Oracle, folder: Path, records: int, seed: int
) -> dict[str, dict[str, float]]:
    """Return throughput and processor time by count of keys that are in the table already."""
    found = {}
    for count in KEY_COUNTS:
        topic = f"keys-{count}-{system.name}.order"
        stand = stand_of(oracle, folder, topic, Orders(seed, records, count))
        named = replace(system, name=f"{system.name}-k{count}")
        found[str(count)] = _figures(named, replace(stand, keys=count))
    return found


def of_feature(
    feature: str, system: System, oracle: Oracle, folder: Path, records: int, seed: int, pairs: int
) -> dict[str, object]:
    """Return which share of processor time a feature adds, or of throughput: the median of alternating pairs.

    Args:
        feature: `journal` (with the digests) or `cause`: processor time; `overlap`: records a second.
    """
    figure = "records_per_second" if feature == "overlap" else "cpu_us_per_record"
    stand = stand_of(
        oracle, folder, f"{feature}-{system.name}.order", Orders(seed, records, ACCOUNTS)
    )
    measured: list[tuple[float, float]] = []
    for number in range(pairs):
        found = {}
        # Which one goes first alternates too.
        for without in ("", feature) if number % 2 else (feature, ""):
            one = System(
                f"{feature}-{number}-{'without' if without else 'with'}",
                "fillonce_without",
                {**system.environment, "BENCH_WITHOUT": without},
            )
            found[without] = getattr(measure(one, stand), figure)
        measured.append((found[""], found[feature]))
    return {"share": round(share_of_pairs(measured), 4), "of": figure, "pairs": measured}
