"""The services that everything else is tried against: what they promise, against real ones."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic, ResourceType

from processors.errors import UnavailableError
from streams.local.kafka import LocalKafka
from streams.local.ports import free_ports
from streams.local.processes import ProcessRef, birth_of
from streams.local.services import Services, local_services

ROOT = Path(__file__).parents[2]
FILLONCE = [sys.executable, "-c", "from streams.cli.main import main; main()"]


def eventually(condition: Callable[[], bool], seconds: float = 15.0) -> bool:
    """Whether a condition comes true before a deadline."""
    deadline, pause = time.monotonic() + seconds, threading.Event()
    while time.monotonic() < deadline:
        if condition():
            return True
        pause.wait(0.05)
    return False


def fillonce(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run the program as a user would, in a folder of its own."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [*FILLONCE, *arguments],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def create(services: Services, topic: str, partitions: int = 1) -> None:
    """Create a topic and wait for it."""
    admin = AdminClient({"bootstrap.servers": services.bootstrap})
    admin.create_topics([NewTopic(topic, partitions, 1)])[topic].result(10)


def write(services: Services, topic: str, value: bytes) -> None:
    """Write one record and wait for the broker's word."""
    producer = Producer({"bootstrap.servers": services.bootstrap, "log_level": 0})
    producer.produce(topic, value, partition=0)
    assert producer.flush(20) == 0


def read(services: Services, topic: str) -> list[bytes]:
    """Read partition 0 to its end."""
    consumer = Consumer(
        {"bootstrap.servers": services.bootstrap, "group.id": "reader", "log_level": 0}
    )
    try:
        partition = TopicPartition(topic, 0, 0)
        _, end = consumer.get_watermark_offsets(partition, timeout=10)
        consumer.assign([partition])
        messages = consumer.consume(end, timeout=10)
        return [message.value() or b"" for message in messages]
    finally:
        consumer.close()


def ask(url: str, body: object = None) -> tuple[int, object]:
    """Ask the registry, without any proxy."""
    data = json.dumps(body).encode() if body is not None else None
    request = urllib.request.Request(
        url, data, {"Content-Type": "application/vnd.schemaregistry.v1+json"}
    )
    try:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=10) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def test_a_record_comes_back(services: Services, topic_prefix: str) -> None:
    """What was written to a topic is read from it."""
    create(services, topic_prefix + "t")
    write(services, topic_prefix + "t", b"one")
    assert read(services, topic_prefix + "t") == [b"one"]


def test_a_misspelt_topic_is_an_error(services: Services, topic_prefix: str) -> None:
    """Writing to a topic that nobody created fails, and creates none."""
    failures: list[KafkaError | None] = []
    producer = Producer(
        {"bootstrap.servers": services.bootstrap, "message.timeout.ms": 2000, "log_level": 0}
    )
    producer.produce(
        topic_prefix + "none", b"x", on_delivery=lambda error, _message: failures.append(error)
    )
    producer.flush(10)
    assert [error.code() for error in failures if error] == [KafkaError._MSG_TIMED_OUT]
    admin = AdminClient({"bootstrap.servers": services.bootstrap})
    assert topic_prefix + "none" not in admin.list_topics(timeout=10).topics


def test_recorded_data_is_not_deleted_for_its_age(services: Services) -> None:
    """The broker deletes nothing by itself, whatever stamps the records carry."""
    admin = AdminClient({"bootstrap.servers": services.bootstrap})
    broker = ConfigResource(ResourceType.BROKER, "1")
    settings = admin.describe_configs([broker])[broker].result(10)
    assert settings["log.retention.ms"].value == "-1"
    assert settings["auto.create.topics.enable"].value == "false"


def test_every_port_is_on_loopback_alone(services: Services) -> None:
    """No service listens where another machine could reach it."""
    listening: dict[int, set[str]] = {}
    for family in ("tcp", "tcp6"):
        for line in Path("/proc/net", family).read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A":  # LISTEN
                host, _, number = fields[1].rpartition(":")
                listening.setdefault(int(number, 16), set()).add(host)
    loopback = {"0100007F", "0000000000000000FFFF00000100007F"}
    for one in services.members:
        for port in one.ports:
            assert listening[port] <= loopback, (one.name, port)


def test_the_registry_refuses_an_incompatible_schema(services: Services, topic_prefix: str) -> None:
    """The level FULL_TRANSITIVE holds for a subject that nobody configured."""
    subject = f"{services.registry_url}/subjects/{topic_prefix}s-value/versions"

    def record(*fields: dict[str, object]) -> dict[str, str]:
        schema = {"type": "record", "name": "R", "fields": list(fields)}
        return {"schemaType": "AVRO", "schema": json.dumps(schema)}

    first: dict[str, object] = {"name": "a", "type": "string"}
    status, body = ask(subject, record(first))
    assert status == 200, body
    status, body = ask(subject, record(first, {"name": "b", "type": "string"}))
    assert status == 409, body
    status, body = ask(subject, record(first, {"name": "b", "type": "string", "default": ""}))
    assert status == 200, body


