"""Everything that the size for CI needs is fetched before any test's own time limit runs."""

from __future__ import annotations

import pytest

from streams.local.services import fetch


def pytest_collection_finish(session: pytest.Session) -> None:
    """Fetch what the broker is made of."""
    asked = any("summary" in getattr(item, "fixturenames", ()) for item in session.items)
    if asked and not session.config.option.collectonly:
        fetch(_tell)


def _tell(text: str, passing: bool) -> None:
    if not passing:
        print(text)
