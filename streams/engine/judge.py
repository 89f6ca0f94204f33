"""What becomes of a batch that failed: who is at fault, what is tried again, and when the worker stops."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Any

from streams.engine.batch import PartitionBatch
from streams.engine.deadletters import reason_of
from streams.engine.errors import (
    AbortBatch,
    AgentFailed,
    EngineError,
    NoCulprit,
    PoisonStop,
    RecordRefused,
    StoreError,
    disposition_of,
)
from streams.engine.event import CLOCK, Message
from streams.engine.holds import Holds
from streams.engine.poison import Verdict, position_of
from streams.engine.rates import Rates, Tally

log = logging.getLogger(__name__)

TICK_RETRY_SECONDS = 0.5


class Judge:
    """Judges the failures of one engine; the records' guilt itself is in the engine's `poison`."""

    def __init__(self, engine: Any) -> None:
        self.engine = engine
        settings = engine.settings
        self.rates = Rates(
            settings.dead_letter_rate, settings.dead_letter_window, settings.dead_letter_run
        )
        self.holds = Holds(settings.runtime.monotonic)
        self._tallies: dict[int, tuple[str, Tally]] = {}
        self._coming: dict[int, tuple[str, Tally]] = {}

    @property
    def code_version(self) -> str | None:
        """Version of the code that fails, where the application tells it."""
        found = self.engine.settings.describe.get("code_version")
        return found if isinstance(found, str) else None

    # -- what cannot be read

    def unreadable(self, message: Message, error: Exception) -> Verdict | None:
        """Return why a record that cannot be decoded is a dead letter, None if it is to wait.

        Raises:
            EngineError: the error, or the policy, says that the worker stops.
        """
        match disposition_of(error):
            case "RETRY":
                self.engine.buffers.hold(message.partition)
                self.holds.hold(message.partition, f"{_place(message)}: {reason_of(error)}")
                return None
            case "STOP" | "CRASH":
                raise EngineError(f"{_place(message)} cannot be read: {error}") from error
        verdict = Verdict(reason_of(error))
        if self.engine.settings.poison == "stop":
            raise self._stop(message, verdict) from error
        self.engine.poison.condemned[position_of(message)] = verdict
        return verdict

    def _stop(self, message: Message, verdict: Verdict) -> PoisonStop:
        return PoisonStop(
            f"{_place(message)} failed (tries: {verdict.attempts}): {verdict.reason}; the policy is "
            "poison = stop, and its transaction was aborted: mend the code and start again, or start "
            f"with poison = continue, which sets the record aside in {message.topic}.dlq"
        )

    # -- how many dead letters are too many

    def admit(self, batch: PartitionBatch, message: Message, verdict: Verdict) -> None:
        """Let one more dead letter pass; `batch` has it as its newest run.

        Raises:
            PoisonStop: there are too many of them.
        """
        _, tally = self._tallies.get(batch.partition, ("", Tally()))
        why = self.rates.exceeded(self.rates.count(tally, batch.runs, len(batch.taken)))
        if why is not None:
            raise PoisonStop(
                f"partition {batch.partition} has {why}, the last of them {_place(message)}: "
                f"{verdict.reason}; this looks like a bad deploy, so no more is set aside, and what was "
                "committed stays: mend the code and start again; if the records are wrong indeed, start "
                "with a higher bound, or with 0 for none"
            )

    def counted(self, batch: PartitionBatch, head: str) -> str:
        """Return the tally after a batch as text; it holds once `settle` was called.

        Args:
            batch: about to be committed.
            head: of the journal after it.
        """
        _, tally = self._tallies.get(batch.partition, ("", Tally()))
        after = self.rates.count(tally, batch.runs, len(batch.taken))
        self._coming[batch.partition] = (head, after)
        return self.rates.text(after) if self.rates.on else ""

    def settle(self, partitions: Sequence[int], handed: int) -> None:
        """Take what was counted as committed, and let batches grow again.

        Args:
            partitions: of the transaction.
            handed: its records.
        """
        for partition in partitions:
            if partition in self._coming:
                self._tallies[partition] = self._coming.pop(partition)
            self.holds.settle(partition)
        if handed:
            self.engine.poison.widen(self.engine.settings.batch_max)

    def assigned(self, partitions: list[int]) -> None:
        """Go on where the committed marks stand: by memory where it is of that commit, else by them."""
        self._coming.clear()
        for partition in partitions:
            part = self.engine.parts[partition]
            head, _ = self._tallies.get(partition, ("", None))
            if head != part.head:
                self._tallies[partition] = (part.head, self.rates.parse(part.counts))
        self.holds.keep(partitions)
        for partition in self.holds.held:
            self.engine.buffers.hold(partition)

    # -- what failed

    async def judge(self, error: AbortBatch, taken: Sequence[Message], *, ticks: bool) -> None:
        """Decide what becomes of the records of a batch that was aborted.

        Args:
            error: why.
            taken: its records.
            ticks: whether it held clock ticks.
        Raises:
            EngineError: the policy or the error says that the worker stops.
        """
        if isinstance(error, PoisonStop):
            raise error
        if isinstance(error, AgentFailed):
            if isinstance(error.cause, StoreError):
                raise error.cause
            if error.disposition in ("CRASH", "STOP"):
                raise EngineError(str(error)) from error.cause
            if error.event is not None:
                await self._named(error, taken)
            elif self._began(error.agent):
                await self._unnamed(error, error.cause, taken, ticks)
            else:
                raise EngineError(f"{error}, before it had asked for a record") from error.cause
        elif isinstance(error, NoCulprit):
            await self._unnamed(error, error, taken, ticks)

    def _began(self, name: str) -> bool:
        """Whether an agent had been handed something: what fails before that is no record's fault."""
        return any(agent.name == name and agent.was_handed for agent in self.engine.delivery.agents)

    async def _named(self, error: AgentFailed, taken: Sequence[Message]) -> None:
        message: Message = error.event.message
        tick = message.topic.startswith(CLOCK)
        if error.disposition == "RETRY":
            if tick:
                log.warning("%s; it is tried again", error)
                await asyncio.sleep(TICK_RETRY_SECONDS)
            else:
                self.holds.hold(message.partition, f"{_place(message)}: {reason_of(error.cause)}")
            return
        log.error("%s on %r", error, error.event, exc_info=error.cause)
        if isinstance(error.cause, TimeoutError) and len(taken) > 1:
            # Perhaps it was only the one in hand when a slow batch ran out of time.
            self.engine.poison.narrow(taken, ticks=False)
        await self._blame(
            message, reason_of(error.cause), error, at_once=error.disposition == "DEAD_LETTER"
        )

    async def _unnamed(
        self, error: AbortBatch, cause: BaseException, taken: Sequence[Message], ticks: bool
    ) -> None:
        poison = self.engine.poison
        if not taken:
            raise EngineError(f"a batch without records failed: {error}") from cause
        message = poison.narrow(taken, ticks=ticks)
        if message is None:
            log.warning("no record is named; the next batch has at most %d", poison.limit)
            return
        if poison.verdict(message) is None:
            at_once = isinstance(error, RecordRefused)
            await self._blame(message, reason_of(cause), error, at_once=at_once)
        elif not poison.strip(message):
            raise PoisonStop(
                f"{_place(message)}: not even a dead letter without its value can be written: {error}"
            )

    async def _blame(
        self, message: Message, reason: str, error: AbortBatch, *, at_once: bool
    ) -> None:
        poison = self.engine.poison
        if not poison.blame(message, reason, at_once=at_once):
            await asyncio.sleep(poison.pause(message))
            return
        if message.topic.startswith(CLOCK):
            raise EngineError(f"{error}; a clock tick cannot be set aside") from error
        if self.engine.settings.poison == "stop":
            raise self._stop(message, poison.condemned[position_of(message)]) from error


def _place(message: Message) -> str:
    return f"{message.topic}[{message.partition}]@{message.offset}"
