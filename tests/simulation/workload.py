"""The application that is simulated, its inputs, and a reference of what it must do."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from streams.engine import App
from streams.engine.partitioner import partition_of
from tests.simulation.partition import Payload
from tests.simulation.runtime import EPOCH_MICROS

if TYPE_CHECKING:
    from tests.simulation.world import World

NAME = "sim"
LIMIT = 5_000
"""An account holds no more than this."""
SWEEP = 3_000
"""A clock tick takes accounts down that hold more than this."""


class Bomb(ValueError):
    """What the agent raises on a record that it cannot stand."""


def build(options: Any, runtime: Any, slot: str) -> App:
    """Return the application: hold amounts on accounts, release them, sweep them by the clock."""
    app = App(
        NAME,
        broker="simulation:0",
        runtime=runtime,
        clock=runtime,
        instance_id=slot,
        membership=options.membership,
        batch_max=options.batch_max,
        dead_letter_rate=0.0,  # a worker that stops for too many of them would end the run
        dead_letter_run=0,
    )
    raw: dict[str, Any] = {"key_type": str, "key_serializer": "raw"}
    count = options.partitions
    orders = app.topic("order", value_serializer="json", partitions=count, **raw)
    decisions = app.topic(
        "decision", value_type=bytes, value_serializer="raw", partitions=count, **raw
    )
    balances = app.Table("balances", key_type=str, value_type=bytes, partitions=count)

    async def decide(account: str, name: str, verdict: str, balance: int) -> None:
        answer = json.dumps([name, verdict, balance]).encode()
        await decisions.send(key=account, value=answer)

    @app.agent(orders, name="hold")
    async def hold(stream: Any) -> None:
        async for event in stream.events():
            name, account, amount = event.value
            if amount == "bomb":
                raise Bomb(name)
            held = int(balances.get(account) or b"0")
            if held + amount > LIMIT:
                await decide(account, name, "refused", held)
                continue
            balances[account] = str(held + amount).encode()
            await decide(account, name, "held", held + amount)

    if options.releases:
        releases = app.topic("release", value_serializer="json", partitions=count, **raw)

        @app.agent(releases, name="free")
        async def free(stream: Any) -> None:
            async for event in stream.events():
                name, account = event.value
                held = int(balances.pop(account, b"0"))
                await decide(account, name, "released", held)

    if options.clock:
        ticks: Any = app.clock(every=options.clock)

        @app.agent(ticks, name="sweep")
        async def sweep(stream: Any) -> None:
            async for _ in stream.events():
                for account, held in balances.items():
                    if int(held) > SWEEP:
                        balances[account] = b"1"
                        await decide(account, "tick", "swept", int(held))

    return app


class Reference:
    """What one partition's history must lead to; written apart from the application."""

    def __init__(self) -> None:
        self.rows: dict[str, int] = {}

    def step(
        self, topic: str, value: bytes
    ) -> tuple[list[tuple[str, bytes]], dict[str, int | None]]:
        """Return the decisions (key, value) of one record and the rows it sets (None: removed)."""
        content = json.loads(value)
        if topic == "order":
            name, account, amount = content
            total = self.rows.get(account, 0) + amount
            if total > LIMIT:
                return [_answer(account, name, "refused", total - amount)], {}
            self.rows[account] = total
            return [_answer(account, name, "held", total)], {account: total}
        name, account = content
        if account not in self.rows:
            return [_answer(account, name, "released", 0)], {}
        return [_answer(account, name, "released", self.rows.pop(account))], {account: None}

    def tick(self) -> tuple[list[tuple[str, bytes]], dict[str, int | None]]:
        """Return the decisions and rows of one clock tick."""
        high = sorted((a.encode(), a) for a, held in self.rows.items() if held > SWEEP)
        decisions = [_answer(a, "tick", "swept", self.rows[a]) for _, a in high]
        changed: dict[str, int | None] = {a: 1 for _, a in high}
        self.rows.update({a: 1 for _, a in high})
        return decisions, changed


def _answer(account: str, name: str, verdict: str, balance: int) -> tuple[str, bytes]:
    return account, json.dumps([name, verdict, balance]).encode()


def poison(topic: str, value: bytes) -> str | None:
    """Return the name of the error that a record must be dead-lettered with, if it must be."""
    try:
        content = json.loads(value)
    except ValueError:
        return "ValueDecodeError"
    return "Bomb" if topic == "order" and content[2] == "bomb" else None


class Feeder:
    """Writes inputs straight into the logs, some of them in transactions that take a while or abort."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._options = world.options
        self._chance = world.chance("feeder")
        self._number = 0
        self._pid = 900_000

    def _records(self) -> Iterator[tuple[str, str, bytes]]:
        options, chance = self._options, self._chance
        while True:
            self._number += 1
            account = f"A{chance.randrange(options.accounts)}"
            name = f"r{self._number}"
            if options.releases and chance.random() < 0.15:
                yield "release", account, json.dumps([name, account]).encode()
            elif chance.random() < 0.01 and "garbage" in options.faults:
                yield "order", account, b"\xff not json"
            elif chance.random() < 0.005 and "bombs" in options.faults:
                yield "order", account, json.dumps([name, account, "bomb"]).encode()
            else:
                amount = chance.randrange(1, 900)
                yield "order", account, json.dumps([name, account, amount]).encode()

    async def run(self) -> None:
        """Write while faults are on, in bursts at the rate of the options."""
        chance, sleep = self._chance, self._world.sleep
        records = self._records()
        while self._world.faults.active:
            burst = chance.choice((1, 1, 3, 20))
            await sleep(chance.expovariate(self._options.rate / burst))
            rows = [next(records) for _ in range(burst)]
            if "aborted_inputs" in self._options.faults and chance.random() < 0.2:
                await self._transaction(rows)
            else:
                for topic, account, value in rows:
                    self._append(topic, account, value)

    def _append(self, topic: str, account: str, value: bytes, pid: int = -1, at: int = -1) -> int:
        key = account.encode()
        number = partition_of(key, self._options.partitions)
        stamp = EPOCH_MICROS // 1000 + round(self._world.loop.time() * 1000)
        log = self._world.broker.topics[topic][number]
        payload = Payload(key, value, [], stamp)
        epoch = -1 if pid < 0 else 0
        log.append([payload], pid, epoch, at, transactional=pid >= 0)
        return number

    async def _transaction(self, rows: list[tuple[str, str, bytes]]) -> None:
        self._pid += 1
        written: dict[tuple[str, int], int] = {}
        for topic, account, value in rows:
            number = partition_of(account.encode(), self._options.partitions)
            at = written.get((topic, number), 0)
            self._append(topic, account, value, self._pid, at)
            written[topic, number] = at + 1
        await self._world.sleep(self._chance.choice((0.01, 0.5)))
        commit = self._chance.random() < 0.5
        for place in written:
            self._world.broker.partition(place).mark(self._pid, 0, commit=commit)
