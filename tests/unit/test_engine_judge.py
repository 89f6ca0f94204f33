"""What follows from each kind of failure, in the shipped engine over a log in memory."""

from __future__ import annotations

from typing import Any

import pytest

from streams.engine.errors import EngineError, Exit, PoisonStop, RecordRefused
from tests.unit.engine_rig import AT_FLUSH, IN, OUT, TOO_LARGE, Rig, log_of

DEAD = f"{IN}.dlq"


class Wrong(ValueError):
    disposition = "DEAD_LETTER"


class Away(Exception):
    disposition = "RETRY"


class Broken(Exception):
    disposition = "CRASH"


def send(event: Any, value: bytes) -> Any:
    """Send one record to the output."""
    return event.send(OUT, key="k", value=value, partition=0)


async def echo(event: Any) -> None:
    """Send what came, and fail where it says so."""
    await send(event, event.value)
    match event.value:
        case b"raise":
            raise ZeroDivisionError("as it says")
        case b"wrong":
            raise Wrong("the record")
        case b"broken":
            raise Broken("state")


async def test_a_culprit_is_tried_three_times_and_set_aside_with_its_facts() -> None:
    """Of five records four are processed once, the fifth is a dead letter that says why."""
    rig = Rig({0: log_of([b"a", b"b", b"raise", b"c", b"d"])}, echo, describe={"code_version": "v"})
    await rig.drain()
    assert rig.values(OUT) == [b"a", b"b", b"c", b"d"]
    assert rig.values(DEAD) == [b"raise"]
    (facts,) = rig.facts()
    assert (facts["error"], facts["reason"]) == ("ZeroDivisionError", "as it says")
    assert (facts["attempts"], facts["code_version"], facts["offset"]) == ("3", "v", "2")
    assert rig.client.aborts == 3


async def test_a_record_that_is_wrong_is_tried_once() -> None:
    """DEAD_LETTER needs no second try."""
    rig = Rig({0: log_of([b"a", b"wrong", b"b"])}, echo)
    await rig.drain()
    assert (rig.values(OUT), rig.values(DEAD)) == ([b"a", b"b"], [b"wrong"])
    assert rig.client.aborts == 1


async def test_an_output_that_is_too_large_blames_the_record_in_hand() -> None:
    """The client refuses it inside the send, so the culprit is known and no retry helps."""
    rig = Rig({0: log_of([b"a", b"big", b"b"])}, lambda e: send(e, b"x"))

    async def act(event: Any) -> None:
        await send(event, TOO_LARGE if event.value == b"big" else event.value)

    rig = Rig({0: log_of([b"a", b"big", b"b"])}, act)
    await rig.drain()
    assert (rig.values(OUT), rig.values(DEAD)) == ([b"a", b"b"], [b"big"])
    assert rig.facts()[0]["error"] == "RecordRefused"
    assert rig.client.aborts == 1


async def test_a_refusal_that_an_agent_swallows_is_found_all_the_same() -> None:
    """Its record is not committed as if it had been sent."""

    async def act(event: Any) -> None:
        try:
            await send(event, TOO_LARGE if event.value == b"big" else event.value)
        except RecordRefused:
            return

    rig = Rig({0: log_of([b"a", b"big", b"b"])}, act)
    await rig.drain()
    assert (rig.values(OUT), rig.values(DEAD)) == ([b"a", b"b"], [b"big"])


async def test_a_refusal_that_comes_with_the_commit_is_found_by_halving() -> None:
    """Of 64 records one is at fault; the others are processed once, in their order."""
    values = [b"%d" % n for n in range(64)]

    async def act(event: Any) -> None:
        await send(event, AT_FLUSH if event.value == b"37" else event.value)

    rig = Rig({0: log_of(values)}, act)
    await rig.drain()
    assert rig.values(OUT) == [v for v in values if v != b"37"]
    assert rig.values(DEAD) == [b"37"]
    assert rig.client.aborts <= 12
    assert rig.facts()[0]["error"] == "RecordRefused"


async def test_a_letter_that_kafka_does_not_take_goes_without_its_value() -> None:
    """Refused at once or with the commit: the facts say how many bytes were left out."""
    rig = Rig({0: log_of([b"a", TOO_LARGE, b"b", AT_FLUSH, b"c"])}, echo)
    await rig.drain()
    assert rig.values(OUT) == [b"a", b"b", b"c"]
    assert rig.values(DEAD) == [None, None]
    assert [f["omitted"] for f in rig.facts()] == [str(len(TOO_LARGE)), str(len(AT_FLUSH))]


async def test_the_policy_stop_says_which_record_and_what_to_do() -> None:
    """The worker ends with the status that no restart follows; what came before is committed."""
    rig = Rig({0: log_of([b"a", b"raise", b"b"])}, echo, poison="stop")
    await rig.begin()
    with pytest.raises(PoisonStop, match=r"in\[0\]@1 failed \(tries: 3\): ZeroDiv.*continue") as e:
        await rig.turns(rig.done)
    await rig.end()
    assert e.value.exit_code is Exit.DATA
    assert rig.values(OUT) == [b"a"]
    assert rig.values(DEAD) == []


async def test_a_crash_stops_and_sets_nothing_aside() -> None:
    """An error that says so is our own defect: the evidence is kept."""
    rig = Rig({0: log_of([b"a", b"broken", b"b"])}, echo)
    await rig.begin()
    with pytest.raises(EngineError, match="state"):
        await rig.turns(rig.done)
    await rig.end()
    assert rig.client.sent == []


