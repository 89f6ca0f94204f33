"""Dead letters on a real broker: bytes as they were, culprits found, rates that stop, and the way back."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka.admin import NewTopic

from streams.cli.main import run
from tests.integration.oracle import Oracle, Row
from tests.integration.replaying import verify
from tests.integration.workers import ROOT, Workers, eventually

APPS = "tests.integration.apps"


def values(rows: list[Row]) -> list[str]:
    """The values of rows as text, in order."""
    return [(row.value or b"").decode() for row in rows]


def facts(row: Row) -> dict[str, str]:
    """The facts of a dead letter by name."""
    return {
        n.removeprefix("dlq."): (v or b"").decode() for n, v in row.headers if n.startswith("dlq.")
    }


@pytest.mark.timeout(150)
def test_a_letter_is_the_record_byte_for_byte(
    oracle: Oracle, workers: Workers, topic_prefix: str
) -> None:
    """Null key, odd bytes, double and null headers, ten thousand of them, and the largest record there is."""
    number = oracle.create(f"{topic_prefix}number", 2)
    oracle.create(f"{topic_prefix}sum", 2)
    headers: list[tuple[str, Any]] = [
        ("a", b"1"), ("a", b"1"), ("a", None), ("", b""), ("dlq.app", b"an earlier one"),
        ("b", b"\xff\x00\xfe"), ("\u00e9\U0001f600", b"x"), ("cause", b"other|t|0|1|0"),
    ]  # fmt: skip
    cases: list[tuple[bytes | None, bytes | None, list[tuple[str, Any]], int]] = [
        (b"k", b"no json", headers, 0),
        (None, b"\x00\x00\x00\x01\x02\xff", [], 1),
        (b"", b"", [("", None)], 0),
        (b"\xff\xfe", b"{", [("n", b"%d" % n) for n in range(10_000)], 1),
        (b"large", b"x" * 1_048_500, [], 0),
        (b"k", None, [("t", b"tombstone")], 1),
    ]
    producer = oracle.producer(**{"message.max.bytes": 2_000_000})
    for key, value, own, partition in cases:
        producer.produce(number, value, key, partition, headers=own)
    assert producer.flush(20) == 0
    worker = workers.start(f"{APPS}.poison:app")
    dead = f"{topic_prefix}number.dlq"
    assert eventually(lambda: len(oracle.read(dead)) == len(cases), 60), worker.text[-3000:]
    sources = {(row.partition, row.offset): row for row in oracle.read(number)}
    for letter in oracle.read(dead):
        told = facts(letter)
        source = sources[int(told["partition"]), int(told["offset"])]
        assert (letter.key, letter.value) == (source.key, source.value)
        assert letter.headers[: len(source.headers)] == source.headers
        assert letter.partition == source.partition
        assert (told["topic"], told["attempts"]) == (
            number,
            "1" if source.value is not None else "3",
        )
    frame = next(each for each in oracle.read(dead) if (each.value or b"")[:1] == b"\0")
    assert facts(frame)["schema_id"] == "258"
    assert worker.terminate() == 0


@pytest.mark.timeout(150)
def test_who_is_at_fault_is_found_without_a_name(
    oracle: Oracle, workers: Workers, topic_prefix: str, tmp_path: Path
) -> None:
    """An output that Kafka refuses at the flush, an event that never ends, one that fails: each set aside.

    The others are processed once, in order, and a replay derives every letter byte for byte.
    """
    word = oracle.create(f"{topic_prefix}word", 2)
    new = NewTopic(f"{topic_prefix}echo", 2, 1, config={"max.message.bytes": "2000"})
    oracle.admin.create_topics([new])[new.topic].result(20)
    rows = [(f"k{n % 5}", b"%d" % n) for n in range(300)]
    culprits = [("k1", b"big"), ("k2", b"hang"), ("k3", b"bad one")]
    oracle.write(word, [*rows[:100], *culprits[:1], *rows[100:200], *culprits[1:], *rows[200:]])
    workers.environment["TEST_FLAG"] = str(tmp_path)
    worker = workers.start(f"{APPS}.trouble:app")
    dead, group = f"{topic_prefix}word.dlq", f"{topic_prefix}trouble"
    done = lambda: oracle.settled(group, [word], [new.topic, dead, f"{group}.journal"])  # noqa: E731
    assert eventually(done, 90), worker.text[-4000:]
    found = {each.value: facts(each) for each in oracle.read(dead)}
    assert {value: each["error"] for value, each in found.items()} == {
        b"big": "RecordRefused", b"hang": "TimeoutError", b"bad one": "ValueError",
    }  # fmt: skip
    assert found[b"bad one"]["reason"] == "bad word, token=***"
    assert (found[b"hang"]["attempts"], found[b"hang"]["code_version"]) == ("2", "v1")
    assert "agent echo failed: TimeoutError: the batch did not end within 5 s" in worker.text
    for key in {key for key, _ in rows}:
        echoed = [row for row in oracle.read(new.topic) if row.key == key.encode()]
        assert values(echoed) == [value.decode() for k, value in rows if k == key]
    assert worker.terminate() == 0
    status, report = verify(f"{APPS}.trouble:app", ROOT, **workers.environment)
    assert (status, report["divergences"]) == (0, 0)


@pytest.mark.timeout(150)
def test_a_partition_that_waits_is_neither_skipped_nor_spun_on(
    oracle: Oracle, workers: Workers, topic_prefix: str, tmp_path: Path
) -> None:
    """Partition 0 waits for a neighbour; partition 1 goes on, also with what comes later; then 0 goes on."""
    word, echo = (oracle.create(f"{topic_prefix}{name}", 2) for name in ("word", "echo"))
    flag = tmp_path / "flag"
    workers.environment["TEST_FLAG"] = str(flag)
    oracle.write(word, [("a", b"1"), ("a", b"later"), ("a", b"2")], partition=0)
    oracle.write(word, [("b", b"%d" % n) for n in range(100, 150)], partition=1)
    worker = workers.start(f"{APPS}.trouble:app")
    assert eventually(lambda: len(oracle.read(echo)) == 51), worker.text[-3000:]
    oracle.write(word, [("b", b"%d" % n) for n in range(150, 200)], partition=1)
    oracle.write(word, [("a", b"3")], partition=0)
    assert eventually(lambda: len(oracle.read(echo)) == 101), worker.text[-3000:]
    assert eventually(lambda: worker.text.count("partition 0 waits") >= 3), worker.text[-3000:]
    before = cpu_seconds(worker.process.pid)
    threading.Event().wait(1.0)  # a second of its CPU is what is measured
    assert cpu_seconds(worker.process.pid) - before < 0.5
    assert worker.text.count("partition 0 waits") < 20
    assert oracle.committed(f"{topic_prefix}trouble", [word])[word, 0] == 1
    flag.touch()
    group = f"{topic_prefix}trouble"
    assert eventually(lambda: oracle.settled(group, [word], [echo])), worker.text[-3000:]
    assert values([r for r in oracle.read(echo) if r.key == b"a"]) == ["1", "later", "2", "3"]
    assert oracle.read(f"{word}.dlq") == []
    assert worker.text.count("transaction aborted") == 0
    assert worker.terminate() == 0


def cpu_seconds(pid: int) -> float:
    """CPU time a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


