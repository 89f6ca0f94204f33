"""The registry client against a real registry, and against answers that no registry should give."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from processors.errors import DecodeError, UnavailableError
from processors.records.base import Record
from processors.records.trade import Fee
from schemas import codec as codecs
from schemas.frame import Codec
from schemas.registry import (
    DEFAULT_LEVEL,
    HttpRegistry,
    IncompatibleSchemaError,
    NotARegistryError,
    RegistryError,
    RegistryRefusedError,
    RegistryUnreachableError,
    SchemaNotFoundError,
)
from streams.cli.main import run
from streams.local.services import Services

SCHEMA = json.dumps(
    {"type": "record", "name": "R", "namespace": "a", "fields": [{"name": "x", "type": "long"}]}
)
BROKEN = SCHEMA.replace('"x"', '"y"')


@pytest.fixture
def registry(services: Services) -> Iterator[HttpRegistry]:
    """A client of the real registry."""
    client = HttpRegistry(services.registry_url, timeout=10)
    yield client
    client.close()


def test_a_schema_is_registered_once_at_full_transitive(
    registry: HttpRegistry, topic_prefix: str
) -> None:
    """Registering sets the level; a second time changes nothing; look-ups find what is there."""
    subject = f"{topic_prefix}t-value"
    with pytest.raises(SchemaNotFoundError):
        registry.id_of(subject, SCHEMA)
    for call in (registry.versions, registry.latest):
        with pytest.raises(SchemaNotFoundError):
            call(subject)
    schema_id = registry.register(subject, SCHEMA)
    assert registry.register(subject, SCHEMA) == schema_id
    assert registry.id_of(subject, SCHEMA) == schema_id
    assert registry.level(subject) == DEFAULT_LEVEL
    assert json.loads(registry.schema_by_id(schema_id)) == json.loads(SCHEMA)
    assert [(one.number, one.schema_id) for one in registry.versions(subject)] == [(1, schema_id)]
    assert registry.latest(subject).number == 1
    assert subject in registry.subjects()
    assert registry.register(f"{topic_prefix}u-value", SCHEMA) == schema_id


def test_an_incompatible_schema_is_refused(registry: HttpRegistry, topic_prefix: str) -> None:
    """The registry enforces the level that registering has set."""
    subject = f"{topic_prefix}t-value"
    registry.register(subject, SCHEMA)
    with pytest.raises(IncompatibleSchemaError) as caught:
        registry.register(subject, BROKEN)
    assert caught.value.context["subject"] == subject
    registry.set_level(subject, "NONE")
    assert registry.level(subject) == "NONE"


def test_what_is_no_schema_is_refused(registry: HttpRegistry, topic_prefix: str) -> None:
    """Text that is no Avro schema is a refusal, not an unknown failure."""
    with pytest.raises(RegistryRefusedError):
        registry.register(f"{topic_prefix}t-value", '{"type": "nothing"}')
    with pytest.raises(SchemaNotFoundError):
        registry.schema_by_id(2_000_000_000)


def test_every_record_goes_through_the_real_registry(services: Services, topic_prefix: str) -> None:
    """A frame written with ids of the real registry is read by another client of it."""
    subjects: dict[type[Record], str] = {Fee: f"{topic_prefix}fee-value"}
    writer = codecs.Codecs(HttpRegistry(services.registry_url), subjects).codec(Fee)
    reader = codecs.Codecs(HttpRegistry(services.registry_url), subjects, register=False).codec(Fee)
    fee = Fee(asset="BTC", amount=Decimal("0.00000058"))
    frame = writer.encode(fee)
    assert reader.decode(frame) == fee
    assert codecs.schema_id_of(frame) == writer.schema_id
    with pytest.raises(DecodeError, match="schema id is unknown"):
        reader.decode(b"\0" + (2_000_000_000).to_bytes(4, "big") + frame[5:])


def test_register_plans_then_registers_and_check_agrees(
    services: Services, capsys: pytest.CaptureFixture[str]
) -> None:
    """A plan changes nothing; --execute registers all; then check and a second plan are quiet."""
    there = ["--registry", services.registry_url]

    def actions(*more: str) -> tuple[int, dict[str, str]]:
        capsys.readouterr()
        status = run(["--output", "json", "schema", "register", *there, *more])
        rows = json.loads(capsys.readouterr().out)["subjects"]
        return status, {row["subject"]: row["action"] for row in rows}

    status, planned = actions("--check")
    assert status == (3 if set(planned.values()) - {"unchanged"} else 0)
    assert actions("--execute")[0] == 0
    status, after = actions("--check")
    assert status == 0
    assert set(after.values()) == {"unchanged"}
    assert after.keys() == planned.keys()
    assert run(["schema", "check", "--against", "registry", *there]) == 0


@dataclass
class Answer:
    """What the stand-in answers, and what it was asked."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)


