"""Fetch what the local services are made of, check it, and keep it outside the work tree."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path

from processors.errors import ConfigError, Disposition, PipelineError, UnavailableError

Notify = Callable[[str, bool], None]  # a line for people; True: it stands for a moment only
Install = Callable[[Path, Path], None]  # checked files, folder to fill
_PROGRESS = re.compile(r"Progress \(\d+\): .*?([\d.]+(?:/[\d.]+)? [kMG]?B)")


class ArtifactError(PipelineError):
    """A file that was fetched is not the one that was pinned."""

    disposition = Disposition.STOP


@dataclass(frozen=True, slots=True)
class Artifact:
    """One entry of artifacts.toml: a coordinate, and the SHA-512 of every file it comes as."""

    name: str
    coordinate: str
    version: str
    goal: str
    files: dict[str, str]

    @property
    def folder_name(self) -> str:
        """Name in the cache: a changed list of files is another folder."""
        listed = "".join(f"{name}={digest};" for name, digest in sorted(self.files.items()))
        return f"{self.name}-{self.version}-{hashlib.sha256(listed.encode()).hexdigest()[:8]}"


@cache
def pinned() -> dict[str, Artifact]:
    """Return the artifacts of artifacts.toml by name."""
    text = resources.files(__package__).joinpath("artifacts.toml").read_text("utf-8")
    return {name: Artifact(name=name, **entry) for name, entry in tomllib.loads(text).items()}


def cache_folder() -> Path:
    """Return where artifacts are kept: `FILLONCE_CACHE`, else the user's cache folder."""
    chosen = os.environ.get("FILLONCE_CACHE")
    if chosen:
        return Path(chosen).expanduser().absolute()
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "fillonce"


def quiet(_text: str, _passing: bool) -> None:
    """Tell nobody."""


def install_files(checked: Path, target: Path) -> None:
    """Keep the files as they came."""
    for file in checked.iterdir():
        file.rename(target / file.name)


def install_archive(checked: Path, target: Path) -> None:
    """Keep what the archives hold, and not the archives."""
    for file in checked.iterdir():
        with tarfile.open(file) as archive:
            # Early releases of Python 3.11 have no filters; the digest vouches for the content.
            archive.extraction_filter = getattr(
                tarfile, "data_filter", lambda member, _path: member
            )
            archive.extractall(target)  # noqa: S202 - pinned by digest, and filtered


def resolve(name: str, *, install: Install = install_files, notify: Notify = quiet) -> Path:
    """Return the folder that holds an artifact, fetched now if it is not in the cache.

    Two programs may ask at once: one fetches, the other waits for it. The folder appears whole or
    not at all.

    Args:
        name: of an entry in artifacts.toml.
        install: what is done with the checked files.
        notify: told what is being done.
    Raises:
        ConfigError: Maven is not installed.
        UnavailableError: Maven could not fetch it.
        ArtifactError: what came is not what was pinned.
    """
    artifact = pinned()[name]
    target = cache_folder() / artifact.folder_name
    if target.is_dir():
        return target
    with _locked(cache_folder() / f".{artifact.folder_name}.lock"):
        if target.is_dir():
            return target
        with tempfile.TemporaryDirectory(prefix=".new-", dir=cache_folder()) as scratch:
            fetched, filled = Path(scratch, "fetched"), Path(scratch, "filled")
            fetched.mkdir()
            filled.mkdir()
            _fetch(artifact, fetched, notify)
            notify(f"checking {artifact.coordinate}", True)
            verify(artifact, fetched)
            install(fetched, filled)
            filled.rename(target)
        notify(f"{artifact.coordinate} is ready", False)
    return target


def verify(artifact: Artifact, folder: Path) -> None:
    """Compare the files of a folder with the pinned ones.

    Args:
        artifact: what is expected.
        folder: what came.
    Raises:
        ArtifactError: a file is missing, not listed, or another one than was pinned.
    """
    present = {file.name for file in folder.iterdir()}
    if present != artifact.files.keys():
        raise ArtifactError(
            "the fetched files are not those that were pinned",
            coordinate=artifact.coordinate,
            missing=sorted(artifact.files.keys() - present),
            unlisted=sorted(present - artifact.files.keys()),
        )
    for name, expected in artifact.files.items():
        with folder.joinpath(name).open("rb") as file:
            digest = hashlib.file_digest(file, "sha512").hexdigest()
        if digest != expected:
            raise ArtifactError(
                "a fetched file is not the one that was pinned",
                file=name,
                expected_sha512=expected,
                sha512=digest,
            )


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)  # the kernel lets go of it however we end
        yield


def _fetch(artifact: Artifact, into: Path, notify: Notify) -> None:
    maven = shutil.which("mvn")
    if maven is None:
        raise ConfigError(
            "Maven is needed to fetch the local services: install it (package `maven`), or use"
            " services that run already",
            coordinate=artifact.coordinate,
        )
    with resources.as_file(resources.files(__package__).joinpath("pom.xml")) as pom:
        command = [maven, "-f", str(pom), f"-Dout={into}", "-Dstyle.color=never", artifact.goal]
        # Without the network first: quicker, and enough where the local repository has it all.
        if _run([*command, "-o", "-B", "-q"], notify)[0] == 0:
            return
        for left_over in into.iterdir():
            left_over.unlink()
        notify(f"downloading {artifact.coordinate}", False)
        status, lines = _run(command, notify)
    if status != 0:
        errors = [line for line in lines if line.startswith("[ERROR]")] or lines[-5:]
        raise UnavailableError(
            "Maven could not fetch an artifact",
            coordinate=artifact.coordinate,
            detail=errors[0] if errors else f"exit status {status}",
        )


def _run(command: list[str], notify: Notify) -> tuple[int, list[str]]:
    """Run Maven, tell its progress, and return its status and last lines."""
    lines: list[str] = []
    with subprocess.Popen(  # noqa: S603 - no shell, and the arguments are ours
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as maven:
        if maven.stdout is None:
            raise UnavailableError("Maven's output could not be read")
        for line in maven.stdout:  # universal newlines: a progress line ends with a carriage return
            progress = _PROGRESS.search(line)
            if progress:
                notify(f"downloading {progress.group(1)}", True)
            elif line.strip():
                lines = [*lines[-50:], line.strip()]
    return maven.returncode, lines
