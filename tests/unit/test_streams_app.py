"""The composition root: every processor, with its own names, and no venue in a replay."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from processors.errors import ConfigError
from schemas.registry import MemoryRegistry
from streams import app as root
from streams import topics
from streams.cli import policies
from streams.settings import Settings
from streams.tables import TABLES
from streams.version import code_version

DEMO = Path(__file__).parents[2] / "streams/local/demo.toml"
NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("name", topics.PROCESSORS)
def test_an_app_reads_and_keeps_what_the_catalogue_says(name: str) -> None:
    """Names of group, agents, inputs, tables and changelogs are those of the catalogue."""
    app = root.build_app(name, Settings(), registry=MemoryRegistry(), replay=True)
    assert app.conf.id == f"fillonce.{name}"
    read = {t for agent in app.agents.values() if agent.clock is None for t in agent.input_topics}
    assert read == {topic.name for topic in topics.INPUTS[name]}
    assert set(app.tables) == set(TABLES.get(name, {}))
    for table in app.tables.values():
        changelog = table.changelog_topic.get_topic_name()
        assert changelog == topics.changelog(name, table.name).name
    reads = {table.topic.get_topic_name() for table in app.global_tables.values()}
    assert reads == {topic.name for topic in topics.GLOBALS[name]}
    assert all(agent in {name, f"{name}_clock"} for agent in app.agents)


def test_a_replay_has_no_source_and_no_venue() -> None:
    """Settings that name a venue and a file change nothing: a replay has neither."""
    settings = Settings.model_validate(
        {
            "venue": {
                "kind": "simulator",
                "base_url": "http://127.0.0.1:1",
                "instruments": ["A:B/C"],
            },
            "source": {"kind": "recorded", "file": "nowhere.csv"},
        }
    )
    app = root.build_app("data_collection", settings, registry=MemoryRegistry(), replay=True)
    assert app.sources == {}
    app = root.build_app("execution", settings, registry=MemoryRegistry(), replay=True)
    assert app.after_stop == []


def test_an_unknown_processor_is_named() -> None:
    """A wrong name is a ConfigError for callers, and no attribute for `MODULE:APP`."""
    with pytest.raises(ConfigError, match="no such processor"):
        root.build_app("strategist", Settings(), registry=MemoryRegistry())
    with pytest.raises(AttributeError):
        root.strategist  # noqa: B018 - the look-up is what is tested


def test_the_journal_is_told_what_ran() -> None:
    """Settings with secrets masked, the code's digest, the environment's."""
    settings = Settings.model_validate({"kafka": {"password": "hunter2"}})
    app = root.build_app("risk_manager", settings, registry=MemoryRegistry(), replay=True)
    described = app.engine_settings.describe
    assert described["code_version"] == code_version()
    assert "hunter2" not in str(described)
    assert root.settings_of(described).partitions == settings.partitions


def test_the_demo_has_twenty_accounts_in_three_groups() -> None:
    """8 at 0.8 and 8 at 0.3 of AVAILABLE, 4 at 0.8 of TOTAL on two strategies, 84.54 USD each."""
    accounts = policies.read(DEMO, NOW)
    kinds = [
        (str(a.policy.sizing.kind), str(a.policy.sizing.fraction), len(a.policy.subscriptions))
        for a in accounts.values()
    ]
    assert kinds.count(("AVAILABLE", "0.8", 1)) == 8
    assert kinds.count(("AVAILABLE", "0.3", 1)) == 8
    assert kinds.count(("TOTAL", "0.8", 2)) == 4
    assert {str(t.amount) for a in accounts.values() for t in a.transfers} == {"84.54"}


def test_applying_accounts_twice_changes_nothing() -> None:
    """The same file gives the same identities and no new policy; a change gives the next version."""
    first, again = policies.read(DEMO, NOW), policies.read(DEMO, datetime(2027, 1, 1, tzinfo=UTC))
    for name, account in first.items():
        later = again[name]
        ours = [t.transfer_id for t in account.transfers]
        assert ours == [t.transfer_id for t in later.transfers]
        assert policies.succeed(later.policy, account.policy) is None
        changed = later.policy.model_copy(update={"arm": "b"})
        successor = policies.succeed(changed, account.policy)
        assert successor is not None
        assert successor.version == 2
    identities = [t.transfer_id for a in first.values() for t in a.transfers]
    assert len(set(identities)) == len(identities)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[[accounts]]\nname='a'\nsizing={kind='ALL'}\n", "sizing"),
        ("[[accounts]]\nname='a'\nsizing={kind='TOTAL'}\nopning={}\n", "opning"),
        ("[[accounts]]\nsizing={kind='TOTAL'}\n", "prefix"),
        ("[[accounts]]\nname='a|b'\nsizing={kind='TOTAL'}\n", "name"),
        ("[[accounts]]\nname='a'\nsizing={kind='TOTAL'}\n" * 2, "twice"),
        ("accounts = 1\n", "accounts"),
        ("[[accounts]\n", "TOML"),
    ],
)
def test_a_wrong_file_of_accounts_is_refused(tmp_path: Path, text: str, words: str) -> None:
    """Unknown keys, doubled names and values that cannot be are named."""
    path = tmp_path / "accounts.toml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        policies.read(path, NOW)
    assert words in str(caught.value)
