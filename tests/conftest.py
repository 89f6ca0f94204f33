"""What all rings share: profiles of hypothesis, the network policy, the order of the rings."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

LOOPBACK = ["127.0.0.1", "::1", "localhost"]
"""The hosts that integration, fault and chaos tests may connect to; the other rings: none."""

SERVICE_RINGS = ("integration", "fault", "chaos")
"""Rings that start real services: last, one test after the other, in one process."""

_PLACE = {ring: place for place, ring in enumerate(SERVICE_RINGS, start=1)}
_HERE = Path(__file__).parent

# No deadline a case: the machine is shared, and a slow case is no wrong one. Time-outs are pytest's.
settings.register_profile("dev", max_examples=50, deadline=None)
settings.register_profile(
    "ci",
    max_examples=300,
    deadline=None,
    derandomize=True,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("nightly", max_examples=20_000, deadline=None, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "dev"))


def ring_of(path: Path) -> str:
    """Name the ring of a test file: the folder right under tests/."""
    inside = path.relative_to(_HERE)
    return inside.parts[0] if len(inside.parts) > 1 else ""


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the rings with services, let them reach loopback, and put them last, in one group.

    With `--dist loadgroup --no-loadscope-reorder` the fast tests are dealt out first, and the
    group then runs in one worker: one Kafka for all of them, and one closing line for the run.
    """
    for item in items:
        ring = ring_of(item.path)
        if ring in SERVICE_RINGS:
            item.add_marker(ring)
            item.add_marker(pytest.mark.allow_hosts(LOOPBACK))
            item.add_marker(pytest.mark.xdist_group("services"))
    items.sort(key=lambda item: _PLACE.get(ring_of(item.path), 0))


@pytest.fixture(autouse=True)
def wide_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give tables a width: a narrow one folds its cells, and the terminal's is nobody's to know."""
    monkeypatch.setenv("COLUMNS", "220")
