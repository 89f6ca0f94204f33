"""The catalogue: complete, co-partitioned, and one topic for each record."""

from __future__ import annotations

from collections import Counter

import pytest

from processors.errors import ConfigError
from processors.records.account import Transfer
from processors.records.ops import Alert
from processors.records.state_account import AccountState
from schemas.codec import schema_text
from streams import topics
from streams.serde import subjects
from streams.tables import TABLES


def test_names_are_there_once() -> None:
    """No two topics share a name."""
    assert [
        n for n, count in Counter(t.name for t in topics.catalogue()).items() if count > 1
    ] == []


def test_inputs_of_a_processor_share_a_count() -> None:
    """What one processor reads, its dead letters, journal and changelogs have one partition count."""
    by_name = {topic.name: topic for topic in topics.catalogue()}
    for processor, inputs in topics.INPUTS.items():
        if not inputs:
            continue
        own = [by_name[f"{topic.name}.dlq"] for topic in inputs]
        own.append(by_name[f"fillonce.{processor}.journal"])
        own += [topics.changelog(processor, table) for table in TABLES.get(processor, {})]
        assert {topic.kind for topic in (*inputs, *own)} == {topics.kind_of(processor)}


def test_no_agent_reads_a_compacted_topic() -> None:
    """Inputs are logs, global tables are compacted: a log's replay needs every record of it."""
    for inputs in topics.INPUTS.values():
        assert {topic.cleanup for topic in inputs} <= {topics.Cleanup.DELETE}
    for tables in topics.GLOBALS.values():
        assert {topic.cleanup for topic in tables} <= {topics.Cleanup.COMPACT}


def test_one_writer_for_each_topic() -> None:
    """No record topic has two processors that send to it."""
    writers = Counter(topic.name for outputs in topics.OUTPUTS.values() for topic in outputs)
    assert [name for name, count in writers.items() if count > 1] == []


def test_every_record_topic_has_a_schema() -> None:
    """Every subject belongs to a record with a source that agrees with it."""
    for record, names in subjects().items():
        assert schema_text(record)
        assert len(names) == 1


def test_a_record_finds_its_topic_and_its_key() -> None:
    """A record's class names the topic, its fields the key; a table's entry has no topic to go to."""
    assert topics.topic_of(Transfer).name == "account.transfer"
    assert topics.topic_of(Alert).kind is topics.Kind.OTHER
    assert topics.BY_NAME["ledger.balance"].key == "account|asset"
    with pytest.raises(ConfigError, match="no topic carries"):
        topics.topic_of(AccountState)


def test_retention_is_what_the_design_says() -> None:
    """Trades are kept 7 years, market data 30 days, dead letters 90, newest values for ever."""
    days = {t.name: t.retention.days for t in topics.catalogue() if t.retention is not None}
    assert days["market.tick"] == 30
    assert days["market.tick.dlq"] == 90
    assert days["trade.intent"] == days["fillonce.risk_manager.journal"] == 7 * 365 + 2
    assert topics.BY_NAME["market.price"].config["cleanup.policy"] == "compact"
    assert topics.BY_NAME["market.price"].config["retention.ms"] == "-1"
