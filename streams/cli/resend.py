"""Sends dead letters back: records and the marks of their replay in one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer

from processors.errors import UnavailableError
from streams.cli.output import CliError, Exit
from streams.dlq import Resend
from streams.engine.deadletters import LETTER_BYTES
from streams.settings import Settings

SECONDS = 30.0
"""For each of the calls of the transaction."""

_FENCED = frozenset(
    {KafkaError._FENCED, KafkaError.INVALID_PRODUCER_EPOCH, KafkaError.PRODUCER_FENCED}  # noqa: SLF001
)


class Resender:
    """One replay of a topic's dead letters; a second one fences the first.

    Args:
        settings: of the process.
        topic: of the dead letters: whatever an earlier replay of it left open is settled at once.
    Raises:
        UnavailableError: Kafka does not answer.
    """

    def __init__(self, settings: Settings, topic: str) -> None:
        self._topic = topic
        self._producer = Producer(
            {
                "message.max.bytes": LETTER_BYTES,
                **settings.kafka_client,
                "bootstrap.servers": settings.kafka.bootstrap,
                "transactional.id": f"fillonce.dlq-{topic}",
                "transaction.timeout.ms": 60_000,
                "enable.idempotence": True,
                "partitioner": "murmur2",
                "log_level": 0,
            }
        )
        self._call("init_transactions", SECONDS)

    def send(self, resends: Sequence[Resend]) -> list[tuple[int, int]]:
        """Send records and marks, and commit; all of them or none.

        Args:
            resends: none of them refused.
        Returns:
            Partition and offset of each record, in the same order.
        Raises:
            CliError: another replay of the topic is under way, or Kafka refuses a record.
            UnavailableError: Kafka does not answer; nothing was sent, or the marks tell what was.
        """
        places: list[Any] = [None] * len(resends)
        self._call("begin_transaction")
        try:
            for index, each in enumerate(resends):

                def note(error: Any, message: Any, index: int = index) -> None:
                    places[index] = error or message

                letter = each.letter
                self._produce(
                    each.topic, each.value, letter.key, each.partition, each.headers, note
                )
                self._produce(letter.topic, None, letter.key, letter.partition, each.mark, None)
            if self._producer.flush(SECONDS):
                raise UnavailableError("Kafka did not take a record in time", topic=self._topic)
            self._require(places)
        except BaseException:
            self._abandon()
            raise
        self._call("commit_transaction", SECONDS)
        return [(place.partition(), place.offset()) for place in places]

    def _produce(
        self, topic: str, value: Any, key: Any, partition: int, headers: Any, note: Any
    ) -> None:
        options = {} if note is None else {"on_delivery": note}
        while True:
            try:
                self._producer.produce(topic, value, key, partition, headers=headers, **options)
            except BufferError:
                self._producer.poll(0.1)
            except KafkaException as error:
                raise self._refusal(error.args[0]) from error
            else:
                self._producer.poll(0)
                return

    def _require(self, places: Sequence[Any]) -> None:
        for place in places:
            if place is None or not hasattr(place, "offset"):
                raise self._refusal(place)

    def _refusal(self, error: Any) -> CliError:
        words = error.str() if hasattr(error, "str") else "no answer"
        return CliError(
            Exit.FAILED, "Kafka refuses a record, so nothing was sent", None, {"reason": words}
        )

    def _abandon(self) -> None:
        try:
            self._producer.abort_transaction(SECONDS)
        except KafkaException:
            return  # the broker aborts it at its time-out; the error that led here is what counts

    def _call(self, name: str, *arguments: float) -> None:
        try:
            getattr(self._producer, name)(*arguments)
        except KafkaException as error:
            cause = error.args[0]
            if cause.code() in _FENCED:
                raise CliError(
                    Exit.REFUSED,
                    "another replay of these dead letters is under way",
                    "see `fillonce dlq list` when it has ended",
                    {"topic": self._topic},
                ) from error
            if cause.retriable() or cause.code() == KafkaError._TIMED_OUT:  # noqa: SLF001
                raise UnavailableError(
                    "Kafka does not answer",
                    error=cause.str(),
                    hint="try again: marks tell what was sent",
                ) from error
            raise
