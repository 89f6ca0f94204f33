"""The configuration that wrote a history: a replay runs under it, at today's addresses."""

from __future__ import annotations

import json
from typing import Any

from streams.engine.errors import ConfigError
from streams.engine.settings import EngineSettings
from streams.replay.history import journal_partitions, read_journal

PLACES = ("data", "instance_id", "kafka", "registry", "source", "venue")
"""Sections that say where things are: they decide nothing that is derived."""


def configuration_of(settings: EngineSettings, app_id: str) -> dict[str, Any]:
    """Return what the first record of a boot says in a processor's journal.

    Raises:
        ConfigError: there is no journal, or its boots ran under settings that decide differently.
    """
    journal = f"{app_id}.journal"
    found: dict[str, dict[str, Any]] = {}
    for partition in journal_partitions(settings, journal):
        for record in read_journal(settings, journal, partition):
            config = record.get("config")
            if config:
                found.setdefault(_deciding(config), config)
    if not found:
        raise ConfigError(f"{journal} is empty or not there: {app_id} has no history to verify")
    if len(found) > 1:
        raise ConfigError(
            f"{app_id}: its history was written under {len(found)} configurations that decide differently; "
            "only a history under one can be verified from its start"
        )
    return next(iter(found.values()))


def _deciding(config: dict[str, Any]) -> str:
    """Return the part of a configuration that a decision can depend on, as canonical text."""
    settings = {k: v for k, v in config.get("settings", {}).items() if k not in PLACES}
    settings["fee_mode"] = config.get("settings", {}).get("venue", {}).get("fee_mode")
    return json.dumps(settings, sort_keys=True)
