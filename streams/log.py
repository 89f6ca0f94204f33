"""JSON logs: one event name a line, bound to its record, secrets masked, everybody's alike."""

from __future__ import annotations

import logging.config
import sys
from collections.abc import Iterable, Mapping, MutableMapping
from typing import Any, Final

import structlog

MASK: Final = "**********"
_SECRET: Final = ("password", "secret", "api_key", "apikey", "signature", "authorization", "token")
_LEVELS: Final = {-1: "WARNING", 0: "INFO"}


class Lifecycle(logging.Filter):
    """Drops what mode says of each of its services: `[^-Engine]: Stopping...`, ten lines a stop."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let all but those lines pass; warnings always do.

        Args:
            record: a line.
        """
        return record.levelno > logging.INFO or not str(record.msg).startswith("[^")


def redact(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Mask every value whose name says that it is a secret, at any depth.

    Args:
        event: the fields of a line.
    """
    for name in list(event):
        event[name] = _masked(name, event[name])
    return event


def _masked(name: str, value: Any) -> Any:
    if any(word in name.lower() for word in _SECRET):
        return MASK
    if isinstance(value, Mapping):
        return {inner: _masked(str(inner), each) for inner, each in value.items()}
    return value


def _shared() -> list[Any]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
        structlog.stdlib.ExtraAdder(),
        redact,
    ]


def dict_config(*, json: bool, level: str = "INFO") -> dict[str, Any]:
    """Return the configuration of the standard library's logging, for `dictConfig` and for Faust.

    Args:
        json: JSON lines; else text for people.
        level: lowest level that is written.
    """
    renderer: Any = (
        structlog.processors.JSONRenderer(sort_keys=False)
        if json
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "fillonce": {
                "()": structlog.stdlib.ProcessorFormatter,
                "foreign_pre_chain": _shared(),
                "processors": [
                    structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                    structlog.processors.format_exc_info,
                    renderer,
                ],
            }
        },
        "filters": {"lifecycle": {"()": Lifecycle}},
        "handlers": {
            "stderr": {
                "class": "logging.StreamHandler",
                "stream": "ext://sys.stderr",
                "formatter": "fillonce",
                "filters": ["lifecycle"],
            }
        },
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {
            "mode": {"level": "WARNING"},
            "faust": {"level": "WARNING"},
            "aiohttp.access": {"level": "WARNING"},
            "ccxt": {"level": "WARNING"},  # at DEBUG it writes signed requests
            "httpx2": {"level": "WARNING"},
            "httpcore2": {"level": "WARNING"},
        },
    }


def configure(*, json: bool, verbosity: int = 0, **bound: str) -> None:
    """Set up logging for this process.

    Args:
        json: JSON lines; else text for people.
        verbosity: -1 warnings only, 0 normal, 1 and more with debug lines.
        bound: what every line carries, such as `processor`.
    """
    logging.config.dictConfig(dict_config(json=json, level=_LEVELS.get(verbosity, "DEBUG")))
    route(**bound)


def route(**bound: str) -> None:
    """Send structlog's lines through the standard library's logging, whoever has set that up.

    Args:
        bound: what every line carries, such as `processor`.
    """
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_shared(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    _BOUND.clear()
    _BOUND.update(bound)


_BOUND: dict[str, str] = {}


def effects(processor: str, event: Any, lines: Iterable[tuple[str, Mapping[str, str]]]) -> None:
    """Log what an event came to, once its transaction has committed; a replay logs nothing.

    A line before the commit would tell of what an abort takes back, and tell it twice.

    Args:
        processor: whose effects they are.
        event: the engine's event that they follow from.
        lines: name and fields of each effect.
    """
    told = list(lines)
    if not told:
        return
    place = {
        "topic": event.message.topic,
        "partition": event.message.partition,
        "offset": event.message.offset,
    }

    async def write() -> None:
        logger = structlog.get_logger(f"fillonce.{processor}")
        for name, fields in told:
            logger.info(name, **{"processor": processor, **_BOUND, **place, **fields})

    event.after_commit(write, key=f"log|{event.message.partition}")
