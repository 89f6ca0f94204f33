"""Defects planted in the shipped classes, to see that the simulation catches them."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

from streams.engine import execution, reader, recovery
from streams.engine.buffers import Buffers
from streams.engine.client import Client
from streams.engine.execution import Execution
from streams.engine.loop import Engine
from tests.simulation.options import Options

Plant = Callable[[ExitStack], None]


def rewritten(owner: Any, name: str, *changes: tuple[str, str]) -> Any:
    """Return a shipped function with pieces of its source replaced; each must be there once."""
    function: Any = inspect.getattr_static(owner, name)
    function = function.fget if isinstance(function, property) else function
    source = textwrap.dedent(inspect.getsource(function))
    for old, new in changes:
        if source.count(old) != 1:
            raise LookupError(f"{name} has {source.count(old)} times: {old}")
        source = source.replace(old, new)
    found: dict[str, Any] = {}
    # The mutant is the shipped source with a planted change, compiled where the original lives.
    exec(compile(source, f"mutant of {name}", "exec"), function.__globals__, found)
    return found[name]


def _rewrite(owner: Any, name: str, *changes: tuple[str, str]) -> Plant:
    def plant(stack: ExitStack) -> None:
        stack.enter_context(mock.patch.object(owner, name, rewritten(owner, name, *changes)))

    return plant


def _replace(owner: Any, name: str, value: Any) -> Plant:
    def plant(stack: ExitStack) -> None:
        stack.enter_context(mock.patch.object(owner, name, value))

    return plant


def _all(*plants: Plant) -> Plant:
    def plant(stack: ExitStack) -> None:
        for each in plants:
            each(stack)

    return plant


async def _settle_then_abort(self: Any, error: Any, batches: Any) -> None:
    for partition, batch in batches.items():
        for table in self.tables:
            table.store.commit(partition, batch.writes.get(table.name, {}))
    await _shipped_abort(self, error, batches)


_shipped_abort = Engine._abort


def _rows_without_tombstones(table: Any, writes: Any) -> Any:
    return [row for row in _shipped_rows(table, writes) if row[1] is not None]


_shipped_rows = execution.changelog_rows


def _unstable(self: Any, partitions: Any, timeout: float = 60.0) -> Any:
    group = self.settings.runtime.world.broker.group(self.group)
    found = {place: group.offsets.get(place, (-1, "")) for place in partitions}
    self.consumer.committed([], timeout=5.0)
    return found


def _ends_of_stable(*arguments: Any, **options: Any) -> Any:
    return _shipped_ends(*arguments, **(options | {"committed": True}))


_shipped_ends = reader.log_ends


def _each(instead: str) -> tuple[str, str]:
    return "for m in messages:", f"messages = {instead}\n    for m in messages:"


_APART = (
    "self.engine.ensure_open();"
    "self.engine.settings.runtime.world.broker.partition(output[:2]).append("
    "[__import__('tests.simulation.partition', fromlist=['Payload']).Payload(*output[2:6])])"
)
"""Writes a dead letter past the transaction, straight into its topic."""
_DRAINED = (
    "if self.client.epoch != self._epoch:\n        await self._reassign()\n        return\n    self.buff",
    (
        "if not records and self.client.epoch != self._epoch:\n        await self._reassign()\n"
        "        return\n    self.buff"
    ),
)
_CAUGHT_UP = (
    "await self._catch_up()\n        if self.client.epoch != self._epoch:",
    "await self._catch_up()\n        if False:",
)
_WIRE = ("limbo", "lost", "unanswered", "hung")
_CHURN = ("kill", "scale", "stop", "slow_markers", "slow")
_HANDOVER: dict[str, Any] = {
    "faults": ("stop", "slow_markers"),
    "membership": "dynamic",
    "slots": 3,
    "partitions": 4,
    "rate": 60.0,
    "stop_seconds": 1.5,
}
"""Partitions that go from one worker to another while the first one's last markers are on their way."""

