"""A broker behind a frame proxy for the tests of this folder: one for the whole run."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator

import pytest

from streams.local.services import fetch
from tests.fault.proxy import FrameProxy
from tests.fault.proxy_kafka import Wire, wired_kafka
from tests.integration.oracle import Oracle


def pytest_collection_finish(session: pytest.Session) -> None:
    """Fetch what the broker is made of before any test's own time limit runs."""
    asked = any("wire" in getattr(item, "fixturenames", ()) for item in session.items)
    if asked and not session.config.option.collectonly:
        fetch(_tell)


@pytest.fixture(scope="session")
def wire(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wire]:
    """A broker on free ports with a frame proxy before it; it dies with the run and leaves nothing."""
    with wired_kafka(tmp_path_factory.mktemp("wire")) as running:
        yield running


@pytest.fixture
def proxy(wire: Wire) -> Iterator[FrameProxy]:
    """The proxy; no rule outlives the test."""
    yield wire.proxy
    wire.proxy.disarm()


@pytest.fixture
def wire_oracle(wire: Wire) -> Oracle:
    """A reader of topics that goes past the proxy and knows nothing of the engine."""
    return Oracle(wire.direct)


@pytest.fixture
def wire_prefix(request: pytest.FixtureRequest) -> str:
    """A prefix for topics and groups that no other test of the run has."""
    digest = hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:8]
    readable = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower()).strip("-")[:40]
    return f"{readable}-{digest}."


def _tell(text: str, passing: bool) -> None:
    if not passing:
        print(text)
