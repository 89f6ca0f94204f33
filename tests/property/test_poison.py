"""Whatever is poisonous where: good records are processed once and in order, poison is set aside once."""

from __future__ import annotations

import asyncio
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from streams.engine.rates import Rates, Tally
from tests.unit.engine_rig import AT_FLUSH, IN, OUT, TOO_LARGE, Rig, log_of

KINDS = ("good", "raise", "wrong", "once", "large", "flush", "bytes")
LOGS = st.lists(st.lists(st.sampled_from(KINDS), max_size=24), min_size=1, max_size=3)


class Wrong(ValueError):
    disposition = "DEAD_LETTER"


def rig_of(kinds: list[list[str]], **options: Any) -> Rig:
    """A worker over partitions of records that behave as they are named."""
    tried: dict[bytes, int] = {}

    async def act(event: Any) -> None:
        kind = event.value.split(b"|")[0].decode()
        value = {"large": TOO_LARGE, "flush": AT_FLUSH}.get(kind, event.value)
        await event.send(OUT, key="k", value=value, partition=0)
        tried[event.value] = tried.get(event.value, 0) + 1
        if kind == "raise" or (kind == "once" and tried[event.value] == 1):
            raise ValueError(kind)
        if kind == "wrong":
            raise Wrong(kind)

    return Rig(
        {
            p: log_of([f"{kind}|{p}|{n}".encode() for n, kind in enumerate(row)], p)
            for p, row in enumerate(kinds)
        },
        act,
        **options,
    )


def undecodable(record: Any) -> None:
    """Refuse what is named `bytes`."""
    if record.value.startswith(b"bytes"):
        raise ValueError("no record")


@settings(deadline=None)
@given(LOGS, st.integers(1, 9), st.integers(0, 2))
def test_good_records_once_in_order_and_poison_aside_once(
    kinds: list[list[str]], batch_max: int, retries: int
) -> None:
    """Per partition the outputs are the good records, the dead letters the others, both in offset order."""
    rig = rig_of(kinds, batch_max=batch_max, poison_retries=max(retries, 1))
    rig.refuse = undecodable
    asyncio.run(rig.drain())
    for partition, row in enumerate(kinds):
        own = [f"{kind}|{partition}|{n}".encode() for n, kind in enumerate(row)]
        good = [value for value in own if value.startswith((b"good", b"once"))]
        mine = [v for v in rig.values(OUT) if int(v.split(b"|")[1]) == partition]
        assert mine == good
        assert rig.values(f"{IN}.dlq", partition) == [v for v in own if v not in good]
    causes = [dict(headers)["cause"] for *_, headers in rig.client.sent if headers]
    assert len(causes) == len(set(causes))


BATCHES = st.lists(st.lists(st.booleans(), min_size=1, max_size=12), max_size=12)


@given(BATCHES, st.integers(1, 20), st.integers(1, 4))
def test_a_tally_over_batches_is_the_count_over_records(
    batches: list[list[bool]], window: int, run: int
) -> None:
    """Row and window are those of the records one by one, however they were batched."""
    rates, tally = Rates(0.3, window, run), Tally()
    order: list[bool] = []
    seen: list[bool] = []
    for batch in batches:
        # Within a batch, the dead letters count as its newest records.
        runs = [["dead", "in", n, ""] if dead else ["records", "in", n, n] for n, dead in enumerate(batch)]  # fmt: skip
        tally = rates.count(tally, runs, len(batch))
        seen += sorted(batch)
        order += batch
        assert tally.run == next(
            (n for n, dead in enumerate(reversed(order)) if not dead), len(order)
        )
        assert len(tally.dead) == sum(seen[-window:])
        again = rates.parse(rates.text(tally))
        assert (again.run, len(again.dead)) == (tally.run, len(tally.dead))
    assert tally.seen == len(seen)
