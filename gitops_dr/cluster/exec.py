"""Runs a command in a container of a pod. Goes through the API server to the container's node.

The API server upgrades the request to a WebSocket. The first byte of each message names its stream;
the last that comes is how the command ended, as a Status. Sources:
https://github.com/kubernetes/enhancements/tree/master/keps/sig-api-machinery/4006-transition-spdy-to-websockets
and, for the streams, ``staging/src/k8s.io/apimachinery/pkg/util/remotecommand`` of Kubernetes.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from http.client import HTTPException
from socket import SHUT_RDWR, socket
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import orjson
from urllib3.exceptions import HTTPError

from gitops_dr.cluster.connect import ApiError, Connection, failure, plainly
from gitops_dr.cluster.listing import object_path
from gitops_dr.model import Ref, Resource

if TYPE_CHECKING:
    from websocket import WebSocket

KEPT = 4096
"""Bytes that are kept of each stream, its last ones: what went wrong is said at the end."""

_PODS = Resource("", "v1", "Pod", "pods", namespaced=True)
_PROTOCOLS = ("v5.channel.k8s.io", "v4.channel.k8s.io")
"""The server takes the first that it knows. They differ in how stdin ends, and we send none."""

_STDOUT, _STDERR, _STATUS = 1, 2, 3
_LONGEST_STATUS = 1 << 16
_TRIES = 6
_PAUSE = 0.25
"""Seconds before a request that the server did not take is sent again; doubled each time."""
_NOT_TAKEN = (429, 503)
_CONNECTING = 10.0
"""Seconds for one attempt to reach the server."""
_REST = 2.0
"""Seconds that the next output may still take once it is known how the command ended."""


@dataclass(frozen=True, slots=True)
class Ran:
    """A command that came to its end."""

    exit_code: int
    stdout: bytes = field(default=b"", repr=False)
    """Its last bytes. A command may say anything, so this is in no representation."""
    stderr: bytes = field(default=b"", repr=False)


def run(
    connection: Connection,
    pod: Ref,
    container: str,
    command: Sequence[str],
    *,
    timeout: float,
    kept: int = KEPT,
) -> Ran:
    """Run a command, without a shell and without input, and wait for its end.

    ``timeout``: seconds for all of it; a command that takes longer is left behind, because
    Kubernetes has no way to stop it. Whatever exit code it has is a result. Raises ``ApiError`` if
    it could not be started or its end is not known; the status is 0 where no answer came.
    """
    deadline = time.monotonic() + timeout
    about = f"{pod}, container {container}"
    words = [("command", word) for word in command]
    query = urlencode([*words, ("container", container), ("stdout", "true"), ("stderr", "true")])
    path = f"{object_path(_PODS, pod.namespace, pod.name)}/exec"
    streams = {_STDOUT: bytearray(), _STDERR: bytearray(), _STATUS: bytearray()}
    try:
        with ExitStack() as held:
            _read(_started(_Request(connection, path, query, deadline), held), streams, kept)
        code = _exit_code(bytes(streams[_STATUS]))
    except ApiError as error:
        message, reason, hint = error.message, error.reason, error.hint
        if error.status == 0 and time.monotonic() >= deadline:
            message, reason = f"the command did not end within {timeout:g} s", "Timeout"
            hint = "it may still be running there"
        elif error.status == 403:
            hint = "running commands needs the verbs get and create on pods/exec"
        raise ApiError(
            f"{about}: {message}", status=error.status, reason=reason, hint=hint
        ) from error
    return Ran(code, bytes(streams[_STDOUT]), bytes(streams[_STDERR]))


@dataclass(frozen=True, slots=True)
class _Request:
    connection: Connection
    path: str
    query: str
    deadline: float
    """On the monotonic clock."""

    def remaining(self) -> float:
        return max(0.0, self.deadline - time.monotonic())


def _started(request: _Request, held: ExitStack) -> WebSocket:
    """Start the command. What must be closed in the end is put into ``held``.

    It is tried again only while it is certain that the command did not start.
    """
    connection, pause, left = request.connection, _PAUSE, _TRIES
    while True:
        left -= 1
        last = not left or pause >= request.remaining()
        try:
            opened = connection.open_socket(min(_CONNECTING, request.remaining()))
        except (HTTPError, HTTPException, OSError, ValueError) as error:
            if last:
                raise connection.unanswered("GET", request.path, error) from error
        else:
            try:
                return _upgraded(request, opened, held)
            except ApiError as error:
                held.close()
                if last or error.status not in _NOT_TAKEN:
                    raise
        time.sleep(pause)
        pause *= 2


def _upgraded(request: _Request, opened: socket, held: ExitStack) -> WebSocket:
    """Turn the socket into the command's WebSocket. Raises ``ApiError`` if the server refuses."""
    from websocket import WebSocket, WebSocketBadStatusException, WebSocketException

    connection, path = request.connection, request.path
    held.callback(opened.close)
    # Each read has a time limit of its own, so a server that sends byte by byte would outlast it.
    opened.settimeout(None)
    limit = threading.Timer(request.remaining(), _cut_off, [opened])
    limit.daemon = True
    limit.start()
    held.callback(limit.cancel)
    upgraded = WebSocket(skip_utf8_validation=True)
    try:
        upgraded.connect(  # type: ignore[no-untyped-call]
            f"ws{connection.server.removeprefix('http')}{path}?{request.query}",
            socket=opened,
            header=[f"{name}: {value}" for name, value in connection.headers().items()],
            subprotocols=list(_PROTOCOLS),
            suppress_origin=True,
            redirect_limit=0,
        )
    except WebSocketBadStatusException as error:
        raise failure("GET", path, error.status_code, error.resp_body or b"") from error
    except WebSocketException as error:
        raise ApiError(
            f"GET {path}: the server opens no WebSocket: {plainly(error)}",
            status=0,
            hint="is this an API server, and is a proxy in between that knows no WebSockets?",
        ) from error
    except (OSError, ValueError) as error:
        raise connection.unanswered("GET", path, error) from error
    return upgraded


