"""Fault 10: the registry is down, answers 500, is slow; known ids go on, unknown ones wait, none is skipped."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.chaos.processes import Worker, eventually, pause
from tests.chaos.run import RESTARTED, Run

SCHEMA = json.dumps(
    {"type": "record", "name": "Order", "fields": [{"name": "id", "type": "string"}]}
)
FLOW_BAR = 20.0
UNANSWERED = "chaos: the registry does not answer"


class StubRegistry:
    """A registry of schemas by id on loopback that can be down, failing or slow."""

    def __init__(self) -> None:
        self.mode = "up"
        self.asked: list[str] = []
        stub = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                stub.asked.append(f"{stub.mode} {self.path}")
                if stub.mode == "slow":
                    pause(30)
                status = 500 if stub.mode == "failing" else 200
                body = json.dumps({"schema": SCHEMA} if status == 200 else {"message": "broken"})
                try:
                    self.send_response(status)
                    self.send_header("Content-Type", "application/json")
                    self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body.encode())
                except OSError:
                    return  # the client has given up: that is the fault's effect

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the same
                """Be quiet."""

        self._handler = Handler
        self._server: ThreadingHTTPServer | None = None
        self.port = 0
        self.go("up")

    @property
    def url(self) -> str:
        """Where it listens, or did."""
        return f"http://127.0.0.1:{self.port}"

    def go(self, mode: str) -> None:
        """Be up, failing, slow or down from now on."""
        self.mode = mode
        if mode == "down":
            self.close()
        elif self._server is None:
            self._server = ThreadingHTTPServer(("127.0.0.1", self.port), self._handler)
            self._server.daemon_threads = True
            self._server.block_on_close = False
            self.port = self._server.server_port
            threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None


def unreachable(run: Run, modes: tuple[str, ...]) -> None:
    """For each way to fail: known ids are processed, an unknown one waits and comes when it can."""
    stub = StubRegistry()
    run.at_end.append(stub.close)  # the last worker asks it too
    run.environment["CHAOS_REGISTRY"] = stub.url
    run.schema_id = 1
    run.feed(500)
    worker = run.started()
    run.require(eventually(lambda: run.behind() == 0, 40, 0.1), f"no start: {worker.tail()}")
    for number, mode in enumerate(modes, start=2):
        worker = _one(run, stub, worker, mode, number)


def _one(run: Run, stub: StubRegistry, worker: Worker, mode: str, schema_id: int) -> Worker:
    stub.go(mode)
    run.feed(500)
    run.hold(
        eventually(lambda: run.behind() == 0, FLOW_BAR, 0.1),
        f"registry {mode}: records of a known schema wait",
    )
    run.schema_id = schema_id
    before, asked = worker.text.count(UNANSWERED), len(stub.asked)
    run.feed(200)
    begin = run.behind()
    eventually(lambda: worker.text.count(UNANSWERED) > before + 1 or not worker.alive, 40, 0.2)
    pause(2.0)
    run.require(run.behind() > 0, f"registry {mode}: its schema was not needed")
    run.require(
        mode == "down" or len(stub.asked) > asked or not worker.alive,
        f"registry {mode}: nobody asked it",
    )
    run.hit(f"registry {mode}: {begin} records of schema {schema_id} wait, {run.behind()} later")
    stub.go("up")
    if worker.process.poll() is not None:
        run.hold(worker.process.poll() in RESTARTED, f"registry {mode}: {worker.tail()}")
        worker = run.started()
    run.hold(
        eventually(lambda: run.behind() == 0 or not worker.alive, 60, 0.1) and worker.alive,
        f"registry {mode} and back: the records that waited do not come: {worker.tail()}",
    )
    return worker
