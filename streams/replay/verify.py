"""`replay verify`: re-derive every committed output from history, or name the first divergence."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any, NoReturn

from streams.engine.batch import PartitionBatch
from streams.engine.digest import TRACE_HEADERS
from streams.engine.errors import AgentFailed, ConfigError
from streams.engine.event import CLOCK
from streams.engine.journal import GENESIS, head_of
from streams.replay.engine import Derived, ReplayEngine
from streams.replay.history import (
    Committed,
    ForwardLog,
    HistoryCutError,
    Outputs,
    journal_partitions,
    read_journal,
)


@dataclass(frozen=True, slots=True)
class Divergence:
    """Where history and re-derivation part: the position, what was expected, what came."""

    processor: str
    partition: int
    sequence: int
    kind: str
    cause: str
    where: str
    committed: str
    derived: str


@dataclass(slots=True)
class Report:
    """What a verification has seen."""

    processor: str
    partitions: int = 0
    transactions: int = 0
    sealed: int = 0
    compared: int = 0
    compacted: int = 0
    divergences: list[Divergence] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Return the report for JSON."""
        return asdict(self)


class _Diverged(Exception):
    def __init__(self, divergence: Divergence) -> None:
        self.divergence = divergence


def _text(data: bytes | None) -> str:
    if data is None:
        return "null"
    return data.decode() if data.isascii() and data.decode().isprintable() else data.hex()


def _headers(headers: Any) -> list[tuple[str, bytes | None]]:
    return [(n, v) for n, v in headers if n not in TRACE_HEADERS]


