"""The engine beside stock Faust and Quix Streams: one broker, one workload, one run.

`make bench` starts it. A system gets N orders or so many seconds, whichever ends first, and is measured
from outside by its group's committed offsets and its process's CPU time: nobody counts for himself.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from streams.local.services import fetch, local_services
from tests.integration.hold import Hold
from tests.integration.oracle import Oracle

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "build" / "bench" / "results.json"
START_SECONDS = 60.0
SYSTEMS = ("fillonce", "stock-faust", "quix-streams")


@dataclass
class Result:
    system: str
    records: int
    seconds: float
    records_per_second: float
    cpu_us_per_record: float
    duplicates: int
    missing: int


def command(system: str, peers_python: str) -> list[str]:
    worker = ["worker", "--without-web", "-l", "warn"]
    return {
        "fillonce": [sys.executable, "-m", "faust", "-A", "examples.hold:app", *worker],
        "stock-faust": [sys.executable, "-m", "faust", "-A", "tests.bench.hold_stock:app", *worker],
        "quix-streams": [peers_python, "-m", "tests.bench.hold_quix"],
    }[system]


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def progress(oracle: Oracle, group: str, topic: str) -> int:
    return sum(oracle.committed(group, [topic]).values())


def measure(system: str, hold: Hold, folder: Path, options: argparse.Namespace) -> Result:
    """Run one system until the orders or the seconds are used up."""
    oracle, pause, total = hold.oracle, threading.Event(), len(hold.orders)
    group, output = f"{hold.group}-{system}", oracle.create(f"{hold.output}-{system}", 4)
    environment = {
        **os.environ,
        **hold.environment,
        "PYTHONPATH": str(ROOT),
        "HOLD_APP": group,
        "HOLD_DECISIONS": output,
        "HOLD_COMMIT_SECONDS": str(options.commit_seconds),
    }
    folder.mkdir()
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            command(system, options.peers_python),
            cwd=folder,
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        deadline = time.monotonic() + START_SECONDS
        while not (first := progress(oracle, group, hold.input)):
            if process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"{system} did not start:\n{(folder / 'log').read_text()[-3000:]}")
            pause.wait(0.05)
        begin, used = time.monotonic(), cpu_seconds(process.pid)
        done, now = first, begin
        while done < total and now - begin < options.seconds:
            pause.wait(0.1)
            if process.poll() is not None:
                raise SystemExit(f"{system} ended:\n{(folder / 'log').read_text()[-3000:]}")
            done, now = progress(oracle, group, hold.input), time.monotonic()
        used = cpu_seconds(process.pid) - used
    finally:
        process.kill()
        process.wait(30)
    count = max(done - first, 1)
    ids = [json.loads(row.value or b"")["order_id"] for row in oracle.read(output)]
    return Result(
        system,
        done,
        round(now - begin, 2),
        round(count / max(now - begin, 0.001), 1),
        round(used / count * 1e6, 1),
        len(ids) - len(set(ids)),
        max(done - len(set(ids)), 0),
    )


def table(results: list[Result]) -> str:
    ours = results[0]
    lines = [
        f"{'system':14}{'records/s':>12}{'CPU us':>9}{'records':>10}{'seconds':>9}{'ours is':>10}"
    ]
    for one in results:
        ratio = ours.records_per_second / one.records_per_second
        lines.append(
            f"{one.system:14}{one.records_per_second:12,.0f}{one.cpu_us_per_record:9.1f}"
            f"{one.records:10,}{one.seconds:9.1f}{ratio:9.1f}x"
        )
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peers-python", default=str(ROOT / ".venv-bench" / "bin" / "python"))
    parser.add_argument("--records", type=int, default=400_000)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument(
        "--commit-seconds", type=float, default=0.1, help="commit interval of the peers"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--systems", nargs="+", choices=SYSTEMS, default=list(SYSTEMS))
    options = parser.parse_args()
    fetch(lambda text, _passing: print(text, flush=True))
    results = []
    with (
        tempfile.TemporaryDirectory() as scratch,
        local_services(Path(scratch, "kafka"), registry=False, die_with_parent=True) as services,
    ):
        hold = Hold(Oracle(services.bootstrap), "bench.", options.seed, options.records)
        hold.feed(rate=None)
        for system in options.systems:
            print(f"{system} ...", flush=True)
            results.append(measure(system, hold, Path(scratch, system), options))
    ours = results[0]
    report = {
        "seed": options.seed,
        "commit_seconds_of_peers": options.commit_seconds,
        "systems": [asdict(one) for one in results],
        "ratio": {
            one.system: round(ours.records_per_second / one.records_per_second, 2)
            for one in results[1:]
        },
    }
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(json.dumps(report, indent=2) + "\n")
    print(table(results))
    print(f"written: {RESULTS.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
