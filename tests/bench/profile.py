"""Where the event loop's time goes, function by function, while the hold workload runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.bench.costs import stand_of
from tests.bench.feeding import Orders
from tests.bench.systems import System
from tests.bench.throughput import measure
from tests.integration.oracle import Oracle

SHOWN = 14


def profile(
    system: System, oracle: Oracle, folder: Path, records: int, seed: int
) -> dict[str, Any]:
    """Return the shares of the loop's busy time: of functions that ran, and of those on the stack.

    Args:
        system: one of ours.
        oracle: of the broker.
        folder: for what the run needs.
        records: how many orders.
        seed: of the orders.
    """
    target = folder / f"profile-{system.name}.json"
    stand = stand_of(oracle, folder, f"profile-{system.name}.order", Orders(seed, records))
    sampled = System(
        f"profile-{system.name}",
        "fillonce_sampled",
        {**system.environment, "BENCH_PROFILE": str(target)},
    )
    found = measure(sampled, stand)
    shares = json.loads(target.read_text())
    for kind, words in (("running", "ran"), ("on_stack", "on the stack")):
        print(f"  {words}, share of {shares['looks']} looks:")
        for name, share in list(shares[kind].items())[: SHOWN * 2 if kind == "on_stack" else SHOWN]:
            print(f"    {share:6.1%} {name}")
    return {"records_per_second": found.records_per_second, **shares}
