"""`fillonce schema`: compare, list, show and register the schemas of the records."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from streams.cli.output import CliError, Exit, emit, note, options, to_json

if TYPE_CHECKING:
    from schemas.catalog import Schema
    from schemas.history import Past
    from schemas.registry import Registry

FINDING_COLUMNS = ("subject", "rule", "direction", "version", "path", "message", "advice")
PLAN_COLUMNS = ("subject", "record", "action", "detail")

schemas = typer.Typer(no_args_is_help=True, help="Schemas of the records, and whether they fit.")


class Level(StrEnum):
    """Compatibility levels of a registry."""

    NONE = "NONE"
    BACKWARD = "BACKWARD"
    BACKWARD_TRANSITIVE = "BACKWARD_TRANSITIVE"
    FORWARD = "FORWARD"
    FORWARD_TRANSITIVE = "FORWARD_TRANSITIVE"
    FULL = "FULL"
    FULL_TRANSITIVE = "FULL_TRANSITIVE"


class ReportFormat(StrEnum):
    """How findings are written; table follows `--output`."""

    TABLE = "table"
    JSON = "json"


Root = Annotated[
    Path | None,
    typer.Option("--root", file_okay=False, help="Folder of .avsc files; fillonce's own if unset."),
]
RegistryUrl = Annotated[
    str | None,
    typer.Option("--registry", metavar="URL", help="In place of the settings' registry.url."),
]


def register(app: typer.Typer) -> None:
    """Add the commands of this file.

    Args:
        app: the program.
    """
    app.add_typer(schemas, name="schema", rich_help_panel="Schemas")


@schemas.command("check")
def check(
    against: Annotated[
        str,
        typer.Option(help="git:REV, registry, or a folder of .avsc files.", metavar="WHAT"),
    ] = "git:origin/main",
    level: Annotated[
        Level | None,
        typer.Option(help="Level to check at; the subject's own, or FULL_TRANSITIVE, if unset."),
    ] = None,
    report: Annotated[ReportFormat, typer.Option(help="How findings are written.")] = (
        ReportFormat.TABLE
    ),
    root: Root = None,
    registry: RegistryUrl = None,
) -> None:
    """Compare every schema with earlier ones, in the directions that the level asks for.

    Exit status: 0 compatible, 2 called wrongly, 3 found something, 4 registry unreachable.
    """
    from schemas.catalog import SchemaSourceError
    from schemas.compat import Finding
    from schemas.history import compare

    findings: list[Finding] = []
    compared: dict[str, list[str]] = {}
    now: Mapping[str, Schema] = {}
    try:
        now = _sources(root)
        with _answers():
            past = _past(against, level, root, registry)
            findings, compared = compare(now, past, foreign=against == "registry")
    except SchemaSourceError as error:
        findings = [
            Finding("not_a_schema", error.path, "", "", "", error.reason, "repair the source")
        ]
    new = sorted(set(now) - set(compared)) if not findings or compared else []
    document = {
        "compatible": not findings,
        "against": against,
        "level": level.value if level else None,
        "compared": len(compared),
        "new": new,
        "findings": [asdict(finding) for finding in findings],
    }
    if report is ReportFormat.JSON:
        typer.echo(to_json(document, indent=2))
    elif findings or options().machine:
        emit([asdict(one) for one in findings], columns=FINDING_COLUMNS, document=document)
    else:
        typer.echo("compatible")
    note(f"{len(compared)} compared with {against}, {len(new)} new, {len(findings)} findings")
    if findings:
        raise typer.Exit(Exit.FOUND)


@schemas.command("list")
def list_schemas(root: Root = None) -> None:
    """List the schemas with their subjects and fingerprints."""
    subjects = {} if root else _subjects()
    rows: list[dict[str, object]] = []
    for _, schema in sorted(_own(root).items()):
        names = subjects.get(schema.name, [])
        machine = options().machine
        rows.append(
            {
                "record": schema.name,
                "subjects": names if machine else " ".join(names),
                "fields": len(schema.document.get("fields", ())),
                "fingerprint": schema.fingerprint if machine else schema.fingerprint[:16],
            }
        )
    columns = ("record", "subjects", "fields", "fingerprint")
    emit(rows, columns=columns, document={"schemas": rows})


@schemas.command("show")
def show(
    name: Annotated[str, typer.Argument(help="Such as trade.TradeIntent, or TradeIntent.")],
    root: Root = None,
) -> None:
    """Print one schema, whole, as JSON."""
    known = _own(root)
    found = [one for one in known if one == name or one.endswith(f".{name}")]
    if len(found) != 1:
        raise CliError(
            Exit.USAGE,
            "no schema has this name" if not found else "several schemas have this name",
            "`fillonce schema list` names them",
            {"name": name, "candidates": " ".join(found)},
        )
    typer.echo(json.dumps(known[found[0]].document, indent=2))


@schemas.command("register")
def register_schemas(
    execute: Annotated[bool, typer.Option("--execute", help="Do it; otherwise it is told.")] = (
        False
    ),
    only_check: Annotated[
        bool, typer.Option("--check", help="Exit with 3 if something would change.")
    ] = False,
    registry: RegistryUrl = None,
) -> None:
    """Register every schema under its subjects, at FULL_TRANSITIVE; a plan without --execute.

    Exit status: 0 planned or done, 2 called wrongly, 3 a schema is incompatible (nothing is
    registered then) or, with --check, something would change; 4 registry unreachable.
    """
    from schemas import catalog

    with _answers():
        client = _registry(registry)
        rows = list(_plan(client, catalog.packaged()))
        bad = [row for row in rows if row["action"] == "incompatible"]
        changing = [row for row in rows if row["action"] != "unchanged"]
        if execute and not bad:
            for row in changing:
                text = catalog.packaged()[row["record"]].text
                row["detail"] = f"id {client.register(row['subject'], text)}"
                row["action"] = "registered"
    emit(rows, columns=PLAN_COLUMNS, document={"executed": execute and not bad, "subjects": rows})
    if not execute:
        note(f"{len(changing)} of {len(rows)} would change; --execute does it")
    if bad or (only_check and not execute and changing):
        raise typer.Exit(Exit.FOUND)


def _plan(client: Registry, own: Mapping[str, Schema]) -> Iterator[dict[str, str]]:
    """Yield what registering would do to each subject."""
    from schemas import compat
    from schemas.registry import DEFAULT_LEVEL, SchemaNotFoundError

    live = set(client.subjects())
    for name, subjects in sorted(_subjects().items()):
        if name not in own:
            raise CliError(
                Exit.USAGE,
                "a record has no schema",
                "run python -m schemas.derive",
                {"record": name},
            )
        for subject in subjects:
            row = {"subject": subject, "record": name, "action": "register", "detail": "new"}
            if subject in live:
                versions = [(f"v{one.number}", one.text) for one in client.versions(subject)]
                level = client.level(subject)
                findings = compat.check(own[name].text, versions, DEFAULT_LEVEL, semantics=True)
                try:
                    row["detail"] = f"id {client.id_of(subject, own[name].text)}"
                    row["action"] = "unchanged"
                except SchemaNotFoundError:
                    row["detail"] = f"version {len(versions) + 1}"
                if findings and row["action"] != "unchanged":
                    row["action"] = "incompatible"
                    row["detail"] = f"{findings[0].path}: {findings[0].message}"
                elif level != DEFAULT_LEVEL:
                    row["action"], row["detail"] = "register", f"level {level} to {DEFAULT_LEVEL}"
            yield row


def _own(root: Path | None) -> Mapping[str, Schema]:
    """Return the schemas; one that does not parse ends the command."""
    from schemas.catalog import SchemaSourceError

    try:
        return _sources(root)
    except SchemaSourceError as error:
        raise CliError(
            Exit.FOUND, "a source is no schema", None, {"path": error.path, "reason": error.reason}
        ) from error


def _sources(root: Path | None) -> Mapping[str, Schema]:
    from schemas import catalog

    if root is None:
        return catalog.packaged()
    found = catalog.parse(catalog.read_folder(_folder(root)))
    if not found:
        raise CliError(Exit.USAGE, "the folder holds no .avsc file", None, {"folder": root})
    return found


def _folder(root: Path) -> Path:
    if not root.is_dir():
        raise CliError(Exit.USAGE, "there is no such folder", None, {"folder": root})
    return root


def _past(
    against: str, level: Level | None, root: Path | None, registry: str | None
) -> Iterator[Past]:
    """Return what the schemas are compared with."""
    import schemas as package
    from schemas import history

    wanted = level.value if level else None
    if against == "registry":
        return history.past_of_registry(_registry(registry), wanted)
    if against.startswith("git:"):
        folder = root or Path(str(package.__file__)).parent / "avro"
        revision = against.removeprefix("git:")
        return history.past_of_files(history.files_at(folder, revision), against, wanted)
    return history.past_of_folder(_folder(Path(against)), wanted)


def _subjects() -> dict[str, list[str]]:
    """Return the subjects of each record, by its full name: topics and changelogs."""
    from schemas.shape import full_name
    from streams.serde import subjects

    return {full_name(model): list(names) for model, names in subjects().items()}


def _registry(url: str | None) -> Registry:
    from schemas.registry import HttpRegistry
    from streams.origins import resolve

    given = {"registry": {"url": url}} if url else {}
    settings = resolve(options().config, given)[0].registry
    secret = settings.password.get_secret_value() if settings.password else ""
    login = {"basic.auth.user.info": f"{settings.user}:{secret}"} if settings.user else {}
    return HttpRegistry(settings.url, timeout=options().timeout or 5.0, options=login)


@contextmanager
def _answers() -> Iterator[None]:
    """Turn what a registry or git answers into this program's statuses."""
    from schemas import registry as port
    from schemas.history import HistoryError

    try:
        yield
    except HistoryError as error:
        raise CliError(
            Exit.USAGE, "the earlier schemas can't be read", None, {"reason": str(error)}
        ) from error
    except (port.RegistryUnreachableError, port.NotARegistryError) as error:
        hint = "is registry.url right, and is it up? `fillonce up` starts one"
        raise CliError(Exit.UNREACHABLE, error.message, hint, error.context) from error
    except port.IncompatibleSchemaError as error:
        raise CliError(Exit.FOUND, error.message, None, error.context) from error
    except port.RegistryError as error:
        raise CliError(Exit.USAGE, error.message, None, error.context) from error
