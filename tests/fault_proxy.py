"""A proxy between us and a lab's API server, which spoils some requests: by a seed, or as told.

It speaks plain HTTP on loopback and hands everything on to the real server, with the caller's own
credentials. What it does to a request follows from the seed and the number of the request alone,
so a seed that found something finds it again as far as threads allow.
"""

from __future__ import annotations

import base64
import json
import random
import socket
import ssl
import struct
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.client import HTTPException, HTTPResponse, HTTPSConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import orjson

from gitops_dr.lab import Lab

WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})

PAGE = 9
"""Objects a page of a list, whatever is asked for: so that there are pages to spoil."""

_CALM = 1.0
"""Seconds that a rolling restart takes."""

_SKIPPED = frozenset({"connection", "host", "transfer-encoding", "content-length", "keep-alive"})


@dataclass(frozen=True)
class Asked:
    """One request as it came."""

    number: int
    method: str
    path: str
    query: Mapping[str, str]

    @property
    def is_watch(self) -> bool:
        return "watch" in self.query

    @property
    def is_page(self) -> bool:
        """Of a list at one revision; one that goes on as it is by now does not expire."""
        return "continue" in self.query and _token(self.query["continue"])["rv"] != -1


@dataclass(frozen=True)
class Kind:
    """One way of failing."""

    name: str
    applies: Callable[[Asked], bool]
    weight: float = 1.0


def _plain(asked: Asked) -> bool:
    return not asked.is_watch


def _write(asked: Asked) -> bool:
    return asked.method in WRITES


KINDS = (
    Kind("429 with Retry-After", _plain),
    Kind("429 without", _plain),
    Kind("500", _plain),
    Kind("502", _plain),
    Kind("503", _plain),
    Kind("504", _plain),
    Kind("stored, answered 500", _write, 3.0),
    Kind("stored, then reset", _write, 3.0),
    Kind("reset", lambda _asked: True),
    Kind("cut in mid-body", _plain),
    Kind("slow", _plain),
    Kind("409", _write),
    Kind("410 on a page", lambda asked: asked.is_page, 8.0),
    Kind("410 on a watch", lambda asked: asked.is_watch),
    Kind("410 in a watch", lambda asked: asked.is_watch),
    Kind("watch ended", lambda asked: asked.is_watch, 2.0),
    Kind("watch reset", lambda asked: asked.is_watch, 2.0),
    Kind("rolling restart", lambda _asked: True, 0.1),
)
STUCK = Kind("stuck", lambda _asked: True, 0.1)
"""Costs a whole read timeout, so only some seeds have it."""

Choose = Callable[[Asked], str]
"""Names the fault that a request meets; empty for none."""


def nothing(_asked: Asked) -> str:
    return ""


def by_seed(seed: int, *, most: int = 2) -> Choose:
    """Spoil a share of the requests; the share and the kinds follow from the seed.

    A rolling restart and a stuck connection come at most ``most`` times: they cost seconds each.
    """
    own = random.Random(f"share of {seed}")
    share = own.choice((0.02, 0.05, 0.1, 0.15))
    kinds = (*KINDS, STUCK) if own.random() < 0.2 else KINDS
    rare = Counter[str]()
    guard = threading.Lock()

    def choose(asked: Asked) -> str:
        rolled = random.Random(f"{seed}/{asked.number}")
        if rolled.random() >= share:
            return ""
        fitting = [kind for kind in kinds if kind.applies(asked)]
        kind = rolled.choices(fitting, [each.weight for each in fitting])[0]
        if kind.weight < 1:
            with guard:
                rare[kind.name] += 1
                if rare[kind.name] > most:
                    return ""
        return kind.name

    return choose


