"""What execution keeps in its table about an order that may be at a venue."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from processors.records.base import Moment, Name, NotNegative, Record
from processors.records.trade import OrderEvent, Status


class InFlight(Record):
    """One order from the moment its send is recorded until nothing more can come of it."""

    avro_name: ClassVar[str] = "state.InFlight"
    order: OrderEvent = Field(description="The frozen request.")
    status: Status = Field(description="Newest status that its venue or we stated.")
    acknowledged: bool = Field(description="Whether its venue has stated that it has the order.")
    ended: bool = Field(description="Whether a terminal report has come.")
    cancel_asked: bool = Field(description="Whether a cancel is under way.")
    venue_order_id: Name | None = Field(default=None, description="FIX 37.")
    filled_quantity: NotNegative = Field(description="Base units filled, as reported in sum.")
    traded_quantity: NotNegative = Field(
        description="Base units of the fills that were reported one by one."
    )
    seen: tuple[str, ...] = Field(description="execution_id of every venue report taken in.")
    queries: int = Field(ge=0, description="Queries since the last news.")
    sent_time: Moment = Field(description="Journaled time of the record of the send.")
    next_query_time: Moment = Field(description="When to ask the venue if nothing comes before.")
    updated_time: Moment = Field(description="Journaled time of the newest change.")
