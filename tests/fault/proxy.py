"""A proxy before a broker that knows Kafka's frames, and does to chosen ones what a bad network does."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from tests.fault.proxy_frames import Api, Facts, Header, error_of, facts_of, header_of

_HOST = "127.0.0.1"
_SENT_UNDER_A_PRODUCER = (Api.PRODUCE, Api.ADD_PARTITIONS_TO_TXN, Api.ADD_OFFSETS_TO_TXN, Api.TXN_OFFSET_COMMIT)  # fmt: skip


class Act(StrEnum):
    """What is done to a request."""

    HOLD = "hold"
    """It is kept, the client's side is cut; `Rule.release` sends it late."""
    FREEZE = "freeze"
    """It and all behind it on its connection are kept, the connection stays open; `release` as above."""
    SWALLOW = "swallow"
    """It alone is kept, the connection stays open and others pass; `release` as above."""
    MUTE = "mute"
    """It passes, no answer does from then on; the connection stays open: TCP lets no answer overtake."""
    DELAY = "delay"
    """It passes after `seconds`, and all behind it."""
    SLOW = "slow"
    """Its answer passes after `seconds`, and all answers behind it."""
    DUPLICATE = "duplicate"
    """It passes twice; the second answer is dropped."""
    CUT = "cut"
    """It does not pass, the connection is cut."""
    CUT_AFTER = "cut after"
    """It passes, and the connection is cut in place of the answer."""


KEPT = (Act.HOLD, Act.FREEZE, Act.SWALLOW)


@dataclass(eq=False)
class Request:
    """One request that came in: what it was, and what came of it."""

    number: int
    header: Header
    facts: Facts
    link: int
    at: float
    act: Act | None = None
    error: int | None = None
    answered: threading.Event = field(default_factory=threading.Event)
    """The broker has answered; `error` is known then, where it is read."""
    unwanted: bool = False
    """Its answer is no client's any more."""

    @property
    def api(self) -> int:
        """Its api key."""
        return self.header.api

    def __str__(self) -> str:
        name = Api(self.api).name if self.api in set(Api) else str(self.api)
        return f"{self.number}:{name} v{self.header.version} {self.facts} act={self.act} error={self.error}"


class Rule:
    """What to do to the n-th request of a kind from now on, and to how many in a row.

    Args:
        act: what is done.
        api: which requests.
        nth: the first of them that it is done to, from 1.
        times: to how many.
        seconds: of `DELAY` and `SLOW`.
        where: other requests are not counted.
    """

    def __init__(
        self,
        act: Act,
        api: Api,
        *,
        nth: int = 1,
        times: int = 1,
        seconds: float = 0.0,
        where: Callable[[Request], bool] = lambda _: True,
    ) -> None:
        self.act = act
        self.api = api
        self.nth = nth
        self.times = times
        self.seconds = seconds
        self.where = where
        self.seen = 0
        self.hits: list[Request] = []
        self.hit = threading.Event()
        self.released = 0
        self._kept: list[tuple[_Link, Request, bytes]] = []

    def takes(self, request: Request) -> bool:
        """Whether this is the request; counts it."""
        if request.api != self.api or len(self.hits) >= self.times or not self.where(request):
            return False
        self.seen += 1
        return self.seen >= self.nth

    def keep(self, link: _Link, request: Request, frame: bytes) -> None:
        """Keep a frame for `release`."""
        self._kept.append((link, request, frame))

    def release(self, seconds: float = 5.0) -> list[Request]:
        """Send what was kept to the broker, in order; return the requests once it has answered them."""
        kept, self._kept = self._kept, []
        for link, request, frame in kept:
            link.forward(request, frame)
        for _, request, _ in kept:
            assert request.answered.wait(seconds), f"the broker did not answer {request}"
        self.released += len(kept)
        return [request for _, request, _ in kept]


