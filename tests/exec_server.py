"""A loopback server that speaks the exec subresource's WebSocket protocol, version 4 or 5.

What a command does is a script: a function that is given the call, on which it can say things, end
or break off.
"""

import base64
import hashlib
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import orjson

STDOUT, STDERR, STATUS, CLOSED = 1, 2, 3, 255
SECONDS = 30.0


@dataclass
class Call:
    """One command that somebody runs."""

    namespace: str
    pod: str
    container: str
    command: list[str]
    headers: dict[str, str]
    protocol: str
    query: dict[str, list[str]]
    started: float
    ended: float = 0.0
    _socket: Any = field(default=None, repr=False)

    def say(self, text: bytes, channel: int = STDOUT) -> None:
        self.frame(bytes([channel]) + text)

    def frame(self, data: bytes, opcode: int = 2) -> None:
        size = len(data)
        if size < 126:
            head = struct.pack("!BB", 0x80 | opcode, size)
        elif size < 1 << 16:
            head = struct.pack("!BBH", 0x80 | opcode, 126, size)
        else:
            head = struct.pack("!BBQ", 0x80 | opcode, 127, size)
        self.raw(head + data)

    def raw(self, data: bytes) -> None:
        self._socket.sendall(data)

    def exit(self, code: int = 0) -> None:
        """As the API server tells it: the status, then the close."""
        if code == 0:
            self.status({"metadata": {}, "status": "Success"})
        else:
            self.status(
                {
                    "metadata": {},
                    "status": "Failure",
                    "message": f"command terminated with non-zero exit code: exit status {code}",
                    "reason": "NonZeroExitCode",
                    "details": {"causes": [{"reason": "ExitCode", "message": str(code)}]},
                }
            )
        self.close()

    def status(self, document: Any) -> None:
        self.say(document if isinstance(document, bytes) else orjson.dumps(document), STATUS)

    def close(self) -> None:
        self.frame(struct.pack("!H", 1000), opcode=8)

    def reset(self) -> None:
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._socket.close()

    def until_the_client_goes(self) -> None:
        """Say nothing more until the other side has hung up."""
        self._socket.settimeout(SECONDS)
        with suppress(OSError):
            while self._socket.recv(4096):
                pass


Script = Callable[[Call], None]


def well(call: Call) -> None:
    call.exit(0)


class ExecServer:
    """Start it with :func:`exec_serving`."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.refusals: list[tuple[int, Any]] = []
        """Answers to give first instead of opening a WebSocket: status, and a document or text."""
        self.elsewhere = ""
        """Where a refusal says that somebody else answers."""
        self.protocols = ["v5.channel.k8s.io", "v4.channel.k8s.io"]
        self.connections = 0
        self._scripts: dict[str, Script] = {}
        self._arrived = threading.Condition()
        self._closing = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._threads: list[threading.Thread] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def on(self, word: str, script: Script) -> None:
        """What the command whose first word this is does; every other one ends well at once."""
        self._scripts[word] = script

    def commands(self) -> list[str]:
        with self._arrived:
            return [" ".join(call.command) for call in self.calls]

    def wait_for(self, word: str, times: int = 1) -> Call:
        """Wait until a command was started so often."""

        def found() -> list[Call]:
            return [call for call in self.calls if call.command[0] == word]

        with self._arrived:
            assert self._arrived.wait_for(lambda: len(found()) >= times, SECONDS), f"no {word}"
            return found()[times - 1]

    def start(self) -> None:
        self._begin(self._accept)

    def stop(self) -> None:
        self._closing.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(SECONDS)
            assert not thread.is_alive()

    def _begin(self, work: Callable[..., None], *arguments: Any) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._closing.is_set():
            try:
                accepted, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._begin(self._serve, accepted)

    def _serve(self, accepted: socket.socket) -> None:
        with accepted, suppress(OSError):
            accepted.settimeout(SECONDS)
            self._answer(accepted)

    def _answer(self, accepted: socket.socket) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            piece = accepted.recv(65536)
            if not piece:
                return
            head += piece
        request, *lines = head.decode().split("\r\n\r\n")[0].split("\r\n")
        headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines)}
        if self.refusals:
            status, document = self.refusals.pop(0)
            _refuse(accepted, status, document, self.elsewhere)
            return
        target = urlsplit(request.split()[1])
        query = parse_qs(target.query, keep_blank_values=True)
        parts = [unquote(part) for part in target.path.strip("/").split("/")]
        assert (parts[:3], parts[4], parts[6:]) == (["api", "v1", "namespaces"], "pods", ["exec"])
        offered = [each.strip() for each in headers["sec-websocket-protocol"].split(",")]
        chosen = next((each for each in offered if each in self.protocols), "")
        call = Call(
            namespace=parts[3],
            pod=parts[5],
            container=query["container"][0],
            command=query["command"],
            headers=headers,
            protocol=chosen,
            query=query,
            started=time.monotonic(),
            _socket=accepted,
        )
        accepted.sendall(_switching(headers["sec-websocket-key"], chosen))
        with self._arrived:
            self.calls.append(call)
            self._arrived.notify_all()
        if call.protocol:
            for channel in (STDOUT, STDERR, STATUS):
                call.say(b"", channel)
            if call.protocol.startswith("v5"):
                call.frame(bytes([CLOSED, 0]))
        try:
            self._scripts.get(call.command[0], well)(call)
        finally:
            call.ended = time.monotonic()
        call.until_the_client_goes()


def _switching(key: str, protocol: str) -> bytes:
    magic = f"{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11".encode()
    accept = base64.b64encode(hashlib.sha1(magic, usedforsecurity=False).digest()).decode()
    lines = [
        "HTTP/1.1 101 Switching Protocols",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Accept: {accept}",
        *([f"Sec-WebSocket-Protocol: {protocol}"] if protocol else []),
    ]
    return "\r\n".join([*lines, "", ""]).encode()


def _refuse(accepted: socket.socket, status: int, document: Any, elsewhere: str) -> None:
    body = document if isinstance(document, bytes) else orjson.dumps(document)
    lines = [f"HTTP/1.1 {status} No", f"Content-Length: {len(body)}", "Connection: close"]
    lines += [f"Location: {elsewhere}"] if elsewhere else []
    accepted.sendall("\r\n".join([*lines, "", ""]).encode() + body)


@contextmanager
def exec_serving() -> Iterator[ExecServer]:
    server = ExecServer()
    server.start()
    try:
        yield server
    finally:
        server.stop()
