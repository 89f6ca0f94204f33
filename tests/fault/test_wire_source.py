"""A source under wire faults: its producer has transactions of its own, and the same rule holds for them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fault.proxy import KEPT, Act, FrameProxy, Rule
from tests.fault.proxy_cases import stall_next_transaction
from tests.fault.proxy_frames import Api
from tests.fault.proxy_kafka import Wire
from tests.integration.oracle import Oracle
from tests.integration.workers import Workers, eventually

APP = "tests.integration.apps.ticks:app"
NUMBERS = 6_000


@pytest.mark.parametrize("act", [Act.HOLD, Act.CUT_AFTER], ids=str)
def test_source_doubles_nothing_after_a_wire_fault(
    act: Act,
    wire: Wire,
    proxy: FrameProxy,
    wire_oracle: Oracle,
    wire_prefix: str,
    tmp_path: Path,
) -> None:
    """A commit of a source that is cut off, and comes late into its next one: every number once, by one worker."""
    number = wire_oracle.create(f"{wire_prefix}number", 3)
    cursor = wire_oracle.create(f"{wire_prefix}cursor", 1, compact=True)
    slot = f"{wire_prefix}ticks-numbers"
    of_source = lambda request: request.facts.transactional_id == slot  # noqa: E731 - one line says it
    rule = proxy.arm(Rule(act, Api.END_TXN, nth=10, where=of_source))
    workers = Workers(
        tmp_path,
        FILLONCE_KAFKA__BOOTSTRAP=wire.proxied,
        TEST_PREFIX=wire_prefix,
        TICKS_PAUSE="0.01",
    )
    try:
        worker = workers.start(APP)
        assert eventually(rule.hit.is_set), worker.text[-3000:]
        (hit,) = rule.hits
        if act in KEPT:
            stall = stall_next_transaction(proxy, hit)
            assert eventually(stall.hit.is_set, pause=0.01), worker.text[-3000:]
            assert stall.hits[0].answered.wait(5)
            assert len(rule.release()) == 1

        def newest() -> int:
            if workers.all[-1].process.poll() == 75:  # as the supervisor does
                workers.start(APP)
            return int(wire_oracle.fold(cursor).get(0, {}).get(b"numbers", b"0"))

        assert eventually(lambda: newest() == NUMBERS or workers.all[-1].process.poll() == 70, 60)
        assert workers.all[-1].process.poll() is None, workers.all[-1].text[-3000:]
        found = [int(row.value or b"") for row in wire_oracle.read(number)]
        assert sorted(found) == list(range(NUMBERS))
        assert proxy.reused(hit) == []
    finally:
        workers.end()