@dataclass
class FaultProxy:
    """Start it with :func:`between`."""

    lab: Lab
    choose: Choose
    page: int = PAGE
    injected: Counter[str] = field(default_factory=Counter)
    asked: Counter[str] = field(default_factory=Counter)
    """Requests by method."""
    _number: int = 0
    _guard: threading.Lock = field(default_factory=threading.Lock)
    _live: set[socket.socket] = field(default_factory=set)
    _closing: threading.Event = field(default_factory=threading.Event)
    _server: _Server | None = None
    _port: int = 0

    def __post_init__(self) -> None:
        self._host = urlsplit(self.lab.server).netloc
        self._tls = ssl.create_default_context(cafile=str(self.lab.pki / "ca.crt"))
        self._listen()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def kubeconfig(self, of: Path, into: Path) -> Path:
        """A kubeconfig of the lab, whose requests come through here."""
        document = json.loads(of.read_bytes())
        document["clusters"][0]["cluster"] = {"server": self.url}
        into.write_text(json.dumps(document))
        return into

    def take(self, method: str, target: str) -> tuple[Asked, str]:
        """Number a request and choose its fault."""
        parts = urlsplit(target)
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        with self._guard:
            self._number += 1
            asked = Asked(self._number, method, parts.path, query)
        fault = self.choose(asked)
        with self._guard:
            self.asked[method] += 1
            if fault:
                self.injected[fault] += 1
        return asked, fault

    def upstream(self) -> HTTPSConnection:
        return HTTPSConnection(self._host, context=self._tls, timeout=330)

    def came(self, connection: socket.socket) -> None:
        with self._guard:
            self._live.add(connection)

    def left(self, connection: socket.socket) -> None:
        with self._guard:
            self._live.discard(connection)

    def wait(self, seconds: float) -> None:
        self._closing.wait(seconds)

    def restart(self) -> None:
        """Refuse every connection for a second and drop those there are."""
        with self._guard:
            server, self._server = self._server, None
        if server is None:
            return
        server.shutdown()
        server.server_close()
        self._drop_all()
        self.wait(_CALM)
        if not self._closing.is_set():
            self._listen()

    def stop(self) -> None:
        self._closing.set()
        with self._guard:
            server, self._server = self._server, None
        if server is not None:
            server.shutdown()
            server.server_close()
        self._drop_all()

    def _listen(self) -> None:
        server = _Server(("127.0.0.1", self._port), _handler(self))
        self._port = server.server_address[1]
        with self._guard:
            self._server = server
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()

    def _drop_all(self) -> None:
        with self._guard:
            live = list(self._live)
        for connection in live:
            _end(connection)