@contextmanager
def answering(answer: Answer) -> Iterator[str]:
    """Serve one answer to every request, on loopback."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer.asked.append(self.path)
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body)

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.do_GET()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
            del format, args

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def error(code: int) -> bytes:
    return json.dumps({"error_code": code, "message": "in words"}).encode()


PAGE = b"<html><body>Maintenance</body></html>"
ANSWERS: dict[str, tuple[Answer, type[RegistryError]]] = {
    "page with 200": (Answer(200, PAGE), NotARegistryError),
    "page with 404": (Answer(404, PAGE), NotARegistryError),
    "nothing with 200": (Answer(200), NotARegistryError),
    "JSON that is no answer": (Answer(200, b"[]"), NotARegistryError),
    "no schema in it": (Answer(200, b"{}"), NotARegistryError),
    "redirect": (Answer(302, b"", {"Location": "http://127.0.0.1:1/"}), NotARegistryError),
    "404": (Answer(404, error(40403)), SchemaNotFoundError),
    "401": (Answer(401, error(401)), RegistryRefusedError),
    "403 without a body": (Answer(403), RegistryRefusedError),
    "409": (Answer(409, error(409)), IncompatibleSchemaError),
    "422": (Answer(422, error(42201)), RegistryRefusedError),
    "429": (Answer(429, error(429)), RegistryUnreachableError),
    "500 page": (Answer(500, PAGE), RegistryUnreachableError),
    "503": (Answer(503, error(503)), RegistryUnreachableError),
    "JSON Schema": (
        Answer(200, json.dumps({"schema": "{}", "schemaType": "JSON"}).encode()),
        SchemaNotFoundError,
    ),
    "Protobuf": (
        Answer(200, json.dumps({"schema": "x", "schemaType": "PROTOBUF"}).encode()),
        SchemaNotFoundError,
    ),
    "a schema of two megabytes": (
        Answer(200, json.dumps({"schema": " " * 2_000_000}).encode()),
        NotARegistryError,
    ),
}


@pytest.mark.parametrize("case", ANSWERS)
def test_every_answer_is_told_apart(case: str) -> None:
    """A page, a redirect, a refusal, a missing schema and a pause each are their own error."""
    given, expected = ANSWERS[case]
    answer = Answer(given.status, given.body, given.headers)
    with answering(answer) as url, pytest.raises(RegistryError) as caught:
        HttpRegistry(url, timeout=5, retries=1).schema_by_id(7)
    assert type(caught.value) is expected
    assert caught.value.context["schema_id"] == 7
    assert all("/schemas/ids/7" in path for path in answer.asked)


def test_ids_are_asked_for_once() -> None:
    """A schema id never means anything else: the second time nobody is asked."""
    answer = Answer(200, json.dumps({"schema": SCHEMA}).encode())
    with answering(answer) as url:
        registry = HttpRegistry(url)
        assert registry.schema_by_id(7) == registry.schema_by_id(7) == SCHEMA
    assert len(answer.asked) == 1


def test_an_id_that_a_lagging_registry_lacks_is_waited_for() -> None:
    """404 is no verdict at first; a node that catches up answers, one that never does is given up."""
    now = [0.0]
    answer = Answer(404, error(40403))
    frame = b"\0" + (7).to_bytes(4, "big") + b"\x06BTC\x02\x01"
    with answering(answer) as url:
        reader = codecs.Codecs(
            HttpRegistry(url, retries=0), {Fee: "x"}, patience=60.0, monotonic=lambda: now[0]
        )
        codec = Codec(Fee, codecs.schema_text(Fee), 1, reader.writer)
        for now[0] in (0.0, 59.9):
            with pytest.raises(UnavailableError, match="not known yet"):
                codec.decode(frame)
        answer.status, answer.body = 503, error(503)
        with pytest.raises(UnavailableError, match="can't answer now"):
            codec.decode(frame)
        answer.status, answer.body = 404, error(40403)
        now[0] = 60.0
        with pytest.raises(DecodeError, match="schema id is unknown"):
            codec.decode(frame)
        answer.status = 200
        answer.body = json.dumps({"schema": codecs.schema_text(Fee)}).encode()
        now[0] = 61.5
        assert codec.decode(frame).asset == "BTC"


def test_nobody_there_is_unreachable() -> None:
    """A closed port is RETRY for a worker and 4 for a command, within the time-out."""
    registry = HttpRegistry("http://127.0.0.1:1", timeout=2, retries=1)
    with pytest.raises(RegistryUnreachableError):
        registry.schema_by_id(7)
    with pytest.raises(UnavailableError):
        codecs.Codecs(registry, {Fee: "fee-value"}).codec(Fee)
    against = ["schema", "check", "--against", "registry", "--registry", "http://127.0.0.1:1"]
    assert run(against) == 4


def test_a_proxy_of_the_environment_is_not_asked_for_loopback(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """`http_proxy` is for the world outside: our own loopback is reached directly."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.delenv("no_proxy", raising=False)
    answer = Answer(200, json.dumps({"schema": SCHEMA}).encode())
    with answering(answer) as url:
        assert HttpRegistry(url, retries=0).schema_by_id(7) == SCHEMA
