"""The base of all records, and the types their fields share."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, ClassVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

Amount = Annotated[Decimal, Field(allow_inf_nan=False)]
"""Money or quantity; Avro decimal(38,18); may be negative."""

Positive = Annotated[Decimal, Field(gt=0, allow_inf_nan=False)]
"""Money, price or quantity above zero; Avro decimal(38,18)."""

NotNegative = Annotated[Decimal, Field(ge=0, allow_inf_nan=False)]
"""Money, price or quantity of zero or more; Avro decimal(38,18)."""

Moment = AwareDatetime
"""A UTC instant; Avro timestamp-micros."""

Name = Annotated[str, Field(min_length=1, max_length=249)]
"""An identifier that is never empty."""


class Record(BaseModel):
    """One immutable, closed record; `avro_name` names its schema as `<domain>.<Record>`."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, use_enum_values=False)
    avro_name: ClassVar[str]
