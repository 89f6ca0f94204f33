"""The longer measurements of the engine alone; `make bench-full` starts them all, a flag each some."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from confluent_kafka.admin import AdminClient

from streams.local.services import fetch, local_services
from tests.bench.__main__ import end_on_signals, say
from tests.bench.costs import by_keys, by_partitions, of_feature
from tests.bench.machine import machine
from tests.bench.million import kill, memory, restore
from tests.bench.profile import profile
from tests.bench.running import ROOT
from tests.bench.systems import OURS, SYSTEMS, System
from tests.bench.throughput import remove
from tests.integration.oracle import Oracle

RESULTS = ROOT / "build" / "bench" / "full.json"
FEATURES = ("journal", "cause", "overlap")
PARTS = ("restore", "kill", "memory", "partitions", "keys", *FEATURES, "profile")


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    for part in PARTS:
        parser.add_argument(f"--{part}", action="store_true")
    parser.add_argument("--million", type=int, default=1_000_000, help="keys of the large tables")
    parser.add_argument("--records", type=int, default=300_000, help="for each cost of a record")
    parser.add_argument("--pairs", type=int, default=10, help="with and without a feature")
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


def parts(
    chosen: argparse.Namespace, oracle: Oracle, folder: Path
) -> dict[str, Callable[[System], Any]]:
    """Return each measurement by its name."""
    records, seed, keys, pairs = chosen.records, chosen.seed, chosen.million, chosen.pairs

    def cost_of(feature: str, system: System) -> Any:
        return of_feature(feature, system, oracle, folder, records, seed, pairs)

    return {
        "restore": lambda system: restore(system, oracle, folder, keys),
        "kill": lambda system: kill(system, oracle, folder, keys),
        "memory": lambda system: memory(system, oracle, folder, keys),
        "partitions": lambda system: by_partitions(system, oracle, folder, records, seed),
        "keys": lambda system: by_keys(system, oracle, folder, records, seed),
        "profile": lambda system: profile(system, oracle, folder, records, seed),
        **{feature: partial(cost_of, feature) for feature in FEATURES},
    }


def systems_of(part: str) -> list[System]:
    """Return the stores that a part is measured with: both where they differ, else the faster one."""
    memory_store = SYSTEMS["fillonce_memory"]
    if part in FEATURES:
        return [memory_store]  # the less a record costs otherwise, the larger the share
    return [SYSTEMS[OURS], memory_store]


def main() -> int:
    end_on_signals()
    chosen = options()
    wanted = [part for part in PARTS if getattr(chosen, part)] or list(PARTS)
    fetch(lambda text, _passing: say(text))
    report: dict[str, Any] = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    report["machine"] = machine()
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as scratch,
        local_services(Path(scratch, "kafka"), registry=False, die_with_parent=True) as services,
    ):
        oracle = Oracle(services.bootstrap)
        # The broker goes before its clients do; one that logs would tell of it.
        oracle.admin = AdminClient({"bootstrap.servers": services.bootstrap, "log_level": 0})
        for part in wanted:
            report[part] = {}
            for system in systems_of(part):
                say(f"{part}, {system.name} ...")
                found = parts(chosen, oracle, Path(scratch))[part](system)
                report[part][system.name] = found
                say(f"{part}, {system.name}: {json.dumps(found)}")
                remove(oracle, "")
            # What is measured is kept, should a later part fail.
            RESULTS.write_text(json.dumps(report, indent=2) + "\n")
    print(f"written: {RESULTS.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
