"""The control arm: the oracle must fail stock Faust's `exactly_once` under kills, or it sees nothing."""

from __future__ import annotations

import signal

from tests.chaos.processes import eventually
from tests.chaos.rounds import Result, Round, run_round
from tests.chaos.run import Bench, Run

STOCK = {
    "stock": True,
    "poison": False,
    "transfers": False,
    "app": "tests.chaos.stock:app",
    "settle_seconds": 60.0,
}


def killed(run: Run, kills: int) -> None:
    """Kill stock Faust while a transaction of its own is open at the broker."""
    run.feed_steadily(250)
    for _ in range(kills):
        worker = run.started()
        run.require(run.moves(60), f"stock Faust does not get on: {worker.tail()}")
        run.require(eventually(run.open_transaction, 20, 0.002), "no transaction was seen open")
        worker.send(signal.SIGKILL)
        run.require(worker.wait() == -9, "it did not end by the signal")
        run.hit("kill -9 of stock Faust with a transaction open at the broker")


def control(bench: Bench, seed: int, kills: int = 4) -> Result:
    """Run the control arm; its anomalies are what is wanted."""

    def apply(run: Run) -> None:
        killed(run, kills)

    return run_round(bench, Round("control", 1, apply, dict(STOCK)), seed)
