"""`fillonce simulator`: a venue on loopback that fills orders from recorded trades."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from streams.cli.output import Progress, options


def register(app: typer.Typer) -> None:
    """Add the command of this file.

    Args:
        app: the program.
    """
    app.command(rich_help_panel="Local services")(simulator)


def simulator(
    data: Annotated[
        Path, typer.Option(envvar="FILLONCE_SIMULATOR_DATA", help="Folder of its ledger.")
    ] = Path(".fillonce/simulator"),
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port on loopback; 0 takes a free one.")
    ] = 0,
    market_file: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            dir_okay=False,
            help="Recorded trades (timestamp,price,amount); the demo's if not given.",
        ),
    ] = None,
) -> None:
    """Run a simulated venue that speaks enough of Binance's spot REST for ccxt to trade.

    Symbol, matching and accounts stand in the table `simulator` of the file given by --config (TOML
    or JSON). It prints `listening on URL` once it accepts calls, and stops at SIGTERM. Orders,
    fills and balances are on disk before a call is answered.

    Exit status: 0 stopped, 2 called wrongly, 4 the demo's market file could not be fetched.
    """
    import asyncio

    from connectors.simulator.config import load
    from connectors.simulator.server import HOST, serve
    from streams.local.marketdata import recorded_trades

    config = load(options().config)
    with Progress() as progress:
        market = market_file or recorded_trades(progress)

    def ready(opened: int) -> None:
        typer.echo(f"listening on http://{HOST}:{opened}")

    asyncio.run(serve(config, market, data, port, ready))
