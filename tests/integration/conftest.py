"""Real services for the tests of this folder: one broker and one registry for the whole run."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from streams.local.services import Services, fetch, local_services
from tests.integration.oracle import Oracle
from tests.integration.workers import Workers


def pytest_collection_finish(session: pytest.Session) -> None:
    """Fetch what the services are made of before any test's own time limit runs."""
    asked = any("services" in getattr(item, "fixturenames", ()) for item in session.items)
    if asked and not session.config.option.collectonly:
        fetch(_tell)


@pytest.fixture(scope="session")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    """A broker and a registry on free ports; they die with the run and leave nothing behind."""
    data: Path = tmp_path_factory.mktemp("services")
    with local_services(data, die_with_parent=True, remove=True) as running:
        yield running


@pytest.fixture
def topic_prefix(request: pytest.FixtureRequest) -> str:
    """A prefix for topics, groups and subjects that no other test of the run has."""
    digest = hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:8]
    readable = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower()).strip("-")[:40]
    return f"{readable}-{digest}."


@pytest.fixture
def oracle(services: Services) -> Oracle:
    """A reader of topics that knows nothing of the engine."""
    return Oracle(services.bootstrap)


@pytest.fixture
def workers(tmp_path: Path, services: Services, topic_prefix: str) -> Iterator[Workers]:
    """Starts workers as processes; kills at the end what still runs."""
    group = Workers(
        tmp_path / "workers",
        FILLONCE_KAFKA__BOOTSTRAP=services.bootstrap,
        TEST_PREFIX=topic_prefix,
    )
    yield group
    group.end()


def _tell(text: str, passing: bool) -> None:
    if not passing:
        print(text)
