"""The states of the transaction protocol and its legal moves, as one table."""

from __future__ import annotations

from enum import StrEnum
from types import MappingProxyType

from streams.engine.errors import EngineError


class State(StrEnum):
    """Where the engine stands in the commit protocol."""

    INIT = "INIT"
    RESTORING = "RESTORING"
    IDLE = "IDLE"
    OPEN = "OPEN"
    FLUSHED = "FLUSHED"
    OFFSETS_SENT = "OFFSETS_SENT"
    COMMITTING = "COMMITTING"
    ABORTING = "ABORTING"
    UNKNOWN = "UNKNOWN"
    RECYCLING = "RECYCLING"
    STOPPING = "STOPPING"
    FENCED = "FENCED"


MOVES = MappingProxyType(
    {
        State.INIT: frozenset({State.RESTORING, State.IDLE, State.STOPPING, State.FENCED}),
        State.RESTORING: frozenset({State.IDLE, State.RESTORING, State.STOPPING, State.FENCED}),
        State.IDLE: frozenset(
            {State.OPEN, State.RESTORING, State.RECYCLING, State.STOPPING, State.FENCED}
        ),
        State.OPEN: frozenset({State.FLUSHED, State.ABORTING, State.IDLE, State.FENCED}),
        State.FLUSHED: frozenset({State.OFFSETS_SENT, State.ABORTING, State.FENCED}),
        State.OFFSETS_SENT: frozenset({State.COMMITTING, State.ABORTING, State.FENCED}),
        State.COMMITTING: frozenset({State.IDLE, State.ABORTING, State.UNKNOWN, State.FENCED}),
        State.ABORTING: frozenset({State.RECYCLING, State.FENCED}),
        State.UNKNOWN: frozenset({State.RECYCLING, State.FENCED}),
        State.RECYCLING: frozenset({State.RESTORING, State.IDLE, State.STOPPING, State.FENCED}),
        State.STOPPING: frozenset(),
        State.FENCED: frozenset(),
    }
)
"""From each state, the states that may follow it. OPEN to IDLE: a clock tick that left no trace."""


class IllegalMove(EngineError):
    """The engine tried a move that the protocol does not have: always our defect."""


class Protocol:
    """The current state; `move` is the only way to change it."""

    def __init__(self) -> None:
        self.state = State.INIT

    def move(self, to: State) -> None:
        """Go to the next state.

        Raises:
            IllegalMove: the table does not have the move.
        """
        if to not in MOVES[self.state]:
            raise IllegalMove(f"{self.state} to {to} is no move of the commit protocol")
        self.state = to
