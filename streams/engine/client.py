"""The kafka thread's side: the consumer of the group, the one producer, and what their errors mean."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition

from streams.engine.clientlog import Sessions, WireFaults, client_logger
from streams.engine.deadletters import LETTER_BYTES
from streams.engine.errors import (
    AbortBatch,
    ConfigError,
    EngineError,
    FencedError,
    OutcomeUnknown,
    RestartError,
    SlotTakenError,
    UnreachableError,
)
from streams.engine.event import Message
from streams.engine.failpoints import failpoint
from streams.engine.meaning import FENCED, end_of
from streams.engine.messages import UNREADABLE, place_of
from streams.engine.runtime import Watchdog
from streams.engine.settings import PINNED_CONSUMER, PINNED_PRODUCER, EngineSettings

log = logging.getLogger(__name__)

_FORBIDDEN = frozenset(
    {
        KafkaError._AUTHENTICATION,  # noqa: SLF001
        KafkaError.SASL_AUTHENTICATION_FAILED,
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
    }
)
_DAMAGED = frozenset(
    {KafkaError._BAD_MSG, KafkaError._BAD_COMPRESSION, KafkaError.INVALID_MSG}  # noqa: SLF001
)


class Client:
    """Consumer and producer of one worker. All methods but `produce` run on the kafka thread."""

    def __init__(self, group: str, settings: EngineSettings, watchdog: Watchdog) -> None:
        self.group = group
        self.settings = settings
        self.watchdog = watchdog
        self.slot = f"{group}-{settings.instance_id}"
        self._now = settings.runtime.monotonic
        self.epoch = 0
        self.assigned: list[tuple[str, int]] = []
        self._paused: set[tuple[str, int]] = set()
        self.producer: Producer = None  # type: ignore[assignment]
        self.consumer: Consumer = None  # type: ignore[assignment]
        self._faults = WireFaults()
        self._faults_at_open = 0
        self._sessions = Sessions()
        self.error: EngineError | None = None

    # -- start and end

    def open_producer(self, timeout: float = 30.0) -> None:
        """Open a producer with the slot's transactional id: whatever the last one left is settled."""
        self._faults = WireFaults()
        self.producer = self.settings.runtime.producer(
            {
                "message.max.bytes": LETTER_BYTES,
                **self.settings.common(),
                **PINNED_PRODUCER,
                "transactional.id": self.slot,
                "error_cb": self._on_error,
            },
            client_logger("producer", self._faults),
        )
        deadline = self._now() + timeout
        while True:
            self.watchdog.arm("init_transactions", timeout)
            try:
                self.producer.init_transactions(10.0)
            except KafkaException as error:
                cause = error.args[0]
                if cause.code() in _FORBIDDEN:
                    raise ConfigError(
                        f"the broker refuses transactional id {self.slot}: {cause.str()}"
                    ) from error
                if cause.retriable() or cause.code() == KafkaError._TIMED_OUT:  # noqa: SLF001
                    if self._now() < deadline:
                        continue
                    raise UnreachableError(
                        f"no answer from Kafka at {self.settings.bootstrap} within {timeout:g} s: {cause.str()}"
                    ) from error
                if cause.code() in FENCED:
                    raise FencedError(
                        f"transactional id {self.slot} is held by another worker"
                    ) from error
                raise RestartError(f"init_transactions: {cause.str()}") from error
            else:
                self._faults_at_open = self._faults.count
                return
            finally:
                self.watchdog.disarm("init_transactions")

    def subscribe(self, topics: list[str]) -> None:
        """Join the group."""
        config = {
            "fetch.wait.max.ms": self.settings.fetch_wait_ms,
            **self.settings.common(),
            **PINNED_CONSUMER,
            "group.id": self.group,
            "error_cb": self._on_error,
        }
        if self.settings.membership == "static":
            config["group.instance.id"] = self.slot
        self._sessions = Sessions()
        self.consumer = self.settings.runtime.consumer(
            config, client_logger("consumer", self._sessions)
        )
        self.consumer.subscribe(
            topics, on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_revoke
        )

    def close(self) -> None:
        """Leave: a static member keeps its slot for the session time-out. No transaction is open."""
        if self.consumer is not None:
            self.consumer.close()
        try:
            if self.producer is not None:
                self.producer.flush(5.0)
        except KafkaException as error:
            log.warning("at the end: %s", error.args[0].str())

    # -- rebalance: callbacks run inside poll and consume

    def _on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self.epoch += 1
        self._sessions.expired = False
        self.assigned = [(tp.topic, tp.partition) for tp in partitions]
        failpoint("after_assign")
        # Nothing is fetched until the engine has restored and assigns explicit offsets.
        consumer.assign([])

    def _on_revoke(self, consumer: Consumer, _: list[TopicPartition]) -> None:
        self.epoch += 1
        self.assigned = []
        consumer.unassign()

    def start_at(self, offsets: list[tuple[str, int, int]]) -> None:
        """Read from explicit offsets: (topic, partition, offset)."""
        self.consumer.assign([TopicPartition(t, p, o) for t, p, o in offsets])
        again = self._paused & {(t, p) for t, p, _ in offsets}
        if again:  # a pause outlives an assignment
            self.consumer.resume([TopicPartition(t, p) for t, p in sorted(again)])
            self._paused -= again

    def hold(self, topics: list[str], held: set[int]) -> None:
        """Fetch nothing of some partitions, and go on with those that were held before.

        Args:
            topics: all that the worker reads.
            held: partitions of them.
        """
        ours = set(self.assigned)
        wanted = {(t, p) for t in topics for p in held} & ours
        for call, chosen in (
            (self.consumer.pause, wanted - self._paused),
            (self.consumer.resume, (self._paused - wanted) & ours),
        ):
            if chosen:
                call([TopicPartition(t, p) for t, p in sorted(chosen)])
        self._paused = wanted | (self._paused - ours)

    # -- reading

    def _on_error(self, error: KafkaError) -> None:
        if error.code() in _FORBIDDEN:
            self.error = ConfigError(f"Kafka refuses this client: {error.str()}")
        elif error.fatal() or error.code() in FENCED:
            log.error("client error: %s", error.str())
        else:
            log.info("client: %s", error.str())

    def fetch(self, timeout: float, limit: int) -> tuple[list[Message], list[tuple[str, int, int]]]:
        """Return records, and the (topic, partition, position) of partitions read to their end.

        Polls one record with the whole time-out, then takes what is there already.
        """
        first = self.consumer.poll(timeout)
        if self.error is not None:
            raise self.error
        if first is None:
            return [], []
        epoch = self.epoch
        records: list[Message] = []
        ends: list[tuple[str, int, int]] = []
        for m in [first, *(self.consumer.consume(limit - 1, 0) if limit > 1 else ())]:
            error = m.error()
            if error is None:
                # What `record_of` does, without its calls: this is the path of every record.
                topic, partition, offset = m.topic(), m.partition(), m.offset()
                stamp, key, value = m.timestamp()[1], m.key(), m.value()
                try:
                    record = Message(topic, partition, offset, stamp, key, value, m.headers())
                except (SystemError, UnicodeDecodeError):
                    # A header's name is no UTF-8; to ask a second time would not tell again.
                    record = Message(topic, partition, offset, stamp, key, value, UNREADABLE)
                records.append(record)
            elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001
                ends.append(place_of(m))
            else:
                self._consumer_error(error)
        if epoch != self.epoch:
            return [], []
        return records, ends

    def _consumer_error(self, error: KafkaError) -> None:
        code = error.code()
        if code in FENCED or error.fatal():
            if self._sessions.expired:
                raise RestartError(
                    f"the session in slot {self.slot} ran out, and this worker's own return fenced "
                    f"what was left of it: {error.str()}"
                )
            raise SlotTakenError(f"fenced by another worker in slot {self.slot}: {error.str()}")
        if code in _FORBIDDEN:
            raise ConfigError(f"Kafka refuses this worker: {error.str()}")
        if code == KafkaError._AUTO_OFFSET_RESET:  # noqa: SLF001
            raise ConfigError(
                f"a position is not in the log any more: {error.str()}; records were lost to retention"
            )
        if code in _DAMAGED:
            # The client would go on behind the damaged batch, and its records would be skipped.
            raise RestartError(
                f"a batch of records is damaged and cannot be read: {error.str()}; a new worker reads it "
                "again: if it fails there too, the copy on the broker is damaged"
            )
        log.warning("consumer: %s", error.str())

    def committed(
        self, partitions: list[tuple[str, int]], timeout: float = 60.0
    ) -> dict[tuple[str, int], tuple[int, str]]:
        """Return stable committed offset (-1: none) and metadata by partition.

        Waits for a pending transaction on them: read_committed asks for stable offsets.
        """
        deadline = self._now() + timeout
        while True:
            try:
                found = self.consumer.committed(
                    [TopicPartition(t, p) for t, p in partitions], timeout=5.0
                )
            except KafkaException as error:
                if self._now() > deadline:
                    raise UnreachableError(
                        f"committed offsets are not to be had: {error.args[0].str()}"
                    ) from error
                continue
            waiting = [tp.error for tp in found if tp.error is not None]
            if not waiting:
                return {
                    (tp.topic, tp.partition): (max(tp.offset, -1), tp.metadata or "")
                    for tp in found
                }
            if self._now() > deadline:
                raise UnreachableError(f"committed offsets are not to be had: {waiting[0].str()}")

    def bounds(self, topic: str, partition: int) -> tuple[int, int]:
        """Return the first offset of a partition and its last stable one."""
        low, high = self.consumer.get_watermark_offsets(
            TopicPartition(topic, partition), timeout=10.0
        )
        return low, high

    def behind(self, topic: str, partition: int, position: int) -> bool:
        """Whether the last known end of a partition lies past `position`; asks nobody."""
        bounds = self.consumer.get_watermark_offsets(TopicPartition(topic, partition), cached=True)
        return bool(bounds) and bounds[1] > position

    def metadata(self) -> Any:
        """Return the group metadata of the current generation."""
        return self.consumer.consumer_group_metadata()

    # -- the transaction

    def begin(self) -> None:
        """Begin a transaction; local, so it may be called from any thread."""
        try:
            self.producer.begin_transaction()
        except KafkaException as error:
            raise RestartError(f"begin_transaction: {error.args[0].str()}") from error

    @property
    def tainted(self) -> bool:
        """Whether the wire failed since this producer was opened: a delayed request could land in the next transaction.

        The client hands out its log lines only while it is polled, and nothing polls it after a commit:
        a cut EndTxn, of all faults the worst one, would go unseen.
        """
        try:
            self.producer.poll(0)
        except (KafkaException, SystemError) as error:
            raise end_of("poll", error) from error
        return self._faults.count != self._faults_at_open

    def commit(
        self,
        offsets: list[TopicPartition],
        metadata: Any,
        seconds: float,
        moved: Callable[[str], None],
    ) -> None:
        """Flush, send the offsets, commit: in this order, so that a restore is complete.

        Raises:
            AbortBatch: nothing of it counts; OutcomeUnknown: the committed metadata tells;
            FencedError, RestartError: this process cannot go on.
        """
        deadline = self._now() + seconds
        self.watchdog.arm("commit", seconds)
        try:
            failpoint("before_flush")
            left = self._flush(max(deadline - self._now(), 0.1))
            if left:
                raise AbortBatch(f"{left} records were not delivered within {seconds:g} s")
            moved("FLUSHED")
            failpoint("after_flush")
            self._call(
                "send_offsets_to_transaction",
                lambda t: self.producer.send_offsets_to_transaction(offsets, metadata, t),
                deadline,
                AbortBatch,
            )
            moved("OFFSETS_SENT")
            failpoint("after_offsets")
            moved("COMMITTING")
            failpoint("before_commit")
            self._call(
                "commit_transaction", self.producer.commit_transaction, deadline, OutcomeUnknown
            )
            failpoint("after_commit")
        finally:
            self.watchdog.disarm("commit")

    def _flush(self, seconds: float) -> int:
        try:
            return self.producer.flush(seconds)
        except (KafkaException, SystemError) as error:
            raise end_of("flush", error) from error

    def _call(
        self, name: str, call: Callable[[float], Any], deadline: float, late: type[EngineError]
    ) -> None:
        while True:
            try:
                call(max(deadline - self._now(), 0.1))
            except KafkaException as error:
                cause = error.args[0]
                ends = cause.fatal() or cause.code() in FENCED or cause.txn_requires_abort()
                passing = cause.retriable() or cause.code() == KafkaError._TIMED_OUT  # noqa: SLF001
                if ends or not passing:
                    raise end_of(name, error) from error
                self._faults.count += 1
                if self._now() >= deadline:
                    raise late(f"{name}: {cause.str()}") from error
            except SystemError as error:
                raise end_of(name, error) from error
            else:
                return

    def abort(self, seconds: float = 4.0) -> None:
        """Abort the open transaction as well as can be; the recycle after it settles the rest."""
        self.watchdog.arm("abort", seconds)
        failpoint("before_abort")
        try:
            self.producer.purge()
            self.producer.abort_transaction(seconds)
        except KafkaException as error:
            if error.args[0].code() in FENCED:
                raise FencedError(f"abort_transaction: {error.args[0].str()}") from error
            log.warning("abort: %s", error.args[0].str())
        finally:
            self.watchdog.disarm("abort")
        failpoint("after_abort")

    def recycle(self) -> None:
        """Open a new producer with the same id: the epoch rises, and no delayed request can land any more."""
        failpoint("before_recycle")
        old, self.producer = self.producer, None  # type: ignore[assignment]
        del old
        self.open_producer()
        failpoint("after_recycle")
