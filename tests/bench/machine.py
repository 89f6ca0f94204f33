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
from tests.bench.systems import java


def machine() -> dict[str, object]:
    """Return the facts of this machine and this tree."""
    model = re.search(r"model name\s*:\s*(.+)", _text("/proc/cpuinfo"))
    memory = re.search(r"MemTotal:\s*(\d+)", _text("/proc/meminfo"))
    return {
        "cpu": model.group(1) if model else platform.processor(),
        "cores": os.cpu_count(),
        "memory_gb": round(int(memory.group(1)) / 2**20, 1) if memory else None,
        "system": platform.platform(),
        "load_at_start": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "librdkafka": libversion()[0],
        "confluent_kafka": version("confluent-kafka"),
        "faust_streaming": version("faust-streaming"),
        "kafka": pinned()["kafka"].version,
        "kafka_streams": "4.1.1",
        "java_of_kafka": find_java().major,
        "java_of_peer": version_of(Path(java())),
    }


def _text(path: str) -> str:
    return Path(path).read_text() if Path(path).exists() else ""