@pytest.mark.timeout(150)
def test_too_many_dead_letters_stop_the_worker_until_somebody_says_so(
    oracle: Oracle, workers: Workers, topic_prefix: str, tmp_path: Path
) -> None:
    """Exit 65 with what was committed intact; a restart sets nothing more aside; a higher bound so many."""
    word, echo = oracle.create(f"{topic_prefix}word", 1), oracle.create(f"{topic_prefix}echo", 1)
    oracle.write(word, [("a", b"1"), *[("a", b"bad %d" % n) for n in range(9)], ("a", b"2")])
    workers.environment["TEST_FLAG"] = str(tmp_path)
    dead, app = f"{word}.dlq", f"{APPS}.trouble:app"
    worker = workers.start(app, TEST_RUN="3")
    assert worker.wait(60) == 65, worker.text[-3000:]
    assert "partition 0 has 3 dead letters in a row" in worker.text
    assert "this looks like a bad deploy" in worker.text
    assert values(oracle.read(dead)) == ["bad 0", "bad 1"]
    assert oracle.committed(f"{topic_prefix}trouble", [word]) == {(word, 0): 3}
    for bound, count in (("3", 2), ("5", 4), ("0", 9)):
        worker = workers.start(app, TEST_RUN=bound)
        if bound == "0":
            assert eventually(lambda: values(oracle.read(echo)) == ["1", "2"]), worker.text[-3000:]
            assert worker.terminate() == 0
        else:
            assert worker.wait(60) == 65, worker.text[-3000:]
        assert len(oracle.read(dead)) == count, bound


