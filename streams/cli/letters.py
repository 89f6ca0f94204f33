"""What the commands for dead letters share: reading topics, showing a value, repairing one."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from processors.errors import DecodeError, PipelineError
from schemas.registry_port import RegistryError
from streams import dlq, topics
from streams.cli.output import CliError, Exit, to_json
from streams.cli.reading import messages
from streams.engine.deadletters import SUFFIX

if TYPE_CHECKING:
    from schemas.codec import Codecs
    from schemas.plain import PlainReader
    from streams.settings import Settings

SHOWN_CHARS = 300
"""Longest value in a table; JSON has it whole."""


def dead_topic(name: str, counts: Mapping[str, int]) -> str:
    """Return the topic of dead letters that a name means: it, or the topic they came from.

    Raises:
        CliError: there is none.
    """
    wanted = name if name.endswith(SUFFIX) else f"{name}{SUFFIX}"
    if wanted not in counts:
        there = ", ".join(sorted(topic for topic in counts if topic.endswith(SUFFIX)))
        raise CliError(
            Exit.USAGE,
            "there is no such topic of dead letters",
            f"there are: {there}" if there else "there is none at all",
            {"topic": wanted},
        )
    return wanted


def letters_of(settings: Settings, topic: str) -> dlq.Letters:
    """Return the committed dead letters of a topic and the marks of their replays."""
    return dlq.read(topic, messages(settings, [topic]))


def text_of(data: bytes | None) -> str | None:
    """Return bytes as text where they are UTF-8, else as hex digits after `0x`."""
    if data is None:
        return None
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return f"0x{data.hex()}"
    return text if text.isprintable() else f"0x{data.hex()}"


def value_of(letter: dlq.Letter, reader: PlainReader) -> dict[str, Any]:
    """Return a letter's value for people: decoded where the registry can, and its bytes in hex."""
    shown: dict[str, Any] = {
        "schema_id": letter.schema_id,
        "decoded": None,
        "hex": None if letter.value is None else letter.value.hex(),
        "problem": None,
    }
    if letter.schema_id is not None:
        try:
            shown["decoded"] = reader.read(letter.value)
        except (ValueError, RegistryError) as error:
            shown["problem"] = str(error)
    elif letter.value is not None:
        shown["decoded"] = _json_object(letter.value)
    return shown


def document_of(letters: dlq.Letters, letter: dlq.Letter, reader: PlainReader) -> dict[str, Any]:
    """Return all that is known of a letter, as JSON shows it."""
    return {
        "topic": letter.topic,
        "partition": letter.partition,
        "offset": letter.offset,
        "time": letter.time,
        "key": text_of(letter.key),
        "value": value_of(letter, reader),
        "headers": [[name, text_of(value)] for name, value in letter.headers],
        "facts": dict(letter.facts),
        "replays": [{"to": mark.to, "time": mark.time} for mark in letters.replays(letter)],
    }


def row_of(document: Mapping[str, Any]) -> dict[str, object]:
    """Return a letter's document as a row of a table."""
    value = document["value"]
    shown = to_json(value["decoded"]) if value["decoded"] is not None else value["hex"] or ""
    facts = document["facts"]
    return {
        "partition": document["partition"],
        "offset": document["offset"],
        "time": document["time"],
        "from": f"{facts.get('topic', '')}[{facts.get('partition', '')}]@{facts.get('offset', '')}",
        "key": document["key"],
        "error": facts.get("error", ""),
        "reason": facts.get("reason", ""),
        "attempts": facts.get("attempts", ""),
        "value": shown[:SHOWN_CHARS] + ("..." if len(shown) > SHOWN_CHARS else ""),
        "replayed": len(document["replays"]),
    }


def choice_of(
    partition: int | None, offset: str | None, error: str | None, key: str | None
) -> dlq.Choice:
    """Return the choice that options mean; an offset is one, or `FROM..TO` with either left out.

    Raises:
        CliError: the offsets are none.
    """
    first = last = None
    if offset is not None:
        low, dots, high = offset.partition("..")
        if not (low or high) or not all(each.isdecimal() for each in (low, high) if each):
            raise CliError(
                Exit.USAGE, "no such offset", "write 17, 17..42, 17.. or ..42", {"offset": offset}
            )
        first = int(low) if low else None
        last = (int(high) if high else None) if dots else first
    return dlq.Choice(partition, first, last, error, None if key is None else key.encode())


Repair = Callable[[dlq.Letter], bytes | None]


def setting(codecs: Codecs, to: str | None, file: Path) -> Repair:
    """Return the repair that gives every letter a file's value.

    For a topic of the catalogue it is a record as JSON, for another the bytes as they are.

    Args:
        codecs: of the process.
        to: topic that is sent to, if not the letter's own.
        file: with the value.
    Raises:
        CliError: the file cannot be read.
    """
    try:
        data = file.read_bytes()
    except OSError as error:
        raise CliError(
            Exit.USAGE, "the file cannot be read", None, {"file": file, "error": str(error)}
        ) from error

    def repair(letter: dlq.Letter) -> bytes | None:
        return _encoded(codecs, to or letter.source, letter, data)

    return repair


def patching(codecs: Codecs, reader: PlainReader, to: str | None, texts: Sequence[str]) -> Repair:
    """Return the repair that changes fields of a letter's own value.

    Args:
        codecs: of the process.
        reader: of the values as they are.
        to: topic that is sent to, if not the letter's own.
        texts: `FIELD=VALUE`, the value as JSON, or as text where it is none.
    Raises:
        CliError: one of them is no such text.
    """
    changes: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not name or not equals:
            raise CliError(Exit.USAGE, "a patch is FIELD=VALUE", None, {"patch": text})
        try:
            # Numbers stay as they were written: an amount must not become a float on the way.
            changes[name] = json.loads(value, parse_float=str)
        except ValueError:
            changes[name] = value

    def repair(letter: dlq.Letter) -> bytes | None:
        shown = value_of(letter, reader)
        if not isinstance(shown["decoded"], dict):
            raise ValueError(shown["problem"] or "its value has no fields")
        unknown = sorted(set(changes) - set(shown["decoded"]))
        if unknown:
            raise ValueError(f"its value has no field {unknown[0]}")
        data = to_json({**shown["decoded"], **changes}).encode()
        return _encoded(codecs, to or letter.source, letter, data)

    return repair


def _encoded(codecs: Codecs, topic: str, letter: dlq.Letter, data: bytes) -> bytes:
    from pydantic import ValidationError

    known = topics.BY_NAME.get(topic)
    if known is None or known.record is None:
        if letter.schema_id is not None and not data.startswith(b"\0"):
            raise ValueError(f"no record is known for {topic}: give the bytes of a whole frame")
        return data
    try:
        record = known.record.model_validate_json(data)
        if (letter.key or b"").decode(errors="replace") != known.key_of(record):
            raise ValueError(
                "its key is another's: send it as a record of its own, `fillonce send`"
            )
        return codecs.codec(known.record).encode(record)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise ValueError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from error
    except DecodeError as error:
        raise ValueError(str(error)) from error
    except PipelineError as error:
        if str(error.disposition) == "DEAD_LETTER":
            raise ValueError(str(error)) from error
        raise


def _json_object(data: bytes) -> Any:
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
