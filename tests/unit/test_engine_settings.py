"""What the engine refuses to be told."""

from __future__ import annotations

import pytest

from streams.engine import EngineSettings
from streams.engine.errors import ConfigError, Exit
from streams.engine.settings import PINNED_COMMON, PINNED_CONSUMER, PINNED_PRODUCER
from tests.unit.engine_tools import make_app

REQUIRED = (
    *{**PINNED_COMMON, **PINNED_CONSUMER, **PINNED_PRODUCER},
    "bootstrap.servers",
    "group.id",
    "group.instance.id",
    "transactional.id",
)


@pytest.mark.parametrize("key", REQUIRED)
def test_a_pinned_key_is_refused_by_its_name(key: str) -> None:
    """No client setting that the promise rests on can be overridden, and the error names it."""
    with pytest.raises(ConfigError, match=key.replace(".", r"\.")) as caught:
        EngineSettings(bootstrap="127.0.0.1:1", client={key: "1", "client.id": "mine"})
    assert caught.value.exit_code is Exit.CONFIG
    assert "client.id" not in str(caught.value)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("isolation.level", "read_committed"),
        ("enable.auto.commit", False),
        ("auto.offset.reset", "error"),
        ("acks", "all"),
        ("enable.idempotence", True),
        ("partitioner", "murmur2"),
        ("metadata.recovery.strategy", "none"),
        ("partition.assignment.strategy", "range"),
        ("transaction.timeout.ms", 10_000),
        ("session.timeout.ms", 20_000),
    ],
)
def test_what_the_promise_rests_on_is_pinned(key: str, value: object) -> None:
    """The pins are those of the protocol."""
    assert {**PINNED_COMMON, **PINNED_CONSUMER, **PINNED_PRODUCER}[key] == value


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("start_from", "middle"),
        ("membership", "sticky"),
        ("poison", "ignore"),
        ("batch_max", 0),
        ("batch_bytes", 0),
        ("effects_max", 0),
    ],
)
def test_a_setting_outside_its_bounds_is_refused(name: str, value: object) -> None:
    """A wrong word or a size below one is an error that names the setting."""
    with pytest.raises(ConfigError, match=name):
        make_app(**{name: value})


def test_other_client_settings_go_through_and_cannot_win() -> None:
    """What is not pinned reaches every client."""
    common = EngineSettings(bootstrap="h:1", client={"client.id": "mine"}).common()
    assert common["client.id"] == "mine"
    assert common["bootstrap.servers"] == "h:1"
    assert common["metadata.recovery.strategy"] == "none"


def test_brokers_may_be_given_as_fausts_urls() -> None:
    """kafka:// is taken off, semicolons become commas."""
    from streams.engine import App

    app = App("brokers", broker="kafka://a:1;kafka://b:2")
    assert app.engine_settings.bootstrap == "a:1,b:2"


def test_another_guarantee_is_refused() -> None:
    """There is one guarantee."""
    with pytest.raises(ConfigError, match="processing_guarantee"):
        make_app(processing_guarantee="at_least_once")
