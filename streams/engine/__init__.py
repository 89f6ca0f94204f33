"""A transactional micro-batch engine under Faust's API: exactly once, journaled, replayable."""

from streams.engine.app import App
from streams.engine.clock import ManualClock, SystemClock
from streams.engine.event import ClockTick, Event, Message, current_event
from streams.engine.settings import EngineSettings

__all__ = [
    "App",
    "ClockTick",
    "EngineSettings",
    "Event",
    "ManualClock",
    "Message",
    "SystemClock",
    "current_event",
]
