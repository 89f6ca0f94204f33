"""What `replay verify` must find besides a changed app: planted records, missing history."""

from __future__ import annotations

import pytest

from tests.integration.hold import Hold
from tests.integration.oracle import Oracle
from tests.integration.replaying import verify
from tests.integration.workers import ROOT, Workers, eventually

APP = "examples.hold:app"


@pytest.mark.timeout(150)
def test_planted_and_doubled_outputs_are_named(
    oracle: Oracle, workers: Workers, topic_prefix: str
) -> None:
    """A record that bears a cause of history and was not derived from it is a divergence."""
    hold = Hold(oracle, topic_prefix, 7, 400)
    workers.environment |= hold.environment
    hold.feed(rate=None)
    worker = workers.start(APP)
    assert eventually(hold.settled, 60), worker.text[-3000:]
    assert worker.terminate() == 0
    assert verify(APP, ROOT, **hold.environment)[0] == 0
    real = oracle.read(hold.output)[0]
    cause = dict(real.headers)["cause"] or b""
    app, topic, partition, offset, index = cause.decode().rsplit("|", 4)
    producer = oracle.producer()
    for number in (index, "9"):
        planted = f"{app}|{topic}|{partition}|{offset}|{number}".encode()
        headers: dict[str, str | bytes | None] = {"cause": planted}
        producer.produce(hold.output, b"{}", real.key, headers=headers)
    assert producer.flush(30) == 0
    status, report = verify(APP, ROOT, **hold.environment)
    assert status == 3
    found = report["processors"][0]["divergences"]
    assert {d["kind"] for d in found} <= {"output extra", "output value", "output headers"}
    assert any(d["committed"] == "{}" for d in found)


@pytest.mark.timeout(60)
def test_no_history_is_said(oracle: Oracle, topic_prefix: str) -> None:
    """An app that never ran has nothing to verify: exit 2, and its journal is named."""
    with pytest.raises(AssertionError, match=f"{topic_prefix}never.journal"):
        verify(
            APP, ROOT, HOLD_APP=f"{topic_prefix}never", FILLONCE_KAFKA__BOOTSTRAP=oracle.bootstrap
        )
