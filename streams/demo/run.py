"""The demo from start to end: set up, stream, crash on the way, settle, check, sum up."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from processors.errors import UnavailableError
from schemas.codec import Codecs
from schemas.registry import HttpRegistry
from streams.demo.kills import Crash, kill_execution, kill_risk_manager, kill_supervisor
from streams.demo.stage import Stage
from streams.demo.watch import Watch
from streams.serde import subjects
from streams.settings import load_settings
from streams.settle import Settled

ROWS = 100_000
CRASH_AT = (0.2, 0.45, 0.7)
"""After which share of the rows risk_manager, execution and the supervisor are killed."""
CATCH_SECONDS = 90.0
LIMIT_SECONDS = 1_800.0
GOLDEN = Path("tests/golden/demo_ledger.sha256")

Show = Callable[[str, Watch | None], None]


@dataclass(slots=True)
class Result:
    """What a demo came to."""

    exit_code: int
    crashes: list[Crash] = field(default_factory=list)
    seconds: float = 0.0
    out: Path = Path()


class Demo:
    """One run of the main job.

    Args:
        data: folder of services and logs.
        out: folder of the summary and the plot.
        pace: settled, max or Nx.
        crashes: whether processes are killed on the way.
        show: told what is being done, and the counts as they stand.
    """

    def __init__(self, data: Path, out: Path, pace: str, *, crashes: bool, show: Show) -> None:
        self.stage = Stage(data, pace, lambda text: show(text, None))
        self.out = out.absolute()
        self._with_crashes = crashes
        self._show = show
        self._started = time.monotonic()

    def run(self) -> Result:
        """Do it all.

        Raises:
            UnavailableError: something did not start, or nothing moved any more.
        """
        stage, result = self.stage, Result(1, out=self.out)
        stage.prepare()
        self._show("starting Kafka and the schema registry", None)
        stage.start_services()
        self._show("starting the simulated venue", None)
        stage.start_simulator()
        self._show("creating topics, registering schemas, opening accounts", None)
        stage.command("topics", "apply")
        stage.command("accounts", "apply", str(stage.data / "demo.toml"))
        self._show("starting the processors", None)
        stage.start_supervisor()
        codecs = self._codecs()
        watch = Watch(self._bootstrap, codecs)
        try:
            self._stream(watch, result)
            self._show("waiting until all has settled", watch)
            asyncio.run(self._settle(codecs))
        finally:
            watch.close()
        stage.stop_processors()
        result.seconds = time.monotonic() - self._started
        self.out.mkdir(parents=True, exist_ok=True)
        (self.out / "crashes.json").write_text(
            json.dumps([asdict(c) for c in result.crashes], indent=2)
        )
        result.exit_code = self._check()
        return result

    @property
    def _bootstrap(self) -> str:
        return self.stage.environment()["FILLONCE_KAFKA__BOOTSTRAP"]

    def _codecs(self) -> Codecs:
        registry = HttpRegistry(self.stage.environment()["FILLONCE_REGISTRY__URL"])
        return Codecs(registry, subjects())

    # -- the stream

    def _stream(self, watch: Watch, result: Result) -> None:
        due = [int(share * ROWS) for share in CRASH_AT] if self._with_crashes else []
        deadline = time.monotonic() + LIMIT_SECONDS
        moved = (0, time.monotonic())
        while not watch.finished:
            watch.look()
            if due and watch.rows >= due[0]:
                due.pop(0)
                self._crash(watch, result)
            self._show("streaming", watch)
            if watch.rows != moved[0]:
                moved = (watch.rows, time.monotonic())
            if time.monotonic() - moved[1] > 150:
                raise UnavailableError(
                    "nothing moved for 150 s",
                    rows=watch.rows,
                    log=str(self.stage.data / "processors.log"),
                )
            if time.monotonic() > deadline:
                raise UnavailableError(f"not at the end after {LIMIT_SECONDS:g} s", rows=watch.rows)
            time.sleep(0.25)

    def _crash(self, watch: Watch, result: Result) -> None:
        number = len(result.crashes)
        if number == 0:
            crash = kill_risk_manager(self.stage, watch, CATCH_SECONDS)
        elif number == 1:
            crash = kill_execution(self.stage, watch, CATCH_SECONDS)
        else:
            crash = kill_supervisor(self.stage, watch)
        result.crashes.append(crash)
        self._show(f"{crash.what} at row {crash.at_row} ({crash.evidence})", None)

    async def _settle(self, codecs: Codecs) -> None:
        settings = load_settings(
            self.stage.data / "demo.toml",
            kafka={"bootstrap": self._bootstrap},
            venue={"base_url": self.stage.simulator_url},
        )
        settled = Settled(settings, codecs)
        try:
            await settled.wait(180.0)
        finally:
            settled.close()

    # -- checks and summary

    def _check(self) -> int:
        places = [
            "--bootstrap",
            self._bootstrap,
            "--registry",
            self.stage.environment()["FILLONCE_REGISTRY__URL"],
        ]
        golden = (
            ["--golden", str(GOLDEN.absolute())]
            if GOLDEN.exists() and self.stage.pace == "settled"
            else []
        )
        checks = self.out / "checks.json"
        code = self._program(
            "streams.checks",
            *places,
            "--simulator",
            self.stage.simulator_url,
            "--out",
            str(checks),
            *golden,
        )
        summed = self._program(
            "streams.summary", *places, "--out", str(self.out), "--checks", str(checks)
        )
        return code or summed

    @staticmethod
    def _program(module: str, *arguments: str) -> int:
        sys.stdout.flush()
        return subprocess.run(  # noqa: S603 - our own module
            [sys.executable, "-P", "-m", module, *arguments], timeout=600, check=False
        ).returncode
