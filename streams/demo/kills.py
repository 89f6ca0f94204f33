"""The demo's crashes: each counts only with evidence that it hit."""

from __future__ import annotations

import json
import time
import urllib.request
from dataclasses import dataclass
from typing import Any

from processors.errors import UnavailableError
from streams.demo.stage import Stage, resume, suspend
from streams.demo.watch import Watch

RISK_TOPICS = ["trade.order", "ledger.entry", "ledger.balance", "fillonce.risk_manager.journal"]


@dataclass(frozen=True, slots=True)
class Crash:
    """One crash that hit, and how we know."""

    what: str
    at_row: int
    evidence: str


def control(stage: Stage, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    """Call the simulator's control interface on loopback."""
    request = urllib.request.Request(  # noqa: S310 - the simulator's own loopback address
        f"{stage.simulator_url}{path}",
        data=None if body is None else json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
        method="GET" if body is None else "POST",
    )
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
        found: dict[str, Any] = json.load(answer)
        return found


def kill_risk_manager(stage: Stage, watch: Watch, seconds: float) -> Crash:
    """Kill risk_manager with -9 while a transaction of its own is open.

    It is suspended when its topics show an open transaction, looked at again, and killed only if the
    transaction is still open: no commit can have come in between.
    """
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not watch.open_transactions(RISK_TOPICS):
            time.sleep(0.001)
            continue
        child = stage.children().get("risk_manager")
        if child is None:
            continue
        suspend(child)
        still = watch.open_transactions(RISK_TOPICS)
        if not still:
            resume(child)
            continue
        watch.look()
        pid = stage.kill_processor("risk_manager")
        return Crash(
            "risk_manager killed with -9, transaction open", watch.rows, f"pid {pid}; {still[0]}"
        )
    raise UnavailableError(f"no open transaction of risk_manager was caught within {seconds:g} s")


def kill_execution(stage: Stage, watch: Watch, seconds: float) -> Crash:
    """Kill execution with -9 while the venue has accepted an order and its answer is on the way."""
    control(
        stage, "/control/faults", {"faults": [{"kind": "hold_after_accept", "operation": "create"}]}
    )
    deadline = time.monotonic() + seconds
    try:
        while time.monotonic() < deadline:
            fault = control(stage, "/control/faults")["faults"][0]
            if fault["holding"]:
                # The others of the burst are answered first: an order not sent yet would end
                # NOT_PLACED, which is right, but no run without a crash to compare with has it.
                _wait_for(watch, 1, 3.0)
                pid = stage.kill_processor("execution")
                return Crash(
                    "execution killed with -9, a call in flight",
                    watch.rows,
                    f"pid {pid}; the venue holds the answer to {fault['holding']} accepted order",
                )
            time.sleep(0.005)
    finally:
        control(stage, "/control/release", {})
    raise UnavailableError(f"no order was sent within {seconds:g} s")


def kill_supervisor(stage: Stage, watch: Watch) -> Crash:
    """Kill the supervisor with -9 between two orders: the kernel ends its children; start another."""
    _wait_for(watch, 0, 30.0)
    pid, children, left = stage.kill_supervisor()
    if left:
        raise UnavailableError(f"processors {left} outlived their supervisor")
    stage.start_supervisor()
    return Crash(
        "supervisor killed with -9",
        watch.rows,
        f"pid {pid}; {len(children)} processors died with it",
    )


def _wait_for(watch: Watch, open_orders: int, seconds: float) -> None:
    """Wait until so many orders are open, or the time is over."""
    deadline = time.monotonic() + seconds
    watch.look()
    while watch.open_orders != open_orders and time.monotonic() < deadline:
        time.sleep(0.005)
        watch.look()
