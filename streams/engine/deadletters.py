"""Dead letters: a record's bytes as they were, and the facts of its failure in headers."""

from __future__ import annotations

import re

from streams.engine.batch import Output, PartitionBatch
from streams.engine.event import Message
from streams.engine.poison import Verdict

SUFFIX = ".dlq"
"""What the dead letters of a topic end with."""
PREFIX = "dlq."
"""What the names of the facts begin with."""
REASON_CHARS = 500
"""Longest reason: it stands in the journal and in a header."""
LETTER_BYTES = 1_048_588 + 65_536
"""max.message.bytes of the dead letters' topics: Kafka's default, and room for the facts."""
_FRAME_BYTES = 5
_SECRETS = (
    (re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]{6,}"), r"\1 ***"),
    (re.compile(r"://[^/\s@]+@"), "://***@"),
    (
        re.compile(
            r"(?i)((?:password|passwd|secret|token|api[_-]?key|credentials?)[\"']?\s*[:=]\s*)"
            r"(\"[^\"]*\"|'[^']*'|[^\s,;)]+)"
        ),
        r"\1***",
    ),
    (re.compile(r"-----BEGIN [A-Z ]+-----.*?(?:-----END [A-Z ]+-----|$)", re.DOTALL), "***"),
)


def reason_of(error: BaseException) -> str:
    """Return class and text of an error: one bounded line, without what looks like a secret."""
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 - an error that cannot even be told must not stop the judging
        text = "it has no text"
    for pattern, instead in _SECRETS:
        text = pattern.sub(instead, text)
    line = f"{type(error).__name__}: {' '.join(text.split())}"
    return line.encode("utf-8", "backslashreplace").decode()[:REASON_CHARS]


def schema_id_of(value: bytes | None) -> int | None:
    """Return the schema id of a value in Confluent's frame, None where it is in none."""
    if value is None or len(value) < _FRAME_BYTES or value[0] != 0:
        return None
    return int.from_bytes(value[1:_FRAME_BYTES], "big")


def noted(verdict: Verdict) -> list[str | int]:
    """Return what the journal keeps of a verdict, so that a replay writes the same letter."""
    return [verdict.reason, verdict.attempts, *([1] if verdict.bare else [])]


def verdict_of(kept: list[str | int]) -> Verdict:
    """Return the verdict of what the journal kept; attempts are 0 where it kept none."""
    reason, attempts, bare = [*kept, 0, 0][:3]
    return Verdict(str(reason), int(attempts), bool(bare))


def facts_of(
    app: str, message: Message, verdict: Verdict, code_version: str | None
) -> dict[str, str]:
    """Return the facts of a failure by header name, in their order."""
    kind, _, text = verdict.reason.partition(": ")
    facts = {
        "app": app,
        "topic": message.topic,
        "partition": message.partition,
        "offset": message.offset,
        "timestamp": message.timestamp_ms,
        "error": kind,
        "reason": text,
    }
    if verdict.attempts:  # a journal of before they were kept gives a letter of that time
        schema_id = schema_id_of(message.value)
        more = {
            "schema_id": schema_id,
            "code_version": code_version,
            "attempts": verdict.attempts,
            "omitted": len(message.value or b"") if verdict.bare else None,
        }
        facts |= {name: fact for name, fact in more.items() if fact is not None}
    return {f"{PREFIX}{name}": str(fact) for name, fact in facts.items()}


def dead_letter(
    app: str,
    batch: PartitionBatch,
    message: Message,
    verdict: Verdict,
    code_version: str | None = None,
) -> Output:
    """Return the dead letter of a record: its bytes as they were, then the facts as headers.

    Args:
        app: who gives the record up.
        batch: the transaction that it is part of.
        message: the record.
        verdict: why.
        code_version: of the code that failed, where it is known.
    """
    facts = facts_of(app, message, verdict, code_version)
    headers = [
        *(message.headers or []),
        *((name, fact.encode("utf-8", "backslashreplace")) for name, fact in facts.items()),
        ("cause", batch.cause(message, 0).encode()),
    ]
    value = None if verdict.bare else message.value
    topic = f"{message.topic}{SUFFIX}"
    return (topic, message.partition, message.key, value, headers, batch.now_millis)