def test_a_killed_broker_keeps_what_it_acknowledged(tmp_path: Path) -> None:
    """A record that was written before kill -9 is there after the next start, at the same address."""
    with local_services(tmp_path, registry=False) as own:
        before = own.bootstrap
        create(own, "kept")
        write(own, "kept", b"before")
        own.kill_kafka()
        assert [one.status for one in own.status()] == ["stopped"]
        own.start_kafka()
        assert own.bootstrap == before
        write(own, "kept", b"after")
        assert read(own, "kept") == [b"before", b"after"]
    assert not own.kafka.alive


def test_services_die_with_their_parent(tmp_path: Path) -> None:
    """When the program that holds a fixture's broker is killed, the broker ends too."""
    script = (
        "import sys, threading\n"
        "from pathlib import Path\n"
        "from streams.local.services import local_services\n"
        "with local_services(Path(sys.argv[1]), registry=False) as own:\n"
        "    print(own.kafka.pid, flush=True)\n"
        "    threading.Event().wait()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        broker = ProcessRef(pid, birth_of(pid) or "")
        assert broker.alive()
        parent.send_signal(signal.SIGKILL)
    assert eventually(lambda: not broker.alive())


@pytest.mark.timeout(300)  # eleven programs and three starts, on a machine that others use too
def test_up_status_down(tmp_path: Path) -> None:
    """`up` twice is `up`; `status` tells the dead from the stopped; data outlives `down`."""
    assert fillonce("status", cwd=tmp_path).returncode == 3
    ports = [str(port) for port in free_ports(2)]
    given = ["up", "--kafka-port", ports[0], "--registry-port", ports[1], "--output", "json"]
    try:
        first = fillonce(*given, cwd=tmp_path)
        assert first.returncode == 0, first.stderr
        told = json.loads(first.stdout)
        assert told["already_up"] is False
        assert told["environment"]["FILLONCE_KAFKA__BOOTSTRAP"] == f"127.0.0.1:{ports[0]}"
        again = json.loads(fillonce("up", "--output", "json", cwd=tmp_path).stdout)
        assert again == {**told, "already_up": True}
        elsewhere = fillonce("up", "--kafka-port", str(free_ports(1)[0]), cwd=tmp_path)
        assert (elsewhere.returncode, "another port" in elsewhere.stderr) == (2, True)

        running = Services.load(tmp_path / ".fillonce")
        assert running is not None
        create(running, "kept")
        write(running, "kept", b"1")
        pid = running.kafka.pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        assert eventually(lambda: not running.kafka.alive)
        dead = fillonce("status", "--output", "jsonl", cwd=tmp_path)
        assert dead.returncode == 3
        statuses = {one["name"]: one["status"] for one in map(json.loads, dead.stdout.splitlines())}
        assert statuses == {"kafka": "dead", "registry": "up"}

        assert fillonce("up", cwd=tmp_path).returncode == 0
        assert fillonce("status", cwd=tmp_path).returncode == 0
        revived = Services.load(tmp_path / ".fillonce")
        assert revived is not None
        assert read(revived, "kept") == [b"1"]
    finally:
        ended = fillonce("down", "--output", "json", cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert {one["status"] for one in json.loads(ended.stdout)["services"]} == {"stopped"}
    assert not running.registry.alive
    assert not revived.kafka.alive
    assert fillonce("down", "--delete-data", cwd=tmp_path).returncode == 5
    assert fillonce("down", "--delete-data", "--yes", cwd=tmp_path).returncode == 0
    assert list(tmp_path.iterdir()) == []


def test_a_taken_port_is_told_and_another_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A port that was lost to another program between look and use costs a second try, no more."""
    asked: list[list[int]] = []
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        taken = int(holder.getsockname()[1])

        def free(count: int) -> list[int]:
            ports = free_ports(count)
            asked.append([taken, *ports[1:]] if not asked else ports)
            return asked[-1]

        broker = LocalKafka(tmp_path / "alone", port=taken, controller_port=free_ports(1)[0])
        broker.spawn()
        with pytest.raises(UnavailableError, match="ended while it started") as caught:
            broker.wait_ready(time.monotonic() + 30)
        assert "Address already in use" in str(caught.value.context["complaints"])
        monkeypatch.setattr("streams.local.services.free_ports", free)
        with local_services(tmp_path / "retried", registry=False) as own:
            assert own.kafka.alive
            assert own.kafka.port == asked[1][0]
