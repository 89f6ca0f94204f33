"""Which code runs: one digest over the files that the wheel holds, the same in a checkout."""

from __future__ import annotations

import hashlib
import platform
from functools import cache
from importlib.metadata import distributions
from pathlib import Path
from typing import Final

PACKAGES: Final = ("connectors", "processors", "schemas", "streams")
_KINDS: Final = frozenset({".py", ".avsc", ".toml", ".xml", ".typed"})
_ROOT: Final = Path(__file__).resolve().parent.parent


@cache
def code_version() -> str:
    """Return SHA-256 over the packages' files, each by its path and its bytes."""
    digest = hashlib.sha256()
    for package in PACKAGES:
        for path in sorted(_ROOT.joinpath(package).rglob("*")):
            if path.suffix in _KINDS and path.is_file():
                name = path.relative_to(_ROOT).as_posix().encode()
                body = path.read_bytes()
                digest.update(b"%d %d\n" % (len(name), len(body)))
                digest.update(name)
                digest.update(body)
    return digest.hexdigest()


@cache
def environment() -> dict[str, str]:
    """Return what else a result may rest on: the interpreter, and a digest of what is installed."""
    installed = sorted(
        {f"{(one.name or '').lower()}=={one.version}" for one in distributions() if one.name}
    )
    return {
        "python": platform.python_version(),
        "packages": hashlib.sha256("\n".join(installed).encode()).hexdigest(),
    }
