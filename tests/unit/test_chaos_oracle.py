"""The chaos oracle finds each kind of anomaly in a history made by hand, and none in a right one."""

from __future__ import annotations

import ast
import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.architecture import tree
from tests.chaos.chain import GENESIS, Journal, compare_dead, compare_offsets, head_of
from tests.chaos.model import Expected, Model, Place, digest_of
from tests.chaos.verdict import (
    NAMES,
    Verdict,
    by_id,
    compare,
    compare_tables,
    conserve,
    prefix,
)
from tests.chaos.watcher import view
from tests.integration.oracle import Row

PLAN: dict[str, Any] = {
    "group": "g",
    "order": "order",
    "transfer": "transfer",
    "decision": "decision",
    "receipt": "receipt",
    "tables": {"balances": "balances", "deposits": "deposits"},
}
CHECKED = ("oracle", "model", "verdict", "chain", "watcher")
"""The modules of the oracle's process; with tests/integration/oracle.py."""


def _order(offset: int, kind: str, account: str, amount: int) -> Row:
    order = {"id": f"o-{offset}", "kind": kind, "account": account, "amount": amount}
    return Row("order", 0, offset, account.encode(), json.dumps(order).encode(), [])


INPUTS = [
    _order(0, "hold", "A", 100),
    _order(1, "hold", "B", 50),
    _order(2, "rude", "A", 10),
    _order(3, "hold", "A", 21),
    _order(4, "hold", "A", 99_999),
    _order(5, "close", "B", 0),
    _order(6, "hold", "A", 5),
    Row("order", 0, 7, b"A", b"\xff", []),
    _order(8, "audit", "audit", 0),
    Row("transfer", 0, 0, b"A", b'{"id": "t-1", "amount": 7}', []),
    Row("transfer", 0, 1, b"A", b'{"id": "t-2", "amount": 8}', []),
]


def _expected() -> Expected:
    return Model(PLAN).fold(INPUTS)


def _rows(expected: Expected) -> list[Row]:
    return [
        Row(f.topic, f.partition, at, f.key, f.value, [("cause", f.cause.encode())])
        for at, f in enumerate(expected.outputs)
    ]


def _always(kind: str) -> Callable[[Place], str]:
    return lambda _: kind


def _compared(rows: list[Row], kind: str = "lost-write") -> Verdict:
    verdict = Verdict()
    compare(_expected().outputs, rows, _always(kind), verdict)
    return verdict


def test_model_says_what_the_rules_say() -> None:
    """Holds add up, multiples of seven and what is over the limit are refused, a closing removes the row."""
    expected = _expected()
    answers = [json.loads(fact.value) for fact in expected.outputs]
    assert [(a.get("reason"), a.get("balance")) for a in answers[:6]] == [
        ("", 100), ("", 50), ("lot", 100), ("limit", 100), ("", 0), ("", 105),
    ]  # fmt: skip
    assert answers[6] == {"id": "o-8", "kind": "audit", **digest_of({b"A": b"105"})}
    assert expected.tables == {"balances": {0: {b"A": b"105"}}, "deposits": {0: {b"A": b"15"}}}
    assert [fact.source[2] for fact in expected.dead] == [2, 7]
    assert [fact.value for fact in expected.dead] == [INPUTS[2].value, b"\xff"]


def test_right_history_has_no_anomaly() -> None:
    """What the model expects is not called wrong, whichever way the keys are interleaved."""
    rows = _rows(_expected())
    assert _compared(rows).total == 0
    mixed = sorted(rows, key=lambda row: (row.key or b"", row.offset))
    assert _compared(mixed).total == 0


def _without(rows: list[Row]) -> list[Row]:
    return [row for row in rows if row.offset != 2]


def _twice(rows: list[Row]) -> list[Row]:
    return [*rows, rows[2]._replace(offset=99)]


def _swapped(rows: list[Row]) -> list[Row]:
    return [rows[2], *rows[:2], *rows[3:]]


def _phantom(rows: list[Row]) -> list[Row]:
    return [*rows, rows[0]._replace(offset=99, headers=[("cause", b"g|order|0|2|0")])]


def _wrong_value(rows: list[Row]) -> list[Row]:
    return [rows[0]._replace(value=b'{"balance": 7}'), *rows[1:]]


def _other_cause(rows: list[Row]) -> list[Row]:
    return [rows[0]._replace(headers=[("cause", b"random")]), *rows[1:]]


