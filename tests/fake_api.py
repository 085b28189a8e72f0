"""An API server that plays what it is told, for the failures that a real one shows only by chance.

It listens on loopback, answers each path from a script and remembers what it was asked. Every
answer of a script is given once, the last one for ever; a path without a script is a 404.
"""

import socket
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import orjson
import pytest

from gitops_dr.cluster import connect as connecting
from gitops_dr.cluster.connect import Connection, connect


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    query: dict[str, str]
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)


@dataclass(frozen=True)
class Answer:
    """One answer.

    ``end`` is ``close`` (properly), ``hang`` or ``break``: cut off in the middle, or with a reset
    if nothing was said yet (after something, a reset could swallow it on its way).
    """

    status: int = 200
    pieces: tuple[bytes, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    length: int | None = None
    """Content-Length if it is to be another than the real one; -1 for a stream in chunks."""
    end: str = "close"
    wait_for: threading.Event | None = None


Script = Answer | Callable[[Request], Answer]


def reply(document: Any, status: int = 200, **headers: str) -> Answer:
    return Answer(
        status, (orjson.dumps(document),), {k.replace("_", "-"): v for k, v in headers.items()}
    )


def refusal(
    status: int, reason: str = "", message: str = "", *, then: str = "", **headers: str
) -> Answer:
    """A Status, as Kubernetes says no. ``then``: the continue token that a 410 offers."""
    document = {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {"continue": then} if then else {},
        "status": "Failure",
        "reason": reason,
        "message": message,
        "code": status,
    }
    return reply(document, status, **headers)


def text(status: int, body: str) -> Answer:
    return Answer(status, (body.encode(),), {"Content-Type": "text/html"})


def truncated(document: Any) -> Answer:
    data = orjson.dumps(document)
    return Answer(pieces=(data[: len(data) // 2],), length=len(data))


def broken() -> Answer:
    """The connection is reset before a word is said."""
    return Answer(status=0, end="break")


def silence() -> Answer:
    """The server takes the request and never answers."""
    return Answer(status=0, end="hang")


def stream(*pieces: bytes, end: str = "close") -> Answer:
    """A watch: pieces as they are given, whole lines or not."""
    return Answer(pieces=pieces, length=-1, end=end)


def event(kind: str, body: Any) -> bytes:
    return orjson.dumps({"type": kind, "object": body}) + b"\n"


def listed(*items: Any, revision: str = "100", then: str = "") -> dict[str, Any]:
    """A list, or a page of one with the token ``then`` for the next."""
    metadata = {"resourceVersion": revision} | ({"continue": then} if then else {})
    return {"kind": "List", "apiVersion": "v1", "metadata": metadata, "items": list(items)}


class FakeApi:
    """Start it with :func:`serving`."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.arrived = threading.Condition()
        self._scripts: dict[tuple[str, str], list[Script]] = {}
        self._closing = threading.Event()
        self._server = _Server(("127.0.0.1", 0), _handler(self))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def on(self, path: str, *script: Script, method: str = "GET") -> None:
        with self.arrived:
            self._scripts[method, path] = list(script)

    def asked(self, path: str, method: str = "GET") -> list[Request]:
        with self.arrived:
            return [r for r in self.requests if r.path == path and r.method == method]

    def wait_until_asked(self, path: str, times: int = 1, method: str = "GET") -> None:
        """Wait until a path has been asked for so often."""

        def enough() -> bool:
            return sum(r.path == path and r.method == method for r in self.requests) >= times

        with self.arrived:
            assert self.arrived.wait_for(enough, timeout=30), f"nobody asked for {method} {path}"

    def answer(self, request: Request) -> Answer:
        with self.arrived:
            self.requests.append(request)
            self.arrived.notify_all()
            script = self._scripts.get((request.method, request.path))
            if not script:
                return refusal(404, "NotFound", "not found")
            chosen = script.pop(0) if len(script) > 1 else script[0]
        return chosen if isinstance(chosen, Answer) else chosen(request)

    def hang(self) -> None:
        self._closing.wait(60)

    def start(self) -> None:
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self) -> None:
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def serving() -> Iterator[FakeApi]:
    server = FakeApi()
    server.start()
    try:
        yield server
    finally:
        server.stop()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is no news here."""


def _handler(api: FakeApi) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def log_message(self, *_: Any) -> None:
            pass

        def _serve(self) -> None:
            parts = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            query = dict(parse_qsl(parts.query, keep_blank_values=True))
            self._play(api.answer(Request(self.command, parts.path, query, self.headers, body)))

        do_GET = do_HEAD = do_POST = do_PATCH = do_PUT = do_DELETE = _serve  # noqa: N815

        def _play(self, answer: Answer) -> None:
            if answer.wait_for is not None:
                assert answer.wait_for.wait(60)
            if answer.status:
                self._write(answer)
            if answer.end == "hang":
                api.hang()
                self.close_connection = True
            elif answer.end == "break" and answer.status:
                self.close_connection = True
            elif answer.end == "break":
                linger = struct.pack("ii", 1, 0)
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                self.connection.close()
                self.close_connection = True

        def _write(self, answer: Answer) -> None:
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            if answer.length == -1:
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                for piece in answer.pieces:
                    self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
                if answer.end == "close":
                    self.wfile.write(b"0\r\n\r\n")
                return
            data = b"".join(answer.pieces)
            self.send_header("Content-Length", str(answer.length or len(data)))
            self.end_headers()
            self.wfile.write(data if self.command != "HEAD" else b"")
            self.close_connection = answer.length is not None

    return Handler


def write_kubeconfig(path: Path, server: str, user: Mapping[str, Any] | None = None) -> Path:
    """A kubeconfig with the context ``fake``; JSON is YAML."""
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "fake", "cluster": {"server": server}}],
        "users": [{"name": "someone", "user": dict(user or {})}],
        "contexts": [{"name": "fake", "context": {"cluster": "fake", "user": "someone"}}],
        "current-context": "fake",
    }
    path.write_bytes(orjson.dumps(document))
    return path


@pytest.fixture
def api() -> Iterator[FakeApi]:
    with serving() as server:
        yield server


@pytest.fixture
def connection(api: FakeApi, tmp_path: Path, monkeypatch: Any) -> Iterator[Connection]:
    """A connection to the fake that repeats as often as ever, but without pauses of its own."""
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
    for retry in ("READ", "WRITE"):
        patient = getattr(connecting, retry)
        monkeypatch.setattr(connecting, retry, patient.new(backoff_factor=0, backoff_jitter=0))
    opened = connect(write_kubeconfig(tmp_path / "kubeconfig", api.url))
    yield opened
    opened._client.rest_client.pool_manager.clear()
