"""How fast a table comes back from its changelog, by store: all of it, and a delta of nothing.

Run it by hand: `python -m tests.bench.bench_restore [KEYS]`. It starts a Kafka of its own and prints one line per store.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from confluent_kafka import Producer
from confluent_kafka.admin import NewTopic

from streams.engine import App
from streams.engine.clientlog import admin_client
from streams.engine.recovery import restore
from streams.engine.store.choose import state_of
from streams.local.services import fetch, local_services

PARTITIONS = 4
VALUE = 64


def app_of(bootstrap: str, store: str, folder: Path) -> Any:
    """Return an app with one table."""
    app = App("bench", broker=bootstrap, store=store, state_dir=folder)
    app.Table("rows", key_type=str, value_type=bytes, partitions=PARTITIONS)
    return app


def fill(app: Any, keys: int) -> None:
    """Write one record for each key, in transactions of 5,000."""
    settings = app.engine_settings
    topic = NewTopic("bench-rows-changelog", PARTITIONS, 1, config={"cleanup.policy": "compact"})
    admin = admin_client(settings)
    admin.create_topics([topic])["bench-rows-changelog"].result()
    producer = Producer({"bootstrap.servers": settings.bootstrap, "transactional.id": "fill"})
    producer.init_transactions()
    for start in range(0, keys, 5_000):
        producer.begin_transaction()
        for number in range(start, min(start + 5_000, keys)):
            key = f"account-{number:08d}".encode()
            value = key.ljust(VALUE, b".")
            producer.produce("bench-rows-changelog", value, key, number % PARTITIONS)
        producer.commit_transaction()


def measure(bootstrap: str, store: str, folder: Path, keys: int) -> None:
    """Restore everything, then what a restart restores: nothing but the standing."""
    for what in ("all", "delta"):
        app = app_of(bootstrap, store, folder)
        tables = list(app.tables.values())
        state = state_of(app.engine_settings, "bench")
        before = resource.getrusage(resource.RUSAGE_SELF)
        began = time.perf_counter()
        state.open()
        for table in tables:
            table.store = state.table(table)
        count = restore(state, tables, list(range(PARTITIONS)), app.engine_settings)
        seconds = time.perf_counter() - began
        after = resource.getrusage(resource.RUSAGE_SELF)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        print(
            f"{store:11} {what:6} {count:9,} records {seconds:7.2f} s {count / seconds:10,.0f}/s "
            f"{cpu:6.2f} s of CPU, peak {after.ru_maxrss // 1024} MB"
        )
        if what == "all" and count != keys:
            raise SystemExit(f"{keys} records were written, {count} came back")
        state.close()


def main() -> int:
    """Print the lines."""
    keys = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    fetch(lambda _text, _passing: None)
    with (
        tempfile.TemporaryDirectory() as folder,
        local_services(Path(folder) / "services", registry=False, remove=True) as services,
    ):
        bootstrap = services.bootstrap
        fill(app_of(bootstrap, "memory://", Path(folder)), keys)
        for store in ("rocksdb://", "memory://"):
            measure(bootstrap, store, Path(folder), keys)
    return 0


if __name__ == "__main__":
    sys.exit(main())
