"""`fillonce up`, `down` and `status`: Kafka and the registry on this machine."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from streams.cli.output import Exit, Progress, confirm, emit, note, options

if TYPE_CHECKING:
    from streams.local.services import Services, ServiceStatus

_COLUMNS = ("name", "status", "address", "pid", "log")
Data = Annotated[
    Path,
    typer.Option(envvar="FILLONCE_DATA", help="Folder of the services' data, logs and addresses."),
]
Port = Annotated[
    int | None,
    typer.Option(
        min=1, max=65535, help="Port on loopback; the last one or a free one if not given."
    ),
]
_SETTINGS = {"kafka": "FILLONCE_KAFKA__BOOTSTRAP", "registry": "FILLONCE_REGISTRY__URL"}
_DEFAULT_DATA = Path(".fillonce")


def register(app: typer.Typer) -> None:
    """Add the commands of this file.

    Args:
        app: the program.
    """
    for command in (up, down, status):
        app.command(rich_help_panel="Local services")(command)


def up(kafka_port: Port = None, registry_port: Port = None, data: Data = _DEFAULT_DATA) -> None:
    """Start Kafka and the schema registry on loopback; what runs already is left running.

    The first call fetches both (about 210 MB) by Maven into the user's cache.

    Exit status: 0 both are up, 2 called wrongly, 4 not fetched or not started.
    """
    from streams.local import services as local

    with Progress() as progress:
        running, before = local.up(
            data,
            kafka_port=kafka_port,
            registry_port=registry_port,
            notify=progress,
            timeout=options().timeout or local.START_SECONDS,
        )
    note("already up" if before else "up")
    _show(running.status(), environment=_environment(running), data=running.data, already_up=before)


def down(
    data: Data = _DEFAULT_DATA,
    delete_data: Annotated[
        bool, typer.Option("--delete-data", help="Remove all topics and schemas too.")
    ] = False,
) -> None:
    """Stop what `up` started; topics and schemas are kept for the next time.

    Exit status: 0 nothing runs any more, 5 the data was to be deleted and nobody confirmed it.
    """
    from streams.local.services import Services

    known = Services.load(data)
    if known is None:
        note(f"nothing was started in {data}")
        emit([], columns=_COLUMNS, document={"services": [], "data": str(data.absolute())})
        return
    if delete_data:
        confirm(f"Delete all topics and schemas in {known.data}?")
    from streams.demo.stage import end_recorded

    for name in end_recorded(known.data):
        note(f"stopped the demo's {name}")
    known.stop()
    told = known.status()
    if delete_data:
        known.remove_data()
    _show(told, environment={}, data=known.data)


def status(data: Data = _DEFAULT_DATA) -> None:
    """Tell whether the local services run and answer.

    Exit status: 0 all are up, 3 one is not, or none was ever started.
    """
    from streams.local.services import Services

    known = Services.load(data)
    if known is None:
        note(f"nothing was started in {data}: `fillonce up` does")
        emit([], columns=_COLUMNS, document={"services": [], "data": str(data.absolute())})
        raise typer.Exit(Exit.FOUND)
    told = known.status()
    complete = all(one.status == "up" for one in told)
    _show(told, environment=_environment(known) if complete else {}, data=known.data)
    if not complete:
        raise typer.Exit(Exit.FOUND)


def _environment(services: Services) -> dict[str, str]:
    return {_SETTINGS[one.name]: one.address for one in reversed(services.members)}


def _show(
    told: list[ServiceStatus],
    *,
    environment: dict[str, str],
    data: Path,
    already_up: bool | None = None,
) -> None:
    rows = [asdict(one) for one in told]
    document: dict[str, object] = {
        "services": rows,
        "environment": environment,
        "data": str(data),
    }
    if already_up is not None:
        document["already_up"] = already_up
    lines = [f"export {name}={value}" for name, value in environment.items()]
    emit(rows, columns=_COLUMNS, document=document, after=["", *lines] if lines else ())
