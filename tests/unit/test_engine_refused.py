"""What an app may not ask of the engine, each refused by its name."""

from __future__ import annotations

from typing import Any

import pytest

from streams.engine.errors import ConfigError
from streams.engine.stream import Stream
from tests.unit.engine_tools import RAW, in_hand, make_app, make_event


async def idle(stream: Any) -> None:
    async for _ in stream.events():
        ...


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"concurrency": 2}, "concurrency"),
        ({"isolated_partitions": True}, "isolated_partitions"),
    ],
)
def test_agent_options_that_break_the_order_are_refused(options: dict[str, Any], word: str) -> None:
    """More than one reader of a partition would leave its order to chance."""
    app = make_app()
    with pytest.raises(ConfigError, match=word):
        app.agent(app.topic("in", **RAW), name="a", **options)(idle)


def test_an_agent_reads_topics_only() -> None:
    """In-memory channels have no history to replay; nor has an agent's own."""
    app = make_app()
    with pytest.raises(ConfigError, match="in-memory channels"):
        app.agent(app.channel(), name="a")(idle)
    with pytest.raises(ConfigError, match="name its topic"):
        app.agent(name="b")(idle)


@pytest.mark.parametrize(
    "what",
    [
        "take",
        "take_events",
        "take_with_timestamp",
        "noack",
        "group_by",
        "through",
        "join",
        "combine",
    ],
)
def test_stream_methods_that_hold_events_are_refused(what: str) -> None:
    """They would keep an event across the end of its transaction."""
    app = make_app()
    stream = Stream(app.topic("in", **RAW), app=app)
    with pytest.raises(ConfigError, match="across the end of a transaction"):
        getattr(stream, what)(10)


@pytest.mark.parametrize("what", ["ask", "ask_nowait", "map", "join", "kvmap", "kvjoin"])
async def test_replies_are_refused(what: str) -> None:
    """An answer would have to be read inside the transaction that asks."""
    app = make_app()
    agent = app.agent(app.topic("in", **RAW), name="a")(idle)
    with pytest.raises(ConfigError, match="refused"):
        await getattr(agent, what)(b"x")


def test_patterns_set_tables_windows_and_routes_are_refused() -> None:
    """Each with what to do instead."""
    app = make_app()
    with pytest.raises(ConfigError, match="pattern"):
        app.topic(pattern="in.*")
    with pytest.raises(ConfigError, match="frozenset"):
        app.SetTable("s")
    with pytest.raises(ConfigError, match="frozenset"):
        app.SetGlobalTable("s")
    table = app.Table("t", key_type=str, value_type=bytes)
    for window in (table.hopping, table.tumbling):
        with pytest.raises(ConfigError, match="windowed"):
            window(10, 5)
    with pytest.raises(ConfigError, match="table_route"):
        app.table_route(table, shard_param="x")


def test_send_soon_is_refused() -> None:
    """It would send at some later time, in another transaction."""
    app = make_app()
    with pytest.raises(RuntimeError, match="send_soon"):
        app.topic("out", **RAW).send_soon(key="k", value=b"v")


async def test_an_agent_may_not_wait_for_its_own_send() -> None:
    """The record is delivered when the transaction commits: waiting for it would be for ever."""

    class Engine:
        def __init__(self) -> None:
            self.sent: list[Any] = []

        def send_inside(self, *parts: Any) -> None:
            self.sent.append(parts)

    app = make_app()
    app.engine = engine = Engine()
    with in_hand(make_event(app)):
        sent = await app.topic("out", **RAW).send(key="k", value=b"v")
        with pytest.raises(RuntimeError, match="delivery of its own send"):
            await sent
    assert engine.sent[0][1:] == ("out", b"k", b"v", None, [], None)


def test_two_schemas_on_one_topic_are_refused() -> None:
    """Agents of one app read a topic in one way."""
    import faust

    from streams.engine.decoding import decoders_of

    class Other(faust.Schema):  # type: ignore[type-arg]
        """Another way to read."""

    app = make_app()
    app.agent(app.topic("in", **RAW), name="a")(idle)
    app.agent(app.topic("in", schema=Other()), name="b")(idle)
    with pytest.raises(ConfigError, match="two schemas"):
        decoders_of(app)
