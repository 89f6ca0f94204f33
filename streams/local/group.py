"""The services of one data folder, and the record that the folder keeps of them."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from processors.errors import ConfigError
from streams.local.artifacts import Notify, quiet
from streams.local.kafka import LocalKafka
from streams.local.processes import ProcessRef
from streams.local.registry import LocalRegistry

START_SECONDS = 120.0
LOCK = ".lock"  # held while services are being started
_STATE = "state.json"


@dataclass(frozen=True, slots=True)
class ServiceStatus:
    """What is known of one service at one moment."""

    name: str
    status: str  # up, unready (runs, does not answer), dead (recorded, does not run), stopped
    address: str
    pid: int | None
    log: str


class Services:
    """The services of one data folder.

    Args:
        data: the folder; made at the first start.
        kafka: the broker, if there is to be one.
        registry: the registry, if there is to be one.
    """

    def __init__(
        self, data: Path, *, kafka: LocalKafka | None = None, registry: LocalRegistry | None = None
    ) -> None:
        self.data = data.absolute()
        self._kafka = kafka
        self._registry = registry

    @property
    def kafka(self) -> LocalKafka:
        """The broker.

        Raises:
            ConfigError: these services were made without one.
        """
        if self._kafka is None:
            raise ConfigError("these services have no broker", data=str(self.data))
        return self._kafka

    @property
    def registry(self) -> LocalRegistry:
        """The registry.

        Raises:
            ConfigError: these services were made without one.
        """
        if self._registry is None:
            raise ConfigError("these services have no registry", data=str(self.data))
        return self._registry

    @property
    def bootstrap(self) -> str:
        """Host and port of the broker."""
        return self.kafka.address

    @property
    def registry_url(self) -> str:
        """Base URL of the registry's Confluent API."""
        return self.registry.address

    @property
    def members(self) -> tuple[LocalKafka | LocalRegistry, ...]:
        """The services that there are, the slowest to start first."""
        return tuple(one for one in (self._registry, self._kafka) if one is not None)

    def start(self, *, timeout: float = START_SECONDS, notify: Notify = quiet) -> None:
        """Start what does not run, all at once, and return when all answer.

        Args:
            timeout: seconds for the start itself; a first download is not counted.
            notify: told what is being done.
        Raises:
            UnavailableError: a service ended or did not answer in time; those that run are left.
        """
        for one in self.members:
            one.provide(notify)
        notify("starting " + " and ".join(one.name for one in self.members), True)
        deadline = time.monotonic() + timeout
        try:
            # From this thread, one by one: a child that dies with its parent dies with the thread.
            for one in self.members:
                one.spawn()
            self.save()
            for one in self.members:
                one.wait_ready(deadline)
        finally:
            self.save()

    def stop(self) -> None:
        """End all cleanly, the data is kept."""
        for one in self.members:
            one.stop()
        self.save()

    def remove_data(self) -> None:
        """Remove all that the services stored; nothing else that stands in the folder."""
        for one in self.members:
            shutil.rmtree(one.folder, ignore_errors=True)
        self.data.joinpath(_STATE).unlink(missing_ok=True)
        self.data.joinpath(LOCK).unlink(missing_ok=True)
        with suppress(OSError):  # something else is in it
            self.data.rmdir()

    def start_kafka(self, *, timeout: float = START_SECONDS) -> None:
        """Start the broker again, on the ports that it had.

        Args:
            timeout: seconds.
        """
        self.kafka.spawn()
        self.save()
        self.kafka.wait_ready(time.monotonic() + timeout)

    def stop_kafka(self) -> None:
        """End the broker cleanly."""
        self.kafka.stop()
        self.save()

    def kill_kafka(self) -> None:
        """End the broker as a crash would."""
        self.kafka.kill()
        self.save()

    def status(self) -> list[ServiceStatus]:
        """Look at each service now."""
        return [
            ServiceStatus(one.name, _status_of(one), one.address, one.pid, str(one.log))
            for one in reversed(self.members)
        ]

    def save(self) -> None:
        """Write down, whole or not at all, where the services are and which processes."""
        entries: dict[str, Any] = {}
        for one in self.members:
            entries[one.name] = {
                "address": one.address,
                "ports": list(one.ports),
                "pid": one.pid,
                "born": one.process.born if one.process else None,
                "log": str(one.log),
            }
        self.data.mkdir(parents=True, exist_ok=True)
        draft = self.data / f"{_STATE}.{os.getpid()}"
        draft.write_text(json.dumps({"version": 1, "services": entries}, indent=2) + "\n")
        draft.replace(self.data / _STATE)

    @classmethod
    def load(cls, data: Path) -> Services | None:
        """Return the services that a folder remembers, None if it remembers none.

        Args:
            data: the folder.
        Raises:
            ConfigError: the folder's record cannot be read.
        """
        path = data / _STATE
        try:
            entries = json.loads(path.read_text())["services"]
            kafka, registry = entries.get("kafka"), entries.get("registry")
            return cls(
                data,
                kafka=make_kafka(data, kafka["ports"], process=_process(kafka))
                if kafka is not None
                else None,
                registry=make_registry(data, registry["ports"], process=_process(registry))
                if registry is not None
                else None,
            )
        except FileNotFoundError:
            return None
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise ConfigError(
                "the record of the local services cannot be read; end them by hand and remove it",
                path=str(path),
            ) from error


def _status_of(one: LocalKafka | LocalRegistry) -> str:
    if one.process is None:
        return "stopped"
    if not one.alive:
        return "dead"
    return "up" if one.probe() else "unready"


def _process(entry: dict[str, Any]) -> ProcessRef | None:
    return ProcessRef(int(entry["pid"]), str(entry["born"])) if entry["pid"] else None


def make_kafka(
    data: Path,
    ports: Sequence[int],
    *,
    die_with_parent: bool = False,
    process: ProcessRef | None = None,
) -> LocalKafka:
    """Describe the broker of a data folder.

    Args:
        data: the folder of all services.
        ports: the one for clients, then the one for itself.
        die_with_parent: see `streams.local.processes.spawn`.
        process: a process of an earlier start that is to be taken over.
    """
    first, second = ports
    return LocalKafka(
        data / "kafka",
        port=first,
        controller_port=second,
        die_with_parent=die_with_parent,
        process=process,
    )


def make_registry(
    data: Path,
    ports: Sequence[int],
    *,
    die_with_parent: bool = False,
    process: ProcessRef | None = None,
) -> LocalRegistry:
    """Describe the registry of a data folder.

    Args:
        data: the folder of all services.
        ports: the one for clients, then the one for itself.
        die_with_parent: see `streams.local.processes.spawn`.
        process: a process of an earlier start that is to be taken over.
    """
    first, second = ports
    return LocalRegistry(
        data / "registry",
        port=first,
        management_port=second,
        die_with_parent=die_with_parent,
        process=process,
    )
