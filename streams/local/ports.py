"""Ports of the loopback interface."""

from __future__ import annotations

import socket
from contextlib import suppress


def free_ports(count: int) -> list[int]:
    """Return ports of the loopback interface that nobody listens on now; another may be quicker.

    Args:
        count: how many different ones.
    """
    holders = [socket.socket() for _ in range(count)]
    try:
        for holder in holders:
            holder.bind(("127.0.0.1", 0))
        return [int(holder.getsockname()[1]) for holder in holders]
    finally:
        for holder in holders:
            holder.close()


def is_free(port: int) -> bool:
    """Whether a port of the loopback interface can be listened on now.

    Args:
        port: its number.
    """
    with socket.socket() as probe, suppress(OSError):
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as both services do
        probe.bind(("127.0.0.1", port))
        return True
    return False
