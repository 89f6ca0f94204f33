"""What an error of the client means for the worker."""

from __future__ import annotations

from confluent_kafka import KafkaError, KafkaException

from streams.engine.errors import (
    AbortBatch,
    EngineError,
    FencedError,
    RecordRefused,
    RestartError,
)

FENCED = frozenset({KafkaError._FENCED, KafkaError.FENCED_INSTANCE_ID, KafkaError._FATAL})  # noqa: SLF001
_REFUSED = frozenset(
    {
        KafkaError.MSG_SIZE_TOO_LARGE,
        KafkaError.INVALID_MSG_SIZE,
        KafkaError.RECORD_LIST_TOO_LARGE,
        KafkaError.INVALID_TIMESTAMP,
        KafkaError.INVALID_RECORD,
    }
)


def end_of(name: str, error: BaseException) -> EngineError:
    """Return what an exception out of the client means.

    A fatal error that comes while one of our callbacks runs is raised as SystemError, with the
    client's own error behind it.

    Args:
        name: the call it came out of.
        error: a KafkaException, or a SystemError.
    """
    behind: BaseException | None = error
    while behind is not None and not isinstance(behind, KafkaException):
        behind = behind.__cause__ or behind.__context__
    if behind is None:
        return RestartError(f"{name}: the client raised {error}")
    cause = behind.args[0]
    if cause.code() in FENCED:
        return FencedError(f"{name}: {cause.str()}")
    if cause.code() in _REFUSED and not cause.fatal():
        return RecordRefused(f"{name}: {cause.str()}")
    if not cause.fatal() and cause.txn_requires_abort():
        return AbortBatch(f"{name}: {cause.str()}")
    return RestartError(f"{name}: {cause.str()}")
