"""Faults 8 and 9: the disk of the tables is full; their files are damaged."""

from __future__ import annotations

import hashlib
import os
import resource
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.chaos.faults.kills import store_of
from tests.chaos.processes import Worker, eventually
from tests.chaos.run import Run

TMPFS_BYTES = 16 * 1024 * 1024


@contextmanager
def small_disk(folder: Path) -> Iterator[bool]:
    """Mount a small tmpfs on a folder for the length of a block, where we may; say whether."""
    folder.mkdir(parents=True, exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={TMPFS_BYTES}", "tmpfs", str(folder)]
    done = subprocess.run(command, capture_output=True, check=False) if os.geteuid() == 0 else None
    if done is None or done.returncode:
        yield False
        return
    try:
        yield True
    finally:
        subprocess.run(["umount", "-l", str(folder)], capture_output=True, check=False)


def full(run: Run) -> None:
    """Fill the disk under a worker: it ends with a status that is not 0, and starts again when freed.

    Without the right to mount a disk, the kernel's limit on the size of the worker's files stands in.
    """
    state = run.folder / "state-0"
    with small_disk(state) as mounted:
        run.feed(1_000)
        worker = run.started()
        run.require(eventually(lambda: run.behind() == 0, 40, 0.1), f"no start: {worker.tail()}")
        how = _fill(run, state) if mounted else _limit(worker)
        run.feed(4_000)
        run.feed_steadily(500)
        status = worker.wait(60)
        run.enough()
        run.hit(f"{how}: the worker ended with {status}")
        run.hold(status not in (None, 0, -11, -6), f"disk full: exit {status}: {worker.tail()}")
        if mounted:
            again = run.start()
            run.hold(again.wait(8) != 0, "disk full: a second start ended with 0")
            again.kill()
            state.joinpath("ballast").unlink()
        last = run.started()
        run.hold(
            eventually(lambda: run.behind() == 0, 40, 0.1),
            f"nothing is processed once the disk is free again: {last.tail()}",
        )
        # The folder goes with the mount: the last worker restores from the changelog.
        last.terminate()


def _fill(run: Run, state: Path) -> str:
    with state.joinpath("ballast").open("wb", buffering=0) as file, suppress(OSError):
        while file.write(bytes(4096)):
            pass
    disk = os.statvfs(state)
    free = disk.f_bavail * disk.f_frsize
    run.require(free < 4096, "the disk is not full")
    return f"tmpfs of {TMPFS_BYTES >> 20} MB, {free} bytes free"


def _limit(worker: Worker) -> str:
    size = 192 * 1024
    resource.prlimit(worker.process.pid, resource.RLIMIT_FSIZE, (size, size))
    return f"no right to mount: files of at most {size >> 10} KB"


def damaged(run: Run, times: int) -> None:
    """Flip bits in the store's files, or cut them short: noticed or wiped, never wrong values."""
    run.feed(2_000)
    for number in range(times):
        run.feed(1_500)
        worker = run.started()
        run.require(eventually(lambda: run.behind() == 0, 40, 0.1), f"no start: {worker.tail()}")
        if number % 2:
            worker.kill()
        else:
            worker.terminate()
        what = _damage(run, cut=number % 3 == 2)
        run.require(what, "the store has no file to damage")
        run.hit(what)
        run.feed(200)
        again = run.start()
        if not again.ready():
            status = again.wait(5)
            run.hold(
                status not in (None, 0), f"damaged: it neither starts nor ends: {again.tail()}"
            )
            run.broke(
                f"damaged ({what}): exit {status}, the partition was not wiped: {again.tail()}"
            )
            return
        run.hold(
            eventually(lambda: run.behind() == 0, 40, 0.1), f"damaged: no progress: {again.tail()}"
        )
        again.terminate()


def _damage(run: Run, *, cut: bool) -> str:
    folders = sorted(run.folder.glob("state-*"))
    files = [p for folder in folders for p in store_of(folder) if p.suffix in {".sst", ".log"}]
    files = [p for p in files if p.stat().st_size > 64] or [
        p for folder in folders for p in store_of(folder) if p.name.startswith("MANIFEST")
    ]
    if not files:
        return ""
    path = run.chance.choice(files[:6])
    data = bytearray(path.read_bytes())
    before = hashlib.sha256(data).hexdigest()
    if cut:
        del data[len(data) * 2 // 3 :]
    else:
        for _ in range(12):
            at = run.chance.randrange(len(data))
            data[at] ^= 1 << run.chance.randrange(8)
    path.write_bytes(bytes(data))
    changed = hashlib.sha256(data).hexdigest() != before
    how = "cut to two thirds" if cut else "12 bits flipped"
    return f"{path.name} {how}" if changed else ""
