"""Records of operation: alerts and worker addresses."""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar

from pydantic import Field

from processors.records.base import Moment, Name, Record


class Severity(StrEnum):
    """How urgent an alert is. TICKET is the schema's default."""

    PAGE = "PAGE"
    TICKET = "TICKET"


class Alert(Record):
    """Something an operator has to know."""

    avro_name: ClassVar[str] = "ops.Alert"
    source: Name = Field(description="Who raises it; the record key.")
    kind: Name = Field(description="Stable name, such as overdraft or late_fill.")
    severity: Severity = Field(description="How urgent.")
    message: str = Field(description="In words.")
    details: dict[str, str] = Field(description="Values by name; names in order.")
    created_time: Moment = Field(description="Journaled time.")


class WorkerAddress(Record):
    """Which worker owns a partition of a processor."""

    avro_name: ClassVar[str] = "ops.WorkerAddress"
    processor: Name = Field(description="Name of the processor.")
    partition: int = Field(ge=0, description="Partition owned.")
    instance_id: Name = Field(description="Instance that owns it.")
    address: str = Field(description="Host and port of its web server; empty when it has none.")
    updated_time: Moment = Field(description="When it was assigned.")
