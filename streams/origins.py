"""Reads the sources of the settings, and remembers which of them gave each value."""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError
from pydantic_settings import EnvSettingsSource

from processors.errors import ConfigError
from streams.settings import OTHERS, PREFIX, Settings

Tree = dict[str, Any]

FOREIGN: Final = frozenset({"CACHE", "CONFIG", "FAILPOINT", "JAVA", "SIMULATOR_DATA", "TIMEOUT"})
"""Names under our prefix that are no settings: other parts of the house read them."""

FILE: Final = "_FILE"
"""What the name of a variable ends with that holds the path of a secret's file."""


def resolve(config: Path | None, given: Mapping[str, Any]) -> tuple[Settings, dict[str, str]]:
    """Merge the sources and check the whole.

    Args:
        config: a TOML file; its tables `accounts` and `simulator` belong to other commands.
        given: what the command line says, by top-level name.
    Returns:
        The settings, and by dotted name which source gave each value that is no default.
    Raises:
        ConfigError: a file cannot be read, a key is unknown, or a value is wrong.
    """
    config = config or _named_by_environment()
    sources = {
        f"file {config.name}" if config else "file": _file(config),
        "secret file": _secret_files(),
        "environment": _environment(),
        "command line": dict(given),
    }
    merged: Tree = {}
    origin: dict[str, str] = {}
    for name, tree in sources.items():
        for path in _paths(tree):
            origin[".".join(path)] = name
        merged = _merge(merged, tree)
    try:
        settings = Settings.model_validate(merged)
    except ValidationError as error:
        raise _translated(error, origin) from error
    return settings, origin


def flat(tree: Mapping[str, Any]) -> dict[str, Any]:
    """Return a tree's values by dotted name.

    Args:
        tree: nested mappings.
    """
    return {".".join(path): _value(tree, path) for path in _paths(tree)}


def _named_by_environment() -> Path | None:
    named = os.environ.get(f"{PREFIX}CONFIG")
    return Path(named) if named else None


def _file(path: Path | None) -> Tree:
    if path is None:
        return {}
    try:
        tree = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise ConfigError(
            "the settings file cannot be read", file=str(path), error=error.strerror
        ) from error
    except ValueError as error:
        raise ConfigError(
            "the settings file is no TOML", file=str(path), error=str(error)
        ) from error
    return {name: value for name, value in tree.items() if name not in OTHERS}


def _is_foreign(name: str) -> bool:
    return name.removeprefix(PREFIX).upper() in FOREIGN


def _names_a_file(name: str) -> bool:
    """Tell whether a variable holds the path of a secret's file; `SOURCE__FILE` is a setting."""
    last = name.upper().rsplit("__", 1)[-1]
    return last.endswith(FILE) and last != FILE.lstrip("_")


def _variables() -> dict[str, str]:
    """Return the variables of the environment that are settings.

    Raises:
        ConfigError: one names no setting: a misspelt name would do nothing, silently.
    """
    found: dict[str, str] = {}
    for name, value in os.environ.items():
        if not name.upper().startswith(PREFIX) or (_is_foreign(name) and "__" not in name):
            continue
        first = name[len(PREFIX) :].split("__")[0].lower()
        if first not in Settings.model_fields:
            raise ConfigError(
                "a variable of the environment is no setting",
                variable=name,
                hint="`fillonce config show` lists the settings",
            )
        found[name] = value
    return found


def _environment() -> Tree:
    plain = {name: value for name, value in _variables().items() if not _names_a_file(name)}
    source = EnvSettingsSource(
        Settings, env_prefix=PREFIX, env_nested_delimiter="__", case_sensitive=False
    )
    source.env_vars = {name.lower(): value for name, value in plain.items()}
    try:
        return dict(source())
    except (ValueError, json.JSONDecodeError) as error:
        raise ConfigError("a variable of the environment is malformed", error=str(error)) from error


def _secret_files() -> Tree:
    tree: Tree = {}
    for name, path in _variables().items():
        if not _names_a_file(name):
            continue
        try:
            secret = Path(path).read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError("a secret's file cannot be read", variable=name) from error
        parts = name[len(PREFIX) : -len(FILE)].lower().split("__")
        branch: Tree = {parts[-1]: secret}
        for part in reversed(parts[:-1]):
            branch = {part: branch}
        tree = _merge(tree, branch)
    return tree


def _merge(under: Tree, over: Mapping[str, Any]) -> Tree:
    merged = dict(under)
    for name, value in over.items():
        below = merged.get(name)
        if isinstance(below, Mapping) and isinstance(value, Mapping):
            merged[name] = _merge(dict(below), value)
        else:
            merged[name] = value
    return merged


def _paths(tree: Mapping[str, Any], before: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, value in tree.items():
        if isinstance(value, Mapping) and value:
            yield from _paths(value, (*before, str(name)))
        else:
            yield (*before, str(name))


def _value(tree: Mapping[str, Any], path: tuple[str, ...]) -> Any:
    value: Any = tree
    for name in path:
        value = value[name]
    return value


def _translated(error: ValidationError, origin: Mapping[str, str]) -> ConfigError:
    """Return our error: every wrong setting by its dotted name, with no value that may be secret."""
    lines: list[str] = []
    for part in error.errors(include_url=False, include_input=False, include_context=False):
        name = ".".join(str(step) for step in part["loc"]) or "settings"
        unknown = part["type"] == "extra_forbidden"
        what = "no such setting" if unknown else str(part["msg"])
        source = next((origin[key] for key in origin if key == name), "")
        lines.append(f"{name}: {what}" + (f" ({source})" if source else ""))
    return ConfigError("the settings are wrong", settings="; ".join(lines))
