"""What commands share of the settings: read once, from `--config`, files and the environment."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from streams.cli.output import LogFormat, options

if TYPE_CHECKING:
    from schemas.codec import Codecs
    from streams.settings import Settings

CONFIG = "FILLONCE_CONFIG"
"""Variable with the settings file, for the processes that a command starts."""


def settings(**given: Any) -> Settings:
    """Return the settings of this run.

    Args:
        given: what the command line says, by top-level name; None is left out.
    Raises:
        ConfigError: a file cannot be read, a key is unknown, or a value is wrong.
    """
    from streams.settings import load_settings

    config = options().config
    if config is not None:
        os.environ[CONFIG] = str(config.absolute())
    return load_settings(config, **{name: each for name, each in given.items() if each is not None})


def resolved() -> tuple[Settings, dict[str, str]]:
    """Return the settings of this run, and which source gave each value that is no default.

    Raises:
        ConfigError: a file cannot be read, a key is unknown, or a value is wrong.
    """
    from streams.origins import resolve

    return resolve(options().config, {})


def codecs_of(chosen: Settings) -> Codecs:
    """Return the codecs of every record of the catalogue; nothing is connected yet.

    Args:
        chosen: the settings.
    """
    from streams.app import registry_of
    from streams.serde import pipeline_codecs

    return pipeline_codecs(registry_of(chosen))


def json_logs() -> bool:
    """Tell whether log lines are JSON: asked for, or nobody sits at stderr."""
    import sys

    chosen = options().log_format
    if chosen is LogFormat.AUTO:
        return not sys.stderr.isatty()
    return chosen is LogFormat.JSON
