"""The composition root: one app for each processor, built when it is first asked for.

`faust -A streams.app:risk_manager worker` starts one as Faust users do it, `fillonce run` all five.
Importing this module reads no setting and connects to nothing.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from connectors.clock import SystemClock
from connectors.desk import Desk
from connectors.recorded import RecordedFile
from processors.errors import ConfigError
from schemas.codec import REPLICATION_SECONDS, Codecs
from schemas.registry import HttpRegistry
from schemas.registry_port import Registry
from streams import log, topics
from streams.agents import data_collection as collecting
from streams.agents import execution as executing
from streams.agents import risk_manager as risk
from streams.agents import strategy as deciding
from streams.agents import technical_analysis as technical
from streams.engine import App
from streams.engine.clock import Clock
from streams.engine.partitioner import first_part
from streams.kit import Kit
from streams.pace import Pace, Pacer, Settle
from streams.serde import subjects
from streams.settings import Settings, load_settings
from streams.venues import Gateways, SimulatorClock
from streams.version import code_version, environment

LOOKUP_SECONDS = 1.5
"""A worker asks for an unknown schema id inside a batch: two attempts end well before the batch must."""


class PipelineApp(App):
    """A processor's app: it knows all schema ids before its first record, and closes its ports."""

    def __init__(self, *args: Any, **options: Any) -> None:
        self.before_start: list[Callable[[], object]] = []
        self.after_stop: list[Callable[[], Awaitable[None]]] = []
        super().__init__(*args, **options)

    async def on_start(self) -> None:
        """Prepare what is slow or may be missing, before any agent runs."""
        loop = asyncio.get_running_loop()
        for prepare in self.before_start:
            await loop.run_in_executor(None, prepare)
        await super().on_start()

    async def on_shutdown(self) -> None:
        """Close the connections to venues."""
        await super().on_shutdown()
        for close in self.after_stop:
            await close()


def build_app(
    name: str,
    settings: Settings,
    *,
    gateways: Gateways | None = None,
    clock: Clock | None = None,
    registry: Registry | None = None,
    replay: bool = False,
    wait_settled: Settle | None = None,
) -> PipelineApp:
    """Build the app of a processor; nothing is connected yet.

    Args:
        name: one of `streams.topics.PROCESSORS`.
        settings: of the process.
        gateways: gives the venue's gateways; those of the settings if not given.
        clock: the engine's; the machine's if not given.
        registry: where schemas have their ids; that of the settings if not given.
        replay: build it with no venue and no source: what runs is the core and its tables.
        wait_settled: what the pace `settled` of a recorded file waits for.
    Returns:
        The app.
    Raises:
        ConfigError: there is no such processor, or the settings don't fit it.
    """
    if name not in topics.PROCESSORS:
        raise ConfigError(
            "there is no such processor", name=name, hint=f"one of {', '.join(topics.PROCESSORS)}"
        )
    codecs = Codecs(
        registry or registry_of(settings, timeout=LOOKUP_SECONDS, retries=1),
        _subjects_of(name),
        register=False,
        patience=REPLICATION_SECONDS,
        monotonic=None if replay else time.monotonic,
    )
    describe: dict[str, Any] = {
        "processor": name,
        "settings": settings.masked(),
        "code_version": code_version(),
        "environment": environment(),
        "compacted_topics": [
            topic.name for topic in topics.RECORDS if topic.cleanup is topics.Cleanup.COMPACT
        ],
    }
    options: dict[str, Any] = {} if clock is None else {"clock": clock}
    if settings.source.kind == "recorded" and settings.source.pace == "settled":
        # The source waits until every group has passed the last commit marker: tell of it soon.
        options |= {"fetch_wait_ms": 20, "idle_commit_ms": 10.0}
    app = PipelineApp(
        topics.app_id(name),
        broker=settings.kafka.bootstrap,
        instance_id=settings.instance_id,
        batch_max=settings.batch_max,
        store=settings.store,
        state_dir=settings.state_dir or settings.data / "state",
        replication_factor=settings.kafka.replication_factor,
        partition_key=first_part,
        declare_topics=False,  # `topics apply` creates them, with the catalogue's settings
        effects_max=settings.venue.calls_at_once,
        poison=settings.dead_letters.policy,
        poison_retries=settings.dead_letters.retries,
        dead_letter_rate=settings.dead_letters.rate,
        dead_letter_window=settings.dead_letters.window,
        dead_letter_run=settings.dead_letters.run,
        client=settings.kafka_client,
        describe=describe,
        datadir=str(settings.data / "faust" / name),
        **options,
    )
    app.before_start.append(lambda: describe.update(schema_ids=prepare(codecs)))
    kit = Kit(app, name, settings, codecs, replay=replay)
    _wire(kit, gateways, wait_settled)
    return app


