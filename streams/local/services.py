"""Start the local Kafka and registry: to outlive this program, or for the length of a block."""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from processors.errors import ConfigError, UnavailableError
from streams.local.artifacts import Notify, quiet
from streams.local.group import (
    LOCK,
    START_SECONDS,
    Services,
    ServiceStatus,
    make_kafka,
    make_registry,
)
from streams.local.ports import free_ports, is_free

__all__ = [
    "DEFAULT_DATA",
    "START_SECONDS",
    "ServiceStatus",
    "Services",
    "fetch",
    "local_services",
    "up",
]

DEFAULT_DATA = Path(".fillonce")
_ATTEMPTS = 3


def fetch(notify: Notify = quiet) -> None:
    """Fetch what both services are made of, and look for a Java, without starting anything.

    Args:
        notify: told what is being done.
    Raises:
        ConfigError: Maven or a usable Java is not installed.
        UnavailableError: Maven could not fetch something.
    """
    for one in (make_kafka(DEFAULT_DATA, (0, 0)), make_registry(DEFAULT_DATA, (0, 0))):
        one.provide(notify)


def up(
    data: Path,
    *,
    kafka_port: int | None = None,
    registry_port: int | None = None,
    notify: Notify = quiet,
    timeout: float = START_SECONDS,
) -> tuple[Services, bool]:
    """Start both services of a folder so that they outlive this program.

    Args:
        data: the folder.
        kafka_port: for clients of the broker; the last one or a free one if not given.
        registry_port: likewise for the registry.
        notify: told what is being done.
        timeout: seconds for the start itself.
    Returns:
        The services, and whether they were all up before.
    Raises:
        ConfigError: a given port is taken, or the services run on other ports.
        UnavailableError: a service did not come up.
    """
    data.mkdir(parents=True, exist_ok=True)
    with data.joinpath(LOCK).open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        known = Services.load(data)
        if known is not None and any(one.alive for one in known.members):
            _require_ports(known, kafka_port, registry_port)
            ready = all(one.status == "up" for one in known.status())
            if not ready:
                known.start(timeout=timeout, notify=notify)
            return known, ready
        wanted = (kafka_port, registry_port)
        last = _last_ports(known)
        started = _start_on_ports(
            data, wanted, last=last, die_with_parent=False, notify=notify, timeout=timeout
        )
        return started, False


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
    timeout: float = START_SECONDS,
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
            kafka=make_kafka(data, [ports[0], free[2]], die_with_parent=die_with_parent)
            if members[0]
            else None,
            registry=make_registry(data, [ports[1], free[3]], die_with_parent=die_with_parent)
            if members[1]
            else None,
        )
        try:
            services.start(timeout=timeout, notify=notify)
        except BaseException as error:
            clash = any(one.port_clash() for one in services.members)
            services.stop()
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
                service=one.name,
                port=one.port,
                asked_for=port,
            )


def _last_ports(known: Services | None) -> tuple[int | None, int | None]:
    if known is None:
        return None, None
    ports = {one.name: one.port for one in known.members}
    return ports.get("kafka"), ports.get("registry")
