"""A broker with a frame proxy before its second listener."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from streams.local.kafka import LocalKafka
from streams.local.ports import free_ports
from tests.fault.proxy import FrameProxy


@dataclass(frozen=True)
class Wire:
    """The broker, by both of its ways."""

    kafka: LocalKafka
    proxy: FrameProxy

    @property
    def direct(self) -> str:
        """Past the proxy: for oracles and feeders."""
        return self.kafka.address

    @property
    def proxied(self) -> str:
        """Through the proxy, and so is all that the broker tells such a client to come to."""
        return self.proxy.address


@contextmanager
def wired_kafka(folder: Path, *, seconds: float = 120.0) -> Iterator[Wire]:
    """Run a broker and its proxy on free ports for the length of a block; nothing of them is left."""
    port, controller, behind, before = free_ports(4)
    proxy = FrameProxy(before, behind)
    kafka = LocalKafka(
        folder,
        port=port,
        controller_port=controller,
        proxied=(behind, before),
        die_with_parent=True,
    )
    try:
        kafka.spawn()
        kafka.wait_ready(time.monotonic() + seconds)
        yield Wire(kafka, proxy)
    finally:
        proxy.close()
        kafka.stop()
        shutil.rmtree(folder, ignore_errors=True)
