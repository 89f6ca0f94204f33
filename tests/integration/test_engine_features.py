"""Poison, sources, clocks, global tables and work after the commit, on a real broker."""

from __future__ import annotations

import json
from collections import Counter
from itertools import groupby

from tests.integration.oracle import Oracle
from tests.integration.workers import Workers, eventually

APPS = "tests.integration.apps"


def by_key(oracle: Oracle, topic: str) -> dict[str, list[str]]:
    """The values of a topic by key, in order."""
    found: dict[str, list[str]] = {}
    for row in oracle.read(topic):
        found.setdefault((row.key or b"").decode(), []).append((row.value or b"").decode())
    return found


def test_poison_goes_to_the_dead_letters_and_the_rest_goes_on(
    oracle: Oracle, workers: Workers, topic_prefix: str
) -> None:
    """Bytes that cannot be read, and records an agent fails on, are set aside with their reason."""
    number, total = (oracle.create(f"{topic_prefix}{name}", 2) for name in ("number", "sum"))
    good = [(f"k{n % 5}", json.dumps({"n": n}).encode()) for n in range(1_000, 1_200)]
    poison = [
        ("k1", b'{"n": 13}', "ZeroDivisionError", "thirteen", 3),
        ("k2", b'{"n": 66}', "Wrong", "sixty-six", 1),
        ("k3", b"\xff\x00 no json", "ValueDecodeError", "", 0),
        ("k4", b'{"m": 1}', "KeyError", "", 3),
    ]
    rows = [*good[:100], *((key, value) for key, value, *_ in poison), ("k0", b'{"n": 99}')]
    oracle.write(number, [*rows, *good[100:]], headers=[("from", b"test")])
    worker = workers.start(f"{APPS}.poison:app")
    group, dead, journal = (topic_prefix + s for s in ("poison", "number.dlq", "poison.journal"))
    assert eventually(lambda: oracle.settled(group, [number], [total, dead, journal])), worker.text

    sums, expected = Counter[str](), {}
    for key, value in [*good, ("k0", b'{"n": 99}')]:
        sums[key] += json.loads(value)["n"]
    found = by_key(oracle, total)
    for key in sums:
        steps, running = [], 0
        for k, value in [*good[:100], ("k0", b'{"n": 99}'), *good[100:]]:
            if k == key:
                running += json.loads(value)["n"]
                steps.append(str(running))
        expected[key] = steps
    assert found == expected

    letters = {row.value: row for row in oracle.read(dead)}
    assert len(letters) == len(oracle.read(dead)) == len(poison)
    source = {row.value: row for row in oracle.read(number)}
    for key, value, kind, reason, tries in poison:
        letter, facts = letters[value], dict(letters[value].headers)
        assert letter.key == key.encode()
        assert letter.headers[0] == ("from", b"test")
        assert (facts["dlq.topic"], facts["dlq.error"]) == (number.encode(), kind.encode())
        assert (facts["dlq.app"], facts["dlq.partition"]) == (
            group.encode(),
            b"%d" % source[value].partition,
        )
        assert facts["dlq.offset"] == b"%d" % source[value].offset
        assert reason.encode() in (facts["dlq.reason"] or b"")
        place = f"number[{source[value].partition}]@{source[value].offset} key"
        attempts = [x for x in worker.text.splitlines() if "agent" in x and place in x]
        assert sum("transaction aborted" not in x for x in attempts) == tries, attempts
    kinds = [
        (run[1], run[2])
        for row in oracle.read(journal)
        for run in json.loads(row.value or b"")["runs"]
        if run[0] == "dead"
    ]
    assert sorted(kinds) == sorted((number, source[value].offset) for _, value, *_ in poison)
    assert worker.terminate() == 0


