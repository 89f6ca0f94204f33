"""The venues of a process: one gateway for each account, and the simulator's clock."""

from __future__ import annotations

from datetime import datetime

import aiohttp

from connectors.ccxt_orders import BinanceGateway, VenueSettings
from connectors.clock import to_micros
from connectors.simulator.config import secret_of
from processors.errors import ConfigError, UnavailableError
from streams.settings import Venue


class Gateways:
    """Gateways by exchange and account, made when they are first asked for.

    Args:
        venue: the settings of the one venue.
    """

    def __init__(self, venue: Venue) -> None:
        self._venue = venue
        self._made: dict[str, BinanceGateway] = {}

    def __call__(self, exchange: str, account: str) -> BinanceGateway:
        """Return the gateway of an account.

        Args:
            exchange: as in EXCHANGE:BASE/QUOTE.
            account: its name.
        Raises:
            ConfigError: the venue is another one, or the account has no credentials.
        """
        if exchange != self._venue.name or self._venue.kind == "none":
            raise ConfigError("no venue of this name is configured", exchange=exchange)
        if account not in self._made:
            self._made[account] = BinanceGateway(self._settings(account))
        return self._made[account]

    def public(self) -> BinanceGateway:
        """Return a gateway that only asks what needs no credentials."""
        if "" not in self._made:
            self._made[""] = BinanceGateway(self._shared(key="", secret=""))
        return self._made[""]

    def warm(self) -> None:
        """Load what a gateway is made of, seconds the first time: before any batch waits for it."""
        self.public()

    async def close(self) -> None:
        """Close the connections of all of them."""
        made, self._made = self._made, {}
        for gateway in made.values():
            await gateway.close()

    def _settings(self, account: str) -> VenueSettings:
        known = self._venue.accounts.get(account)
        if known is not None:
            return self._shared(key=known.key, secret=known.secret.get_secret_value())
        if self._venue.kind == "simulator":
            return self._shared(key=account, secret=secret_of(account))
        raise ConfigError("an account has no credentials at its venue", account=account)

    def _shared(self, *, key: str, secret: str) -> VenueSettings:
        venue = self._venue
        return VenueSettings(
            exchange=venue.name,
            api_key=key,
            secret=secret,
            base_url=venue.base_url,
            fee_mode=venue.fee_mode,
            timeout_ms=round(venue.timeout * 1000),
            rate_limit=venue.rate_limit,
        )


class SimulatorClock:
    """Tells the simulator how far the market is.

    Args:
        base_url: of the simulator.
    """

    def __init__(self, base_url: str) -> None:
        self._url = f"{base_url.rstrip('/')}/control/clock"
        self._session: aiohttp.ClientSession | None = None

    async def __call__(self, moment: datetime) -> None:
        """Set its clock; it never goes back.

        Args:
            moment: market time.
        Raises:
            UnavailableError: it does not answer, or not with success.
        """
        if self._session is None:
            timeout = aiohttp.ClientTimeout(total=5.0)
            self._session = aiohttp.ClientSession(timeout=timeout, trust_env=False)
        try:
            async with self._session.post(
                self._url, json={"market_time": to_micros(moment)}
            ) as got:
                if got.status != 200:
                    text = (await got.text())[:200]
                    raise UnavailableError("the simulator refuses its clock", answer=text)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise UnavailableError(
                "the simulator does not answer", url=self._url, error=type(error).__name__
            ) from error

    async def close(self) -> None:
        """Close the connection."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()
