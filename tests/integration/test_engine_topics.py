"""Topics that change under a running worker, and topics that no agent may read."""

from __future__ import annotations

import pytest
from confluent_kafka.admin import NewPartitions

from tests.integration.hold import Hold
from tests.integration.oracle import Oracle
from tests.integration.workers import Worker, Workers

APP = "examples.hold:app"


def running(hold: Hold, workers: Workers) -> Worker:
    """A worker that has processed a little and looks at its topics twice a second."""
    hold.feed(rate=None)
    worker = workers.start(APP, HOLD_TOPIC_CHECK="0.5", **hold.environment)
    worker.ready()
    return worker


@pytest.mark.parametrize("kind", ["input", "changelog"])
def test_other_partitions_end_the_worker(
    kind: str, oracle: Oracle, workers: Workers, topic_prefix: str
) -> None:
    """Keys would move away from their tables: exit 2, and the line names the topic and both counts."""
    hold = Hold(oracle, topic_prefix, 1, 200)
    worker = running(hold, workers)
    topic = getattr(hold, kind)
    oracle.admin.create_partitions([NewPartitions(topic, 6)])[topic].result(20)
    assert worker.wait(30) == 2
    assert f"topic {topic} has 6 partitions now, and had 4" in worker.text
    assert "Traceback" not in worker.text


def test_a_topic_made_again_ends_the_worker(
    oracle: Oracle, workers: Workers, topic_prefix: str
) -> None:
    """Offsets of the old topic mean nothing in the new one of the same name: exit 2."""
    hold = Hold(oracle, topic_prefix, 2, 200)
    worker = running(hold, workers)
    oracle.admin.delete_topics([hold.input], operation_timeout=20)[hold.input].result(20)
    assert worker.wait(30) == 2, worker.text
    assert f"topic {hold.input} was deleted" in worker.text


def test_a_compacted_topic_is_no_input(oracle: Oracle, workers: Workers, topic_prefix: str) -> None:
    """What compaction takes could not be replayed: refused at the start, by name."""
    hold = Hold(oracle, topic_prefix, 3, 10)
    oracle.create(f"{topic_prefix}squeezed", 4, compact=True)
    worker = workers.start(APP, **{**hold.environment, "HOLD_ORDERS": f"{topic_prefix}squeezed"})
    assert worker.wait(40) == 2
    assert f"topic {topic_prefix}squeezed is compacted" in worker.text