def test_agents_clock_globals_and_effects(
    oracle: Oracle, workers: Workers, topic_prefix: str
) -> None:
    """Two agents take turns, a global table is read, ticks write while they have to, effects run once."""
    word, out = (oracle.create(f"{topic_prefix}{name}", 2) for name in ("word", "out"))
    done = oracle.create(f"{topic_prefix}done", 1)
    price = oracle.create(f"{topic_prefix}price", 1, compact=True)
    oracle.write(price, [("x", b"1"), ("y", b"2"), ("x", b"3"), ("y", None)])
    oracle.write(word, [(f"k{n}", value) for n in range(4) for value in (b"x", b"y")])
    worker = workers.start(f"{APPS}.features:app")
    group, journal = topic_prefix + "features", topic_prefix + "features.journal"
    assert eventually(lambda: len(oracle.read(done)) == 8), worker.text[-3000:]
    assert eventually(lambda: len(by_key(oracle, out).get("tick", ())) == 6)
    for n in range(4):
        assert by_key(oracle, out)[f"k{n}"] == ["a1=3", "b1", "a2=none", "b2"]
        assert by_key(oracle, done)[f"k{n}"] == ["1", "2"]
    ticks = [(r.partition, (r.value or b"").decode()) for r in oracle.read(out) if r.key == b"tick"]
    for _, each in groupby(sorted(ticks), key=lambda tick: tick[0]):
        counted = [value.split(" ") for _, value in each]
        assert [number for _, number, _ in counted] == ["1", "2", "3"]
        assert [now for *_, now in counted] == sorted({now for *_, now in counted})
    topics = [out, journal, f"{group}-ticks-changelog"]
    assert eventually(lambda: oracle.settled(group, [word], topics))
    oracle.write(price, [("y", b"7")])
    before = oracle.ends([journal], stable=True)
    idle = worker.text.count("transaction aborted")
    oracle.write(word, [("k0", b"y")])
    assert eventually(lambda: len(oracle.read(done)) == 9)
    assert by_key(oracle, out)["k0"][-2:] in (["a3=7", "b3"], ["a3=none", "b3"])
    assert eventually(lambda: oracle.settled(group, [word], topics))
    grown = sum(oracle.ends([journal], stable=True).values()) - sum(before.values())
    assert grown <= 4, "ticks that did nothing left a trace"
    assert idle == worker.text.count("transaction aborted") == 0
    assert worker.terminate() == 0


def test_a_source_goes_on_from_its_cursor_after_kill_9(
    oracle: Oracle, workers: Workers, topic_prefix: str
) -> None:
    """Killed before and after commits, it loses no tick and doubles none."""
    number = oracle.create(f"{topic_prefix}number", 3)
    cursor = oracle.create(f"{topic_prefix}cursor", 1, compact=True)
    for point in ("source_flushed:20", "source_committed:15", "source_flushed:1"):
        worker = workers.start(f"{APPS}.ticks:app", FILLONCE_FAILPOINT=point)
        assert worker.wait() == -9, worker.text
        assert oracle.hanging([number, cursor]) == point.startswith("source_flushed")
    worker = workers.start(f"{APPS}.ticks:app")

    def newest() -> bytes | None:
        return oracle.fold(cursor).get(0, {}).get(b"numbers")

    assert eventually(lambda: newest() == b"6000"), worker.text[-3000:]
    for partition, rows in groupby(oracle.read(number), key=lambda row: row.partition):
        values = [int(row.value or b"") for row in rows]
        assert values == sorted(set(values)), partition
    assert sorted(int(row.value or b"") for row in oracle.read(number)) == list(range(6_000))
    assert len(oracle.read(number, uncommitted=True)) == 6_000 + 100
    assert worker.terminate() == 0


def test_a_second_holder_fences_a_source(
    oracle: Oracle, workers: Workers, topic_prefix: str
) -> None:
    """The first holder ends with 70 at its next send; the second goes on from the cursor."""
    number = oracle.create(f"{topic_prefix}number", 3)
    cursor = oracle.create(f"{topic_prefix}cursor", 1, compact=True)
    first = workers.start(f"{APPS}.ticks:app", TICKS_PAUSE="0.5")

    def newest() -> int:
        return int(oracle.fold(cursor).get(0, {}).get(b"numbers", b"0"))

    assert eventually(lambda: newest() > 100), first.text[-3000:]
    second = workers.start(f"{APPS}.ticks:app")
    assert first.wait() == 70, first.text[-3000:]
    assert eventually(lambda: newest() == 6_000), second.text[-3000:]
    assert sorted(int(row.value or b"") for row in oracle.read(number)) == list(range(6_000))
    assert second.terminate() == 0
