"""What the pipeline asks of the outside, as protocols; adapters and tests implement them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Protocol

from processors.records.market import InstrumentRules, Tick
from processors.records.trade import OrderEvent
from processors.venue import (
    Answer,
    CancelRefused,
    OrderDuplicate,
    OrderFound,
    OrderRefused,
    OrderUnclear,
    VenueFill,
)


class Clock(Protocol):
    """Time, injected."""

    def now(self) -> datetime:
        """Return the wall time, UTC."""
        ...

    def boottime(self) -> float:
        """Return seconds since boot, suspension included."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait for some seconds."""
        ...


class OrderGateway(Protocol):
    """Orders of one account at one venue.

    No method raises for what a venue or a network can do: that is an answer. Only a call that could
    never be made raises, with the error classes of `processors.errors`.
    """

    async def place(
        self, order: OrderEvent
    ) -> OrderFound | OrderRefused | OrderDuplicate | OrderUnclear:
        """Send an order once, under its client order id; never retried inside.

        Args:
            order: the frozen request.
        Returns:
            What the venue answered; OrderUnclear for anything after the bytes may have left.
        """
        ...

    async def query(self, client_order_id: str, symbol: str) -> OrderFound | OrderUnclear | None:
        """Ask for an order by our id.

        Args:
            client_order_id: ours.
            symbol: BASE/QUOTE.
        Returns:
            The order with all its fills, None where the venue says that it knows none, OrderUnclear
            where it gave no usable answer. None is not yet proof of absence.
        """
        ...

    async def cancel(
        self, client_order_id: str, symbol: str
    ) -> OrderFound | CancelRefused | OrderUnclear:
        """Cancel an order by our id.

        Args:
            client_order_id: ours.
            symbol: BASE/QUOTE.
        Returns:
            The order after the cancel, a refusal, or OrderUnclear.
        """
        ...

    async def open_orders(self, symbol: str) -> tuple[str, ...] | OrderUnclear:
        """List the client order ids of the account's open orders.

        Args:
            symbol: BASE/QUOTE.
        Returns:
            The ids, or OrderUnclear.
        """
        ...

    async def trades(
        self, symbol: str, since: datetime, venue_order_id: str | None = None
    ) -> tuple[tuple[str, VenueFill], ...] | OrderUnclear:
        """Read the account's trades, paged to the end.

        Args:
            symbol: BASE/QUOTE.
            since: venue time of the oldest one wanted.
            venue_order_id: only this order's; `since` does not count then.
        Returns:
            Pairs of venue order id and fill, oldest first, or OrderUnclear.
        """
        ...

    async def owner(self, venue_order_id: str, symbol: str) -> str | OrderUnclear:
        """Ask whose order a venue order id is.

        Args:
            venue_order_id: the venue's.
            symbol: BASE/QUOTE.
        Returns:
            Its client order id, or OrderUnclear.
        """
        ...

    async def close(self) -> None:
        """Close the connections."""
        ...


class MarketData(Protocol):
    """Prices and rules of one venue."""

    async def rules(self, symbol: str) -> InstrumentRules:
        """Read a symbol's filters and fees.

        Args:
            symbol: BASE/QUOTE.
        Returns:
            The rules, stamped with their version.
        Raises:
            UnavailableError: the venue gave no usable answer.
        """
        ...

    def ticks(self, symbols: Sequence[str]) -> AsyncIterator[Tick]:
        """Follow the trades of some symbols until closed.

        Args:
            symbols: BASE/QUOTE each.
        """
        ...


__all__ = ["Answer", "Clock", "MarketData", "OrderGateway"]
