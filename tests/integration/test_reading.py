"""The checker's own reader sees what was committed, whole and nothing else, on a real broker."""

from __future__ import annotations

import socket
import time
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from processors.errors import ConfigError, UnavailableError
from streams.checks import __main__ as checks
from streams.checks.history import lags
from streams.checks.reading import Reader, Row
from streams.local.services import Services
from streams.summary import __main__ as summary


def _topic(services: Services, name: str, partitions: int = 2) -> None:
    admin = AdminClient({"bootstrap.servers": services.bootstrap})
    for future in admin.create_topics([NewTopic(name, partitions, 1)]).values():
        future.result(10)


def _producer(services: Services, name: str) -> Producer:
    producer = Producer({"bootstrap.servers": services.bootstrap, "transactional.id": name})
    producer.init_transactions(10)
    return producer


def _send(producer: Producer, topic: str, texts: str, partition: int = 0) -> None:
    for text in texts:
        producer.produce(
            topic, text.encode(), b"key", partition, timestamp=ord(text) * 1_000,
            headers=[("cause", f"a|{topic}|0|7|1".encode())],
        )  # fmt: skip
    producer.flush(10)


def _texts(rows: list[Row]) -> str:
    return "".join((row.value or b"").decode() for row in rows)


@pytest.fixture
def topic(services: Services, topic_prefix: str) -> str:
    """Partition 0: abc committed, xyz aborted, def committed; partition 1: an open transaction."""
    name = f"{topic_prefix}log"
    _topic(services, name)
    producer = _producer(services, f"{topic_prefix}p")
    for texts, commits in (("abc", True), ("xyz", False), ("def", True)):
        producer.begin_transaction()
        _send(producer, name, texts)
        producer.commit_transaction(10) if commits else producer.abort_transaction(10)
    return name


def test_only_what_was_committed_is_read_to_the_end(services: Services, topic: str) -> None:
    """Aborted records and markers are no rows; the end is reached behind the last marker."""
    with Reader(services.bootstrap) as reader:
        rows = reader.rows(topic)
        assert _texts(rows) == "abcdef"
        assert [row.offset for row in rows] == [0, 1, 2, 8, 9, 10]
        assert rows[0].timestamp_ms == ord("a") * 1_000
        assert rows[0].cause is not None
        assert rows[0].cause.offset == 7
        assert rows[0].key == b"key"
        assert reader.rows(topic, 1) == []
        assert reader.ends([topic]) == {(topic, 0): 12, (topic, 1): 0}


def test_open_transaction_is_the_end(services: Services, topic: str, topic_prefix: str) -> None:
    """Records of a transaction that is open, and what stands behind them, are not read, nor waited for."""
    producer = _producer(services, f"{topic_prefix}open")
    producer.begin_transaction()
    _send(producer, topic, "gh", partition=1)
    try:
        with Reader(services.bootstrap) as reader:
            before = time.monotonic()
            assert _texts(reader.rows(topic)) == "abcdef"
            assert time.monotonic() - before < 10
    finally:
        producer.abort_transaction(10)


def test_single_records_are_found(services: Services, topic: str) -> None:
    """A record is read by its offset; a marker or what was aborted is none; a time gives where to begin."""
    with Reader(services.bootstrap) as reader:
        found = reader.at(topic, 0, 9)
        assert found is not None
        assert found.value == b"e"
        assert reader.at(topic, 0, 3) is None
        assert reader.at(topic, 0, 5) is None
        assert reader.at(topic, 0, 99) is None
        assert 0 < reader.offset_at(topic, 0, ord("e") * 1_000) <= 9
        assert reader.offset_at(topic, 1, 0) == 0
        late = reader.first(topic, 0, 2, lambda row: row.value == b"f")
        assert late is not None
        assert late.offset == 10
        assert reader.first(topic, 0, 0, lambda row: row.value == b"x") is None


def test_groups_are_compared_with_the_stable_end(
    services: Services, topic: str, topic_prefix: str
) -> None:
    """A group at the last record is behind by the marker; one at the end is not; none counts as 0."""
    group = f"{topic_prefix}group"
    consumer = Consumer({"bootstrap.servers": services.bootstrap, "group.id": group})
    with Reader(services.bootstrap) as reader:
        found, compared = lags(reader, {group: (topic,)})
        assert [(lag.partition, lag.committed, lag.end) for lag in found] == [(0, 0, 12)]
        assert compared == 2
        for offset, behind in ((11, 1), (12, 0)):
            consumer.commit(offsets=[TopicPartition(topic, 0, offset)], asynchronous=False)
            assert len(lags(reader, {group: (topic,)})[0]) == behind
    consumer.close()


def test_topic_that_is_missing_is_named(services: Services, topic_prefix: str) -> None:
    """A topic that is not there is an error that names it; it is not created."""
    name = f"{topic_prefix}missing"
    with Reader(services.bootstrap) as reader, pytest.raises(ConfigError, match="missing"):
        reader.rows(name)
    with Reader(services.bootstrap) as reader:
        assert name not in reader.topics()


def test_programs_say_that_nothing_answers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With nothing behind the port, checks and summary say so and exit 4."""
    with socket.socket() as taken:  # bound and not listening: nobody answers there
        taken.bind(("127.0.0.1", 0))
        nowhere = f"127.0.0.1:{taken.getsockname()[1]}"
        places = ["--bootstrap", nowhere, "--registry", f"http://{nowhere}", "--timeout", "1"]
        assert checks.main([*places, "--simulator", f"http://{nowhere}"]) == 4
        assert summary.main([*places, "--out", str(tmp_path)]) == 4
        with pytest.raises(UnavailableError), Reader(nowhere, patience=1.0) as reader:
            reader.topics()
    assert capsys.readouterr().err.count("error: Kafka did not answer") == 2
