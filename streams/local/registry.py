"""Apicurio Registry with the Confluent API, on loopback, with its database in one folder."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from pathlib import Path

from processors.errors import ConfigError, UnavailableError
from streams.local.artifacts import Notify, install_archive, quiet, resolve
from streams.local.java import Java, find_java
from streams.local.processes import Daemon, ProcessRef

_HOST = "127.0.0.1"
_LEVEL = "FULL_TRANSITIVE"
_JVM = ("-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData")
_SETTINGS = (
    f"-Dquarkus.http.host={_HOST}",
    # Its management port listens on every interface unless it is told otherwise.
    f"-Dquarkus.management.host={_HOST}",
    "-Dquarkus.log.level=WARN",
    "-Dquarkus.banner.enabled=false",
    "-Dquarkus.http.access-log.enabled=false",
    "-Dapicurio.datasource.jdbc.initial-size=1",
    "-Dapicurio.datasource.jdbc.min-size=1",
    "-Dapicurio.datasource.jdbc.max-size=8",
    f"-Dapicurio.rules.global.compatibility={_LEVEL}",
)


class LocalRegistry(Daemon):
    """One registry whose level is FULL_TRANSITIVE unless a subject says otherwise.

    Args:
        folder: database and log.
        port: for clients.
        management_port: for itself.
        die_with_parent: see `streams.local.processes.spawn`.
        process: a process of an earlier start that is to be taken over.
    """

    name = "registry"

    def __init__(
        self,
        folder: Path,
        *,
        port: int,
        management_port: int,
        die_with_parent: bool = False,
        process: ProcessRef | None = None,
    ) -> None:
        super().__init__(folder, die_with_parent=die_with_parent, process=process)
        self.port = port
        self.management_port = management_port
        self._java: Java | None = None
        self._home: Path | None = None

    @property
    def address(self) -> str:
        """Base URL of the Confluent API."""
        return f"http://{_HOST}:{self.port}/apis/ccompat/v7"

    @property
    def ports(self) -> tuple[int, ...]:
        """All ports that it listens on."""
        return (self.port, self.management_port)

    def provide(self, notify: Notify = quiet) -> None:
        """Find Java and the registry's program.

        Args:
            notify: told what is being done.
        """
        self._java = self._java or find_java()
        self._home = self._home or resolve("registry", install=install_archive, notify=notify)

    def prepare(self) -> None:
        """Refuse a folder that the database's address cannot name."""
        if ";" in str(self.folder):
            raise ConfigError(
                "the data folder may not have a semicolon in its name", folder=str(self.folder)
            )

    def command(self) -> list[str | Path]:
        """Program and arguments."""
        if self._java is None or self._home is None:
            raise UnavailableError("the registry was not provided before its start")
        return [
            self._java.path,
            *_JVM,
            *_SETTINGS,
            f"-Djava.io.tmpdir={self.folder / 'tmp'}",
            f"-Dquarkus.http.port={self.port}",
            f"-Dquarkus.management.port={self.management_port}",
            f"-Dapicurio.datasource.url=jdbc:h2:file:{self.folder / 'h2' / 'registry'}",
            "-jar",
            self._home / "quarkus-run.jar",
        ]

    def probe(self) -> bool:
        """Whether it answers with the level that it was started with."""
        try:
            with _LOOPBACK.open(f"{self.address}/config", timeout=5) as answer:
                told = json.load(answer)
        except (OSError, urllib.error.URLError, ValueError):
            return False
        return isinstance(told, dict) and told.get("compatibilityLevel") == _LEVEL


# A proxy that the environment names is not asked for what is on this machine.
_LOOPBACK = urllib.request.build_opener(urllib.request.ProxyHandler({}))
