"""Errors of the pipeline: each class says, by its disposition, what happens next.

PipelineError            CRASH        base; abort and keep the evidence
├── DecodeError          DEAD_LETTER  the bytes are not the record they promise to be
├── RuleViolation        DEAD_LETTER  the record is whole, but breaks a rule it must keep
├── InvariantError       CRASH        our own defect: state that can never be
├── UnavailableError     RETRY        a neighbour did not answer; nothing is known to be wrong
└── ConfigError          STOP         started wrongly; trying again changes nothing
"""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar


class Disposition(StrEnum):
    """What the engine does with the event in hand when an error of a class is raised."""

    DEAD_LETTER = "DEAD_LETTER"
    RETRY = "RETRY"
    STOP = "STOP"
    CRASH = "CRASH"


class PipelineError(Exception):
    """Base of our errors: one stable sentence, and the values apart, in `context`.

    Args:
        message: a sentence that is the same whatever the values, so it can be counted.
        context: the values, by name.
    """

    disposition: ClassVar[Disposition] = Disposition.CRASH

    def __init__(self, message: str, /, **context: object) -> None:
        super().__init__(message)
        self.message = message
        self.context = context

    def __str__(self) -> str:
        """Return the sentence, then the values that belong to it."""
        if not self.context:
            return self.message
        values = ", ".join(f"{name}={value!r}" for name, value in self.context.items())
        return f"{self.message} ({values})"


class DecodeError(PipelineError):
    """The bytes are not the Avro record that their schema id promises."""

    disposition = Disposition.DEAD_LETTER


class RuleViolation(PipelineError):
    """A whole record that breaks a rule which holds for every record of its kind."""

    disposition = Disposition.DEAD_LETTER


class InvariantError(PipelineError):
    """State that can never be: always our own defect, never bad input."""

    disposition = Disposition.CRASH


class UnavailableError(PipelineError):
    """A neighbour (registry, broker, venue) gave no usable answer; the same call may work later."""

    disposition = Disposition.RETRY


class ConfigError(PipelineError):
    """Something was configured or called wrongly; a retry cannot help."""

    disposition = Disposition.STOP
