"""The registry in memory behaves as the real ones do where it matters."""

from __future__ import annotations

import json

import pytest

from schemas.registry import (
    DEFAULT_LEVEL,
    HttpRegistry,
    IncompatibleSchemaError,
    MemoryRegistry,
    RegistryRefusedError,
    SchemaNotFoundError,
)


def schema(*names: str, default: bool = False) -> str:
    fields = [{"name": name, "type": "long"} for name in names]
    if default:
        fields[-1]["default"] = 0  # type: ignore[assignment]
    return json.dumps({"type": "record", "name": "R", "fields": fields})


def test_a_second_registration_changes_nothing() -> None:
    """The same schema, laid out otherwise, keeps its id and its version."""
    registry = MemoryRegistry()
    first = registry.register("s", schema("a"))
    assert registry.register("s", json.dumps(json.loads(schema("a")), indent=3)) == first
    assert [one.number for one in registry.versions("s")] == [1]
    assert registry.register("t", schema("a")) == first
    assert registry.subjects() == ("s", "t")
    assert json.loads(registry.schema_by_id(first)) == json.loads(schema("a"))


def test_the_level_is_enforced() -> None:
    """FULL_TRANSITIVE from the first version on: an incompatible schema is refused."""
    registry = MemoryRegistry()
    registry.register("s", schema("a"))
    assert registry.level("s") == DEFAULT_LEVEL
    registry.register("s", schema("a", "b", default=True))
    with pytest.raises(IncompatibleSchemaError):
        registry.register("s", schema("a", "b", "c"))
    assert registry.latest("s").number == 2
    registry.set_level("s", "NONE")
    registry.register("s", schema("z"))
    assert registry.latest("s").number == 3


def test_what_is_not_there_is_said() -> None:
    """Unknown subject, id and level are errors of their own."""
    registry = MemoryRegistry()
    for call in (registry.latest, registry.versions):
        with pytest.raises(SchemaNotFoundError):
            call("nowhere")
    with pytest.raises(SchemaNotFoundError):
        registry.schema_by_id(1)
    with pytest.raises(SchemaNotFoundError):
        registry.id_of("nowhere", schema("a"))
    with pytest.raises(RegistryRefusedError):
        registry.set_level("s", "SOME")


@pytest.mark.parametrize("url", ["", "registry", "ftp://127.0.0.1", "http://", "kafka://x"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    """A wrong URL is an error at once, not at the first call."""
    with pytest.raises(RegistryRefusedError):
        HttpRegistry(url)


def test_credentials_in_the_address_are_not_shown() -> None:
    """What is told about a registry holds no password."""
    assert HttpRegistry("http://me:secret@127.0.0.1:1/x").url == "http://127.0.0.1:1/x"