@pytest.mark.timeout(100)
def test_the_policy_stop_names_the_record(
    oracle: Oracle, workers: Workers, topic_prefix: str, tmp_path: Path
) -> None:
    """Exit 65; the record, its error and what to do stand in the last line, nothing is set aside."""
    word, _ = oracle.create(f"{topic_prefix}word", 1), oracle.create(f"{topic_prefix}echo", 1)
    oracle.write(word, [("a", b"1"), ("a", b"bad 1"), ("a", b"2")])
    worker = workers.start(f"{APPS}.trouble:app", TEST_POLICY="stop", TEST_FLAG=str(tmp_path))
    assert worker.wait(60) == 65, worker.text[-3000:]
    last = worker.text.rsplit(" stops: ", 1)[1]
    assert f"{word}[0]@1 failed (tries: 2): ValueError: bad word" in last
    assert "start with poison = continue" in last
    assert "marker-5" not in last
    assert oracle.read(f"{word}.dlq") == []


Tell = Callable[..., tuple[int, Any]]


@pytest.fixture
def tell(
    oracle: Oracle, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Tell:
    """Run a command and return its status and its JSON, of stdout or of stderr."""
    monkeypatch.setenv("FILLONCE_KAFKA__BOOTSTRAP", oracle.bootstrap)

    def told(*arguments: str) -> tuple[int, Any]:
        capsys.readouterr()
        status = run(["--output", "json", "dlq", *arguments])
        out, err = capsys.readouterr()
        return status, json.loads(out) if out else json.loads(err.splitlines()[-1])

    return told


@pytest.mark.timeout(150)
def test_dead_letters_are_listed_shown_and_replayed_once(
    oracle: Oracle, workers: Workers, topic_prefix: str, tell: Tell, tmp_path: Path
) -> None:
    """A plan changes nothing; a repaired letter is processed; a second replay is refused unless asked for."""
    number, total = (oracle.create(f"{topic_prefix}{name}", 2) for name in ("number", "sum"))
    own: list[tuple[str, Any]] = [("a", b"1"), ("a", None), ("cause", b"other|t|0|1|0")]
    oracle.write(number, [("k1", b'{"n": 1}'), ("k1", b'{"n": 66}')], headers=own)
    oracle.write(number, [("k2", b"no json")], headers=own)
    worker = workers.start(f"{APPS}.poison:app")
    dead = f"{number}.dlq"
    assert eventually(lambda: len(oracle.read(dead)) == 2), worker.text[-3000:]

    status, rows = tell("list", number)
    assert status == 0
    assert [(row["topic"], row["app"], row["error"], row["count"], row["replayed"]) for row in rows] == [
        (dead, f"{topic_prefix}poison", "ValueDecodeError", 1, 0),
        (dead, f"{topic_prefix}poison", "Wrong", 1, 0),
    ]  # fmt: skip
    assert any(row["topic"] == dead for row in tell("list")[1])
    status, shown = tell("show", dead, "--error", "Wrong")
    assert (status, shown["topic"]) == (0, dead)
    (letter,) = shown["letters"]
    assert (letter["key"], letter["value"]["decoded"]) == ("k1", {"n": 66})
    assert letter["value"]["hex"] == b'{"n": 66}'.hex()
    assert letter["headers"] == [["a", "1"], ["a", None], ["cause", "other|t|0|1|0"]]
    assert (letter["facts"]["error"], letter["facts"]["reason"]) == ("Wrong", "sixty-six")

    patch = ("replay", number, "--error", "Wrong", "--patch", "n=5")
    before = oracle.ends([number, dead], stable=True)
    assert tell(*patch, "--check")[0] == 3
    status, (row,) = tell(*patch)
    assert (status, row["action"], row["repaired"]) == (0, "send", True)
    assert oracle.ends([number, dead], stable=True) == before
    status, (row,) = tell(*patch, "--execute")
    assert (status, row["action"]) == (0, "sent")
    assert eventually(lambda: values(oracle.read(total))[-1:] == ["6"]), worker.text[-3000:]

    source = {row.value: row for row in oracle.read(number)}
    again = source[b'{"n":5}']
    assert (again.key, again.partition) == (b"k1", source[b'{"n": 66}'].partition)
    place = f"{dead}|{letter['partition']}|{letter['offset']}".encode()
    assert again.headers == [
        ("a", b"1"), ("a", None), ("replay.from", place), ("replay.cause", b"other|t|0|1|0"),
    ]  # fmt: skip
    status, refused = tell(*patch, "--execute")
    assert (status, refused["error"]["code"]) == (5, 5)
    assert "replayed before" in refused["error"]["message"]
    assert tell(*patch, "--check")[0] == 0
    listed = {row["error"]: (row["count"], row["replayed"]) for row in tell("list", number)[1]}
    assert listed == {"ValueDecodeError": (1, 0), "Wrong": (1, 1)}
    (letter,) = tell("show", dead, "--error", "Wrong")[1]["letters"]
    assert [each["to"] for each in letter["replays"]] == [f"{number}|{again.partition}"]
    assert tell(*patch, "--again", "--execute")[0] == 0
    assert eventually(lambda: values(oracle.read(total))[-1:] == ["11"])

    file = tmp_path / "value"
    file.write_bytes(b'{"n": 7}')
    other = oracle.create(f"{topic_prefix}other", 1)
    status, (row,) = tell(
        "replay", number, "--key", "k2", "--set-value", str(file), "--to", other, "--execute"
    )
    assert (status, row["to"]) == (0, f"{other}[0]@0")
    assert [(row.key, row.value) for row in oracle.read(other)] == [(b"k2", b'{"n": 7}')]
    assert worker.terminate() == 0


def test_replay_is_refused_where_it_is_called_wrongly(
    oracle: Oracle, topic_prefix: str, tell: Tell, tmp_path: Path
) -> None:
    """No choice, no such topic, two repairs, a bad offset: status 2 and one JSON object that says why."""
    dead = oracle.create(f"{topic_prefix}x.dlq", 1)
    for arguments in (
        ("replay", dead),
        ("replay", f"{topic_prefix}none", "--all"),
        ("replay", dead, "--all", "--to", f"{topic_prefix}none"),
        ("replay", dead, "--offset", "a"),
        ("replay", dead, "--all", "--patch", "n"),
        ("replay", dead, "--all", "--patch", "n=1", "--set-value", str(tmp_path / "no")),
        ("replay", dead, "--all", "--set-value", str(tmp_path / "no")),
        ("replay", dead, "--all", "--execute", "--check"),
        ("show", f"{topic_prefix}none"),
        ("list", f"{topic_prefix}none"),
    ):
        status, told = tell(*arguments)
        assert (status, told["error"]["code"]) == (2, 2), arguments
        assert set(told["error"]) == {"code", "message", "hint", "details"}
    assert tell("replay", dead, "--all", "--execute") == (0, [])
