"""`fillonce demo`: the whole main job on real trades, with crashes on the way and checks at the end."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self

import typer

from streams.cli.output import Exit, console, note, options

if TYPE_CHECKING:
    from streams.demo.watch import Watch

_ROWS = 100_000


def register(app: typer.Typer) -> None:
    """Add the command of this file.

    Args:
        app: the program.
    """
    app.command(rich_help_panel="Main job")(demo)


def demo(
    pace: Annotated[
        str,
        typer.Option(
            help="settled: each bar waits for all that follows from the last; max; or Nx real time."
        ),
    ] = "settled",
    data: Annotated[
        Path, typer.Option(envvar="FILLONCE_DATA", help="Folder of services, ledger and logs.")
    ] = Path(".fillonce"),
    out: Annotated[Path, typer.Option(help="Folder of the summary and the plot.")] = Path(
        "build/demo"
    ),
    crashes: Annotated[
        bool,
        typer.Option(
            "--crashes/--no-crashes", help="Kill processes on the way, each with evidence."
        ),
    ] = True,
) -> None:
    """Stream 100,000 real BTC/USD trades through all five processors and a simulated venue.

    Starts Kafka, the schema registry, the venue and the processors on loopback, opens 20 accounts of
    84.54 USD, kills processes with -9 on the way, and checks every total against the venue's ledger by a
    program of its own. The services stay up; `fillonce down` ends them.

    Exit status: 0 every check holds, 2 called wrongly, 3 a check failed, 4 something did not start.
    """
    from streams.demo.run import Demo

    with _Display() as display:
        job = Demo(data, out, pace, crashes=crashes, show=display)
        try:
            result = job.run()
        except BaseException:
            display.close()
            job.stage.abandon()
            raise
    for crash in result.crashes:
        note(f"crash: {crash.what} at row {crash.at_row}; {crash.evidence}")
    note(f"{result.seconds:.0f} s; results in {out}")
    _next_steps(job.stage.environment(), data)
    if result.exit_code:
        raise typer.Exit(Exit.FOUND)


def _next_steps(environment: Any, data: Path) -> None:
    note("The services are still up. Next:")
    note(f"  export FILLONCE_CONFIG={data / 'demo.toml'} FILLONCE_DATA={data}")
    for name in ("FILLONCE_KAFKA__BOOTSTRAP", "FILLONCE_REGISTRY__URL", "FILLONCE_VENUE__BASE_URL"):
        note(f"  export {name}={environment[name]}")
    for command in (
        "orders list",
        "audit order ORDER_ID",
        "replay verify",
        "doctor --quick",
        "down",
    ):
        note(f"  fillonce {command}")


class _Display:
    """A progress bar on a terminal, a line every ten seconds elsewhere."""

    def __init__(self) -> None:
        self._bar: Any = None
        self._task: Any = None
        self._told = 0.0

    def __enter__(self) -> Self:
        if sys.stderr.isatty() and options().verbosity >= 0:
            from rich.progress import (
                BarColumn,
                Progress,
                TextColumn,
                TimeElapsedColumn,
                TimeRemainingColumn,
            )

            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                TextColumn("{task.completed:>6.0f}/{task.total:.0f} rows"),
                TimeElapsedColumn(),
                TimeRemainingColumn(),
                console=console(stderr=True),
                transient=True,
            )
            self._bar.start()
            self._task = self._bar.add_task("", total=_ROWS)
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the terminal back."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def __call__(self, text: str, watch: Watch | None) -> None:
        if watch is None:
            note(text)
            return
        counts = (
            f"{text}: {sum(watch.decisions.values())} decisions, {watch.reports['FILLED']} filled"
        )
        if self._bar is not None:
            self._bar.update(self._task, completed=watch.rows, description=counts)
        elif time.monotonic() - self._told > 10:
            self._told = time.monotonic()
            note(f"{watch.rows:>6} of {_ROWS} rows; {counts}")
