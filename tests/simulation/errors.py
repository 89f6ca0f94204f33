"""What goes wrong on the simulated wire, at the simulated broker, and as the client tells it."""

from __future__ import annotations

from confluent_kafka import KafkaError, KafkaException


class Refused(Exception):
    """The broker answers a request with an error code."""

    def __init__(self, code: int) -> None:
        super().__init__(KafkaError(code).name())
        self.code = code


class Cut(Exception):
    """The connection ended, or the answer did not come in time: nobody knows whether it was done."""


class Killed(BaseException):
    """The process is gone: nothing of it runs on, and no handler of its code is to stop this."""


CONCURRENT = KafkaError.CONCURRENT_TRANSACTIONS
FENCED_EPOCH = KafkaError.INVALID_PRODUCER_EPOCH
FENCED_ID = KafkaError.PRODUCER_FENCED
BAD_STATE = KafkaError.INVALID_TXN_STATE
NOT_STABLE = KafkaError.UNSTABLE_OFFSET_COMMIT
LOADING = KafkaError.COORDINATOR_LOAD_IN_PROGRESS
REBALANCING = KafkaError.REBALANCE_IN_PROGRESS
UNKNOWN_MEMBER = KafkaError.UNKNOWN_MEMBER_ID
OLD_GENERATION = KafkaError.ILLEGAL_GENERATION
INSTANCE_FENCED = KafkaError.FENCED_INSTANCE_ID

FENCES = frozenset({FENCED_EPOCH, FENCED_ID, UNKNOWN_MEMBER, OLD_GENERATION, INSTANCE_FENCED})
"""What a broker tells one who does not know yet that its time is over."""
PASSING = frozenset({CONCURRENT, LOADING, NOT_STABLE})
"""What the client tries again by itself."""


def timed_out(name: str) -> KafkaException:
    """Return what a call raises that has not come to its end: to be called again."""
    return KafkaException(KafkaError(KafkaError._TIMED_OUT, f"{name} timed out", False, True))


def abortable(code: int, name: str) -> KafkaError:
    """Return an error after which the transaction can only be aborted."""
    return KafkaError(code, f"{name}: {KafkaError(code).str()}", False, False, True)


def fatal(code: int, name: str) -> KafkaError:
    """Return an error after which the client instance is of no use."""
    fenced = code in (FENCED_EPOCH, FENCED_ID)
    told = KafkaError._FENCED if fenced else code
    return KafkaError(told, f"{name}: {KafkaError(code).str()}", True)
