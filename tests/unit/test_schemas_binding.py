"""Models and their sources are held together, both ways."""

from __future__ import annotations

import copy
from collections.abc import Callable
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Any, ClassVar

import pytest
from pydantic import Field

from processors.errors import ConfigError
from processors.records.base import Record
from processors.records.trade import ExecutionReport
from schemas import derive
from schemas.binding import differences, unbound
from schemas.catalog import packaged


def test_every_record_is_its_schema() -> None:
    """No record and no .avsc stands alone, and none differs: else run python -m schemas.derive."""
    assert unbound(derive.models(), packaged()) == []


def test_the_sources_are_what_derive_writes(capsys: pytest.CaptureFixture[str]) -> None:
    """`python -m schemas.derive --check` finds nothing to write."""
    assert derive.main(["--check"]) == 0
    assert capsys.readouterr().out == ""


def test_derive_writes_repairs_and_removes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A missing, a changed and an orphaned file are named by --check and put right without it."""
    assert derive.main(["--root", str(tmp_path)]) == 0
    (tmp_path / "trade" / "Fee.avsc").write_text("{}")
    (tmp_path / "trade" / "Signal.avsc").unlink()
    (tmp_path / "trade" / "Gone.avsc").write_text("{}")
    capsys.readouterr()
    assert derive.main(["--root", str(tmp_path), "--check"]) == 3
    told = capsys.readouterr().out.splitlines()
    assert sorted(told) == [
        "differs: trade/Fee.avsc",
        "missing: trade/Signal.avsc",
        "no model: trade/Gone.avsc",
    ]
    assert derive.main(["--root", str(tmp_path)]) == 0
    assert derive.main(["--root", str(tmp_path), "--check"]) == 0


def field(document: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(one for one in document["fields"] if one["name"] == name)
    return found


CHANGES: dict[str, Callable[[dict[str, Any]], object]] = {
    "doc": lambda d: field(d, "fee").update(doc="other"),
    "type": lambda d: field(d, "account").update(type="bytes"),
    "scale": lambda d: field(d, "fee")["type"].update(scale=8),
    "nullability": lambda d: field(d, "last_price").update(type=field(d, "last_price")["type"][1]),
    "default": lambda d: field(d, "prevented_quantity").pop("default"),
    "default added": lambda d: field(d, "account").update(default=""),
    "symbols": lambda d: field(d, "status")["type"]["symbols"].append("LOST"),
    "enum default": lambda d: field(d, "execution_type")["type"].pop("default"),
    "field gone": lambda d: d["fields"].pop(),
    "field more": lambda d: d["fields"].append({"name": "x", "type": "long", "doc": ""}),
    "order": lambda d: d["fields"].reverse(),
    "record doc": lambda d: d.update(doc="other"),
    "namespace": lambda d: d.update(namespace="fillonce.other"),
    "nested": lambda d: field(d, "fees")["type"]["items"]["fields"].pop(),
}


@pytest.mark.parametrize("name", CHANGES)
def test_every_kind_of_difference_is_found(name: str) -> None:
    """Types, nullability, defaults, symbols, docs, order and names: a change of any is named."""
    document = derive.document_of(ExecutionReport)
    assert differences(ExecutionReport, copy.deepcopy(document)) == []
    CHANGES[name](document)
    lines = differences(ExecutionReport, document)
    assert lines
    assert all(line.startswith("ExecutionReport") for line in lines)


class _Colour(StrEnum):
    """A colour."""

    RED = "RED"


def _model(annotation: Any, default: Any = ..., description: str | None = "x") -> type[Record]:
    body = {
        "__doc__": "A record.",
        "__annotations__": {"avro_name": ClassVar[str], "value": annotation},
        "__module__": __name__,
        "avro_name": "test.Made",
        "value": Field(default, description=description),
    }
    return type("Made", (Record,), body)


@pytest.mark.parametrize(
    "model",
    [
        _model(bytes),
        _model(list[int]),
        _model(tuple[int, int]),
        _model(dict[int, int]),
        _model(int | str),
        _model(int | str | None),
        _model(int, description=None),
        _model(int | None, default=7),
        _model(object),
    ],
    ids=lambda model: str(model.model_fields["value"].annotation),
)
def test_what_avro_can_not_carry_is_refused(model: type[Record]) -> None:
    """A type, a default or a missing doc that would be lost is an error that names the record."""
    with pytest.raises(ConfigError) as caught:
        derive.document_of(model)
    assert caught.value.context["avro_name"] == "test.Made"


def test_defaults_are_those_of_the_model() -> None:
    """A decimal's default is its bytes, an enum's its symbol, an empty tuple's an empty array."""
    made = {
        "decimal": (Decimal, Decimal("0.05")),
        "enum": (_Colour, _Colour.RED),
        "array": (tuple[int, ...], ()),
        "map": (dict[str, int], {}),
    }
    found = {
        name: derive.document_of(_model(kind, default))["fields"][0]["default"]
        for name, (kind, default) in made.items()
    }
    assert found == {
        "decimal": "\x00\xb1\xa2\xbc.\xc5\x00\x00",
        "enum": "RED",
        "array": [],
        "map": {},
    }
