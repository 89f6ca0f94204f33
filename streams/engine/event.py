"""One record in an agent's hand, and the batch it belongs to."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from streams.engine.errors import DeadEvent

if TYPE_CHECKING:
    from streams.engine.batch import PartitionBatch

CLOCK = "@clock"
"""Name of the pseudo topic whose records are clock ticks."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def from_micros(micros: int) -> datetime:
    """Return the UTC instant of a count of microseconds since the epoch, exactly."""
    return _EPOCH + timedelta(microseconds=micros)


class TopicPartitionOffset:
    """Topic and partition of a message, under the names that Faust users know."""

    __slots__ = ("partition", "topic")

    def __init__(self, topic: str, partition: int) -> None:
        self.topic = topic
        self.partition = partition


class Message:
    """A record as it was read: bytes and position."""

    __slots__ = ("headers", "key", "offset", "partition", "timestamp_ms", "topic", "value")

    def __init__(
        self,
        topic: str,
        partition: int,
        offset: int,
        timestamp_ms: int,
        key: bytes | None,
        value: bytes | None,
        headers: list[tuple[str, bytes | None]] | None,
    ) -> None:
        self.topic = topic
        self.partition = partition
        self.offset = offset
        self.timestamp_ms = timestamp_ms
        self.key = key
        self.value = value
        self.headers = headers

    @property
    def timestamp(self) -> float:
        """Seconds since the epoch, as Faust has it."""
        return self.timestamp_ms / 1000

    @property
    def tp(self) -> TopicPartitionOffset:
        """Topic and partition."""
        return TopicPartitionOffset(self.topic, self.partition)

    @property
    def size(self) -> int:
        """Bytes of key and value."""
        value = self.value
        return len(self.key or b"") + (len(value) if value is not None else 0)


def size_of(messages: list[Message]) -> int:
    """Return the bytes of keys and values of messages."""
    return sum([len(m.value or b"") + len(m.key or b"") for m in messages])


class ClockTick:
    """The engine's clock as an event: `time` is the journaled time of the batch."""

    __slots__ = ("every", "time")

    def __init__(self, time: datetime, every: float) -> None:
        self.time = time
        self.every = every

    def __repr__(self) -> str:
        return f"ClockTick({self.time.isoformat()}, every={self.every})"


class Event:
    """One record in an agent's hand; dead once the agent has asked for the next."""

    __slots__ = ("__weakref__", "alive", "app", "batch", "effects", "key", "message", "value")

    def __init__(
        self, app: Any, key: Any, value: Any, message: Message, batch: PartitionBatch
    ) -> None:
        self.app = app
        self.key = key
        self.value = value
        self.message = message
        self.batch = batch
        self.alive = True
        self.effects = 0

    @property
    def now(self) -> datetime:
        """Journaled wall time (UTC) of the batch: the same in a replay."""
        return self.batch.now

    @property
    def headers(self) -> Mapping[str, bytes | None]:
        """Headers by name; of equal names the last."""
        return dict(self.message.headers or ())

    @property
    def partition(self) -> int:
        """Partition of the record: that of every table entry in reach."""
        return self.message.partition

    def after_commit(
        self, effect: Callable[[], Awaitable[Any]] | Awaitable[Any], *, key: str | None = None
    ) -> None:
        """Run `effect` once the transaction has committed: at most once, never in a replay.

        Args:
            effect: a function that returns an awaitable, or a coroutine.
            key: effects of one key run in order; by default the record's partition and key.
        Raises:
            DeadEvent: the agent has asked for another event already.
        """
        if not self.alive:
            raise DeadEvent("after_commit on an event that is over")
        self.batch.after_commit.append((key or f"{self.message.partition}|{self.key}", effect))

    async def forward(
        self, channel: Any, key: Any = None, value: Any = None, **options: Any
    ) -> Any:
        """Send this event on, with another key or value where given."""
        topic = self.app.topic(channel) if isinstance(channel, str) else channel
        return await topic.send(
            key=self.key if key is None else key,
            value=self.value if value is None else value,
            **options,
        )

    async def send(self, channel: Any, key: Any = None, value: Any = None, **options: Any) -> Any:
        """Send to a topic or a topic's name, as Faust's event does."""
        topic = self.app.topic(channel) if isinstance(channel, str) else channel
        return await topic.send(key=key, value=value, **options)

    def ack(self) -> bool:
        """Return true: the engine commits whole batches, there is nothing to acknowledge."""
        return True

    def __repr__(self) -> str:
        m = self.message
        return f"<Event {m.topic}[{m.partition}]@{m.offset} key={self.key!r}>"


current: ContextVar[Event | None] = ContextVar("streams.engine.event", default=None)
"""The event that the running task has in hand."""


def current_event() -> Event | None:
    """Return the event in the hand of the running task.

    Raises:
        DeadEvent: that event's batch is over.
    """
    event = current.get()
    if event is not None and not event.alive:
        raise DeadEvent(f"{event!r} is over: nothing may be sent or written for it any more")
    return event
