"""The tables of each processor: what they keep, and under which key."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from processors.records.base import Record
from processors.records.state_account import AccountState, OrderState, PositionState, Seen
from processors.records.state_market import Strategy, Technical
from processors.records.state_placement import InFlight
from schemas.codec import Codecs
from streams.engine import App
from streams.serde import RecordSchema


@dataclass(frozen=True, slots=True)
class TableSpec:
    """One table: its record, and its key in words."""

    record: type[Record]
    key: str


TABLES: Final[dict[str, dict[str, TableSpec]]] = {
    "technical_analysis": {"instruments": TableSpec(Technical, "instrument")},
    "strategy": {"instruments": TableSpec(Strategy, "instrument")},
    "risk_manager": {
        "accounts": TableSpec(AccountState, "account"),
        "orders": TableSpec(OrderState, "account|order_id"),
        "positions": TableSpec(PositionState, "account|instrument"),
        "seen": TableSpec(Seen, "account|order_id|trade_id"),
    },
    "execution": {"in_flight": TableSpec(InFlight, "account|order_id")},
}
"""By processor and name. The names are those of the changelogs, and never change."""


def table(app: App, codecs: Codecs, processor: str, name: str, partitions: int) -> Any:
    """Declare a table of a processor on its app.

    Args:
        app: the processor's app.
        codecs: those of the process.
        processor: its name.
        name: name of the table.
        partitions: count of the processor's unit.
    Returns:
        The table: records outside, Avro bytes in the changelog.
    """
    spec = TABLES[processor][name]
    schema = RecordSchema(codecs, spec.record, trusted=True)
    return app.Table(name, schema=schema, partitions=partitions, key_type=str)
