"""Who may import whom: import-linter's contracts, and what they cannot say."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

from tests.architecture import tree

IMPURE = frozenset(
    "asyncio concurrent ctypes http io logging multiprocessing os pathlib random secrets select "
    "selectors shutil signal socket ssl subprocess tempfile threading time urllib uuid".split()
)
"""Modules of the standard library that the core may not touch: clock, chance, IO, threads."""

CORE_THIRD_PARTIES = ("annotated_types", "pydantic", "pydantic_core", "typing_extensions")

KAFKA_CLIENTS = (
    "schemas.registry",
    "streams.checks",
    "streams.cli",
    "streams.engine",
    "streams.local",
    "streams.replay",
)
"""Where confluent_kafka may be imported."""


def _module(name: str) -> str:
    return name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def test_contracts_hold() -> None:
    """import-linter finds every contract of pyproject.toml kept."""
    tool = Path(sysconfig.get_path("scripts")) / "lint-imports"
    environment = {**os.environ, "PYTHONPATH": str(tree.ROOT)}
    run = subprocess.run(
        [sys.executable, str(tool), "--no-cache"],
        cwd=tree.ROOT, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout + run.stderr
    assert " 0 broken" in run.stdout


def test_core_is_standard_library_and_pydantic() -> None:
    """A module of processors imports pure standard library, pydantic and processors: no more."""
    wrong = [
        f"{name}:{line}: {module}"
        for name, text in tree.sources("processors")
        for line, module in tree.imports(name, text)
        if not tree.is_under(module, "processors", *CORE_THIRD_PARTIES)
        and (module.split(".")[0] not in sys.stdlib_module_names or tree.is_under(module, *IMPURE))
    ]
    assert wrong == []


def test_engine_stands_alone() -> None:
    """streams.engine could be published by itself: of ours it imports only streams.engine."""
    wrong = [
        f"{name}:{line}: {module}"
        for name, text in tree.sources("streams/engine")
        for line, module in tree.imports(name, text)
        if tree.is_under(module, *tree.PACKAGES) and not tree.is_under(module, "streams.engine")
    ]
    assert wrong == []


def test_gate_needs_no_core() -> None:
    """Of schemas, only what meets the records imports processors: the gate serves others too."""
    free = {"schemas.catalog", "schemas.compat", "schemas.registry"}
    wrong = [
        f"{name}:{line}: {module}"
        for name, text in tree.sources("schemas")
        for line, module in tree.imports(name, text)
        if _module(name) in free and tree.is_under(module, "processors")
    ]
    assert wrong == []


def test_clients_stay_in_their_modules() -> None:
    """ccxt, fastavro, the Kafka client and Faust are imported only where they are the business."""
    allowed = {
        "ccxt": ("connectors.ccxt_errors", "connectors.ccxt_market", "connectors.ccxt_orders"),
        "confluent_kafka": KAFKA_CLIENTS,
        "fastavro": ("schemas",),
        "faust": ("streams",),
        "influxdb_client": ("connectors.influx_history", "connectors.influx_sink"),
        "mode": ("streams",),
    }
    wrong = [
        f"{name}:{line}: {module}"
        for name, text in tree.sources(*tree.PACKAGES)
        for line, module in tree.imports(name, text)
        for client, homes in allowed.items()
        if tree.is_under(module, client) and not tree.is_under(_module(name), *homes)
    ]
    assert wrong == []


def test_checks_share_nothing_with_what_they_check() -> None:
    """The checker and the summary read history by themselves: of streams only each other."""
    wrong = [
        f"{name}:{line}: {module}"
        for name, text in tree.sources("streams/checks", "streams/summary")
        for line, module in tree.imports(name, text)
        if tree.is_under(module, "streams", "connectors", "faust", "mode")
        and not tree.is_under(module, "streams.checks", "streams.summary")
    ]
    assert wrong == []


def test_agents_know_nothing_of_each_other() -> None:
    """An agent is wiring: it meets another one only through a topic."""
    wrong = [
        f"{name}:{line}: {module}"
        for name, text in tree.sources("streams/agents")
        for line, module in tree.imports(name, text)
        if tree.is_under(module, "streams.agents") and not name.endswith("__init__.py")
    ]
    assert wrong == []


def test_tests_are_never_imported_by_what_ships() -> None:
    """Nothing of the wheel imports the tests or deploy."""
    wrong = [
        f"{name}:{line}: {module}"
        for name, text in tree.sources(*tree.PACKAGES)
        for line, module in tree.imports(name, text)
        if tree.is_under(module, "tests", "deploy", "hypothesis", "pytest", "talib")
    ]
    assert wrong == []
