"""`fillonce processors`: the five, what they read, keep and send."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from streams.cli.output import CliError, Exit, emit, emit_one

COLUMNS = ("processor", "reads", "global_tables", "tables", "sends")

processors = typer.Typer(no_args_is_help=True, help="Processors: inputs, state and outputs.")


class GraphFormat(StrEnum):
    """How a graph is written."""

    MERMAID = "mermaid"
    DOT = "dot"


def register(app: typer.Typer) -> None:
    """Add the commands of this file.

    Args:
        app: the program.
    """
    app.add_typer(processors, name="processors", rich_help_panel="Tools")


@processors.command("list")
def list_() -> None:
    """List the processors in the order in which work flows.

    Exit status: 0.
    """
    from streams.topics import PROCESSORS

    emit([_row(name) for name in PROCESSORS], columns=COLUMNS)


@processors.command("describe")
def describe(name: Annotated[str, typer.Argument(help="Of a processor.")]) -> None:
    """Describe one processor: group, topics, tables, changelogs, journal.

    Exit status: 0, or 2 if there is no such processor.
    """
    from streams import topics
    from streams.tables import TABLES

    if name not in topics.PROCESSORS:
        raise CliError(
            Exit.USAGE,
            "there is no such processor",
            f"one of {', '.join(topics.PROCESSORS)}",
            {"name": name},
        )
    group = topics.app_id(name)
    tables = TABLES.get(name, {})
    emit_one(
        {
            **_row(name),
            "group": group,
            "app": f"streams.app:{name}",
            "unit": topics.kind_of(name).value if topics.INPUTS[name] else None,
            "journal": f"{group}.journal" if topics.INPUTS[name] else None,
            "changelogs": {topics.changelog(name, each).name: tables[each].key for each in tables},
        },
        title=name,
    )


@processors.command("graph")
def graph(
    form: Annotated[
        GraphFormat, typer.Option("--format", help="mermaid or dot.")
    ] = GraphFormat.MERMAID,
) -> None:
    """Print the graph of processors and topics.

    Exit status: 0.
    """
    from streams import topics

    edges: list[tuple[str, str, bool]] = []
    for name in topics.PROCESSORS:
        edges += [(topic.name, name, False) for topic in topics.INPUTS[name]]
        edges += [(topic.name, name, True) for topic in topics.GLOBALS[name]]
        edges += [(name, topic.name, False) for topic in topics.OUTPUTS[name]]
    if form is GraphFormat.DOT:
        lines = ["digraph fillonce {", "  rankdir=LR;"]
        lines += [f'  "{name}" [shape=box];' for name in topics.PROCESSORS]
        lines += [
            f'  "{a}" -> "{b}"{" [style=dashed]" if dashed else ""};' for a, b, dashed in edges
        ]
        lines.append("}")
    else:
        lines = ["flowchart LR"]
        lines += [f"  {name}[{name}]" for name in topics.PROCESSORS]
        lines += [
            f"  {_node(a)} {'-.->' if dashed else '-->'} {_node(b)}" for a, b, dashed in edges
        ]
    typer.echo("\n".join(lines))


def _node(name: str) -> str:
    return f"{name.replace('.', '_')}([{name}])" if "." in name else name


def _row(name: str) -> dict[str, object]:
    from streams import topics
    from streams.tables import TABLES

    return {
        "processor": name,
        "reads": [topic.name for topic in topics.INPUTS[name]],
        "global_tables": [topic.name for topic in topics.GLOBALS[name]],
        "tables": list(TABLES.get(name, {})),
        "sends": [topic.name for topic in topics.OUTPUTS[name]],
    }
