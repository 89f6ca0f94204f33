"""Sends orders open-loop, each when it is due; a process of its own, so that reading does not hold it up.

It prints when it starts, and at its end by how many milliseconds it was late itself (p99).
"""

from __future__ import annotations

import sys
import time

from tests.bench.avro_hold import ORDER, encode
from tests.bench.feeding import ACCOUNTS, order, produce, producer
from tests.bench.figures import percentile

SHORTEST_SLEEP = 0.0005
"""A shorter one costs more than it waits: what is due meanwhile goes out together, a little late."""


def main() -> int:
    bootstrap, topic, first, count, rate = sys.argv[1:]
    rows = []
    for number in range(int(count)):
        account = f"account-{number * 7919 % ACCOUNTS}"
        rows.append((encode(ORDER, order(int(first) + number, account, 1_000)), account))
    out = producer(bootstrap, linger_ms=0)
    out.list_topics(topic, timeout=10)  # connected before the first one is due
    begin, every = time.monotonic() + 0.5, 1 / float(rate)
    print(repr(begin), flush=True)
    late = []
    for number, (data, account) in enumerate(rows):
        due = begin + number * every
        wait = due - time.monotonic()
        if wait > 0:
            time.sleep(max(wait, SHORTEST_SLEEP))
        late.append(time.monotonic() - due)
        produce(out, topic, data, account)
        if number % 100 == 0:
            out.poll(0)
    if out.flush(30):
        raise SystemExit("the broker did not take the orders within 30 s")
    print(round(percentile(sorted(late), 0.99) * 1000, 2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
