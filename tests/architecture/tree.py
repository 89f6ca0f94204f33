"""The files of this tree, read once, for the tests that watch over them."""

from __future__ import annotations

import ast
import functools
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("connectors", "processors", "schemas", "streams")
"""The top-level packages of the wheel."""

_UNTRACKED = {".git", ".venv", ".venv-bench", ".fillonce", "build", "dist", "__pycache__"}


@functools.cache
def files() -> tuple[Path, ...]:
    """List what git tracks or would track; without git, every file outside the known caches."""
    git = shutil.which("git")
    if git is not None and (ROOT / ".git").exists():
        command = [git, "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
        names = (ROOT / name for name in listed.stdout.split("\0") if name)
        return tuple(sorted(path for path in names if path.is_file()))
    found = (path for path in ROOT.rglob("*") if path.is_file())
    return tuple(sorted(p for p in found if not _UNTRACKED & set(p.relative_to(ROOT).parts)))


def texts() -> Iterator[tuple[str, str]]:
    """Yield the name and content of every file that is text."""
    for path in files():
        try:
            yield str(path.relative_to(ROOT)), path.read_text(encoding="utf-8")
        except (FileNotFoundError, UnicodeDecodeError):
            continue  # removed meanwhile, or bytes


def sources(*under: str) -> Iterator[tuple[str, str]]:
    """Yield the name and content of every Python file, all of them or those under some folders."""
    for name, text in texts():
        if name.endswith(".py") and (not under or name.startswith(tuple(f"{u}/" for u in under))):
            yield name, text


def imports(name: str, text: str) -> Iterator[tuple[int, str]]:
    """Yield the line and the full name of each import in a file, wherever it stands in it."""
    for node in ast.walk(ast.parse(text, filename=name)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name}:{node.lineno}: a relative import"
            yield node.lineno, node.module or ""


def is_under(module: str, *packages: str) -> bool:
    """Tell whether a module is one of the packages or inside one."""
    return any(module == package or module.startswith(f"{package}.") for package in packages)


@functools.cache
def configuration() -> dict[str, Any]:
    """Read pyproject.toml."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        return tomllib.load(file)
