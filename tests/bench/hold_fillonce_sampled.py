"""The hold workload on the engine, with a look at the event loop's stack every two milliseconds.

The shares go to the file that `BENCH_PROFILE` names, about once a second: the worker is killed when it is done.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from types import FrameType

from tests.bench.hold_fillonce import app

__all__ = ["app"]

EVERY_SECONDS = 0.002
WAITING = "selectors"
ROOT = str(Path(__file__).parents[2])


def name_of(frame: FrameType) -> str:
    """Return file and function of a frame; of files that are not ours only the file's name."""
    path = Path(frame.f_code.co_filename)
    if not str(path).startswith(ROOT) or ".venv" in path.parts:
        return path.stem
    return f"{path.relative_to(ROOT)}:{frame.f_code.co_qualname}"


class Sampler(threading.Thread):
    """Counts, for each function, the looks that found it running, and those that found it on the stack."""

    def __init__(self, target: Path) -> None:
        super().__init__(name="sampler", daemon=True)
        self._target = target
        self._watched = threading.main_thread().ident
        self.looks = 0
        self.running: Counter[str] = Counter()
        self.on_stack: Counter[str] = Counter()

    def run(self) -> None:
        """Look until the process ends."""
        written = time.monotonic()
        while True:
            time.sleep(EVERY_SECONDS)
            frame = sys._current_frames().get(self._watched or 0)
            names = []
            while frame is not None:
                names.append(name_of(frame))
                frame = frame.f_back
            if names and names[0] != WAITING:
                self.looks += 1
                self.running[names[0]] += 1
                self.on_stack.update(set(names))
            if time.monotonic() - written > 1:
                written = time.monotonic()
                self._write()

    def _write(self) -> None:
        shares = {
            kind: {
                name: round(count / max(self.looks, 1), 4) for name, count in counts.most_common(60)
            }
            for kind, counts in (("running", self.running), ("on_stack", self.on_stack))
        }
        half = self._target.with_suffix(".part")
        half.write_text(json.dumps({"looks": self.looks, **shares}))
        half.replace(self._target)


if target := os.environ.get("BENCH_PROFILE"):
    Sampler(Path(target)).start()