async def test_dead_letters_in_a_row_stop_the_worker_with_what_was_committed_intact() -> None:
    """Three good ones, then none: the fifth in a row is not set aside, and the position is before it."""
    values = [b"a", b"b", b"c", *[b"wrong"] * 20]
    rig = Rig({0: log_of(values)}, echo, dead_letter_run=5)
    await rig.begin()
    with pytest.raises(PoisonStop, match=r"5 dead letters in a row.*bad deploy"):
        await rig.turns(rig.done)
    await rig.end()
    assert rig.values(OUT) == [b"a", b"b", b"c"]
    assert rig.client.offsets[0][0] == 3 + len(rig.values(DEAD)) == 7


async def test_a_restart_does_not_begin_to_count_anew() -> None:
    """The committed mark has the row: the next worker stops at once, a higher bound allows more."""
    values = [b"a", *[b"wrong"] * 20, b"z"]
    first = Rig({0: log_of(values)}, echo, dead_letter_run=5)
    await first.begin()
    with pytest.raises(PoisonStop):
        await first.turns(first.done)
    await first.end()
    for bound, more in ((5, 0), (8, 3), (0, 16)):
        again = Rig({0: log_of(values)}, echo, dead_letter_run=bound)
        again.client.offsets = dict(first.client.offsets)
        await again.begin()
        if bound:
            with pytest.raises(PoisonStop):
                await again.turns(again.done)
        else:
            await again.turns(again.done)
        await again.end()
        assert len(again.values(DEAD)) == more, bound


async def test_a_rate_stops_the_worker_and_aborts_count_nothing_twice() -> None:
    """One of four is too many for one of five in a window of 40, judged once 40 were seen."""
    values = [b"wrong" if n % 4 == 3 else b"a" for n in range(200)]
    rig = Rig({0: log_of(values)}, echo, dead_letter_rate=0.2, dead_letter_window=40, batch_max=10)
    await rig.begin()
    with pytest.raises(PoisonStop, match="dead letters among the last 40 records"):
        await rig.turns(rig.done)
    await rig.end()
    assert 30 <= rig.client.offsets[0][0] < 40
    calm = Rig({0: log_of(values)}, echo, dead_letter_rate=0.25, dead_letter_window=40)
    await calm.drain()
    assert len(calm.values(DEAD)) == 50


def refusing(fails: dict[int, int], error: Exception) -> Any:
    """Let records of a partition be undecodable for so many tries."""

    def refuse(record: Any) -> None:
        if record.value == b"unknown" and fails.get(record.partition, 0) > 0:
            fails[record.partition] -= 1
            raise error

    return refuse


async def test_a_partition_waits_for_the_registry_and_the_others_go_on() -> None:
    """No abort, no skip, no busy loop: it is paused and tried at longer and longer intervals."""
    rig = Rig(
        {0: log_of([b"a", b"unknown", b"b"]), 1: log_of([b"%d" % n for n in range(50)], 1)}, echo
    )
    rig.refuse = refusing({0: 6}, Away("no answer"))
    await rig.begin()
    await rig.turns(lambda: rig.client.offsets.get(1, (0,))[0] == 50)
    assert rig.client.offsets[0][0] == 1
    assert rig.client.paused in ({0}, set())
    began, calls = rig.runtime.now, rig.client.calls
    await rig.turns(rig.done)
    await rig.end()
    assert rig.values(OUT).count(b"unknown") == 1
    assert [v for v in rig.values(OUT) if not v.isdigit()] == [b"a", b"unknown", b"b"]
    assert rig.values(DEAD) == []
    assert rig.client.aborts == 0
    waited = rig.runtime.now - began
    assert 0.5 + 1 + 2 + 4 + 5 <= waited + 0.5 < 25
    assert rig.client.calls - calls < 100


async def test_a_codec_that_may_not_go_on_stops_the_worker() -> None:
    """Refused credentials are no poison: nothing is set aside."""
    rig = Rig({0: log_of([b"unknown"])}, echo)
    rig.refuse = refusing({0: 9}, type("Refused", (Exception,), {"disposition": "STOP"})("401"))
    await rig.begin()
    with pytest.raises(EngineError, match=r"in\[0\]@0 cannot be read: 401"):
        await rig.turns(rig.done)
    await rig.end()
    assert rig.client.sent == []


async def test_an_agent_that_asks_for_time_gets_it_and_the_others_go_on() -> None:
    """RETRY from an agent aborts the batch; its partition waits, the other is processed meanwhile."""
    away = [4]

    async def act(event: Any) -> None:
        await send(event, event.value)
        if event.value == b"away" and away[0]:
            away[0] -= 1
            raise Away("no answer")

    rig = Rig({0: log_of([b"a", b"away", b"b"]), 1: log_of([b"1", b"2"], 1)}, act)
    await rig.begin()
    await rig.turns(lambda: rig.client.offsets.get(1, (0,))[0] == 2)
    assert away[0] > 0
    await rig.turns(rig.done)
    await rig.end()
    assert [v for v in rig.values(OUT) if not v.isdigit()] == [b"a", b"away", b"b"]
    assert rig.values(DEAD) == []


async def test_an_agent_that_fails_before_it_asks_for_a_record_sets_none_aside() -> None:
    """Its defect is nobody's record: the worker stops and says so."""
    rig = Rig({0: log_of([b"a"])}, echo)

    async def agent(stream: Any) -> None:
        del stream
        raise KeyError("configuration")

    rig.app.agents["agent"].fun = agent
    await rig.begin()
    with pytest.raises(EngineError, match="before it had asked for a record"):
        await rig.turns(rig.done)
    await rig.end()
    assert rig.client.sent == []
