"""Checks the topics that an application reads, and creates the ones that are its own."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic, ResourceType

from streams.engine.clientlog import admin_client
from streams.engine.deadletters import LETTER_BYTES, SUFFIX
from streams.engine.errors import ConfigError, UnreachableError
from streams.engine.settings import EngineSettings

log = logging.getLogger(__name__)

METADATA_SECONDS = 10.0
"""How long a broker may take to answer for the first time."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A topic the engine needs, and how to create it."""

    name: str
    partitions: int | None
    compact: bool = False
    ours: bool = False


def partition_counts(
    admin: AdminClient, names: set[str] | None, bootstrap: str = ""
) -> dict[str, int]:
    """Return the number of partitions of each topic that is there; of all topics without names."""
    try:
        topics = admin.list_topics(timeout=METADATA_SECONDS).topics
    except KafkaException as error:
        where = f" at {bootstrap}" if bootstrap else ""
        raise UnreachableError(
            f"no answer from Kafka{where} within {METADATA_SECONDS:g} s: {error.args[0].str()}"
        ) from error
    asked = topics if names is None else names
    return {n: len(topics[n].partitions) for n in asked if n in topics and topics[n].error is None}


def create(admin: AdminClient, topics: list[Wanted], count: int, settings: EngineSettings) -> None:
    """Create topics; one that another worker has just created is fine."""
    new = [
        NewTopic(
            topic.name,
            num_partitions=topic.partitions or count,
            replication_factor=settings.replication_factor,
            config={
                "cleanup.policy": "compact" if topic.compact else "delete",
                "message.timestamp.type": "CreateTime",
                **({} if topic.compact else {"retention.ms": "-1"}),
                **({"max.message.bytes": str(LETTER_BYTES)} if topic.name.endswith(SUFFIX) else {}),
            },
        )
        for topic in topics
    ]
    if not new:
        return
    for name, done in admin.create_topics(new, operation_timeout=20.0).items():
        try:
            done.result()
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise ConfigError(
                    f"topic {name} cannot be created: {error.args[0].str()}"
                ) from error


def _require_no_compaction(admin: AdminClient, sources: list[str]) -> None:
    """Refuse a compacted topic as an agent's input: what compaction takes could not be replayed.

    A broker that does not tell its settings, for lack of a right, is taken at its word.
    """
    asked = [ConfigResource(ResourceType.TOPIC, name) for name in sources]
    if not asked:
        return
    for resource, answer in admin.describe_configs(asked, request_timeout=15.0).items():
        try:
            policy = answer.result()["cleanup.policy"].value or ""
        except KafkaException as error:
            log.info("the settings of %s are not to be had: %s", resource.name, error.args[0].str())
            continue
        if "compact" in policy:
            raise ConfigError(
                f"topic {resource.name} is compacted, so an agent's history on it could not be replayed: "
                "read it as a global table, or set its cleanup.policy to delete"
            )


def ensure(
    sources: list[Wanted], others: list[Wanted], settings: EngineSettings
) -> tuple[int, dict[str, int]]:
    """Wait for and create topics, and check co-partitioning.

    Args:
        sources: what the agents read: all of one partition count.
        others: changelogs, journal, dead letters and outputs.
    Returns:
        The partition count of the unit, and that of every topic.
    Raises:
        ConfigError: the sources' counts differ, or an own topic has another count.
        UnreachableError: Kafka does not answer, or a topic stays away.
    """
    admin = admin_client(settings)
    names = {t.name for t in [*sources, *others]}
    now = settings.runtime.monotonic
    deadline = now() + settings.topic_wait_seconds
    while True:
        found = partition_counts(admin, names, settings.bootstrap)
        missing = [t for t in sources if t.name not in found]
        if settings.declare_topics and missing and all(t.partitions for t in missing):
            create(admin, missing, 1, settings)
            missing = []
            found = partition_counts(admin, names, settings.bootstrap)
        if not [t for t in sources if t.name not in found]:
            break
        if now() > deadline:
            raise UnreachableError(
                f"topic {', '.join(sorted(t.name for t in sources if t.name not in found))} is not there; "
                "`fillonce topics apply` creates the catalogue"
            )
        settings.runtime.sleep(0.2)
    _require_no_compaction(admin, [t.name for t in sources])
    counts = {t.name: found[t.name] for t in sources}
    if len(set(counts.values())) > 1:
        listed = ", ".join(f"{name} has {count}" for name, count in sorted(counts.items()))
        raise ConfigError(f"the topics of one processor have one partition count: {listed}")
    unit = next(iter(counts.values()), 1)
    absent = [t for t in others if t.name not in found]
    if absent:
        create(admin, absent, unit, settings)
    while [t for t in others if t.name not in found]:
        found = partition_counts(admin, names, settings.bootstrap)
        if now() > deadline:
            raise UnreachableError("topics were created, but the broker does not list them")
        settings.runtime.sleep(0.05)
    wrong = [t.name for t in others if t.ours and found[t.name] != unit]
    if wrong:
        raise ConfigError(
            f"{', '.join(sorted(wrong))}: {unit} partitions are needed, as many as the processor's sources have"
        )
    # Of all topics: where an agent sends to is known at its first send only, and nothing may block then.
    return unit, partition_counts(admin, None, settings.bootstrap)