@pytest.mark.parametrize(
    ("change", "kinds"),
    [
        (_without, {"lost-write"}),
        (_twice, {"duplicate"}),
        (_swapped, {"nonmonotonic"}),
        (_phantom, {"G1a"}),
        (_wrong_value, {"G1a"}),
        (_other_cause, {"G1a", "lost-write"}),
    ],
)
def test_one_wrong_record_is_called_by_its_name(
    change: Callable[[list[Row]], list[Row]], kinds: set[str]
) -> None:
    """A record left out, doubled, swapped, made up, changed or renamed is one anomaly of its kind."""
    verdict = _compared(change(_rows(_expected())))
    assert set(verdict.counts) == kinds
    assert all(verdict.counts[kind] == 1 for kind in kinds)
    assert all(verdict.examples[kind] for kind in kinds)


def test_missing_record_of_an_input_that_was_passed_is_a_skip() -> None:
    """What is missing bears the name of why: processed and lost, passed unprocessed, or not reached."""
    rows = _without(_rows(_expected()))
    for kind in ("lost-write", "poll-skip", "unsettled"):
        assert set(_compared(rows, kind).counts) == {kind}


def test_engine_without_causes_is_compared_by_ids() -> None:
    """Where no cause is written, the id in the value names a record: a double is found there too."""
    rows = [row._replace(headers=[]) for row in _rows(_expected())]
    for found, total in ((rows, 0), (_twice(rows), 1)):
        verdict = Verdict()
        compare(_expected().outputs, found, _always("lost-write"), verdict, by_id)
        assert verdict.total == total


@pytest.mark.parametrize(
    "change",
    [
        {"balances": {0: {b"A": b"105", b"B": b"50"}}},  # a lost tombstone
        {"balances": {0: {}}},  # a lost row
        {"balances": {0: {b"A": b"100"}}},  # an old value
        {"balances": {0: {b"A": b"105"}, 1: {b"A": b"105"}}},  # another partition's
    ],
)
def test_table_that_is_not_the_references_is_torn(
    change: dict[str, dict[int, dict[bytes, bytes]]],
) -> None:
    """A row too many, too few, old, or in another partition is found."""
    expected, verdict = _expected(), Verdict()
    compare_tables(expected, expected.tables, verdict)
    assert verdict.total == 0
    compare_tables(expected, {**expected.tables, **change}, verdict)
    assert verdict.counts == {"torn": 1}


def test_decisions_must_add_up_to_the_balances() -> None:
    """The sum of what is held and released is the row, to the unit."""
    rows = [row for row in _rows(_expected()) if row.topic == "decision"]
    verdict = Verdict()
    conserve(rows, {b"A": 105}, verdict)
    assert verdict.total == 0
    conserve(rows, {b"A": 104}, verdict)
    conserve(rows[1:], {b"A": 105}, verdict)
    assert verdict.counts == {"torn": 2}


def test_readers_view_is_the_beginning_of_the_final_one() -> None:
    """A record that is gone later is an aborted read; one read out of order or past a gap is out of order."""
    rows = _rows(_expected())
    whole = view(rows)
    right = view([row for row in rows if row.offset < 4])
    gone = view([*rows[:2], rows[2]._replace(value=b"aborted")])
    gap = view([*rows[:1], *rows[2:4]])
    for live, kinds in ((right, {}), (gone, {"G1a": 1}), (gap, {"nonmonotonic": 1})):
        verdict = Verdict()
        prefix(live, whole, verdict)
        assert verdict.counts == kinds


def _journal(*runs: list[list[Any]], **changes: Any) -> list[Row]:
    rows: list[Row] = []
    head = GENESIS
    for at, one in enumerate(runs):
        record: dict[str, Any] = {"sequence": at + 1, "now": 1_000 + at, "runs": one}
        if at == len(runs) - 1:
            record |= changes
        head = record["head"] = head_of(head, record)
        rows.append(Row("journal", 0, at, b"0", json.dumps(record).encode(), []))
    return rows


OFFSETS = {("order", 0): [*range(9)], ("transfer", 0): [0, 1]}
RUNS: list[list[list[Any]]] = [
    [["records", "order", 0, 1], ["dead", "order", 2, "rude"], ["records", "order", 3, 6]],
    [["dead", "order", 7, "bytes"], ["records", "order", 8, 8], ["clock", 1.0]],
    [["records", "transfer", 0, 1]],
]


