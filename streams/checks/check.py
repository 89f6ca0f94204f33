"""The outcome of one check."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

_SHOWN: Final = 3


@dataclass(frozen=True, slots=True)
class Check:
    """One named check: whether it holds, and what was seen."""

    name: str
    ok: bool
    detail: str


def verdict(name: str, problems: Sequence[str], fine: str) -> Check:
    """Return a check that holds if there is no problem.

    Args:
        name: of the check.
        problems: one line each.
        fine: what was seen, where all is well.
    """
    if not problems:
        return Check(name, True, fine)
    shown = "; ".join(problems[:_SHOWN])
    more = len(problems) - _SHOWN
    return Check(
        name, False, f"{len(problems)} wrong: {shown}" + (f"; and {more} more" if more > 0 else "")
    )