class Verifier:
    """Verifies one app's history.

    Args:
        app: the app, built without a venue; its agents are run on empty tables.
        cross_version: compare even where another version of the code wrote the history.
        progress: called with (done, all) transactions now and then.
        explain: decodes a value of a topic for people; bytes as they are by default.
    """

    def __init__(
        self,
        app: Any,
        *,
        cross_version: bool = False,
        progress: Callable[[int, int], None] = lambda _done, _all: None,
        explain: Callable[[str, bytes | None], str] = lambda _topic, data: _text(data),
    ) -> None:
        self.app = app
        app.finalize()
        self.engine = ReplayEngine(app)
        self.name: str = app.conf.id
        self.journal_topic = f"{self.name}.journal"
        self.outputs = Outputs(app.engine_settings, self.name)
        self.report = Report(self.name)
        self._cross_version = cross_version
        self._progress = progress
        self._explain = explain
        self._journals: dict[int, list[dict[str, Any]]] = {}
        self._covered: dict[tuple[str, int], int] = {}
        self._sequences: dict[int, int] = {}

    async def run(self, partitions: list[int] | None = None) -> Report:
        """Verify partitions, all by default, up to the journal's end as it stands now.

        Raises:
            ConfigError: there is no journal, or another version of the code wrote it.
        """
        settings = self.app.engine_settings
        present = journal_partitions(settings, self.journal_topic)
        wanted = present if partitions is None else partitions
        missing = sorted(set(wanted) - set(present))
        if not present or missing:
            what = (
                f"partition {missing[0]} of {self.journal_topic}"
                if missing and present
                else self.journal_topic
            )
            raise ConfigError(f"{what} is not there: {self.name} has no history to verify")
        self._journals = {p: read_journal(settings, self.journal_topic, p) for p in wanted}
        self._check_versions()
        total = sum(map(len, self._journals.values()))
        await self.engine.begin()
        try:
            for partition in wanted:
                self.engine.reset()
                self.report.partitions += 1
                try:
                    await self._partition(partition, total)
                except _Diverged as found:
                    self.report.divergences.append(found.divergence)
                    await self.engine.delivery.restart()
            if not self.report.divergences:
                self._look_for_extras()
        finally:
            await self.engine.end()
        return self.report

    def _check_versions(self) -> None:
        ours = self.app.engine_settings.describe.get("code_version")
        theirs = {
            record["config"]["code_version"]
            for records in self._journals.values()
            for record in records
            if record.get("config", {}).get("code_version")
        }
        if ours and theirs - {ours} and not self._cross_version:
            other = min(theirs - {ours})
            raise ConfigError(
                f"{self.name}: history was written by code version {other[:12]}, this is {ours[:12]}; "
                "verify it with that version, or compare with --cross-version"
            )

    async def _partition(self, partition: int, total: int) -> None:
        logs: dict[str, ForwardLog] = {}
        head, sequence = GENESIS, 0
        try:
            for record in self._journals[partition]:
                self._check_link(partition, record, sequence, head)
                await self._transaction(partition, record, logs)
                head, sequence = record["head"], record["sequence"]
                self._sequences[partition] = sequence
                self.report.transactions += 1
                if self.report.transactions % 50 == 0:
                    self._progress(self.report.transactions, total)
        finally:
            for log in logs.values():
                log.close()
        self._progress(self.report.transactions, total)

    def _check_link(self, partition: int, record: dict[str, Any], sequence: int, head: str) -> None:
        if sequence == 0 and record["sequence"] != 1:
            raise HistoryCutError(
                f"{self.journal_topic}[{partition}] begins at sequence {record['sequence']}: what came before "
                "is not in the log any more, and tables cannot be derived without it"
            )
        if record["sequence"] != sequence + 1:
            self._diverge(
                partition,
                record,
                "journal",
                "",
                "sequence",
                str(record["sequence"]),
                str(sequence + 1),
            )
        if record["head"] != head_of(head, record):
            self._diverge(
                partition, record, "journal", "", "head", record["head"], head_of(head, record)
            )

    async def _transaction(
        self, partition: int, record: dict[str, Any], logs: dict[str, ForwardLog]
    ) -> None:
        inputs = []
        for run in record["runs"]:
            messages = []
            if run[0] != "clock":
                topic, first = run[1], run[2]
                last = run[3] if run[0] == "records" else first
                if topic not in logs:
                    logs[topic] = ForwardLog(self.app.engine_settings, topic, partition)
                messages = logs[topic].take(first, last)
                self._covered[topic, partition] = last
            inputs.append((run, messages))
        batch = PartitionBatch(self.name, partition, record["sequence"], record["now"])
        if "config" in record:
            self.engine.code_version = record["config"].get("code_version")
        self.engine.mention(record["globals"])
        try:
            derived = await self.engine.run(batch, inputs)
        except AgentFailed as error:
            self._diverge(
                partition,
                record,
                "agent",
                str(error.event or ""),
                error.agent,
                "no error",
                str(error.cause),
            )
        inputs_digest = batch.inputs.hexdigest()
        if inputs_digest != record["inputs"]:
            self._diverge(
                partition, record, "inputs", "", "digest", record["inputs"], inputs_digest
            )
        self.report.sealed += len(batch.taken)
        for output in derived:
            self._compare(partition, record, output)
        for kind, count, digest in (
            ("outputs", len(batch.sent), batch.outputs),
            ("changelog", batch.changelog.count, batch.changelog),
        ):
            counted = record["output_count" if kind == "outputs" else "change_count"]
            if count != counted:
                self._diverge(partition, record, kind, "", "count", str(counted), str(count))
            if digest.hexdigest() != record[kind]:
                self._diverge(
                    partition, record, kind, "", "digest", record[kind], digest.hexdigest()
                )

    def _compare(self, partition: int, record: dict[str, Any], output: Derived) -> None:
        committed = self.outputs.of(output.topic).pop(output.cause, None)
        if committed is None:
            if output.topic in self._compacted_topics():
                self.report.compacted += 1
                return
            self._diverge(
                partition,
                record,
                "output",
                output.cause,
                output.topic,
                "absent",
                self._explain(output.topic, output.value),
            )
        where = f"{committed.topic}[{committed.partition}]@{committed.offset}"
        for name, was, came in self._fields(output, committed):
            if was != came:
                self._diverge(partition, record, f"output {name}", output.cause, where, was, came)
        self.report.compared += 1

    def _compacted_topics(self) -> set[str]:
        return set(self.app.engine_settings.describe.get("compacted_topics", ()))

    def _fields(self, output: Derived, committed: Committed) -> list[tuple[str, str, str]]:
        fields = [
            ("partition", str(committed.partition), str(output.partition)),
            ("key", _text(committed.key), _text(output.key)),
            ("headers", str(_headers(committed.headers)), str(_headers(output.headers))),
            ("timestamp", str(committed.timestamp_ms), str(output.timestamp_ms)),
        ]
        if committed.value != output.value:
            fields.insert(
                0,
                (
                    "value",
                    self._explain(committed.topic, committed.value),
                    self._explain(output.topic, output.value),
                ),
            )
        return fields

    def _diverge(
        self,
        partition: int,
        record: dict[str, Any],
        kind: str,
        cause: str,
        where: str,
        was: str,
        came: str,
    ) -> NoReturn:
        raise _Diverged(
            Divergence(self.name, partition, record["sequence"], kind, cause, where, was, came)
        )

    def _look_for_extras(self) -> None:
        """What is committed for a replayed input, and was not derived, or stands twice, was planted."""
        for twin in self.outputs.twins:
            self._extra(twin, "one record for this cause")
        for topic in self.outputs.topics():
            for cause, committed in self.outputs.of(topic).items():
                _, source, partition, offset = cause.rsplit("|", 4)[:4]
                covered = (
                    self._sequences.get(int(partition), 0)
                    if source.startswith(CLOCK)
                    else self._covered.get((source, int(partition)), -1)
                )
                if int(offset) <= covered:
                    self._extra((cause, committed), "nothing")

    def _extra(self, found: tuple[str, Committed], derived: str) -> None:
        cause, committed = found
        where = f"{committed.topic}[{committed.partition}]@{committed.offset}"
        value = self._explain(committed.topic, committed.value)
        partition = int(cause.rsplit("|", 3)[1])
        self.report.divergences.append(
            Divergence(self.name, partition, 0, "output extra", cause, where, value, derived)
        )
