"""Schemas as they were: in a folder, at a revision of git, or in a registry."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from schemas import compat
from schemas.canonical import full_name
from schemas.catalog import Schema, SchemaSourceError, parse, read_folder
from schemas.compat import Finding
from schemas.registry_port import DEFAULT_LEVEL, Registry

GIT_SECONDS = 30
"""Longest that one git command may take."""

MAX_FILES = 10_000
MAX_BYTES = 5_000_000
"""Most bytes of one schema file at a revision."""


class HistoryError(Exception):
    """What a schema is to be compared with can't be read."""


@dataclass(frozen=True, slots=True)
class Past:
    """What one record's schema is compared with.

    Attributes:
        subject: of the registry, or the record's full name.
        name: the record's full name.
        level: the level to check at.
        versions: (version, text), oldest first.
    """

    subject: str
    name: str
    level: str
    versions: tuple[tuple[str, str], ...]


def _git(root: Path, *arguments: str, stdin: bytes = b"") -> bytes:
    command = ["git", "-C", str(root), *arguments]
    try:
        done = subprocess.run(  # noqa: S603 - a fixed program, arguments checked by the callers
            command, input=stdin, capture_output=True, timeout=GIT_SECONDS, check=False
        )
    except FileNotFoundError as error:
        raise HistoryError("there is no git, or no such folder") from error
    except subprocess.TimeoutExpired as error:
        raise HistoryError(f"git did not answer in {GIT_SECONDS} s") from error
    if done.returncode:
        words = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise HistoryError(words[0] if words else f"git ended with {done.returncode}")
    return done.stdout


def files_at(root: Path, revision: str) -> dict[str, str]:
    """Return the text of every `.avsc` file under a folder at a revision, by path within it.

    Raises:
        HistoryError: no repository, no such revision, or git doesn't answer.
        SchemaSourceError: a file that is no text.
    """
    if not revision or revision.startswith("-") or any(c in revision for c in " :\n\0"):
        raise HistoryError(f"{revision!r} is no revision")
    try:
        _git(root, "rev-parse", "--verify", f"{revision}^{{commit}}")
    except HistoryError as error:
        raise HistoryError(f"no revision {revision} of {root.name}: {error}") from error
    listed = _git(root, "ls-tree", "-r", "-z", "--name-only", revision, "--", ".").split(b"\0")
    paths = [name.decode() for name in listed if name.endswith(b".avsc")]
    if len(paths) > MAX_FILES or any("\n" in path for path in paths):
        raise HistoryError("too many files, or one with a line break in its name")
    asked = "".join(f"{revision}:./{path}\n" for path in paths).encode()
    answer = _git(root, "cat-file", "--batch", stdin=asked) if paths else b""
    files: dict[str, str] = {}
    at = 0
    for path in paths:
        end = answer.index(b"\n", at)
        size = answer[at:end].rpartition(b" ")[2]
        if not size.isdigit() or int(size) > MAX_BYTES:
            raise HistoryError(f"{path} can't be read at {revision}")
        start = end + 1
        at = start + int(size) + 1  # a line break follows each
        try:
            files[path] = answer[start : at - 1].decode()
        except UnicodeDecodeError as error:
            raise SchemaSourceError(path, "is not UTF-8") from error
    return files


def past_of_files(files: Mapping[str, str], label: str, level: str | None) -> Iterator[Past]:
    """Yield what each record of earlier files looked like.

    Raises:
        SchemaSourceError: an earlier file is no schema.
    """
    for schema in parse(files).values():
        yield Past(schema.name, schema.name, level or DEFAULT_LEVEL, ((label, schema.text),))


def past_of_folder(root: Path, level: str | None) -> Iterator[Past]:
    """Yield what each record looks like in another folder."""
    if not root.is_dir():
        raise HistoryError(f"{root} is no folder")
    yield from past_of_files(read_folder(root), str(root), level)


def past_of_registry(registry: Registry, level: str | None) -> Iterator[Past]:
    """Yield every version of every subject of a registry; the subject's own level holds."""
    for subject in registry.subjects():
        versions = registry.versions(subject)
        name = _name_of(versions[-1].text)
        if name:
            yield Past(
                subject,
                name,
                level or registry.level(subject),
                tuple((f"{subject} v{version.number}", version.text) for version in versions),
            )


def _name_of(text: str) -> str:
    """Return the full name of a registered record, empty for what is no record."""
    document = json.loads(text)
    if not isinstance(document, dict) or "name" not in document:
        return ""
    return full_name(str(document["name"]), str(document.get("namespace", "")))


def compare(
    now: Mapping[str, Schema], past: Iterator[Past], *, foreign: bool
) -> tuple[list[Finding], dict[str, list[str]]]:
    """Check the schemas of today against what they were.

    Args:
        now: by full name.
        past: what is known of earlier ones.
        foreign: whether a record that is not among today's belongs to somebody else (a registry
            is shared) instead of having been removed.
    Returns:
        The findings, and which subjects each of today's records was compared with.
    """
    findings: list[Finding] = []
    compared: dict[str, list[str]] = {}
    for one in past:
        schema = now.get(one.name)
        if schema is not None:
            compared.setdefault(one.name, []).append(one.subject)
            findings += compat.check(
                schema.text, one.versions, one.level, subject=one.subject, semantics=True
            )
        elif not foreign and one.level != "NONE":
            findings.append(
                Finding(
                    "schema_removed",
                    one.subject,
                    one.name,
                    compat.BACKWARD,
                    one.versions[-1][0],
                    "the schema is gone, and its records can't be read any more",
                    "keep the source as long as records of it are kept",
                )
            )
    return findings, compared
