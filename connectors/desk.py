"""Carries out what the placement core asks for, and tells the answers as ExecutionReports.

It never places a client order id twice in one process, and never one that it finds in the table
after a restart: the core asks for those only by QUERY. Calls about one order run one after the
other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from connectors.ports import Clock, OrderGateway
from processors.errors import ConfigError
from processors.placement import TERMINAL, CallKind, Settings, VenueCall
from processors.records.trade import ExecutionReport, OrderEvent, Reason, Status
from processors.reports import LOOKS, reports_from
from processors.venue import (
    Answer,
    CancelRefused,
    OrderAbsent,
    OrderDuplicate,
    OrderFound,
    OrderRefused,
    OrderUnclear,
)

PAUSE: Final = 1.0
"""Seconds between the two looks of a proof of absence."""

Gateways = Callable[[str, str], OrderGateway]
"""Gives the gateway of (exchange, account); raises ConfigError where no credentials are known."""

Lease = Callable[[], Awaitable[bool]]
"""Asked before each send: may this worker still act for its partitions?"""


class Desk:
    """Runs venue calls; one per worker."""

    def __init__(
        self,
        gateways: Gateways,
        clock: Clock,
        settings: Settings | None = None,
        *,
        lease: Lease | None = None,
        pause: float = PAUSE,
    ) -> None:
        """Keep the ports; nothing is connected.

        Args:
            gateways: gives the gateway of an account.
            clock: stamps reports, and measures waits on the boot clock.
            settings: as the core's.
            lease: asked before each send; without one, sending is always allowed.
            pause: seconds between the two looks of a proof of absence.
        """
        self._gateways = gateways
        self._clock = clock
        self._settings = settings or Settings()
        self._lease = lease
        self._pause = pause
        self._since: dict[str, float] = {}
        """Boot time of the first call about an order: its send, or after a restart the first look."""
        self._busy: dict[str, asyncio.Lock] = {}

    async def run(self, call: VenueCall) -> tuple[ExecutionReport, ...]:
        """Make a call.

        Args:
            call: of the core, after the commit of its decision.
        Returns:
            Reports for `trade.execution`, in order; none where the order is being asked for already
            or the lease is lost: then a later tick of the clock asks again.
        """
        client_order_id = call.order.client_order_id
        lock = self._busy.setdefault(client_order_id, asyncio.Lock())
        if lock.locked() and call.kind is CallKind.QUERY:
            return ()
        async with lock:
            first = client_order_id not in self._since
            self._since.setdefault(client_order_id, self._clock.boottime())
            if call.kind is CallKind.PLACE and not first:
                # A query may have begun the proof that the order is absent: it must stay so.
                answers: tuple[Answer, ...] = (OrderUnclear("asked for before it was sent"),)
            else:
                answers = await self._answers(call)
        reports = tuple(report for answer in answers for report in self._reports(call, answer))
        if any(report.status in TERMINAL for report in reports):
            self._since.pop(client_order_id, None)
            self._busy.pop(client_order_id, None)
        return reports

    def _reports(self, call: VenueCall, answer: Answer) -> tuple[ExecutionReport, ...]:
        state = call.state
        return reports_from(
            answer,
            call.order,
            self._clock.now(),
            absence_after=self._settings.absence_after,
            known=state.acknowledged or state.filled_quantity > 0,
            status=Status.NEW if state.status is Status.PENDING_CANCEL else state.status,
        )

    async def _answers(self, call: VenueCall) -> tuple[Answer, ...]:
        try:
            gateway = self._gateways(call.order.exchange, call.order.account)
        except ConfigError as e:
            if call.kind is CallKind.PLACE:
                return (OrderRefused(Reason.VENUE_REFUSED, "no credentials", str(e)),)
            return (OrderUnclear(str(e)),)
        match call.kind:
            case CallKind.PLACE:
                return await self._place(gateway, call.order)
            case CallKind.QUERY:
                return (await self._query(gateway, call),)
            case CallKind.CANCEL:
                return await self._cancel(gateway, call)

    async def _place(self, gateway: OrderGateway, order: OrderEvent) -> tuple[Answer, ...]:
        if self._lease is not None and not await self._lease():
            return ()
        answer = await gateway.place(order)
        if isinstance(answer, OrderDuplicate):
            found = await gateway.query(order.client_order_id, order.symbol)
            return (answer if found is None else found,)
        return (answer,)

    async def _cancel(self, gateway: OrderGateway, call: VenueCall) -> tuple[Answer, ...]:
        order = call.order
        answer = await gateway.cancel(order.client_order_id, order.symbol)
        if isinstance(answer, CancelRefused) and answer.unknown_order:
            return answer, await self._query(gateway, call)
        return (answer,)

    async def _query(self, gateway: OrderGateway, call: VenueCall) -> Answer:
        """Ask by client id; where that finds nothing, look everywhere, twice if it is late enough."""
        waited = 0
        for look in range(1, LOOKS + 1):
            begun = self._clock.boottime() - self._since[call.order.client_order_id]
            answer = await self._look(gateway, call.order)
            if answer is not None:
                return answer
            waited = int(begun * 1000) if look == 1 else waited
            if waited < self._settings.absence_after:
                return OrderAbsent(waited, look)
            if look < LOOKS:
                await self._clock.sleep(self._pause)
        return OrderAbsent(waited, LOOKS)

    async def _look(
        self, gateway: OrderGateway, order: OrderEvent
    ) -> OrderFound | OrderUnclear | None:
        """Look in all three places: None means that it is in none."""
        found = await gateway.query(order.client_order_id, order.symbol)
        if found is not None:
            return found
        resting = await gateway.open_orders(order.symbol)
        if isinstance(resting, OrderUnclear):
            return resting
        if order.client_order_id in resting:
            return OrderUnclear("open, though the query does not know it")
        # Venue time: a market that is replayed has its own.
        since = order.market_time - self._settings.skew
        trades = await gateway.trades(order.symbol, since)
        if isinstance(trades, OrderUnclear):
            return trades
        for venue_order_id in sorted({order_id for order_id, _ in trades}):
            owner = await gateway.owner(venue_order_id, order.symbol)
            if isinstance(owner, OrderUnclear):
                return owner
            if owner == order.client_order_id:
                return OrderUnclear("traded, though the query does not know it")
        return None

    async def close(self) -> None:
        """Forget everything; gateways are closed by whoever made them."""
        self._since.clear()
        self._busy.clear()
