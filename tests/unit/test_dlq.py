"""Dead letters read back: facts apart, marks of replays found, and what a replay would send."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from processors.records.account import Transfer, TransferKind
from schemas.codec import Codecs
from schemas.plain import PlainReader
from schemas.registry import MemoryRegistry, SchemaNotFoundError
from streams import dlq
from streams.cli import letters as cli
from streams.cli.output import CliError, to_json
from streams.engine.deadletters import dead_letter
from streams.engine.event import Message
from streams.engine.partitioner import partition_of
from streams.engine.poison import Verdict
from streams.serde import subjects
from tests.unit.engine_tools import as_read, make_batch, message

HEADERS: list[tuple[str, bytes | None]] = [
    ("a", b"1"), ("a", None), ("cause", b"up|t|0|1|0"), ("replay.from", b"x.dlq|0|1"),
    ("dlq.app", b"earlier"), ("headers.unreadable", None),
]  # fmt: skip
NOW = datetime(2026, 1, 1, tzinfo=UTC)
TRANSFER = Transfer(
    account="alice",
    transfer_id="t1",
    kind=TransferKind.OPENING,
    asset="USD",
    amount=Decimal("84.54"),
    created_time=NOW,
)


def stored(
    at: int, record: Message, *, error: str = "ValueError: no", bare: bool = False
) -> Message:
    """A dead letter as it stands in its topic."""
    verdict = Verdict(error, 2, bare)
    return as_read(dead_letter("app", make_batch(0), record, verdict, "v1"), at, 1_000 + at)


def some(*messages: Message) -> dlq.Letters:
    """Letters of a topic."""
    return dlq.read(messages[0].topic, messages)


def test_a_letter_has_the_records_own_headers_and_the_facts_apart() -> None:
    """Even where the record's own headers are named like facts."""
    letter = dlq.letter_of(stored(7, message("in", 0, 3, 9, b"k", b"\0\0\0\0\x05x", HEADERS)))
    assert letter.headers == tuple(HEADERS)
    assert (letter.key, letter.value, letter.schema_id) == (b"k", b"\0\0\0\0\x05x", 5)
    assert letter.facts == {
        "app": "app", "topic": "in", "partition": "0", "offset": "3", "timestamp": "9",
        "error": "ValueError", "reason": "no", "schema_id": "5", "code_version": "v1", "attempts": "2",
    }  # fmt: skip
    assert letter.time == datetime(1970, 1, 1, 0, 0, 1, 7_000, tzinfo=UTC)


def test_what_is_sent_back_is_the_record_with_its_provenance() -> None:
    """Headers of failures and replays are gone; the cause has another name, for it names no output."""
    record = message("in", 0, 3, 9, b"k", b"v", HEADERS)
    (each,) = dlq.plan(some(stored(7, record)), dlq.Choice(), {"in": 5})
    assert (each.topic, each.partition, each.value) == ("in", partition_of(b"k", 5), b"v")
    assert each.headers == [
        ("a", b"1"), ("a", None), ("replay.from", b"in.dlq|0|7"), ("replay.cause", b"up|t|0|1|0"),
    ]  # fmt: skip
    assert (each.refused, each.again, each.repaired) == ("", False, False)


def test_the_partition_is_that_of_the_key_as_the_topic_has_it() -> None:
    """By the first part of the key where the house says so; without a key, the record's own."""
    record, bare = message("in", 1, 3, key=b"a|b"), message("in", 1, 4, key=None)
    letters = some(stored(0, record), stored(1, bare))
    whole = [each.partition for each in dlq.plan(letters, dlq.Choice(), {"in": 7})]
    assert whole == [partition_of(b"a|b", 7), 1]
    first = dlq.plan(letters, dlq.Choice(), {"in": 7}, by_first_part=lambda name: name == "in")
    assert [each.partition for each in first] == [partition_of(b"a", 7), 1]


