"""Named points of the commit protocol at which a test may kill the process: off unless asked for.

`FILLONCE_FAILPOINT=after_offsets:3` kills the process with SIGKILL the third time it comes by.
"""

from __future__ import annotations

import os
import signal

from streams.engine.errors import ConfigError

VARIABLE = "FILLONCE_FAILPOINT"
NAMES = (
    "after_init",
    "after_assign",
    "during_restore",
    "after_restore",
    "after_poll",
    "after_begin",
    "mid_batch",
    "after_dead_letter",
    "after_barrier",
    "after_changelog",
    "after_journal",
    "before_flush",
    "after_flush",
    "after_offsets",
    "before_commit",
    "after_commit",
    "before_store",
    "mid_store",
    "after_store",
    "before_abort",
    "after_abort",
    "before_recycle",
    "after_recycle",
    "idle_commit",
    "source_flushed",
    "source_committed",
)
"""In the order of the protocol: start, batch, commit, store, abort, the idle commit, sources."""


class Failpoint:
    """The one point that is armed, and how many more times it is passed before it strikes."""

    def __init__(self, asked: str) -> None:
        name, _, count = asked.partition(":")
        if name and (name not in NAMES or not (count or "1").isdigit()):
            raise ConfigError(
                f"{VARIABLE} is NAME or NAME:COUNT with one of {', '.join(NAMES)}; not {asked!r}"
            )
        self.name = name
        self.left = int(count or 1)

    def hit(self, name: str) -> None:
        """Count one pass of a point; kill this process when it was the last one allowed."""
        if name != self.name:
            return
        self.left -= 1
        if self.left <= 0:
            os.write(2, f"failpoint {name}: killed\n".encode())
            os.kill(os.getpid(), signal.SIGKILL)


armed = Failpoint(os.environ.get(VARIABLE, ""))
"""The point of this process; on the path of every record its name is compared first."""


def failpoint(name: str) -> None:
    """Tell that the protocol passes a point where a crash may be tried."""
    armed.hit(name)
