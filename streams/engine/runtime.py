"""What the engine takes from outside of its process: clients, threads, time, an end; injected, for simulations."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from secrets import token_hex
from typing import Any, NoReturn, Protocol

from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient

from streams.engine.errors import Exit

log = logging.getLogger(__name__)

CALL_GRACE_SECONDS = 5.0
"""A client call that overruns its deadline by this cannot be cancelled: the process ends."""


class Executor(Protocol):
    """Where blocking client calls run, one after the other."""

    async def run(self, fun: Callable[..., Any], *args: Any) -> Any:
        """Run a blocking call and return what it returns."""
        ...

    def close(self) -> None:
        """Take no more calls."""
        ...


class Watchdog(Protocol):
    """Ends the worker when something that cannot be cancelled overruns its deadline."""

    def arm(self, what: str, seconds: float, who: Callable[[], str] | None = None) -> None:
        """End the worker unless `disarm(what)` comes within `seconds` and the grace."""
        ...

    def disarm(self, what: str) -> None:
        """The call has come back."""
        ...

    def close(self) -> None:
        """Watch no longer."""
        ...


class Runtime(Protocol):
    """The seam between the engine and its process; a simulation has one of its own."""

    def monotonic(self) -> float:
        """Return seconds of a clock that never goes back."""
        ...

    def sleep(self, seconds: float) -> None:
        """Block the calling client thread."""
        ...

    def boot_id(self) -> str:
        """Return an id that no other start of a worker has."""
        ...

    def consumer(self, config: dict[str, Any], logger: logging.Logger) -> Any:
        """Return a consumer: confluent_kafka's, or one that behaves like it."""
        ...

    def producer(self, config: dict[str, Any], logger: logging.Logger) -> Any:
        """Return a producer: confluent_kafka's, or one that behaves like it."""
        ...

    def admin(self, config: dict[str, Any], logger: logging.Logger) -> Any:
        """Return an admin client: confluent_kafka's, or one that behaves like it."""
        ...

    def executor(self, name: str) -> Executor:
        """Return a thread of its own for blocking calls."""
        ...

    def watchdog(self) -> Watchdog:
        """Return what ends a worker that hangs."""
        ...

    def exit(self, code: int) -> NoReturn:
        """End the worker at once, without any clean-up."""
        ...


class ThreadExecutor:
    """One thread."""

    def __init__(self, name: str) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix=name)

    async def run(self, fun: Callable[..., Any], *args: Any) -> Any:
        """Run a blocking call in the thread and return what it returns."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, fun, *args)

    def close(self) -> None:
        """Take no more calls; what runs is not waited for."""
        self._pool.shutdown(wait=False)


class ThreadWatchdog:
    """Ends the process when a client call, or the event loop, overruns its deadline: neither can be cancelled."""

    def __init__(self) -> None:
        self._due: dict[str, tuple[float, Callable[[], str] | None]] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)
        self._thread.start()

    def arm(self, what: str, seconds: float, who: Callable[[], str] | None = None) -> None:
        """End the process unless `disarm(what)` comes within `seconds` and the grace.

        Args:
            what: names it in the log.
            seconds: its deadline.
            who: says who is at fault, when it comes to that.
        """
        self._due[what] = (time.monotonic() + seconds + CALL_GRACE_SECONDS, who)

    def disarm(self, what: str) -> None:
        """The call has come back."""
        self._due.pop(what, None)

    def close(self) -> None:
        """End the thread."""
        self._stop.set()

    def _watch(self) -> None:
        while not self._stop.wait(0.5):
            now = time.monotonic()
            for what, (due, who) in list(self._due.items()):
                if now > due:
                    log.critical(
                        "%s did not come back in time and cannot be cancelled%s: exit 75",
                        what,
                        f"; {who()}" if who is not None else "",
                    )
                    _end(Exit.RESTART)


class SystemRuntime:
    """The real thing: librdkafka's clients, threads, the machine's clock."""

    def monotonic(self) -> float:
        """Return seconds of a clock that never goes back."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Block the calling thread."""
        time.sleep(seconds)

    def boot_id(self) -> str:
        """Return sixteen random hex digits."""
        return token_hex(8)

    def consumer(self, config: dict[str, Any], logger: logging.Logger) -> Consumer:
        """Return a consumer of librdkafka."""
        return Consumer(config, logger=logger)

    def producer(self, config: dict[str, Any], logger: logging.Logger) -> Producer:
        """Return a producer of librdkafka."""
        return Producer(config, logger=logger)

    def admin(self, config: dict[str, Any], logger: logging.Logger) -> AdminClient:
        """Return an admin client of librdkafka."""
        return AdminClient(config, logger=logger)

    def executor(self, name: str) -> ThreadExecutor:
        """Return a thread for blocking calls."""
        return ThreadExecutor(name)

    def watchdog(self) -> ThreadWatchdog:
        """Return a thread that watches deadlines."""
        return ThreadWatchdog()

    def exit(self, code: int) -> NoReturn:
        """End the process at once, without any clean-up."""
        _end(code)

    def end_on_signal(self) -> None:
        """Let the next SIGTERM or SIGINT end the process: its stop is under way, and somebody will not wait."""
        if threading.current_thread() is not threading.main_thread():
            return
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, _end, 128 + number)


def _end(code: int) -> NoReturn:
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code)