def test_a_replayed_letter_is_refused_unless_it_is_asked_for() -> None:
    """The mark that a replay leaves is found, and is no letter itself."""
    one, two = stored(0, message("in", 0, 3)), stored(1, message("in", 0, 4))
    (sent,) = dlq.plan(some(one, two), dlq.Choice(first=1), {"in": 1})
    mark = message("in.dlq", 0, 2, 5_000, b"k", None, sent.mark)
    letters = some(one, two, mark)
    assert [letter.offset for letter in letters.letters] == [0, 1]
    first, second = dlq.plan(letters, dlq.Choice(), {"in": 1})
    assert (first.refused, second.again) == ("", True)
    assert "replayed before, to in|0" in second.refused
    assert [each.refused for each in dlq.plan(letters, dlq.Choice(), {"in": 1}, again=True)] == [
        "",
        "",
    ]
    (row,) = dlq.summary([letters])
    assert (row["count"], row["replayed"]) == (2, 1)


def test_a_record_that_only_looks_like_a_mark_is_a_letter() -> None:
    """With a value, with facts, or about another topic, it is none."""
    fakes = [
        message("in.dlq", 0, 0, headers=[(dlq.OF, b"in.dlq|0|9")]),
        message("in.dlq", 0, 1, value=None, headers=[(dlq.OF, b"other.dlq|0|9")]),
        message("in.dlq", 0, 2, value=None, headers=[(dlq.OF, b"in.dlq|0")]),
        stored(3, message("in", 0, 9, value=None, headers=[(dlq.OF, b"in.dlq|0|9")])),
    ]
    letters = some(*fakes)
    assert len(letters.letters) == 4
    assert letters.marks == {}


def test_what_cannot_go_back_says_why() -> None:
    """A value that was left out, a row of a source, a topic that is gone."""
    row = message("in.dlq", 0, 1, headers=[("dlq.app", b"a"), ("dlq.error", b"RefusedRow"), ("dlq.row", b"3")])  # fmt: skip
    letters = some(stored(0, message("in"), bare=True), row)
    bare, refused = dlq.plan(letters, dlq.Choice(), {"in": 1})
    assert "--set-value" in bare.refused
    assert "a source refused" in refused.refused
    assert [each.refused for each in dlq.plan(letters, dlq.Choice(), {}, repair=lambda _: b"x")] == [
        "there is no topic in", "there is no topic in",
    ]  # fmt: skip
    assert dlq.plan(letters, dlq.Choice(), {"in": 1}, repair=lambda _: b"x")[0].value == b"x"


@pytest.mark.parametrize(
    ("options", "offsets"),
    [
        ({}, [0, 1, 2, 3]),
        ({"offset": "1"}, [1]),
        ({"offset": "1..2"}, [1, 2]),
        ({"offset": "2.."}, [2, 3]),
        ({"offset": "..1"}, [0, 1]),
        ({"error": "KeyError"}, [2]),
        ({"key": "b"}, [3]),
        ({"partition": 1}, []),
        ({"error": "ValueError", "offset": "1.."}, [1, 3]),
    ],
)
def test_letters_are_chosen_by_place_error_and_key(
    options: dict[str, Any], offsets: list[int]
) -> None:
    """Every condition that is given holds."""
    letters = some(
        *(stored(n, message("in", 0, n, key=b"b" if n == 3 else b"a"),
                 error="KeyError: x" if n == 2 else "ValueError: x") for n in range(4))
    )  # fmt: skip
    choice = cli.choice_of(
        options.get("partition"), options.get("offset"), options.get("error"), options.get("key")
    )
    assert [each.letter.offset for each in dlq.plan(letters, choice, {"in": 1})] == offsets
    assert choice.anything == (not options)


@pytest.mark.parametrize("text", ["", "a", "1..b", "..", "-1", "1...2", "1..2..3"])
def test_an_offset_that_is_none_is_refused(text: str) -> None:
    """With the four ways to write one."""
    with pytest.raises(CliError, match="no such offset"):
        cli.choice_of(None, text, None, None)


@pytest.fixture
def codecs() -> Codecs:
    return Codecs(MemoryRegistry(), subjects())


def transfer_letter(codecs: Codecs, value: bytes | None = None) -> dlq.Letter:
    """A transfer that an agent gave up."""
    data = codecs.codec(Transfer).encode(TRANSFER) if value is None else value
    return dlq.letter_of(stored(4, message("account.transfer", 0, 3, 9, b"alice", data, [("h", b"\xff")])))  # fmt: skip