def _cut_off(opened: socket) -> None:
    with suppress(OSError):
        opened.shutdown(SHUT_RDWR)


def _read(upgraded: WebSocket, streams: dict[int, bytearray], kept: int) -> None:
    """Read what the command says until all is said. Raises ``ApiError`` if its end is not."""
    from websocket import ABNF, WebSocketException

    problem = ""
    while True:
        try:
            kind, frame = upgraded.recv_data_frame()
        except (WebSocketException, OSError, ValueError) as error:
            problem = f": {plainly(error)}"
            break
        if kind == ABNF.OPCODE_CLOSE:
            break
        stream = streams.get(frame.data[0]) if frame.data else None
        if stream is None:
            continue
        stream += frame.data[1:]
        most = _LONGEST_STATUS if stream is streams[_STATUS] else kept
        del stream[: max(0, len(stream) - most)]
        if streams[_STATUS]:
            upgraded.settimeout(_REST)
    if not streams[_STATUS]:
        raise ApiError(f"the connection ended before the command did{problem}", status=0)


def _exit_code(status: bytes) -> int:
    """How the command ended. Raises ``ApiError`` if it was not even started, or nobody can tell."""
    try:
        document = orjson.loads(status)
        if document["status"] == "Success":
            return 0
        details = document.get("details") or {}
        for cause in details.get("causes") or ():
            if cause.get("reason") == "ExitCode":
                return int(cause["message"])
        message = " ".join(str(document["message"]).split())
        code, reason = int(document.get("code") or 500), str(document.get("reason") or "")
    except (orjson.JSONDecodeError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise ApiError("the server says in no readable way how the command ended", status=0) from (
            error
        )
    raise ApiError(message, status=code, reason=reason)
