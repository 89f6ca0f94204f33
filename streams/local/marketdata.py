"""Real market data for the demo: 100,000 trades that a published example archive carries."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

from streams.local.artifacts import ArtifactError, Notify, quiet, resolve

RECORDED_TRADES = "bitstamp_trades_from_20131125_usd.csv"
RECORDED_TRADES_SHA256 = "daa283c2d0d4cb90ecc88e1037e7d37b911e0d35fac0cf0fb8da7826cea65af8"


def recorded_trades(notify: Notify = quiet) -> Path:
    """Return the file of BTC/USD trades from 2013-11-25 to 2013-12-01, one per line.

    The lines are second stamp, price in USD, amount in BTC; some amounts are 0, and equal lines are
    different trades. It is taken out of the MIT-licensed archive ta4j-examples at the first call.

    Args:
        notify: told what is being done.
    Raises:
        ArtifactError: the file is not the one that is known.
        ConfigError: Maven is not installed.
        UnavailableError: Maven could not fetch the archive.
    """
    path = resolve("market-data", install=_install, notify=notify) / RECORDED_TRADES
    digest = _sha256(path)
    if digest != RECORDED_TRADES_SHA256:  # each time: an edit must not go unseen
        raise ArtifactError(
            "the recorded trades are not the file that is known",
            hint=f"remove {path.parent} to have it fetched again",
            path=str(path),
            expected_sha256=RECORDED_TRADES_SHA256,
            sha256=digest,
        )
    return path


def _sha256(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return None


def _install(checked: Path, target: Path) -> None:
    for file in checked.iterdir():
        with zipfile.ZipFile(file) as archive:
            archive.extract(RECORDED_TRADES, target)