MUTANTS: dict[str, tuple[Plant, dict[str, Any]]] = {
    "no recycle after a fault of the wire": (
        _replace(Client, "tainted", property(lambda _: False)),
        {"faults": _WIRE, "wire": 0.03, "slots": 1},
    ),
    "log lines of the commit come too late": (
        _rewrite(Client, "tainted", ("self.producer.poll(0)", "pass")),
        {"faults": ("limbo",), "wire": 0.05, "slots": 1, "rate": 60.0, "batch_max": 5},
    ),
    "an abort keeps the overlay": (
        _replace(Engine, "_abort", _settle_then_abort),
        {"faults": ("bombs", "lost", "hung", "limbo"), "wire": 0.03, "slots": 1},
    ),
    "the drain goes on across a revocation": (
        _all(
            _rewrite(Client, "fetch", ("if epoch != self.epoch:", "if False:")),
            _rewrite(Engine, "turn", _DRAINED, _CAUGHT_UP),
            _rewrite(
                Engine,
                "_process",
                ("epoch = self._epoch", "epoch = self.client.epoch"),
            ),
            _rewrite(
                Engine,
                "_commit",
                ("self._metadata,", "self.client.metadata(),"),
            ),
        ),
        {
            "faults": ("stop", "slow"),
            "slow": 0.6,
            "apis": ("TxnOffsetCommit",),
            "slots": 3,
            "partitions": 4,
            "membership": "dynamic",
            "rate": 100.0,
            "batch_max": 5,
            "stop_seconds": 1.0,
            "heartbeat": 0.4,
        },
    ),
    "restore to the last stable offset": (
        _replace(recovery, "log_ends", _ends_of_stable),
        _HANDOVER,
    ),
    "offsets read while a transaction on them is open": (
        _replace(Client, "committed", _unstable),
        _HANDOVER,
    ),
    "offsets one short": (
        _rewrite(Engine, "_process", ("message.offset + 1", "message.offset")),
        {"faults": (), "slots": 1},
    ),
    "offsets one too far": (
        _rewrite(Engine, "_process", ("message.offset + 1", "message.offset + 2")),
        {"faults": (), "slots": 1},
    ),
    "dead letter outside of the transaction": (
        _rewrite(
            Execution,
            "dead_letter",
            ("    try:\n        self.engine.produce(*output)", f"    try:\n        {_APART}"),
        ),
        {"faults": ("garbage",), "slots": 1},
    ),
    "a tombstone is not written": (
        _replace(execution, "changelog_rows", _rows_without_tombstones),
        {"faults": (), "slots": 1, "releases": True},
    ),
    "a record is handed out twice": (
        _rewrite(Buffers, "add", _each("[*messages, *messages[4:5]]")),
        {"faults": (), "slots": 1},
    ),
    "a record is dropped": (
        _rewrite(Buffers, "add", _each("messages[:4] + messages[5:]")),
        {"faults": (), "slots": 1},
    ),
    "an unknown outcome is taken for a commit": (
        _rewrite(
            Engine,
            "_happened",
            ("happened = all(", "happened = bool(committed) or all("),
        ),
        {"faults": ("hung",), "apis": ("EndTxn",), "wire": 0.1, "slots": 1},
    ),
    "an unknown outcome is taken for an abort": (
        _rewrite(Engine, "_happened", ("happened = all(", "happened = not committed and all(")),
        {"faults": ("hung",), "apis": ("EndTxn",), "wire": 0.1, "slots": 1},
    ),
    "clocks of revoked partitions go on": (
        _rewrite(Engine, "_reassign", ("self.execution.reset_clocks([])", "pass")),
        {"faults": _CHURN, "slots": 3, "partitions": 2, "clock": 1.0, "stop_seconds": 4.0},
    ),
}
"""By name: how it is planted, and options under which it shows."""


@contextmanager
def planted(name: str) -> Iterator[None]:
    """Plant a defect while the context is open."""
    with ExitStack() as stack:
        MUTANTS[name][0](stack)
        yield


def options_for(name: str, seed: int) -> Options:
    """Return the options of a seed under which a defect shows."""
    base = Options(seed=seed, slots=2, partitions=2, rate=30.0, batch_max=20, wire=0.01)
    return base.having(**MUTANTS[name][1])
