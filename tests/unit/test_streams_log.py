"""Logs: JSON, one name a line, no secrets, after the commit."""

from __future__ import annotations

import json
import logging
from types import SimpleNamespace
from typing import Any

import pytest

from streams import log


@pytest.fixture(autouse=True)
def _root() -> Any:
    """Put back what a test sets up for the whole process."""
    import structlog

    root = logging.getLogger()
    kept, level = root.handlers[:], root.level
    yield
    root.handlers[:] = kept
    root.setLevel(level)
    structlog.reset_defaults()


class _Event:
    """An engine's event that keeps what is to run after the commit."""

    def __init__(self) -> None:
        self.message = SimpleNamespace(topic="trade.intent", partition=1, offset=7)
        self.effects: list[Any] = []

    def after_commit(self, effect: Any, *, key: str) -> None:
        self.effects.append((key, effect))


async def test_a_line_is_written_once_the_transaction_has_committed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Nothing is written before; then one JSON object with the event's name and its place."""
    log.configure(json=True, processor="risk_manager")
    event = _Event()
    log.effects(
        "risk_manager", event, [("balance_reserved", {"order_id": "o1", "amount": "5.336"})]
    )
    assert capsys.readouterr().err == ""
    await event.effects[0][1]()
    line = json.loads(capsys.readouterr().err)
    assert line["event"] == "balance_reserved"
    assert (line["topic"], line["partition"], line["offset"]) == ("trade.intent", 1, 7)
    assert (line["processor"], line["order_id"], line["amount"]) == ("risk_manager", "o1", "5.336")
    assert line["level"] == "info"
    assert line["time"].endswith("Z")


def test_an_event_without_effects_costs_nothing() -> None:
    """Where nothing follows, nothing is put off to after the commit."""
    event = _Event()
    log.effects("strategy", event, [])
    assert event.effects == []


def test_secrets_are_masked_at_any_depth(capsys: pytest.CaptureFixture[str]) -> None:
    """A field named like a secret is masked, also inside another, also in other libraries' lines."""
    log.configure(json=True)
    logging.getLogger("engine").warning(
        "signed", extra={"api_key": "hunter2", "venue": {"secret": "hunter2", "name": "x"}}
    )
    written = capsys.readouterr().err
    assert "hunter2" not in written
    assert json.loads(written)["venue"] == {"secret": log.MASK, "name": "x"}


def test_the_chatter_of_services_is_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    """A service's start and stop are no events of ours; its warnings are written."""
    log.configure(json=True)
    logging.getLogger("streams.engine.loop").info("[^-Engine]: Stopping...")
    assert capsys.readouterr().err == ""
    logging.getLogger("streams.engine.loop").warning("[^-Engine]: Timed out")
    assert json.loads(capsys.readouterr().err)["level"] == "warning"
