"""Topics in odd states, and records that no client of ours would write: nothing is skipped, nothing hangs."""

from __future__ import annotations

import ctypes
import json
from pathlib import Path

import confluent_kafka
import pytest
from confluent_kafka import Producer, TopicPartition

from tests.integration.oracle import Oracle
from tests.integration.workers import Workers, eventually

APP = "tests.integration.apps.poison:app"


def rows(*numbers: int) -> list[tuple[str, bytes]]:
    """Good records of the app."""
    return [("k", json.dumps({"n": n}).encode()) for n in numbers]


@pytest.mark.timeout(100)
def test_empty_aborted_and_open_partitions_are_read_to_their_ends(
    oracle: Oracle, workers: Workers, topic_prefix: str
) -> None:
    """Nothing, only aborted records, aborted between good ones: the group ends at the last stable offset."""
    number, total = (oracle.create(f"{topic_prefix}{name}", 2) for name in ("number", "sum"))
    producer = Producer(
        {
            "bootstrap.servers": oracle.bootstrap,
            "transactional.id": topic_prefix,
            "transaction.timeout.ms": 60_000,
        }
    )
    producer.init_transactions(20)
    for partition, value, commits in (
        (0, b'{"n": 1}', False),
        (1, b'{"n": 2}', True),
        (1, b'{"n": 3}', False),
    ):
        producer.begin_transaction()
        producer.produce(number, value, b"k", partition)
        producer.commit_transaction(20) if commits else producer.abort_transaction(20)
    worker = workers.start(APP)
    group = f"{topic_prefix}poison"
    settled = lambda: oracle.settled(group, [number], [total])  # noqa: E731
    assert eventually(settled), worker.text[-3000:]
    assert [row.value for row in oracle.read(total)] == [b"2"]
    producer.begin_transaction()
    producer.produce(number, b'{"n": 4}', b"k", 1)
    assert producer.flush(20) == 0
    oracle.write(number, rows(5), partition=0)
    assert eventually(lambda: len(oracle.read(total)) == 2), worker.text[-3000:]
    producer.commit_transaction(20)
    assert eventually(settled), worker.text[-3000:]
    assert sorted(row.value or b"" for row in oracle.read(total)) == [b"2", b"5", b"6"]
    assert worker.terminate() == 0


@pytest.mark.timeout(100)
def test_a_position_that_retention_took_is_said(
    oracle: Oracle, workers: Workers, topic_prefix: str
) -> None:
    """The log begins behind the committed offset: exit 2 with what happened, and no silent jump."""
    number, total = (oracle.create(f"{topic_prefix}{name}", 1) for name in ("number", "sum"))
    oracle.write(number, rows(1, 2))
    worker = workers.start(APP)
    assert eventually(lambda: oracle.settled(f"{topic_prefix}poison", [number], [total]))
    assert worker.terminate() == 0
    oracle.write(number, rows(3, 4, 5))
    oracle.admin.delete_records([TopicPartition(number, 0, 4)])
    assert eventually(lambda: [row.offset for row in oracle.read(number)] == [4])
    worker = workers.start(APP)
    assert worker.wait(60) == 2, worker.text[-3000:]
    assert "records were lost to retention" in worker.text
    assert len(oracle.read(total)) == 2


@pytest.mark.timeout(100)
def test_a_damaged_batch_is_not_skipped(
    oracle: Oracle, workers: Workers, topic_prefix: str, tmp_path: Path
) -> None:
    """A bit flipped on the broker's disk: the worker ends with 75 and says so, its position stays."""
    number, total = (oracle.create(f"{topic_prefix}{name}", 1) for name in ("number", "sum"))
    for each in rows(1, 77_777, 2):
        oracle.write(number, [each])
    (segment,) = {found.resolve() for found in tmp_path.parent.rglob(f"{number}-0/*.log")}
    data = segment.read_bytes()
    with segment.open("r+b") as file:
        file.seek(data.index(b"77777"))
        file.write(b"77771")
    worker = workers.start(APP)
    assert worker.wait(60) == 75, worker.text[-3000:]
    assert "is damaged and cannot be read" in worker.text
    assert [row.value for row in oracle.read(total)] in ([], [b"1"])
    assert oracle.committed(f"{topic_prefix}poison", [number]).get((number, 0), 0) <= 1


def write_header(bootstrap: str, topic: str, name: bytes, value: bytes) -> None:
    """Write a record with a header whose name is any bytes, as clients of other languages can."""
    package = Path(confluent_kafka.__file__).parent
    (path,) = package.with_name("confluent_kafka.libs").glob("*rdkafka*")
    lib = ctypes.CDLL(str(path))
    for call in ("rd_kafka_conf_new", "rd_kafka_new", "rd_kafka_topic_new", "rd_kafka_headers_new"):
        getattr(lib, call).restype = ctypes.c_void_p
    words = ctypes.create_string_buffer(512)
    conf = ctypes.c_void_p(lib.rd_kafka_conf_new())
    lib.rd_kafka_conf_set(conf, b"bootstrap.servers", bootstrap.encode(), words, 512)
    client = ctypes.c_void_p(lib.rd_kafka_new(0, conf, words, 512))
    headers = ctypes.c_void_p(lib.rd_kafka_headers_new(ctypes.c_size_t(1)))
    lib.rd_kafka_header_add(headers, name, ctypes.c_ssize_t(len(name)), b"x", ctypes.c_ssize_t(1))
    # rd_kafka_producev(client, TOPIC, topic, VALUE, value, size, KEY, key, size, HEADERS, headers, END)
    status = lib.rd_kafka_producev(
        client, 1, topic.encode(), 4, value, ctypes.c_size_t(len(value)), 5, b"k",
        ctypes.c_size_t(1), 10, headers, 0,
    )  # fmt: skip
    assert status == 0
    assert lib.rd_kafka_flush(client, 20_000) == 0
    lib.rd_kafka_destroy(client)


@pytest.mark.timeout(100)
def test_a_header_name_that_is_no_text_stops_nothing(
    oracle: Oracle, workers: Workers, topic_prefix: str
) -> None:
    """The client cannot give its headers out, so the record is set aside, and the next ones go on."""
    number, total = (oracle.create(f"{topic_prefix}{name}", 1) for name in ("number", "sum"))
    oracle.write(number, rows(1))
    write_header(oracle.bootstrap, number, b"\xff\xfe", b'{"n": 2}')
    oracle.write(number, rows(3))
    worker = workers.start(APP)
    assert eventually(lambda: len(oracle.read(total)) == 2), worker.text[-3000:]
    assert [row.value for row in oracle.read(total)] == [b"1", b"4"]
    (letter,) = oracle.read(f"{number}.dlq")
    assert (letter.key, letter.value) == (b"k", b'{"n": 2}')
    assert letter.headers[0] == ("headers.unreadable", None)
    assert dict(letter.headers)["dlq.error"] == b"UnreadableHeaders"
    assert worker.terminate() == 0
