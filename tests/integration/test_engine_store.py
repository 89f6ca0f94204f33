"""The RocksDB store under kill -9: what a restart restores, and what the table holds afterwards."""

from __future__ import annotations

import re
import threading
from pathlib import Path

import pytest

from tests.integration.hold import Hold
from tests.integration.oracle import Oracle
from tests.integration.workers import Worker, Workers, eventually

APP = "examples.hold:app"
ORDERS = 16_000
BATCH = 200
KILLS = ("before_store:6", "during_restore:20", "mid_store:5", "after_commit:7", "mid_batch:700")


def _restored(worker: Worker) -> int:
    found = re.search(r"(\d+) changelog records restored", worker.text)
    assert found is not None, worker.text[-2000:]
    return int(found[1])


def _ended(worker: Worker) -> bool:
    return worker.process.poll() is not None


@pytest.mark.timeout(180)
def test_a_killed_worker_goes_on_from_its_store(
    oracle: Oracle, workers: Workers, topic_prefix: str, tmp_path: Path
) -> None:
    """No restart restores more than the transaction that the kill kept from the store, and none of it is wrong.

    A second worker on the same folder ends with 2 and says who has it; a store whose bytes were
    flipped is wiped or found damaged (exit 75, then wiped), and the table is the fold of its changelog.
    """
    hold = Hold(oracle, topic_prefix, 7, ORDERS)
    state = tmp_path / "state"
    workers.environment |= {
        **hold.environment,
        "HOLD_STORE": "rocksdb://",
        "HOLD_STATE": str(state),
        "HOLD_BATCH": str(BATCH),
    }
    feeder = threading.Thread(target=hold.feed, daemon=True)
    for number, kill in enumerate(KILLS, start=1):
        hold.allowed = ORDERS * number // (len(KILLS) + 1)
        if not feeder.is_alive():
            feeder.start()
        worker = workers.start(APP, FILLONCE_FAILPOINT=kill, HOLD_BATCH="200")
        assert worker.wait(40) == -9, worker.text[-3000:]
        if "owns partitions" in worker.text:
            assert _restored(worker) <= BATCH
    hold.allowed = ORDERS + 1
    last = workers.start(APP)
    last.ready()
    assert _restored(last) <= BATCH
    second = workers.start(APP)
    assert second.wait() == 2
    assert f"in use by process {last.process.pid}" in second.text
    feeder.join(60)
    assert eventually(hold.settled, 60), last.text[-3000:]
    assert last.terminate() == 0
    hold.check()
    again = workers.start(APP)
    again.ready()
    assert _restored(again) == 0, "a clean stop left something to restore"
    again.kill()
    for file in [*state.rglob("*.log"), *state.rglob("*.sst")]:
        data = bytearray(file.read_bytes())
        if data:
            data[len(data) // 2] ^= 0xFF
            file.write_bytes(data)
    last = workers.start(APP)
    last.ready()
    hold.orders += Hold(oracle, f"{topic_prefix}more.", 8, 2_000).orders
    for index, order in enumerate(hold.orders[ORDERS:]):
        order["order_id"] = f"p-{index:06d}"
    first, hold.orders = hold.orders, hold.orders[ORDERS:]
    hold.allowed = hold.written + len(hold.orders) + 1
    hold.feed(rate=None)
    hold.orders = first
    assert eventually(lambda: hold.settled() or _ended(workers.all[-1]), 60)
    if not hold.settled():
        assert last.wait() == 75, last.text[-3000:]
        last = workers.start(APP)
        assert eventually(hold.settled, 60), last.text[-3000:]
    assert last.terminate() == 0
    hold.check()
