"""On what it was measured: processor, cores, and the versions of what took part."""

from __future__ import annotations

import os
import platform
import re
from importlib.metadata import version
from pathlib import Path

from confluent_kafka import libversion

from streams.local.artifacts import pinned
from streams.local.java import find_java, version_of
from streams.version import code_version
from tests.bench.running import ROOT
from tests.bench.systems import JAVA_SOURCES, java

POM = JAVA_SOURCES / "pom.xml"


def machine() -> dict[str, object]:
    """Return the facts of this machine and this tree."""
    memory = _found(r"MemTotal:\s*(\d+)", Path("/proc/meminfo"))
    return {
        "cpu": _found(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo")) or platform.processor(),
        "cores": os.cpu_count(),
        "memory_gb": round(int(memory) / 2**20, 1) if memory else None,
        "system": platform.platform(),
        "load_at_start": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "librdkafka": libversion()[0],
        "confluent_kafka": version("confluent-kafka"),
        "fillonce": code_version(),
        "faust_streaming": version("faust-streaming"),
        "kafka": pinned()["kafka"].version,
        "quix_streams": _found(r"(?m)^quixstreams==(\S+)", ROOT / "requirements" / "bench.txt"),
        "kafka_streams": _found(r"kafka-streams</artifactId>\s*<version>([^<]+)", POM),
        "java_of_kafka": find_java().major,
        "java_of_peer": version_of(Path(java())),
    }


def _found(pattern: str, path: Path) -> str | None:
    """Return what a pattern's group matches in a file, None where file or match is missing."""
    found = re.search(pattern, path.read_text()) if path.exists() else None
    return found.group(1) if found else None
