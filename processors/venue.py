"""Facts that a venue states about an order, in the form in which the core reads them.

A gateway turns whatever its venue answers into one of these; `processors.reports` turns them into
ExecutionReports. A REST reply, a later query and a stream of one fact give the same report.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from processors.records.trade import Fee, Reason, Status


@dataclass(frozen=True, slots=True)
class VenueFill:
    """One trade of an order as its venue booked it."""

    trade_id: str
    price: Decimal
    """Quote units per base unit."""
    quantity: Decimal
    """Base units."""
    fees: tuple[Fee, ...]
    """Charges; a negative one is a rebate."""
    time: datetime
    """Venue time of the trade."""


@dataclass(frozen=True, slots=True)
class OrderFound:
    """The venue knows the order; `fills` are all of its trades that could be read."""

    venue_order_id: str
    client_order_id: str
    raw_status: str
    """The venue's own word."""
    status: Status | None
    """What that word means; None where it is not known: never guessed."""
    quantity: Decimal
    """Base units ordered; of an order by quote amount, what the venue made of it."""
    filled_quantity: Decimal
    """Base units filled as the order endpoint states them; may run ahead of `fills`."""
    fills: tuple[VenueFill, ...]
    accepted_time: datetime
    """Venue time at which the order entered the book."""
    updated_time: datetime
    """Venue time of its newest change."""
    reason: Reason | None = None
    """Why it ended, where the raw status says so."""
    prevented_quantity: Decimal = Decimal(0)
    """Base units taken off by self-trade prevention."""


@dataclass(frozen=True, slots=True)
class OrderRefused:
    """A definite no: the venue holds no such order because of this request."""

    reason: Reason
    code: str
    """The venue's code, or the name of the error."""
    message: str


@dataclass(frozen=True, slots=True)
class OrderDuplicate:
    """The client order id is there already: the order is live, whatever the error was called."""

    message: str


@dataclass(frozen=True, slots=True)
class OrderUnclear:
    """No usable answer: the venue may or may not have acted."""

    message: str


@dataclass(frozen=True, slots=True)
class OrderAbsent:
    """The order was in none of order query, open orders and trades."""

    waited: int
    """Milliseconds since the send, on the boot clock of the process that asked."""
    looks: int
    """How many times in a row all three were read."""


@dataclass(frozen=True, slots=True)
class CancelRefused:
    """The venue did not cancel; `unknown_order` asks for a query, not for a conclusion."""

    code: str
    message: str
    unknown_order: bool


Answer = OrderFound | OrderRefused | OrderDuplicate | OrderUnclear | OrderAbsent | CancelRefused
"""What a venue call can come to."""
