"""What the client's own log lines tell the engine."""

from __future__ import annotations

import logging

import pytest
from confluent_kafka import KafkaError

from streams.engine.client import Client
from streams.engine.clientlog import Sessions, WireFaults
from streams.engine.errors import Exit, RestartError, SlotTakenError
from tests.unit.engine_rig import Runtime
from tests.unit.engine_tools import make_app

LOST = (
    "SESSTMOUT [thrd:main]: Consumer group session timed out (in join-state steady) after 20039 ms"
)
CUT = "FAIL [thrd:b/1]: b/1: Disconnected: connection closed by peer (after 8 ms in state UP)"
REFUSED = "FAIL [thrd:b/1]: b/1: Connect to ipv4#b failed: Connection refused (after 0ms in state CONNECT)"
SLOW = "REQTMOUT [thrd:b/1]: b/1: Timed out EndTxnRequest in flight (after 3001ms)"


def line(text: str, level: int = logging.INFO) -> logging.LogRecord:
    """A log line as librdkafka hands it out."""
    return logging.LogRecord("librdkafka", level, "", 0, text, None, None)


def test_a_fence_after_the_own_session_ran_out_is_no_other_worker() -> None:
    """Exit 70 leaves a worker down, so only another holder may lead to it; a new assignment ends the doubt."""
    settings = make_app(runtime=Runtime()).engine_settings
    client = Client("app", settings, settings.runtime.watchdog())
    fenced = KafkaError(KafkaError.FENCED_INSTANCE_ID)
    with pytest.raises(SlotTakenError) as taken:
        client._consumer_error(fenced)
    assert taken.value.exit_code is Exit.FENCED
    client._sessions.handle(line(LOST, logging.WARNING))
    with pytest.raises(RestartError, match="own return") as lost:
        client._consumer_error(fenced)
    assert lost.value.exit_code is Exit.RESTART


def test_only_faults_that_could_hide_a_request_count() -> None:
    """A cut connection and an unanswered request do; an attempt to connect and other lines do not."""
    faults = WireFaults()
    for text in (CUT, SLOW):
        faults.handle(line(text))
    assert faults.count == 2
    for text in (REFUSED, LOST, "GETPID [thrd:main]: Acquired transactional PID"):
        faults.handle(line(text))
    assert faults.count == 2


def test_warnings_are_shown(caplog: pytest.LogCaptureFixture) -> None:
    """A listener keeps no warning of the client to itself."""
    for listener in (WireFaults(), Sessions()):
        caplog.clear()
        with caplog.at_level(logging.INFO, "streams.engine.clientlog"):
            listener.handle(line("MAXPOLL: too slow", logging.WARNING))
            listener.handle(line("nothing of note"))
        assert caplog.messages == ["MAXPOLL: too slow"]
