"""How the tests' apps are made: what differs between runs comes in by the environment."""

from __future__ import annotations

import os
from typing import Any

from streams.engine import App

PREFIX = os.environ.get("TEST_PREFIX", "")
RAW: dict[str, Any] = {
    "key_type": str,
    "value_type": bytes,
    "key_serializer": "raw",
    "value_serializer": "raw",
}


def make(name: str, **options: Any) -> App:
    """Return an app of the test's own."""
    return App(
        PREFIX + name,
        broker=os.environ.get("FILLONCE_KAFKA__BOOTSTRAP", "127.0.0.1:9092"),
        instance_id=os.environ.get("TEST_INSTANCE", "0"),
        **options,
    )
