"""The workload on Quix Streams, exactly once; it runs in the environment of the peers."""

from __future__ import annotations

import json
import sys
from typing import Any

from quixstreams import Application

from tests.bench.workload import BOOTSTRAP, COMMIT_SECONDS, DECISIONS, GROUP, ORDERS, step


def main() -> int:
    app = Application(
        broker_address=BOOTSTRAP,
        consumer_group=GROUP,
        auto_offset_reset="earliest",
        processing_guarantee="exactly-once",
        commit_interval=COMMIT_SECONDS,
        state_dir="state",
        loglevel="WARNING",
        auto_create_topics=True,
    )
    orders = app.topic(ORDERS, key_deserializer="str", value_deserializer="bytes")
    decisions = app.topic(DECISIONS, key_serializer="str", value_serializer="bytes")

    def hold(value: bytes, state: Any) -> bytes:
        held = state.get("held", 0)
        _, answer, after = step(value, held)
        if after != held:
            state.set("held", after)
        return answer

    stream = app.dataframe(orders).apply(hold, stateful=True)
    stream.to_topic(decisions, key=lambda answer: json.loads(answer)["account"])
    app.run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
