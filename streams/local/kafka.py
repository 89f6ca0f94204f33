"""One Kafka broker in KRaft mode, on loopback, with its data in one folder."""

from __future__ import annotations

import base64
import os
import socket
import subprocess
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from processors.errors import UnavailableError
from streams.local.artifacts import Notify, quiet, resolve
from streams.local.java import Java, find_java
from streams.local.processes import Daemon, ProcessRef

_HOST = "127.0.0.1"
# The first-tier compiler alone: measured on 2 cores with its client beside it, ready in 4.6 s
# instead of 6.7, and 150,000 records in 150 transactions for half the processor time.
_JVM = ("-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData")
# Newer Javas warn of what the broker's libraries do; older ones do not know these words.
_QUIETER = ("--sun-misc-unsafe-memory-access=allow", "--enable-native-access=ALL-UNNAMED")
_LOG = (
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSXXX",
)
_SETTINGS = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,PROXIED:PLAINTEXT",
    "inter.broker.listener.name": "PLAINTEXT",
    # A misspelt topic is an error, not a new topic.
    "auto.create.topics.enable": "false",
    "num.partitions": "4",
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "4",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "share.coordinator.state.topic.num.partitions": "1",
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "1000",
    # An open transaction of a killed worker holds up its readers: look for such ones often.
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": "2000",
    # Recorded data carries old stamps, and retention goes by stamps: nothing is deleted by itself.
    "log.retention.ms": "-1",
    # A group that is away for a week must find its offsets again, or it would start anew.
    "offsets.retention.minutes": "5256000",
    # A killed broker may come back only when its last session is over: 12 s by default, 5 s so.
    "broker.session.timeout.ms": "3000",
    "broker.heartbeat.interval.ms": "750",
    "num.network.threads": "2",
    "num.io.threads": "4",
    "num.recovery.threads.per.data.dir": "2",
    "log.cleaner.dedupe.buffer.size": "16777216",
    "log.index.size.max.bytes": "2097152",
}


class LocalKafka(Daemon):
    """One broker that is its own controller.

    Args:
        folder: data, configuration and log.
        port: for clients.
        controller_port: for itself.
        proxied: ports of a second listener for clients behind a proxy: where the broker listens, and
            the proxy's, which it tells those clients to come to.
        die_with_parent: see `streams.local.processes.spawn`.
        process: a process of an earlier start that is to be taken over.
    """

    name = "kafka"

    def __init__(
        self,
        folder: Path,
        *,
        port: int,
        controller_port: int,
        proxied: tuple[int, int] | None = None,
        die_with_parent: bool = False,
        process: ProcessRef | None = None,
    ) -> None:
        super().__init__(folder, die_with_parent=die_with_parent, process=process)
        self.port = port
        self.controller_port = controller_port
        self.proxied = proxied
        self._java: Java | None = None
        self._home: Path | None = None

    @property
    def address(self) -> str:
        """Host and port, as clients call it `bootstrap.servers`."""
        return f"{_HOST}:{self.port}"

    @property
    def ports(self) -> tuple[int, ...]:
        """All ports that it listens on."""
        return (self.port, self.controller_port, *(self.proxied[:1] if self.proxied else ()))

    def provide(self, notify: Notify = quiet) -> None:
        """Find Java and the broker's jars.

        Args:
            notify: told what is being done.
        """
        self._java = self._java or find_java()
        self._home = self._home or resolve("kafka", notify=notify)

    def prepare(self) -> None:
        """Write the configuration, and format the storage if that was not done before."""
        data = self.folder / "data"
        listeners = f"PLAINTEXT://{self.address},CONTROLLER://{_HOST}:{self.controller_port}"
        advertised = f"PLAINTEXT://{self.address}"
        if self.proxied is not None:
            listeners += f",PROXIED://{_HOST}:{self.proxied[0]}"
            advertised += f",PROXIED://{_HOST}:{self.proxied[1]}"
        settings = _SETTINGS | {
            "listeners": listeners,
            "advertised.listeners": advertised,
            "controller.quorum.voters": f"1@{_HOST}:{self.controller_port}",
            "log.dirs": str(data),
        }
        self._properties.write_text("".join(f"{key}={value}\n" for key, value in settings.items()))
        if data.joinpath("meta.properties").exists():
            return
        command = [*self._run("kafka.tools.StorageTool"), "format", "--ignore-formatted"]
        command += ["--cluster-id", _new_cluster_id(), "--config", self._properties]
        done = subprocess.run(  # noqa: S603 - no shell, and the arguments are ours
            command, cwd=self.folder, capture_output=True, text=True, errors="replace", check=False
        )
        if done.returncode != 0:
            raise UnavailableError(
                "the broker's storage could not be formatted",
                folder=str(data),
                complaints="\n".join((done.stdout + done.stderr).splitlines()[-5:]),
            )

    def command(self) -> list[str | Path]:
        """Program and arguments."""
        return [*self._run("kafka.Kafka"), self._properties]

    def probe(self) -> bool:
        """Whether the broker lists itself to a client, as the cluster that its data belongs to."""
        try:
            socket.create_connection((_HOST, self.port), timeout=1).close()
        except OSError:
            return False
        admin = AdminClient({"bootstrap.servers": self.address, "log_level": 0})
        try:
            cluster = admin.describe_cluster(request_timeout=3).result(timeout=5)
        except (KafkaException, TimeoutError):
            return False
        # Another broker may have taken the port: it is no proof that ours is up.
        return bool(cluster.nodes) and cluster.cluster_id == self.cluster_id()

    def cluster_id(self) -> str | None:
        """Return the id that the storage was formatted with, None before that."""
        try:
            lines = self.folder.joinpath("data", "meta.properties").read_text().splitlines()
        except FileNotFoundError:
            return None
        found = [line.partition("=")[2] for line in lines if line.startswith("cluster.id=")]
        return found[0] if found else None

    @property
    def _properties(self) -> Path:
        return self.folder / "server.properties"

    def _run(self, main_class: str) -> list[str | Path]:
        if self._java is None or self._home is None:
            raise UnavailableError("the broker was not provided before its start")
        quieter = _QUIETER if self._java.major >= 24 else ()
        temporary = f"-Djava.io.tmpdir={self.folder / 'tmp'}"
        classes = f"{self._home}/*"
        return [self._java.path, *_JVM, *quieter, *_LOG, temporary, "-cp", classes, main_class]


def _new_cluster_id() -> str:
    while True:
        made = base64.urlsafe_b64encode(os.urandom(16)).decode().rstrip("=")
        if not made.startswith("-"):  # the tool would take it for an option
            return made