def test_right_journal_is_taken_whole() -> None:
    """Sequence, chain, runs and clock of a right journal give no anomaly, and say what was processed."""
    verdict = Verdict()
    journal = Journal(_journal(*RUNS), OFFSETS, verdict)
    compare_dead(journal, {fact.source for fact in _expected().dead}, verdict)
    assert verdict.total == 0
    assert journal.following == {("order", 0): 9, ("transfer", 0): 2}
    assert journal.processed(("order", 0, 8))
    assert not journal.processed(("order", 0, 9))


@pytest.mark.parametrize(
    ("rows", "kind"),
    [
        (_journal(*RUNS)[1:], "inconsistent-offset"),
        ([*_journal(*RUNS), _journal(*RUNS)[2]], "inconsistent-offset"),
        (_journal(*RUNS[:2], [["records", "transfer", 1, 1]]), "inconsistent-offset"),
        (_journal(*RUNS[:2], [["records", "order", 8, 8]]), "inconsistent-offset"),
        (_journal(*RUNS, now=999), "nonmonotonic"),
        ([*_journal(*RUNS)[:2], _journal(*RUNS[:2], RUNS[1])[2]._replace(value=_journal(RUNS[2], sequence=3)[0].value)], "torn"),
    ],
)  # fmt: skip
def test_wrong_journal_is_found(rows: list[Row], kind: str) -> None:
    """A record that is missing, doubled, leaves a gap, overlaps, goes back in time or breaks the chain is found."""
    verdict = Verdict()
    Journal(rows, OFFSETS, verdict)
    assert kind in verdict.counts


def test_dead_letters_are_exactly_the_poison() -> None:
    """A good record called dead was lost; poison called processed was torn out of the dead letters."""
    verdict = Verdict()
    compare_dead(
        Journal(_journal(*RUNS), OFFSETS, verdict), {("order", 0, 2), ("order", 0, 3)}, verdict
    )
    assert verdict.counts == {"lost-write": 1, "torn": 1}


def test_committed_offsets_stand_where_the_journal_stands() -> None:
    """An offset past or before what was processed is found, and so is a mark of another transaction."""
    journal = Journal(_journal(*RUNS), OFFSETS, Verdict())
    sequence, head = journal.newest[0]
    mark = f"boot:{sequence}:{head}:1002"
    ends = {("order", 0): 9}
    for offset, said, count in ((9, mark, 0), (10, mark, 1), (8, mark, 1), (9, "boot:1:x:1", 1)):
        verdict = Verdict()
        compare_offsets({("order", 0): (offset, said)}, ends, journal, verdict)
        assert verdict.counts["inconsistent-offset"] == count


def test_markers_between_inputs_are_no_gap() -> None:
    """Runs go from record to record: an offset that a commit marker has is neither skipped nor processed."""
    inputs = {("order", 0): [0, 1, 3, 4]}
    verdict = Verdict()
    journal = Journal(_journal([["records", "order", 0, 3]]), inputs, verdict)
    assert journal.waiting(("order", 0)) == 4
    compare_offsets(
        {("order", 0): (4, f"b:{1}:{journal.newest[0][1]}:1")}, {("order", 0): 6}, journal, verdict
    )
    assert verdict.total == 0
    compare_offsets(
        {("order", 0): (5, f"b:{1}:{journal.newest[0][1]}:1")}, {("order", 0): 6}, journal, verdict
    )
    assert verdict.counts == {"inconsistent-offset": 1}


def test_report_has_every_kind() -> None:
    """The report counts each kind by name, those of which there are none too."""
    verdict = Verdict()
    verdict.add("torn", "here", 2)
    verdict.add("torn", "there")
    report = verdict.as_json()
    assert tuple(report) == NAMES
    assert report["torn"] == {"count": 3, "example": "here"}
    assert report["G1a"] == {"count": 0, "example": None}


def test_oracle_shares_nothing_with_what_it_checks() -> None:
    """The modules of its process import neither the packages of the wheel nor the app under test."""
    allowed = {f"tests.chaos.{name}" for name in CHECKED} | {"tests.chaos"}
    allowed |= {"tests.integration.oracle"}
    names = {f"tests/chaos/{name}.py" for name in CHECKED} | {"tests/integration/oracle.py"}
    seen = set()
    for name, text in tree.sources("tests"):
        if name in names:
            ast.parse(text)
            seen.add(name)
            for _, module in tree.imports(name, text):
                assert not tree.is_under(module, *tree.PACKAGES), f"{name} imports {module}"
                assert not tree.is_under(module, "tests") or module in allowed, (name, module)
    assert seen == names