def test_json_shows_all_of_a_letter(codecs: Codecs) -> None:
    """The shape that scripts rely on."""
    letter = transfer_letter(codecs)
    reader = PlainReader(codecs._registry)
    shown = json.loads(
        to_json(cli.document_of(dlq.Letters("account.transfer.dlq", [letter]), letter, reader))
    )
    decoded = shown["value"].pop("decoded")
    assert (decoded["account"], decoded["kind"]) == ("alice", "OPENING")
    assert Decimal(decoded["amount"]) == Decimal("84.54")
    assert decoded["created_time"] == "2026-01-01T00:00:00Z"
    schema_id = codecs.codec(Transfer).schema_id
    assert shown == {
        "topic": "account.transfer.dlq",
        "partition": 0,
        "offset": 4,
        "time": "1970-01-01T00:00:01.004000Z",
        "key": "alice",
        "value": {"schema_id": schema_id, "hex": (letter.value or b"").hex(), "problem": None},
        "headers": [["h", "0xff"]],
        "facts": {
            "app": "app",
            "topic": "account.transfer",
            "partition": "0",
            "offset": "3",
            "timestamp": "9",
            "error": "ValueError",
            "reason": "no",
            "schema_id": str(schema_id),
            "code_version": "v1",
            "attempts": "2",
        },
        "replays": [],
    }


def test_a_value_that_cannot_be_decoded_is_shown_as_it_is(codecs: Codecs) -> None:
    """Its bytes, and why: an unknown id, a cut body, no frame at all."""
    whole = codecs.codec(Transfer).encode(TRANSFER)
    reader = PlainReader(codecs._registry)
    for value, problem in (
        (b"\0\x00\x00\x00\x09x", "no such schema id"),
        (whole[:-2], "not the record"),
        (whole + b"x", "bytes follow"),
    ):
        shown = cli.value_of(transfer_letter(codecs, value), reader)
        assert (shown["decoded"], shown["hex"]) == (None, value.hex())
        assert problem in shown["problem"] or "bytes end" in shown["problem"], shown
    assert cli.value_of(transfer_letter(codecs, b"[1"), reader)["problem"] is None
    with pytest.raises(SchemaNotFoundError):
        reader.read(b"\0\0\0\0\x09x")


def test_a_patch_changes_fields_and_keeps_the_rest(codecs: Codecs) -> None:
    """Amounts stay exact; the record is checked as strictly as any other."""
    letter, reader = transfer_letter(codecs), PlainReader(codecs._registry)
    repair = cli.patching(codecs, reader, None, ["amount=0.1", "asset=BTC"])
    found = codecs.codec(Transfer).decode(repair(letter))
    assert found == TRANSFER.model_copy(update={"amount": Decimal("0.1"), "asset": "BTC"})
    for wrong, why in (
        ("amount=no", "amount"),
        ("nothing=1", "no field nothing"),
        ("account=bob", "key is another's"),
        ("amount=0.0000000000000000001", "Avro type"),
    ):
        with pytest.raises(ValueError, match=why):
            cli.patching(codecs, reader, None, [wrong])(letter)
    with pytest.raises(CliError, match="FIELD=VALUE"):
        cli.patching(codecs, reader, None, ["amount"])


def test_a_given_value_is_a_record_of_its_topic_or_bytes(codecs: Codecs, tmp_path: Path) -> None:
    """JSON for a topic of the catalogue; for another topic the bytes of the file."""
    file = tmp_path / "value.json"
    file.write_text(TRANSFER.model_dump_json())
    repair = cli.setting(codecs, None, file)
    assert codecs.codec(Transfer).decode(repair(transfer_letter(codecs, b"broken"))) == TRANSFER
    other = dlq.letter_of(stored(0, message("in", value=b"x")))
    assert repair(other) == file.read_bytes()
    with pytest.raises(CliError, match="cannot be read"):
        cli.setting(codecs, None, tmp_path / "none")
