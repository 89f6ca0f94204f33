"""Sends orders open-loop, each when it is due; a process of its own, so that reading does not hold it up.

It prints by how many milliseconds it was behind its own schedule at the worst.
"""

from __future__ import annotations

import sys
import time

from tests.bench.avro_hold import ORDER, encode
from tests.bench.feeding import ACCOUNTS, order, produce, producer


def main() -> int:
    bootstrap, topic, start, base, count, rate = sys.argv[1:]
    begin, first, every = float(start), int(base), 1 / float(rate)
    out = producer(bootstrap, linger_ms=0)
    out.list_topics(topic, timeout=10)  # connected before the first one is due
    worst = 0.0
    for number in range(int(count)):
        account = f"account-{number * 7919 % ACCOUNTS}"
        data = encode(ORDER, order(first + number, account, 1_000))
        due = begin + number * every
        wait = due - time.monotonic()
        if wait > 0:
            time.sleep(wait)
        worst = max(worst, time.monotonic() - due)
        produce(out, topic, data, account)
        if number % 100 == 0:
            out.poll(0)
    if out.flush(30):
        raise SystemExit("the broker did not take the orders within 30 s")
    print(round(worst * 1000, 2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
