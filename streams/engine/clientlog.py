"""What librdkafka's clients say in their logs, and what follows from it: faults of the wire, a session that ran out."""

from __future__ import annotations

import logging

from confluent_kafka.admin import AdminClient

from streams.engine.settings import EngineSettings

log = logging.getLogger(__name__)


class WireFaults(logging.Handler):
    """Counts the client's log lines that tell of a cut connection or a request time-out."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.count = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Note one line, and show it where it warns; FAIL and REQTMOUT are librdkafka's names for the two.

        A connection that was not made yet (state CONNECT) carried no request: one dead broker of
        three would else cost a new producer at every attempt to reach it.
        """
        line = record.getMessage()
        if record.levelno >= logging.WARNING:
            log.warning("%s", line)
        if "in state CONNECT" in line:
            return
        if line.startswith(("FAIL", "REQTMOUT")) or " FAIL " in line or "REQTMOUT" in line:
            self.count += 1


class Sessions(logging.Handler):
    """Notes that the consumer's own session ran out, and shows what warns.

    A static member whose session has run out joins again without its member id; the group replaces
    what it knows of the slot, and the old id, of this same process, is told that it is fenced. The
    client's line about the session comes right before, and tells this from another worker.
    """

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.expired = False

    def emit(self, record: logging.LogRecord) -> None:
        """Note one line; SESSTMOUT is librdkafka's name for it."""
        line = record.getMessage()
        if "SESSTMOUT" in line:
            self.expired = True
        if record.levelno >= logging.WARNING:
            log.warning("%s", line)


def client_logger(name: str, listener: logging.Handler | None = None) -> logging.Logger:
    """Return a logger for one client that shows warnings, or feeds a listener that does."""
    # Not from the tree of loggers: each client has its own, or faults of two would mix.
    logger = logging.Logger(f"librdkafka.{name}", logging.DEBUG)
    if listener is not None:
        logger.addHandler(listener)
    return logger


def admin_client(settings: EngineSettings) -> AdminClient:
    """Return an admin client whose connection troubles come out as errors, not as lines on stderr."""
    admin: AdminClient = settings.runtime.admin(settings.common(), client_logger("admin"))
    return admin
