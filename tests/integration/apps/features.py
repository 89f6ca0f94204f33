"""Two agents on one topic, a global table, a clock that writes, and work after the commit."""

from __future__ import annotations

from typing import Any

from tests.integration.apps.making import PREFIX, RAW, make

app = make("features")
words = app.topic(PREFIX + "word", **RAW, partitions=2)
out = app.topic(PREFIX + "out", **RAW, partitions=2)
done = app.topic(PREFIX + "done", **RAW, partitions=1)
prices = app.GlobalTable("price", changelog_topic=app.topic(PREFIX + "price", **RAW, partitions=1))
counts = app.Table("counts", key_type=str, value_type=bytes)
ticks = app.Table("ticks", key_type=str, value_type=bytes)


@app.agent(words, name="b")
async def second(stream: Any) -> None:
    """See what the first has written for the same event."""
    async for event in stream.events():
        await out.send(key=event.key, value=b"b" + counts[event.key])


@app.agent(words, name="a")
async def first(stream: Any) -> None:
    """Count, ask the global table, and leave something to be done after the commit."""
    async for event in stream.events():
        count = int(counts.get(event.key) or b"0") + 1
        counts[event.key] = str(count).encode()
        price = prices.get(event.value.decode(), b"none")
        await out.send(key=event.key, value=b"a%d=" % count + price)

        async def effect(key: str = event.key, count: int = count) -> None:
            await done.send(key=key, value=b"%d" % count)

        event.after_commit(effect)


@app.agent(app.clock(every=0.2), name="ticker")  # type: ignore[arg-type]
async def ticker(stream: Any) -> None:
    """Write at the first three ticks of a partition, and leave no trace at the later ones."""
    async for event in stream.events():
        count = int(ticks.get("count") or b"0")
        if count < 3:
            ticks["count"] = str(count + 1).encode()
            value = f"tick {count + 1} {event.now.isoformat()}".encode()
            await out.send(key="tick", value=value, partition=event.partition)
