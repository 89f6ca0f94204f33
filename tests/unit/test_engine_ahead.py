"""The next batch begun while the last one commits: the same outcome, and nothing of it survives an abort."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.engine.errors import AbortBatch
from tests.unit.engine_rig import IN, OUT, Rig, log_of
from tests.unit.engine_tools import message

VALUES = [b"%d" % n for n in range(40)]


def counting(rig_of: list[Rig]) -> Any:
    """Return an act that counts in a table, and says the count and what the table holds."""

    async def act(event: Any) -> None:
        app = rig_of[0].app
        table, out = app.tables["counts"], app.topic(OUT, value_serializer="raw")
        count = int(table.get(event.key, b"0")) + 1
        table[event.key] = b"%d" % count
        if count % 5 == 0:
            table[b"fifth|" + event.key.encode()] = event.value
        if count % 7 == 0 and b"fifth|" + event.key.encode() in table:
            del table[b"fifth|" + event.key.encode()]
        seen = b",".join(v for _, v in table.items())
        await out.send(key=event.key, value=b"%s=%d/%d:%s" % (event.value, count, len(table), seen))

    return act


def make_rig(keys: list[int], **settings: Any) -> Rig:
    """A rig whose agent reads, writes, deletes and iterates a table."""
    rigs: list[Rig] = []
    records = [message(IN, 0, n, n, b"k%d" % key, b"%d" % n) for n, key in enumerate(keys)]
    rig = Rig({0: records}, counting(rigs), **settings)
    rig.app.Table("counts", key_type=str, value_type=bytes, partitions=1)
    rig.engine.tables = tables = list(rig.app.tables.values())
    rig.engine._restorer = Restored()
    for table in tables:
        table.store = rig.engine.stores.table(table)
    rigs.append(rig)
    return rig


class Restored:
    """In place of the restore thread: there is nothing to restore."""

    async def run(self, *_: Any) -> int:
        return 0

    def close(self) -> None:
        """Nothing runs."""


@given(st.lists(st.integers(0, 3), min_size=1, max_size=30), st.integers(1, 7))
async def test_what_agents_see_and_send_does_not_depend_on_it(keys: list[int], most: int) -> None:
    """Reads, iteration, length, deletes and outputs are those of one batch after the other."""
    results = []
    for overlap in (False, True):
        rig = make_rig(keys, overlap=overlap, batch_max=most)
        await rig.drain()
        results.append((rig.values(OUT), rig.app.tables["counts"].committed(0)))
    assert results[0] == results[1]


async def test_batches_are_begun_ahead() -> None:
    """With more records at hand than a batch takes, the next one starts before the commit is over."""
    rig = Rig({0: log_of(VALUES)}, _echo, batch_max=10)
    begun: list[int] = []
    run = rig.engine.execution.run

    async def spying(batches: Any, now: int, ticks: Any, before: list[Any]) -> Any:
        begun.append(len(before))
        return await run(batches, now, ticks, before)

    rig.engine.execution.run = spying
    await rig.drain()
    assert rig.values(OUT) == VALUES
    assert sum(begun) >= 10, begun


@pytest.mark.parametrize("failing", [1, 2, 3])
async def test_an_abort_takes_what_was_begun_ahead_with_it(failing: int) -> None:
    """The commit of one batch fails: it and what was begun behind it are processed once more, in order."""
    rig = make_rig([n % 4 for n in range(40)], batch_max=10)
    commit, commits = rig.client.commit, 0

    def faulty(*args: Any) -> None:
        nonlocal commits
        commits += 1
        if commits == failing:
            raise AbortBatch("the wire was cut")
        commit(*args)

    rig.client.commit = faulty  # type: ignore[method-assign,assignment] # the same, but for one call
    await rig.drain()
    untouched = make_rig([n % 4 for n in range(40)], batch_max=10, overlap=False)
    await untouched.drain()
    assert rig.client.aborts == 1
    assert rig.values(OUT) == untouched.values(OUT)


async def test_a_failure_ahead_is_judged_in_its_own_batch() -> None:
    """The batch before commits untouched; the culprit alone goes to the dead letters."""
    rig = Rig({0: log_of(VALUES)}, lambda event: _echo(event, bad=b"15"), batch_max=10)
    await rig.drain()
    assert rig.values(OUT) == [v for v in VALUES if v != b"15"]
    assert rig.values(f"{IN}.dlq") == [b"15"]


async def _echo(event: Any, bad: bytes = b"") -> None:
    if event.value == bad:
        raise ValueError("this one")
    await event.app.topic(OUT, value_serializer="raw").send(key=event.key, value=event.value)
