"""Overrides what the promise rests on."""

from __future__ import annotations

from tests.integration.apps.making import make

app = make("pinned", client={"isolation.level": "read_uncommitted"})