def prepare(codecs: Codecs) -> Mapping[str, int]:
    """Make every codec; what the registry lacks is told with what to do about it.

    Args:
        codecs: of the process.
    Returns:
        Schema id by subject.
    Raises:
        ConfigError: the registry has no such schema, or another one.
        UnavailableError: it does not answer.
    """
    try:
        return codecs.prepare()
    except ConfigError as error:
        hint = "`fillonce topics apply` registers the schemas"
        raise ConfigError(error.message, **{**error.context, "hint": hint}) from error


def registry_of(settings: Settings, *, timeout: float = 5.0, retries: int = 2) -> HttpRegistry:
    """Return the registry of the settings; nothing is connected yet.

    Args:
        settings: of the process.
        timeout: seconds that one attempt may wait.
        retries: attempts after the first.
    """
    section = settings.registry
    options: dict[str, object] = {}
    if section.user:
        secret = "" if section.password is None else section.password.get_secret_value()
        options["basic.auth.user.info"] = f"{section.user}:{secret}"
    return HttpRegistry(section.url, timeout=timeout, retries=retries, options=options)


def settings_of(described: Mapping[str, Any]) -> Settings:
    """Return the settings that a journal's first record of a boot holds; secrets stay masked.

    Args:
        described: its `config`.
    """
    return Settings.model_validate(described["settings"])


def _subjects_of(name: str) -> dict[Any, tuple[str, ...]]:
    """Return the subjects of the records that a processor reads, writes or keeps."""
    own = {
        *topics.INPUTS[name],
        *topics.GLOBALS[name],
        *topics.OUTPUTS[name],
    }
    names = {topic.name for topic in own}
    prefix = f"{topics.app_id(name)}-"
    return {
        record: found
        for record, every in subjects().items()
        if (
            found := tuple(
                subject
                for subject in every
                if subject.removesuffix("-value") in names or subject.startswith(prefix)
            )
        )
    }


def _wire(kit: Kit, gateways: Gateways | None, wait_settled: Settle | None) -> None:
    match kit.processor:
        case collecting.NAME:
            if not kit.replay:
                _wire_sources(kit, gateways, wait_settled)
        case technical.NAME:
            technical.declare(kit)
        case deciding.NAME:
            deciding.declare(kit)
        case risk.NAME:
            risk.declare(kit)
        case executing.NAME:
            executing.declare(kit, None if kit.replay else _desk(kit, gateways))


def _desk(kit: Kit, given: Gateways | None) -> Desk:
    gateways = given or _gateways(kit)
    return Desk(gateways, SystemClock(), executing.waits(kit.settings))


def _gateways(kit: Kit) -> Gateways:
    gateways = Gateways(kit.settings.venue)
    app = kit.app
    if isinstance(app, PipelineApp):
        app.before_start.append(gateways.warm)
        app.after_stop.append(gateways.close)
    return gateways


def _wire_sources(kit: Kit, given: Gateways | None, wait_settled: Settle | None) -> None:
    settings, app = kit.settings, kit.app
    if settings.venue.kind != "none" and settings.venue.instruments:
        gateways = given or _gateways(kit)
        collecting.declare_rules(kit, gateways.public)
    if settings.source.kind == "none":
        return
    advance = None
    if settings.venue.kind == "simulator":
        advance = SimulatorClock(settings.venue.base_url)
        if isinstance(app, PipelineApp):
            app.after_stop.append(advance.close)
    pacer = Pacer(
        Pace.parse(settings.source.pace), settings.market.strategy_interval, wait_settled, advance
    )
    file = settings.source.file
    if file is None:
        from streams.local.marketdata import recorded_trades

        file = recorded_trades()
    recorded = RecordedFile(file, settings.source.instrument, SystemClock().now)
    collecting.declare_recorded(kit, recorded, pacer)


def __getattr__(name: str) -> PipelineApp:
    """Build the app of a processor when `MODULE:APP` asks for it.

    Args:
        name: of the processor.
    """
    if name not in topics.PROCESSORS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    app = build_app(name, load_settings())
    app.conf.logging_config = log.dict_config(json=True)
    log.route(processor=name)
    globals()[name] = app
    return app
