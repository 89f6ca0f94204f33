"""Applies unified diffs without any fuzz: a hunk's old lines must be in the file, once."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path


class PatchError(Exception):
    """A patch does not fit the tree: it names patch, file and line."""


@dataclass
class Hunk:
    """Old and new lines of one place."""

    old: list[str] = field(default_factory=list)
    new: list[str] = field(default_factory=list)


def parse(text: str) -> dict[str, list[Hunk]]:
    """Return the hunks of a unified diff by the name of their file."""
    files: dict[str, list[Hunk]] = {}
    hunks: list[Hunk] = []
    for line in text.splitlines():
        if line.startswith("+++ "):
            hunks = files.setdefault(line[4:].split("\t")[0].removeprefix("b/"), [])
        elif line.startswith("@@"):
            hunks.append(Hunk())
        elif line.startswith("--- ") or not hunks:
            continue
        elif line.startswith("-"):
            hunks[-1].old.append(line[1:])
        elif line.startswith("+"):
            hunks[-1].new.append(line[1:])
        else:
            hunks[-1].old.append(line[1:])
            hunks[-1].new.append(line[1:])
    return files


def patched(name: str, text: str, tree: Path) -> dict[str, str]:
    """Return the new text of each file that a patch changes.

    Args:
        name: of the patch, for errors.
        text: unified diff.
        tree: folder that its names are relative to; nothing in it is changed.
    Raises:
        PatchError: a hunk does not fit, or fits at two places, or the patch has none.
    """
    files = parse(text)
    if not any(files.values()):
        raise PatchError(f"{name}: no hunk in it")
    found: dict[str, str] = {}
    for path, hunks in files.items():
        try:
            content = "\n" + tree.joinpath(path).read_text()
        except FileNotFoundError:
            raise PatchError(f"{name}: {path} is not there any more: refresh the patch") from None
        for hunk in hunks:
            old, new = ("\n" + "\n".join(lines) + "\n" for lines in (hunk.old, hunk.new))
            if content.count(old) != 1:
                raise PatchError(
                    f"{name}: a hunk fits {path} at {content.count(old)} places, not at one, near "
                    f"{hunk.old[0].strip()!r}: refresh the patch"
                )
            content = content.replace(old, new)
        found[path] = content[1:]
    return found


def apply(name: str, text: str, tree: Path) -> None:
    """Apply a patch to a tree, whole or not at all."""
    for path, content in patched(name, text, tree).items():
        tree.joinpath(path).write_text(content)
