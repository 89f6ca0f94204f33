"""The protocol's table of states."""

from __future__ import annotations

import re
from itertools import product

import pytest

from streams.engine.errors import EngineError
from streams.engine.transaction import MOVES, IllegalMove, Protocol, State
from tests.architecture import tree

ENDS = {State.STOPPING, State.FENCED}


def test_every_state_can_be_reached() -> None:
    """No state is dead: each is reached from INIT by legal moves."""
    seen, waiting = {State.INIT}, [State.INIT]
    while waiting:
        for after in MOVES[waiting.pop()] - seen:
            seen.add(after)
            waiting.append(after)
    assert seen == set(State)


def test_every_state_can_end() -> None:
    """From each state there is a way to stop or to be fenced; those two are final."""
    for start in State:
        seen, waiting = {start}, [start]
        while waiting:
            for after in MOVES[waiting.pop()] - seen:
                seen.add(after)
                waiting.append(after)
        assert seen & ENDS, start
    assert all(not MOVES[state] for state in ENDS)


@pytest.mark.parametrize(("here", "there"), list(product(State, State)))
def test_only_the_moves_of_the_table_are_made(here: State, there: State) -> None:
    """Any other move raises, and leaves the state as it was."""
    protocol = Protocol()
    protocol.state = here
    if there in MOVES[here]:
        protocol.move(there)
        assert protocol.state is there
    else:
        with pytest.raises(IllegalMove, match=f"{here} to {there}"):
            protocol.move(there)
        assert protocol.state is here


def test_nothing_commits_without_flush_and_offsets() -> None:
    """COMMITTING is entered from OFFSETS_SENT alone, and that from FLUSHED alone."""
    before = {state: {s for s in State if state in MOVES[s]} for state in State}
    assert before[State.COMMITTING] == {State.OFFSETS_SENT}
    assert before[State.OFFSETS_SENT] == {State.FLUSHED}
    assert before[State.FLUSHED] == {State.OPEN}


def test_an_abort_or_an_unknown_outcome_is_followed_by_a_new_producer() -> None:
    """RECYCLING is the only way on from ABORTING and UNKNOWN."""
    assert MOVES[State.ABORTING] - {State.FENCED} == {State.RECYCLING}
    assert MOVES[State.UNKNOWN] - {State.FENCED} == {State.RECYCLING}
    assert issubclass(IllegalMove, EngineError)


def test_the_guide_draws_the_table() -> None:
    """The state diagram of docs/engine.md has the moves of the table, and no other."""
    text = (tree.ROOT / "docs" / "engine.md").read_text()
    drawn = set(re.findall(r"^    ([A-Z_]+) --> ([A-Z_]+)$", text, re.MULTILINE))
    moves = {(a, b) for a in State for b in MOVES[a] if b is not State.FENCED}
    assert drawn == {(str(a), str(b)) for a, b in moves}
    others = set(State) - {State.STOPPING, State.FENCED}
    assert all(State.FENCED in MOVES[state] for state in others)
