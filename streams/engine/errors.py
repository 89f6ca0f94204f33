"""What can go wrong in the engine, and what follows from it."""

from __future__ import annotations

from enum import IntEnum
from typing import Any

from click import ClickException


class Exit(IntEnum):
    """Exit status of a worker that cannot go on."""

    FAILED = 1
    CONFIG = 2
    UNREACHABLE = 4
    DATA = 65
    FENCED = 70
    RESTART = 75
    TERMINATED = 143


class EngineError(Exception):
    """Base of the engine's errors; `exit_code` is the worker's exit status where it ends one."""

    exit_code = Exit.FAILED


class ConfigError(EngineError, ClickException):
    """The application asks for something that the engine does not do, or is set up wrongly.

    Raised while `faust -A` imports an app, it is one line and exit status 2, as of any command line.
    """

    exit_code = Exit.CONFIG


class UnreachableError(EngineError):
    """A broker does not answer, or a topic stays away past its deadline."""

    exit_code = Exit.UNREACHABLE


class FencedError(EngineError):
    """Another worker holds this slot; this one must not come back by itself."""

    exit_code = Exit.FENCED


class SlotTakenError(FencedError):
    """The group itself says that another worker holds this slot: there is nothing left to ask."""


class RestartError(EngineError):
    """The state of the client is not known any more; a new process cleans up by its epoch."""

    exit_code = Exit.RESTART


class StoreError(RestartError):
    """The disk under the tables fails or is full, or what lies there is damaged; nothing of it is believed."""

    disposition = "STOP"


class AbortBatch(EngineError):
    """The transaction must be aborted, and its records handed out again."""


class OutcomeUnknown(EngineError):
    """The commit may or may not have happened; the committed offset's metadata tells."""


class DeadEvent(EngineError):
    """Something used an event whose batch is over; nothing of it may reach a later transaction."""


class NoCulprit(AbortBatch):
    """The batch failed by what is in it, and no record is named: smaller ones find it."""


class RecordRefused(NoCulprit):
    """Kafka takes no such record: too large, or with a timestamp that the topic refuses."""

    disposition = "DEAD_LETTER"


class UnreadableHeaders(EngineError):
    """A record's headers cannot be had from the client: what they say would be lost, so it is set aside."""

    disposition = "DEAD_LETTER"


class PoisonStop(AbortBatch):
    """A record that fails, or too many of them: the policy is to stop, and a restart changes nothing."""

    exit_code = Exit.DATA


class AgentFailed(AbortBatch):
    """An agent raised, ended or did not finish while it had an event in hand."""

    def __init__(self, agent: str, event: Any, cause: BaseException) -> None:
        super().__init__(f"agent {agent} failed: {type(cause).__name__}: {cause}")
        self.agent = agent
        self.event = event
        self.cause = cause
        self.disposition = disposition_of(cause)


def disposition_of(error: BaseException) -> str:
    """Return what an error says should follow: DEAD_LETTER, RETRY, STOP or CRASH; empty for none."""
    return str(getattr(error, "disposition", "")).rsplit(".", 1)[-1]
