"""A record with some fields changed is the record that a checked copy would be."""

from __future__ import annotations

from decimal import Decimal

import pytest
from pydantic import ValidationError

from processors.records.state_account import AssetBalance


def test_but_is_a_cheap_copy_and_leaves_the_record_alone() -> None:
    """Equal to model_copy, of the same hash and text, frozen still; the old record is as it was."""
    record = AssetBalance(total=Decimal(5), held=Decimal(1))
    changed = record.but({"held": Decimal(2)})
    copied = record.model_copy(update={"held": Decimal(2)})
    assert changed == copied
    assert hash(changed) == hash(copied)
    assert changed.model_dump_json() == copied.model_dump_json()
    assert repr(changed) == repr(copied)
    assert record == AssetBalance(total=Decimal(5), held=Decimal(1))
    with pytest.raises(ValidationError):
        changed.held = Decimal(3)  # type: ignore[misc]