class FrameProxy:
    """Listens on loopback, and passes frames between clients and one broker, but for what rules say."""

    def __init__(self, port: int, upstream: int) -> None:
        self.port = port
        self.upstream = upstream
        self.log: list[Request] = []
        self.closing = threading.Event()
        self._rules: list[Rule] = []
        self._links: list[_Link] = []
        self._lock = threading.Lock()
        self._came = threading.Condition()
        self._server = socket.create_server((_HOST, port), backlog=64)
        threading.Thread(target=self._accept, name="proxy", daemon=True).start()

    @property
    def address(self) -> str:
        """What clients are given."""
        return f"{_HOST}:{self.port}"

    def arm(self, rule: Rule) -> Rule:
        """Let a rule count from now on."""
        with self._lock:
            self._rules.append(rule)
        return rule

    def disarm(self, *rules: Rule) -> None:
        """Let these rules count no more, all if none is named; what is kept stays with them."""
        with self._lock:
            self._rules = [rule for rule in self._rules if rules and rule not in rules]

    def close(self) -> None:
        """Cut everything."""
        self.closing.set()
        _shut(self._server)
        for link in list(self._links):
            link.cut()

    def until(
        self, condition: Callable[[Request], bool], since: int = 0, seconds: float = 20.0
    ) -> Request | None:
        """Wait for a request for which the condition holds, from a number on."""
        deadline = time.monotonic() + seconds
        with self._came:
            while True:
                for request in self.log[since:]:
                    if condition(request):
                        return request
                    since = request.number + 1
                left = deadline - time.monotonic()
                if left <= 0 or not self._came.wait(left):
                    return None

    def reused(self, hit: Request) -> list[Request]:
        """What was sent under a faulted request's producer id and epoch once its transaction had ended.

        A delayed request can do harm there alone, so it has to be empty after any fault: at most one
        transaction is ended by a producer id and epoch after a wire fault.
        """
        mine = (hit.facts.producer_id, hit.facts.epoch)
        if mine[0] < 0:
            return []
        ended, found = False, []
        for request in self.log[hit.number :]:
            if (request.facts.producer_id, request.facts.epoch) != mine:
                continue
            if request.api == Api.END_TXN:
                ended = ended or request.answered.is_set()
            elif ended and request.api in _SENT_UNDER_A_PRODUCER:
                found.append(request)
        return found

    # -- for the links

    def came(self, link: int, frame: bytes) -> tuple[Request, Rule | None]:
        """Note a request, and find what is to be done to it."""
        with self._lock:
            request = Request(
                len(self.log), header_of(frame), facts_of(frame), link, time.monotonic()
            )
            rule = next((rule for rule in self._rules if rule.takes(request)), None)
            if rule is not None:
                request.act = rule.act
                rule.hits.append(request)
            self.log.append(request)
        with self._came:
            self._came.notify_all()
        return request, rule

    def _accept(self) -> None:
        while not self.closing.is_set():
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            try:
                upstream = socket.create_connection((_HOST, self.upstream), timeout=5)
            except OSError:  # the broker is away: so the client sees it
                client.close()
                continue
            upstream.settimeout(None)
            link = _Link(self, len(self._links), client, upstream)
            self._links.append(link)
            link.start()


class _Link:
    """One connection of a client, and ours to the broker for it."""

    def __init__(
        self, proxy: FrameProxy, number: int, client: socket.socket, upstream: socket.socket
    ) -> None:
        self._proxy = proxy
        self._number = number
        self._client = client
        self._upstream = upstream
        self._lock = threading.Lock()
        self._frozen: Rule | None = None
        self._owes = False
        self._mute = False
        self._pending: dict[int, deque[tuple[Request, Rule | None]]] = defaultdict(deque)
        for one in (client, upstream):
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def start(self) -> None:
        for run in (self._requests, self._answers):
            threading.Thread(target=run, name=f"link-{self._number}", daemon=True).start()

    def cut(self) -> None:
        """Cut both sides."""
        _shut(self._client)
        _shut(self._upstream)

    def forward(self, request: Request, frame: bytes, rule: Rule | None = None) -> None:
        """Send a frame to the broker."""
        with self._lock:
            self._pending[request.header.correlation].append((request, rule))
            self._upstream.sendall(struct.pack(">i", len(frame)) + frame)

    def _requests(self) -> None:
        with contextlib.suppress(OSError):
            while (frame := _frame(self._client)) is not None:
                request, rule = self._proxy.came(self._number, frame)
                if not self._treat(request, rule, frame):
                    break
        _shut(self._client)
        if not self._owes:
            _shut(self._upstream)

    def _treat(self, request: Request, rule: Rule | None, frame: bytes) -> bool:
        """Do to a request what its rule says; whether the connection goes on."""
        if self._frozen is not None:
            request.act = Act.FREEZE
            self._frozen.keep(self, request, frame)
            return True
        if rule is None:
            self.forward(request, frame)
            return True
        go_on = True
        if rule.act in KEPT:
            self._owes = True
            rule.keep(self, request, frame)
            self._frozen = rule if rule.act is Act.FREEZE else None
            go_on = rule.act is not Act.HOLD
        elif rule.act is Act.CUT:
            go_on = False
        elif rule.act is Act.DELAY:
            self._proxy.closing.wait(rule.seconds)
            self.forward(request, frame)
        else:
            self.forward(request, frame, rule)
            if rule.act is Act.DUPLICATE:
                twin = Request(request.number, request.header, request.facts, request.link, request.at)  # fmt: skip
                twin.unwanted = True
                self.forward(twin, frame)
        if not go_on:
            _shut(self._client)
        rule.hit.set()
        return go_on

    def _answers(self) -> None:
        with contextlib.suppress(OSError):
            while (frame := _frame(self._upstream)) is not None:
                (correlation,) = struct.unpack_from(">i", frame)
                with self._lock:
                    request, rule = self._pending[correlation].popleft()
                request.error = error_of(request.api, request.header.version, frame)
                request.answered.set()
                act = rule.act if rule is not None else None
                if act is Act.CUT_AFTER:
                    break
                self._mute = self._mute or act is Act.MUTE
                if self._mute or request.unwanted:
                    continue
                if act is Act.SLOW and rule is not None:
                    self._proxy.closing.wait(rule.seconds)
                # The broker's word on a late request is heard although its client is gone.
                with contextlib.suppress(OSError):
                    self._client.sendall(struct.pack(">i", len(frame)) + frame)
        self.cut()


def _frame(source: socket.socket) -> bytes | None:
    head = _exactly(source, 4)
    return None if head is None else _exactly(source, struct.unpack(">i", head)[0])


def _exactly(source: socket.socket, size: int) -> bytes | None:
    parts, left = [], size
    while left:
        part = source.recv(min(left, 1 << 20))
        if not part:
            return None
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


def _shut(one: socket.socket) -> None:
    with contextlib.suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
    one.close()
