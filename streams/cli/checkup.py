"""The checks of `fillonce doctor`: each says ok, warn or fail, what was seen, and what to do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

from confluent_kafka.admin import AdminClient

from processors.errors import PipelineError, UnavailableError
from processors.records.trade import Status
from schemas.codec import Codecs
from streams import topics
from streams.app import registry_of
from streams.cli import provision
from streams.cli.holds import held
from streams.cli.reading import engine_settings, messages, newest
from streams.dlq import OF
from streams.engine.errors import EngineError
from streams.engine.progress import Progress
from streams.serde import pipeline_codecs
from streams.settings import Settings

HARMLESS: Final = frozenset({("market.tick.dlq", "quantity_zero")})
"""Dead letters that a market's own data brings: rows without an amount are no trades."""
LAG_WARNS: Final = 10_000


class Result(StrEnum):
    """What a check came to."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Check:
    """One line: `unreachable` tells that a service gave no answer at all."""

    name: str
    result: Result
    seen: str
    advice: str = ""
    unreachable: bool = False


def run(settings: Settings, *, quick: bool, timeout: float) -> list[Check]:
    """Run every check that can be run; what rests on a silent service is left out.

    Args:
        settings: of the process.
        quick: leave out what reads whole topics but the smallest.
        timeout: seconds for a first answer of the broker.
    """
    registry = registry_of(settings)
    codecs = pipeline_codecs(registry)
    admin = provision.admin_of(settings)
    found = [Check("settings", Result.OK, f"instance {settings.instance_id}")]
    found.append(_tried("broker", lambda: _broker(settings, admin, timeout)))
    found.append(_tried("registry", lambda: _schemas(settings)))
    if found[1].unreachable:
        return found
    found.append(_tried("topics", lambda: _topics(settings, admin)))
    if any(check.result is Result.FAIL for check in found):
        return found
    found.append(_tried("lag", lambda: _lag(settings)))
    found.append(_tried("dead letters", lambda: _dead_letters(settings)))
    if found[2].result is not Result.FAIL:
        found.append(_tried("holds", lambda: _holds(settings, codecs)))
        found.append(_tried("unknown orders", lambda: _unknown(settings, codecs)))
    if not quick:
        found.append(_tried("code", _code))
    return found


def worst(checks: list[Check]) -> Result:
    """Return the worst result.

    Args:
        checks: what was found.
    """
    results = {check.result for check in checks}
    return next((each for each in (Result.FAIL, Result.WARN) if each in results), Result.OK)


def _tried(name: str, work: Callable[[], Check]) -> Check:
    try:
        return work()
    except (UnavailableError, EngineError) as error:
        hint = str(getattr(error, "context", {}).get("hint", "")) or "is it running, and reachable?"
        unreachable = isinstance(error, UnavailableError) or int(error.exit_code) == 4
        text = error.message if isinstance(error, UnavailableError) else str(error)
        return Check(name, Result.FAIL, text, hint, unreachable=unreachable)
    except PipelineError as error:
        return Check(name, Result.FAIL, str(error), str(error.context.get("hint", "")))


def _broker(settings: Settings, admin: AdminClient, timeout: float) -> Check:
    there = provision.counts(admin, timeout)
    return Check("broker", Result.OK, f"{settings.kafka.bootstrap}, {len(there)} topics")


def _schemas(settings: Settings) -> Check:
    changes = provision.schema_changes(registry_of(settings))
    if changes:
        first = changes[0]
        return Check(
            "registry",
            Result.FAIL,
            f"{len(changes)} schemas differ, {first.name} first",
            "`fillonce topics apply` registers them",
        )
    return Check("registry", Result.OK, f"{settings.registry.url}, all schemas known")


def _topics(settings: Settings, admin: AdminClient) -> Check:
    changes = provision.topic_changes(settings, admin)
    refused = [one for one in changes if one.action is provision.Action.REFUSED]
    if refused:
        seen = f"{refused[0].name} has {refused[0].found} partitions, not {refused[0].wanted}"
        return Check("topics", Result.FAIL, seen, "set `partitions` to what is there")
    if changes:
        seen = f"{len(changes)} differences, {changes[0].name} first"
        return Check("topics", Result.FAIL, seen, "`fillonce topics plan`, then `topics apply`")
    return Check("topics", Result.OK, f"{len(topics.catalogue())} as the catalogue says")


def _lag(settings: Settings) -> Check:
    inputs = {
        topics.app_id(name): [topic.name for topic in topics.INPUTS[name]]
        for name in topics.PROCESSORS
        if topics.INPUTS[name]
    }
    behind, _ = Progress(engine_settings(settings), inputs).lag()
    result = Result.WARN if behind > LAG_WARNS else Result.OK
    advice = "do all processors run? `fillonce run`" if result is Result.WARN else ""
    return Check("lag", result, f"{behind} offsets behind the last stable ones", advice)


def _dead_letters(settings: Settings) -> Check:
    names = [topic.name for topic in topics.catalogue() if topic.name.endswith(topics.DEAD)]
    counted: Counter[tuple[str, str]] = Counter()
    for message in messages(settings, names):
        reason = next((v for n, v in message.headers or () if n == "dlq.reason"), None)
        if reason is None and any(name == OF for name, _ in message.headers or ()):
            continue  # the mark of a replay
        counted[message.topic, (reason or b"").decode(errors="replace")[:80]] += 1
    if not counted:
        return Check("dead letters", Result.OK, "none")
    seen = ", ".join(f"{topic}: {count} {reason}" for (topic, reason), count in counted.items())
    bad = any(kind not in HARMLESS for kind in counted)
    return Check(
        "dead letters",
        Result.FAIL if bad else Result.WARN,
        seen,
        "`fillonce dlq list` and `dlq show`; mend their source"
        if bad
        else "rows without an amount are no trades",
    )


def _holds(settings: Settings, codecs: Codecs) -> Check:
    found = held(settings, codecs)
    if not found:
        return Check("holds", Result.OK, "none")
    age = (datetime.now(UTC) - found[0].created_time).total_seconds()
    seen = f"{len(found)}, the oldest {age:.0f} s, of order {found[0].order_id}"
    if age > settings.risk.max_hold_age:
        return Check("holds", Result.FAIL, seen, f"`fillonce orders show {found[0].order_id}`")
    return Check("holds", Result.OK, seen)


def _unknown(settings: Settings, codecs: Codecs) -> Check:
    table = topics.changelog("risk_manager", "orders")
    orders = newest(settings, codecs, table).values()
    found = [order for order in orders if order.status is Status.UNKNOWN]
    if found:
        return Check(
            "unknown orders",
            Result.FAIL,
            f"{len(found)}, {found[0].order_id} first",
            "execution asks the venue by itself: does it run, and does the venue answer?",
        )
    return Check("unknown orders", Result.OK, "none")


def _code() -> Check:
    from streams.version import code_version, environment

    return Check("code", Result.OK, f"{code_version()[:12]}, Python {environment()['python']}")
