"""The systems of the benchmark: how each is started, and what it is told."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from streams.local.java import find_java
from tests.bench.avro_hold import LOT, OPENING, PARTITIONS, SCHEMAS
from tests.bench.running import ROOT

OURS = "fillonce_rocksdb"
PEERS = (
    "stock_faust",
    "quix_streams",
    "kafka_streams_rocksdb",
    "kafka_streams_memory",
    "raw_loop",
)
JAVA_SOURCES = ROOT / "tests" / "bench" / "java"
JAVA_BUILT = ROOT / "build" / "bench" / "java"


@dataclass(frozen=True, slots=True)
class System:
    """One system with its settings: a name, what runs it, and the part of the environment that is its own."""

    name: str
    kind: str
    environment: dict[str, str] = field(default_factory=dict)


def _system(name: str, kind: str, **environment: str) -> System:
    return System(name, kind, {f"BENCH_{k.upper()}": v for k, v in environment.items()})


SYSTEMS = {
    system.name: system
    for system in (
        _system("fillonce_rocksdb", "fillonce", store="rocksdb"),
        _system("fillonce_memory", "fillonce", store="memory"),
        _system("stock_faust", "faust", commit_ms="100"),
        _system("stock_faust_at_least_once", "faust", commit_ms="100", guarantee="at_least_once"),
        _system("quix_streams", "quix", commit_ms="100"),
        _system("kafka_streams_rocksdb", "java", store="rocksdb", commit_ms="100"),
        _system("kafka_streams_memory", "java", store="memory", commit_ms="100"),
        _system(
            "kafka_streams_rocksdb_cached", "java", store="rocksdb", commit_ms="100", caching="1"
        ),
        _system("kafka_streams_rocksdb_10ms", "java", store="rocksdb", commit_ms="10"),
        _system("raw_loop", "raw"),
    )
}
DEFAULT = (OURS, "fillonce_memory", *PEERS)
HOPS = (OURS, "fillonce_memory", "kafka_streams_rocksdb", "kafka_streams_rocksdb_10ms")


def java() -> str:
    """Return the Java that runs the peer: the one on PATH, else the one of the local services."""
    return shutil.which("java") or str(find_java().path)


def build_java() -> None:
    """Compile the peer and fetch its jars, unless that was done since its sources changed."""
    stamp = JAVA_BUILT / "built"
    sources = [path for path in JAVA_SOURCES.rglob("*") if path.is_file()]
    if stamp.exists() and stamp.stat().st_mtime > max(path.stat().st_mtime for path in sources):
        return
    maven = shutil.which("mvn")
    if maven is None:
        raise SystemExit("Maven is needed to build the Kafka Streams peer: install it (`maven`)")
    JAVA_BUILT.mkdir(parents=True, exist_ok=True)
    command = [maven, "-q", "-B", "-f", str(JAVA_SOURCES / "pom.xml"), f"-Dout={JAVA_BUILT}"]
    subprocess.run([*command, "compile", "dependency:copy-dependencies"], check=True, timeout=600)
    stamp.touch()


def command(system: System, peers_python: str) -> list[str]:
    """Return program and arguments of a system."""
    match system.kind:
        case "fillonce" | "fillonce_without" | "fillonce_sampled":
            program = "from streams.cli.main import main; main()"
            app = f"tests.bench.hold_{system.kind}:app"
            return [sys.executable, "-P", "-c", program, "-q", "run", "--app", app]
        case "faust":
            app = "tests.bench.hold_faust:app"
            worker = ["worker", "--without-web", "-l", "warn"]
            return [sys.executable, "-m", "faust", "-A", app, *worker]
        case "quix":
            return [peers_python, "-m", "tests.bench.hold_quix"]
        case "java":
            level = "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"
            classes = f"{JAVA_BUILT / 'classes'}:{JAVA_BUILT / 'lib'}/*"
            return [java(), level, "-cp", classes, "HoldPeer"]
        case _:
            return [sys.executable, "-m", "tests.bench.hold_raw"]


def environment(
    system: System,
    *,
    bootstrap: str,
    group: str,
    orders: str,
    decisions: str,
    state: Path,
    partitions: int = PARTITIONS,
) -> dict[str, str]:
    """Return what a system is told: its topics, its group, its settings."""
    return {
        "BENCH_BOOTSTRAP": bootstrap,
        "BENCH_GROUP": group,
        "BENCH_ORDERS": orders,
        "BENCH_DECISIONS": decisions,
        "BENCH_STATE_DIR": str(state),
        "BENCH_PARTITIONS": str(partitions),
        "BENCH_SCHEMAS": str(SCHEMAS),
        "BENCH_LOT": str(LOT),
        "BENCH_OPENING": str(OPENING),
        "BENCH_CACHING": "0",
        **system.environment,
    }
