"""What the broker and the registry hold against what the catalogue says, and making it so."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Final

from confluent_kafka import KafkaException
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    ResourceType,
)

from processors.errors import ConfigError, UnavailableError
from schemas.codec import schema_text
from schemas.registry_port import (
    DEFAULT_LEVEL,
    NotARegistryError,
    Registry,
    RegistryError,
    RegistryUnreachableError,
    SchemaNotFoundError,
)
from streams import topics
from streams.settings import Settings
from streams.topics import Topic

TIMEOUT: Final = 15.0


class Action(StrEnum):
    """What a change would do."""

    CREATE = "create"
    SET = "set"
    REGISTER = "register"
    LEVEL = "level"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Change:
    """One difference between what is and what is to be."""

    kind: str
    """topic or schema."""
    name: str
    action: Action
    setting: str
    found: str
    wanted: str

    def row(self) -> dict[str, object]:
        """Return it as a row of a result."""
        return asdict(self)


def admin_of(settings: Settings) -> AdminClient:
    """Return an admin client; nothing is connected yet.

    Args:
        settings: of the process.
    """
    return AdminClient(
        {
            **settings.kafka_client,
            "bootstrap.servers": settings.kafka.bootstrap,
            "socket.timeout.ms": 10_000,
            "log_level": 0,
        }
    )


def counts(admin: AdminClient, timeout: float = TIMEOUT) -> dict[str, int]:
    """Return the partitions of every topic that is there.

    Args:
        admin: client.
        timeout: seconds.
    Raises:
        UnavailableError: the broker does not answer.
    """
    try:
        found = admin.list_topics(timeout=timeout).topics
    except KafkaException as error:
        raise UnavailableError(
            "Kafka does not answer",
            error=error.args[0].str(),
            hint="is `kafka.bootstrap` right, and does it run? `fillonce up` starts one here",
        ) from error
    return {name: len(topic.partitions) for name, topic in found.items() if topic.error is None}


def topic_changes(settings: Settings, admin: AdminClient | None = None) -> list[Change]:
    """Compare the broker's topics with the catalogue.

    Args:
        settings: of the process.
        admin: client; one of the settings if not given.
    Returns:
        What differs, in the catalogue's order.
    Raises:
        UnavailableError: the broker does not answer.
    """
    admin = admin or admin_of(settings)
    there = counts(admin)
    present = [topic for topic in topics.catalogue() if topic.name in there]
    configs = _configs(admin, [topic.name for topic in present])
    changes: list[Change] = []
    for topic in topics.catalogue():
        wanted = partitions(topic, settings)
        if topic.name not in there:
            changes.append(Change("topic", topic.name, Action.CREATE, "", "", str(wanted)))
            continue
        if there[topic.name] != wanted:
            found = str(there[topic.name])
            changes.append(
                Change("topic", topic.name, Action.REFUSED, "partitions", found, str(wanted))
            )
        for name, value in topic.config.items():
            now = configs[topic.name].get(name, "")
            if now != value:
                changes.append(Change("topic", topic.name, Action.SET, name, now, value))
    return changes


def schema_changes(registry: Registry) -> list[Change]:
    """Compare the registry's subjects with the catalogue.

    Args:
        registry: where schemas have their ids.
    Returns:
        What is not registered, and levels that are another.
    Raises:
        UnavailableError: the registry does not answer.
    """
    changes: list[Change] = []
    for topic in topics.catalogue():
        subject = topic.subject
        if topic.record is None or subject is None:
            continue
        try:
            registry.id_of(subject, schema_text(topic.record))
            level = registry.level(subject)
        except SchemaNotFoundError:
            changes.append(
                Change("schema", subject, Action.REGISTER, "", "", topic.record.avro_name)
            )
        except RegistryError as error:
            raise translated(error) from error
        else:
            if level != DEFAULT_LEVEL:
                changes.append(
                    Change("schema", subject, Action.LEVEL, "level", level, DEFAULT_LEVEL)
                )
    return changes


def apply_topics(settings: Settings, changes: list[Change], admin: AdminClient) -> None:
    """Create topics and set their settings.

    Args:
        settings: of the process.
        changes: of `topic_changes`, none of them refused.
        admin: client.
    Raises:
        ConfigError: the broker refuses one; what it took before stays.
        UnavailableError: it does not answer.
    """
    by_name = {topic.name: topic for topic in topics.catalogue()}
    new = [
        NewTopic(
            change.name,
            num_partitions=partitions(by_name[change.name], settings),
            replication_factor=settings.kafka.replication_factor,
            config=by_name[change.name].config,
        )
        for change in changes
        if change.action is Action.CREATE
    ]
    if new:
        _wait(admin.create_topics(new, operation_timeout=TIMEOUT, request_timeout=TIMEOUT))
    resources: dict[str, ConfigResource] = {}
    for change in changes:
        if change.action is Action.SET:
            resource = resources.setdefault(
                change.name, ConfigResource(ResourceType.TOPIC, change.name)
            )
            resource.add_incremental_config(
                ConfigEntry(
                    change.setting,
                    change.wanted,
                    incremental_operation=AlterConfigOpType.SET,
                )
            )
    if resources:
        _wait(admin.incremental_alter_configs(list(resources.values()), request_timeout=TIMEOUT))


def apply_schemas(registry: Registry, changes: list[Change]) -> None:
    """Register schemas, each subject at FULL_TRANSITIVE.

    Args:
        registry: where schemas have their ids.
        changes: of `schema_changes`.
    Raises:
        ConfigError: the registry refuses one.
        UnavailableError: it does not answer.
    """
    records = {topic.subject: topic.record for topic in topics.catalogue()}
    for change in changes:
        record = records[change.name]
        try:
            if change.action is Action.REGISTER and record is not None:
                registry.register(change.name, schema_text(record))
            elif change.action is Action.LEVEL:
                registry.set_level(change.name, change.wanted)
        except RegistryError as error:
            raise translated(error) from error


def provision(settings: Settings, registry: Registry) -> list[Change]:
    """Bring broker and registry to what the catalogue says: `topics apply` without questions.

    Args:
        settings: of the process.
        registry: where schemas have their ids.
    Returns:
        What was changed.
    Raises:
        ConfigError: a topic has another count of partitions, or something was refused.
        UnavailableError: a service does not answer.
    """
    admin = admin_of(settings)
    changes = topic_changes(settings, admin)
    require_counts(changes)
    schemas = schema_changes(registry)
    apply_topics(settings, changes, admin)
    apply_schemas(registry, schemas)
    return [*changes, *schemas]


def require_counts(changes: list[Change]) -> None:
    """Refuse where a topic has another count of partitions: the keys in it would change their place.

    Args:
        changes: of `topic_changes`.
    Raises:
        ConfigError: one has.
    """
    refused = [change for change in changes if change.action is Action.REFUSED]
    if refused:
        raise ConfigError(
            "a topic has another count of partitions, and none is ever changed under its data",
            topics=", ".join(f"{one.name} has {one.found}, not {one.wanted}" for one in refused),
            hint="set `partitions` to what is there, or remove the topic and its state",
        )


def require_topics(settings: Settings, processors: list[str]) -> None:
    """Refuse to start on topics that are not there, or have another count than the settings say.

    Args:
        settings: of the process.
        processors: that are to run.
    Raises:
        ConfigError: a topic is missing, or has another count of partitions.
        UnavailableError: the broker does not answer.
    """
    there = counts(admin_of(settings))
    used = {
        topic.name: topic
        for name in processors
        for topic in (*topics.INPUTS[name], *topics.GLOBALS[name], *topics.OUTPUTS[name])
    }
    missing = sorted(set(used) - set(there))
    if missing:
        raise ConfigError(
            "a topic is not there", topic=missing[0], hint="`fillonce topics apply` creates it"
        )
    require_counts(
        [
            Change("topic", name, Action.REFUSED, "partitions", str(there[name]), str(wanted))
            for name, topic in sorted(used.items())
            if there[name] != (wanted := partitions(topic, settings))
        ]
    )


def partitions(topic: Topic, settings: Settings) -> int:
    """Return the count of partitions that a topic is to have.

    Args:
        topic: of the catalogue.
        settings: of the process.
    """
    return topic.partitions(settings.partitions.account, settings.partitions.instrument)


def translated(error: RegistryError) -> ConfigError | UnavailableError:
    """Return the house's error for a registry's.

    Args:
        error: of the registry.
    """
    if isinstance(error, RegistryUnreachableError | NotARegistryError):
        hint = "is `registry.url` right, and does it run? `fillonce up` starts one here"
        return UnavailableError(error.message, **{**error.context, "hint": hint})
    return ConfigError(error.message, **error.context)


def _configs(admin: AdminClient, names: list[str]) -> dict[str, dict[str, str]]:
    if not names:
        return {}
    resources = [ConfigResource(ResourceType.TOPIC, name) for name in names]
    answers = admin.describe_configs(resources, request_timeout=TIMEOUT)
    found: dict[str, dict[str, str]] = {}
    for resource, future in answers.items():
        try:
            entries = future.result()
        except KafkaException as error:
            raise UnavailableError(
                "Kafka does not tell the settings of a topic", error=error.args[0].str()
            ) from error
        found[resource.name] = {name: str(entry.value) for name, entry in entries.items()}
    return found


def _wait(answers: dict[Any, Any]) -> None:
    for thing, future in answers.items():
        try:
            future.result()
        except KafkaException as error:
            cause = error.args[0]
            if cause.name() == "TOPIC_ALREADY_EXISTS":
                continue
            kind = UnavailableError if cause.retriable() else ConfigError
            raise kind(
                "Kafka did not take a topic", topic=str(getattr(thing, "name", thing)),
                error=cause.str(),
            ) from error  # fmt: skip
