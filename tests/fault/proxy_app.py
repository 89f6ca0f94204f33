"""The hold workload with switches that only tests have."""

from __future__ import annotations

import os
from dataclasses import replace

from examples.hold import app
from streams.engine.client import Client

__all__ = ["app"]

app.engine_settings = replace(
    app.engine_settings,
    membership=os.environ.get("PROXY_MEMBERSHIP", "static"),
    client={"client.id": app.conf.id},  # by it the proxy knows whose request a frame is
)


if os.environ.get("PROXY_RECYCLE") == "off":
    # The mutant: it goes on with the old producer, as if there were no recycle rule.
    setattr(Client, "recycle", lambda _: None)  # noqa: B010 - mypy refuses the plain assignment
