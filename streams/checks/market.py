"""Is the market in the topics whole, and is nothing left over: dead letters, unread records?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from streams.checks import names
from streams.checks.check import Check, verdict
from streams.checks.history import History, Lag


def ticks(history: History, count: int) -> Check:
    """As many ticks stand in the topic as the file has good rows, and the source says the same."""
    problems = [] if history.ticks == count else [f"{history.ticks} ticks, {count} expected"]
    cursor = history.cursors.get(names.RECORDED)
    if cursor is None:
        return verdict("ticks", [*problems, "the source has left no cursor"], "")
    refused = sum(cursor.refused.values())
    if cursor.ticks != history.ticks:
        problems.append(f"the source counts {cursor.ticks} ticks, the topic {history.ticks}")
    if cursor.rows != cursor.ticks + refused:
        problems.append(f"of {cursor.rows} rows {cursor.ticks} are ticks, {refused} refused")
    if not cursor.finished:
        problems.append(f"the source has not finished: it stands at {cursor.position}")
    return verdict("ticks", problems, f"{history.ticks} ticks of {cursor.rows} rows")


def ticks_once(history: History) -> Check:
    """No trade of the file stands in the topic twice."""
    problems = [
        f"{instrument} trade {trade} stands {count} times"
        for (instrument, trade), count in history.tick_ids.items()
        if count > 1
    ]
    return verdict("ticks_once", problems, f"{len(history.tick_ids)} different trade ids")


def refused(history: History, expected: Mapping[str, int]) -> Check:
    """The rows that are no ticks are dead letters, each with its reason; the source says the same."""
    found = history.dead.get(names.TICK, Counter())
    cursor = history.cursors.get(names.RECORDED)
    told = Counter(cursor.refused if cursor else {})
    problems = [
        f"{reason}: {found[reason]} dead letters, {expected.get(reason, 0)} expected"
        for reason in sorted({*found, *expected})
        if found[reason] != expected.get(reason, 0)
    ]
    problems += [
        f"{reason}: {found[reason]} dead letters, the source counts {told[reason]}"
        for reason in sorted({*found, *told})
        if found[reason] != told[reason]
    ]
    seen = ", ".join(f"{count} {reason}" for reason, count in sorted(found.items()))
    return verdict("dead_letters_of_ticks", problems, seen or "none, none expected")


def no_other_dead(history: History) -> Check:
    """No other topic has a dead letter, and every record can be read."""
    problems = [
        f"{topic}: {count} {reason}"
        for topic, reasons in sorted(history.dead.items())
        if topic != names.TICK
        for reason, count in sorted(reasons.items())
    ]
    problems += history.undecodable
    return verdict("no_other_dead_letters", problems, "none, and every record can be read")


def groups(lags: list[Lag], compared: int) -> Check:
    """Every group has committed exactly the last stable offset of all that it reads."""
    problems = [
        f"{lag.group} {lag.topic}[{lag.partition}] stands at {lag.committed} of {lag.end}"
        for lag in lags
    ]
    if not compared:
        problems.append("no partition was compared")
    return verdict("groups_at_the_end", problems, f"{compared} committed offsets equal the ends")
