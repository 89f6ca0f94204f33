"""The hold workload on Quix Streams, exactly once; it runs in the environment of the peers."""

from __future__ import annotations

import sys
from typing import Any

from quixstreams import Application

from tests.bench.avro_hold import (
    BOOTSTRAP,
    COMMIT_SECONDS,
    DECISIONS,
    GROUP,
    ORDERS,
    STATE_DIR,
    step,
)


def main() -> int:
    app = Application(
        broker_address=BOOTSTRAP,
        consumer_group=GROUP,
        auto_offset_reset="earliest",
        processing_guarantee="exactly-once",
        commit_interval=COMMIT_SECONDS,
        state_dir=STATE_DIR,
        loglevel="WARNING",
    )
    orders = app.topic(ORDERS, key_deserializer="bytes", value_deserializer="bytes")
    decisions = app.topic(DECISIONS, key_serializer="bytes", value_serializer="bytes")

    def hold(value: bytes, state: Any) -> bytes:
        _, decision, held = step(value, state.get_bytes("balance"))
        if held is not None:
            state.set_bytes("balance", held)
        return decision

    # The key stays that of the order, so that the decision goes to the same partition.
    app.dataframe(orders).apply(hold, stateful=True).to_topic(decisions)
    app.run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
