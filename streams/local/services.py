"""The local Kafka and registry as one thing: start, look, stop, and remember where they are."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from processors.errors import ConfigError, UnavailableError
from streams.local.artifacts import Notify, quiet
from streams.local.kafka import LocalKafka
from streams.local.processes import ProcessRef
from streams.local.registry import LocalRegistry

DEFAULT_DATA = Path(".fillonce")
START_SECONDS = 120.0
_ATTEMPTS = 3
_STATE = "state.json"
_CLASH = ("Address already in use", "BindException", "PortUnavailable", "already bound")


@dataclass(frozen=True, slots=True)
class ServiceStatus:
    """What is known of one service at one moment."""

    name: str
    status: str  # up, dead (recorded as running, but is not), unready (runs without answering), stopped
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
        """Write down, at once or not at all, where the services are and which processes they are."""
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
                kafka=_kafka(data, kafka["ports"], process=_process(kafka)) if kafka else None,
                registry=_registry(data, registry["ports"], process=_process(registry))
                if registry
                else None,
            )
        except FileNotFoundError:
            return None
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise ConfigError(
                "the record of the local services cannot be read; end them by hand and remove it",
                path=str(path),
            ) from error


def up(
    data: Path,
    *,
    kafka_port: int | None = None,
    registry_port: int | None = None,
    notify: Notify = quiet,
) -> tuple[Services, bool]:
    """Start both services of a folder so that they outlive this program.

    Args:
        data: the folder.
        kafka_port: for clients of the broker; the last one or a free one if not given.
        registry_port: likewise for the registry.
        notify: told what is being done.
    Returns:
        The services, and whether they were all up before.
    Raises:
        ConfigError: a given port is taken, or the services run on other ports.
        UnavailableError: a service did not come up.
    """
    data.mkdir(parents=True, exist_ok=True)
    with data.joinpath(".lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        known = Services.load(data)
        if known is not None and any(one.alive for one in known.members):
            _require_ports(known, kafka_port, registry_port)
            ready = all(one.status == "up" for one in known.status())
            if not ready:
                known.start(notify=notify)
            return known, ready
        wanted = (kafka_port, registry_port)
        last = _last_ports(known)
        return _start_on_ports(data, wanted, last=last, die_with_parent=False, notify=notify), False


@contextmanager
def local_services(
    data_dir: Path,
    *,
    kafka: bool = True,
    registry: bool = True,
    die_with_parent: bool = True,
    remove: bool = False,
    notify: Notify = quiet,
) -> Iterator[Services]:
    """Run services on free ports for the length of a block.

    Args:
        data_dir: their folder.
        kafka: whether there is to be a broker.
        registry: whether there is to be a registry.
        die_with_parent: let them die with the calling thread, however it ends.
        remove: remove the folder at the end.
        notify: told what is being done.
    """
    members = (kafka, registry)
    services = _start_on_ports(
        data_dir, (None, None), members=members, die_with_parent=die_with_parent, notify=notify
    )
    try:
        yield services
    finally:
        services.stop()
        if remove:
            shutil.rmtree(data_dir, ignore_errors=True)


def _start_on_ports(
    data: Path,
    wanted: tuple[int | None, int | None],
    *,
    last: tuple[int | None, int | None] = (None, None),
    members: tuple[bool, bool] = (True, True),
    die_with_parent: bool,
    notify: Notify,
) -> Services:
    """Start on the given ports, else the last ones, else free ones: those again if they clash."""
    for port in wanted:
        if port is not None and not is_free(port):
            raise ConfigError("the port is taken", port=port)
    for attempt in range(1, _ATTEMPTS + 1):
        if attempt > 1:
            last = (None, None)
        free = free_ports(4)
        ports = [
            given or (before if before and is_free(before) else other)
            for given, before, other in zip(wanted, last, free[:2], strict=True)
        ]
        services = Services(
            data,
            kafka=_kafka(data, [ports[0], free[2]], die_with_parent=die_with_parent)
            if members[0]
            else None,
            registry=_registry(data, [ports[1], free[3]], die_with_parent=die_with_parent)
            if members[1]
            else None,
        )
        try:
            services.start(notify=notify)
        except BaseException as error:
            services.stop()
            clash = any(word in str(error) for word in _CLASH)
            if attempt == _ATTEMPTS or not clash or not isinstance(error, UnavailableError):
                raise
        else:
            return services
    raise UnavailableError("no free ports were found for the local services")


def _require_ports(known: Services, *given: int | None) -> None:
    for one, port in zip(reversed(known.members), given, strict=False):
        if port is not None and port != one.port:
            raise ConfigError(
                "the services run already, on another port: end them first",
                service=one.name, port=one.port, asked_for=port,
            )


def _last_ports(known: Services | None) -> tuple[int | None, int | None]:
    if known is None:
        return None, None
    ports = {one.name: one.port for one in known.members}
    return ports.get("kafka"), ports.get("registry")


def _status_of(one: LocalKafka | LocalRegistry) -> str:
    if one.process is None:
        return "stopped"
    if not one.alive:
        return "dead"
    return "up" if one.probe() else "unready"


def _process(entry: dict[str, Any]) -> ProcessRef | None:
    return ProcessRef(int(entry["pid"]), str(entry["born"])) if entry["pid"] else None


def _kafka(
    data: Path, ports: list[int], *, die_with_parent: bool = False, process: ProcessRef | None = None
) -> LocalKafka:
    port, other = ports
    return LocalKafka(
        data / "kafka", port=port, controller_port=other,
        die_with_parent=die_with_parent, process=process,
    )


def _registry(
    data: Path, ports: list[int], *, die_with_parent: bool = False, process: ProcessRef | None = None
) -> LocalRegistry:
    port, other = ports
    return LocalRegistry(
        data / "registry", port=port, management_port=other,
        die_with_parent=die_with_parent, process=process,
    )


def free_ports(count: int) -> list[int]:
    """Return ports of the loopback interface that nobody listens on now; another may be quicker.

    Args:
        count: how many different ones.
    """
    holders = [socket.socket() for _ in range(count)]
    try:
        for holder in holders:
            holder.bind(("127.0.0.1", 0))
        return [int(holder.getsockname()[1]) for holder in holders]
    finally:
        for holder in holders:
            holder.close()


def is_free(port: int) -> bool:
    """Whether a port of the loopback interface can be listened on now.

    Args:
        port: its number.
    """
    with socket.socket() as probe, suppress(OSError):
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as both services do
        probe.bind(("127.0.0.1", port))
        return True
    return False
