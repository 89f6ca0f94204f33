"""`fillonce dlq`: dead letters listed, shown, and sent back with or without a repair."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.cli.context import codecs_of, settings
from streams.cli.output import CliError, Exit, emit, note, options

if TYPE_CHECKING:
    from streams.dlq import Resend
    from streams.settings import Settings

LIST_COLUMNS = ("topic", "app", "error", "count", "replayed", "first", "last")
SHOW_COLUMNS = (
    "partition",
    "offset",
    "time",
    "from",
    "key",
    "error",
    "reason",
    "attempts",
    "value",
    "replayed",
)
PLAN_COLUMNS = ("letter", "key", "error", "action", "to", "repaired", "detail")
MOST = 10_000
"""Most letters of one replay: it is one transaction."""

dlq = typer.Typer(no_args_is_help=True, help="Dead letters: records that could not be processed.")

TopicName = Annotated[
    str, typer.Argument(help="The topic of dead letters, or the one that they came from.")
]
Partition = Annotated[int | None, typer.Option(min=0, help="Only of this partition.")]
Offset = Annotated[
    str | None,
    typer.Option(metavar="N|FROM..TO", help="Only these offsets among the dead letters."),
]
ErrorClass = Annotated[str | None, typer.Option(help="Only of this class of error.")]
Key = Annotated[str | None, typer.Option(help="Only under this key.")]


def register(app: typer.Typer) -> None:
    """Add the commands of this file.

    Args:
        app: the program.
    """
    app.add_typer(dlq, name="dlq", rich_help_panel="Pipeline")


@dlq.command("list")
def list_(
    topic: Annotated[
        list[str] | None, typer.Argument(metavar="[TOPIC]...", help="All topics if not given.")
    ] = None,
) -> None:
    """Count dead letters by topic, app and class of error, and how many of them were replayed.

    Exit status: 0 listed, 2 no such topic, 4 no answer.
    """
    from streams import dlq as letters
    from streams.cli.letters import dead_topic, letters_of
    from streams.cli.provision import admin_of, counts
    from streams.engine.deadletters import SUFFIX

    chosen = settings()
    there = counts(admin_of(chosen))
    names = (
        [dead_topic(name, there) for name in dict.fromkeys(topic)]
        if topic
        else sorted(name for name in there if name.endswith(SUFFIX))
    )
    rows = letters.summary([letters_of(chosen, name) for name in names])
    emit(rows, columns=LIST_COLUMNS)
    total = sum(int(str(row["count"])) for row in rows)
    note(f"{total} dead letters in {len(names)} topics")


@dlq.command("show")
def show(
    topic: TopicName,
    partition: Partition = None,
    offset: Offset = None,
    error: ErrorClass = None,
    key: Key = None,
    most: Annotated[int, typer.Option("--max", min=1, help="The newest so many, at most.")] = 20,
) -> None:
    """Show dead letters: facts, headers, and the value, decoded where the registry knows its schema.

    Exit status: 0 shown, 2 no such topic, 4 no answer.
    """
    from schemas.plain import PlainReader
    from streams.app import registry_of
    from streams.cli.letters import choice_of, dead_topic, document_of, letters_of, row_of
    from streams.cli.provision import admin_of, counts

    choice = choice_of(partition, offset, error, key)
    chosen = settings()
    found = letters_of(chosen, dead_topic(topic, counts(admin_of(chosen))))
    wanted = [letter for letter in found.letters if choice.takes(letter)]
    newest = sorted(wanted, key=lambda letter: letter.time)[-most:]
    reader = PlainReader(registry_of(chosen, retries=0))
    documents = [document_of(found, each, reader) for each in wanted if each in newest]
    if options().machine:
        emit(documents, document={"topic": found.topic, "letters": documents})
    else:
        emit([row_of(document) for document in documents], columns=SHOW_COLUMNS)
    note(f"{len(documents)} of {len(wanted)} dead letters")


@dlq.command("replay")
def replay(
    topic: TopicName,
    partition: Partition = None,
    offset: Offset = None,
    error: ErrorClass = None,
    key: Key = None,
    everything: Annotated[bool, typer.Option("--all", help="All of the topic.")] = False,
    set_value: Annotated[
        Path | None,
        typer.Option(
            help="Give it this value: JSON for a record of the catalogue, else the bytes."
        ),
    ] = None,
    patch: Annotated[
        list[str] | None,
        typer.Option(metavar="FIELD=VALUE", help="Change a field of the value; may be repeated."),
    ] = None,
    to: Annotated[str | None, typer.Option(help="Another topic than it came from.")] = None,
    again: Annotated[bool, typer.Option("--again", help="Even what was replayed before.")] = False,
    execute: Annotated[bool, typer.Option("--execute", help="Do it; else it is told.")] = False,
    check: Annotated[
        bool, typer.Option("--check", help="End with 3 when something would be sent.")
    ] = False,
) -> None:
    """Send dead letters back as they were, or repaired, in one transaction; a plan without --execute.

    Headers of the failure are left out, `replay.from` says where each comes from. What was replayed
    is marked among the dead letters, and not sent a second time.

    Exit status: 0 sent or planned, 2 called wrongly, 3 --check and something would be sent, 4 no
    answer, 5 all of it was replayed before, or another replay is under way.
    """
    from streams.cli.letters import choice_of

    choice = choice_of(partition, offset, error, key)
    if choice.anything and not everything:
        raise CliError(
            Exit.USAGE, "say which letters", "--offset, --error, --key, --partition, or --all"
        )
    if set_value is not None and patch:
        raise CliError(Exit.USAGE, "give --set-value or --patch, not both")
    if execute and check:
        raise CliError(Exit.USAGE, "--check only plans: leave out --execute")
    chosen = settings()
    if execute:
        _act(chosen, topic, choice, set_value, patch, to, again=again)
        return
    resends = _planned(chosen, topic, choice, set_value, patch, to, again=again)
    sending = [each for each in resends if not each.refused]
    _tell(resends, {})
    note(f"{len(sending)} of {len(resends)} would be sent; --execute does it")
    if check and sending:
        raise typer.Exit(Exit.FOUND)


def _act(chosen: Settings, topic: str, *given: Any, again: bool) -> None:
    from streams.cli.letters import dead_topic
    from streams.cli.provision import admin_of, counts
    from streams.cli.resend import Resender

    # First the producer: what another replay has begun is over then, and its marks are read.
    resender = Resender(chosen, dead_topic(topic, counts(admin_of(chosen))))
    resends = _planned(chosen, topic, *given, again=again)
    sending = [each for each in resends if not each.refused]
    if not sending and any(each.again for each in resends):
        raise CliError(
            Exit.REFUSED,
            "all of it was replayed before",
            "--again sends it once more",
            {"letters": len(resends)},
        )
    placed = resender.send(sending) if sending else []
    where = {id(each): place for each, place in zip(sending, placed, strict=True)}
    _tell(resends, where)
    note(f"{len(sending)} sent, {len(resends) - len(sending)} left out")


def _planned(
    chosen: Settings,
    topic: str,
    choice: Any,
    set_value: Path | None,
    patch: list[str] | None,
    to: str | None,
    *,
    again: bool,
) -> list[Resend]:
    from schemas.plain import PlainReader
    from streams import dlq as letters
    from streams import topics
    from streams.app import registry_of
    from streams.cli.letters import dead_topic, letters_of, patching, setting
    from streams.cli.provision import admin_of, counts

    there = counts(admin_of(chosen))
    if to is not None and to not in there:
        raise CliError(Exit.USAGE, "there is no such topic", None, {"topic": to})
    repair = None
    if set_value is not None:
        repair = setting(codecs_of(chosen), to, set_value)
    elif patch:
        repair = patching(codecs_of(chosen), PlainReader(registry_of(chosen)), to, patch)
    found = letters_of(chosen, dead_topic(topic, there))
    resends = letters.plan(
        found,
        choice,
        there,
        to=to,
        again=again,
        by_first_part=lambda name: name in topics.BY_NAME,
        repair=repair,
    )
    if set_value is not None and len(resends) > 1:
        raise CliError(
            Exit.USAGE,
            "one value is for one letter",
            "choose it by --partition and --offset",
            {"letters": len(resends)},
        )
    if len(resends) > MOST:
        raise CliError(
            Exit.USAGE,
            "too many for one transaction",
            "choose some by --partition and --offset FROM..TO",
            {"letters": len(resends), "most": MOST},
        )
    return resends


def _tell(resends: list[Resend], placed: dict[int, tuple[int, int]]) -> None:
    from streams.cli.letters import text_of

    rows = []
    for each in resends:
        letter, place = each.letter, placed.get(id(each))
        rows.append(
            {
                "letter": f"{letter.topic}[{letter.partition}]@{letter.offset}",
                "key": text_of(letter.key),
                "error": letter.error,
                "action": "left out" if each.refused else "sent" if place else "send",
                "to": f"{each.topic}[{each.partition}]" + (f"@{place[1]}" if place else ""),
                "repaired": each.repaired,
                "detail": each.refused,
            }
        )
    emit(rows, columns=PLAN_COLUMNS)