@contextmanager
def between(lab: Lab, choose: Choose = nothing, *, page: int = PAGE) -> Iterator[FaultProxy]:
    proxy = FaultProxy(lab, choose, page)
    try:
        yield proxy
    finally:
        proxy.stop()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is no news here."""


def _reset(connection: socket.socket) -> None:
    """Let a connection break, once the thread that serves it lets go of it."""
    with suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()


def _end(connection: socket.socket) -> None:
    """End a connection at once, also for a thread that reads from it."""
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


def _status(code: int, reason: str, message: str, **metadata: str) -> bytes:
    document = {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": metadata,
        "status": "Failure",
        "reason": reason,
        "message": message,
        "code": code,
    }
    return orjson.dumps(document)


# What is answered in the place of the server, which hears nothing of the request.
_ANSWERS: Mapping[str, tuple[int, dict[str, str], bytes]] = {
    "401": (401, {}, _status(401, "Unauthorized", "Unauthorized")),
    "429 with Retry-After": (
        429,
        {"Retry-After": "1"},
        _status(429, "TooManyRequests", "Too many requests, please try again later."),
    ),
    "429 without": (429, {}, _status(429, "TooManyRequests", "Too many requests.")),
    "500": (500, {}, _status(500, "InternalError", "etcdserver: leader changed")),
    "502": (502, {}, b"<html><body><h1>502 Bad Gateway</h1></body></html>"),
    "503": (503, {}, _status(503, "ServiceUnavailable", "apiserver is shutting down")),
    "504": (504, {}, _status(504, "Timeout", "request did not complete within the allotted time")),
    "409": (
        409,
        {},
        _status(
            409,
            "Conflict",
            "Operation cannot be fulfilled on this: the object has been modified; please apply "
            "your changes to the latest version and try again",
        ),
    ),
    "410 on a watch": (410, {}, _status(410, "Expired", "too old resource version")),
}


def _token(token: str) -> dict[str, Any]:
    """What the continue token of a list says: the revision, and the key to go on from."""
    document: dict[str, Any] = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    return document


def _continued(token: str) -> str:
    """The token that a server offers with a 410: the rest of the list, as it is by now."""
    document = _token(token) | {"rv": -1}
    return base64.urlsafe_b64encode(json.dumps(document).encode()).decode().rstrip("=")


def _handler(proxy: FaultProxy) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        server_side: HTTPSConnection | None = None

        def log_message(self, *_: Any) -> None:
            pass

        def setup(self) -> None:
            super().setup()
            proxy.came(self.connection)

        def finish(self) -> None:
            proxy.left(self.connection)
            if self.server_side is not None:
                self.server_side.close()
            with suppress(OSError):
                super().finish()

        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            asked, fault = proxy.take(self.command, self.path)
            try:
                self._play(asked, fault, body)
            except (OSError, HTTPException, ValueError):
                # Of either side: what the client sees is a connection that breaks.
                self._break()

        do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = _serve  # noqa: N815

        def _play(self, asked: Asked, fault: str, body: bytes) -> None:
            match fault:
                case "reset":
                    self._break()
                case "rolling restart":
                    threading.Thread(target=proxy.restart, daemon=True).start()
                    self._break()
                case "stuck":
                    proxy.wait(300)
                    self._break()
                case "410 on a page":
                    token = _continued(asked.query["continue"])
                    data = _status(410, "Expired", "The provided continue parameter is too old")
                    document = orjson.loads(data) | {"metadata": {"continue": token}}
                    self._say(410, {}, orjson.dumps(document))
                case _ if fault in _ANSWERS:
                    self._say(*_ANSWERS[fault])
                case _:
                    if fault == "slow":
                        rolled = random.Random(asked.number)
                        proxy.wait(rolled.uniform(0.2, 1.5))
                    self._hand_on(asked, fault, body)

        def _hand_on(self, asked: Asked, fault: str, body: bytes) -> None:
            answer = self._ask(asked, body)
            if asked.is_watch and answer.status == 200:
                self._stream(asked, fault, answer)
                return
            data = answer.read()
            if fault == "stored, answered 500":
                self._say(500, {}, _status(500, "InternalError", "etcdserver: request timed out"))
            elif fault == "stored, then reset":
                self._break()
            else:
                headers = {n: v for n, v in answer.getheaders() if n.lower() not in _SKIPPED}
                half = len(data) // 2 if fault == "cut in mid-body" else len(data)
                self._say(answer.status, headers, data, half)

        def _ask(self, asked: Asked, body: bytes) -> HTTPResponse:
            query = dict(asked.query)
            if "limit" in query:
                query["limit"] = str(min(int(query["limit"]), proxy.page))
            target = f"{asked.path}?{urlencode(query)}" if query else asked.path
            headers = {n: v for n, v in self.headers.items() if n.lower() not in _SKIPPED}
            kept = self.server_side is not None
            if self.server_side is None:
                self.server_side = proxy.upstream()
            try:
                self.server_side.request(asked.method, target, body or None, headers)
                return self.server_side.getresponse()
            except (OSError, HTTPException):
                self.server_side.close()
                self.server_side = None
                if not kept or asked.method != "GET":
                    raise
                return self._ask(asked, body)

        def _say(
            self, status: int, headers: Mapping[str, str], data: bytes, until: int | None = None
        ) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data[:until])
            self.wfile.flush()
            if until is not None and until < len(data):
                # A reset could swallow what was said.
                self.close_connection = True

        def _stream(self, asked: Asked, fault: str, answer: HTTPResponse) -> None:
            self.close_connection = True
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            connection = self.server_side
            assert connection is not None
            self.server_side = None
            plain = connection.sock
            assert plain is not None
            timer = threading.Timer(random.Random(asked.number).uniform(0.0, 1.5), _end, [plain])
            timer.daemon = True
            if fault in ("410 in a watch", "watch ended", "watch reset"):
                # After a moment, in which something may come through.
                timer.start()
            try:
                self._relay(answer)
            finally:
                timer.cancel()
                connection.close()
                answer.close()
            if fault == "410 in a watch":
                gone = orjson.loads(_status(410, "Expired", "too old resource version"))
                self._chunk(orjson.dumps({"type": "ERROR", "object": gone}) + b"\n")
            if fault == "watch reset":
                self._break()
                return
            self.wfile.write(b"0\r\n\r\n")

        def _relay(self, answer: HTTPResponse) -> None:
            """Hand on what comes until the end; a server that breaks off has ended too."""
            while True:
                try:
                    data = answer.read1(1 << 16)
                except (OSError, HTTPException, ValueError):
                    return
                if not data:
                    return
                self._chunk(data)

        def _chunk(self, data: bytes) -> None:
            self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))
            self.wfile.flush()

        def _break(self) -> None:
            self.close_connection = True
            _reset(self.connection)

    return Handler
