"""Opens a connection to one API server by the user's kubeconfig. Touches kubeconfig and network.

The official client does configuration, authentication, exec plugins and token renewal; requests go
as raw bytes through its own connection pool, because decoding into its models costs ten times the
request.
"""

from __future__ import annotations

import contextlib
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import orjson
import urllib3
from urllib3.exceptions import HTTPError
from urllib3.util import Timeout

from gitops_dr.cluster.kubeconfig import configuration, kubeconfig_files, one_line, unusable
from gitops_dr.cluster.repeating import READ, WRITE
from gitops_dr.errors import ClusterError, UsageError

if TYPE_CHECKING:
    from kubernetes.client import ApiClient, Configuration

FIELD_MANAGER = "gitops-dr"
"""The field manager of everything that we write."""

CONNECTIONS = 16
"""Requests in flight at once; the pool keeps as many connections alive."""

_LOOPBACK = re.compile(r"https?://(?:localhost|127\.[0-9.]+|\[::1\])(?::|$)")

_NOTHING_THERE = b"404 page not found"
"""What the API server says in plain text where it serves nothing (yet): no secret, so quoted."""


_UNAUTHORIZED = 401

_IN_VAIN = 10.0
"""Seconds for which credentials that were read anew and are the same are not read again."""


class ApiError(ClusterError):
    """The API server answered with a failure. ``status`` is the HTTP status, 0 for no answer."""

    def __init__(
        self, message: str, *, status: int, reason: str = "", hint: str = "", continuation: str = ""
    ) -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.reason = reason
        self.continuation = continuation
        """Where a list that expired in the middle can be taken up again, at a later revision."""


@dataclass(frozen=True, slots=True)
class Stream:
    """A response whose body arrives in pieces."""

    _path: str
    _response: urllib3.BaseHTTPResponse

    def stream(self, amt: int) -> Iterator[bytes]:
        """Pieces of at most ``amt`` bytes, as they come.

        Raises ``ApiError`` with status 0 if the connection breaks.
        """
        try:
            yield from self._response.stream(amt)
        except (HTTPError, HTTPException, OSError) as error:
            raise ApiError(f"{self._path}: broken off: {plainly(error)}", status=0) from error

    def close(self) -> None:
        """End the connection."""
        self._response.close()


@dataclass(slots=True)
class _Renewal:
    """The credentials' way to be read anew, as at the start: by file or exec plugin."""

    load: Callable[[], Configuration] | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)
    """Held while credentials are looked at: an exec plugin runs once, not once a thread."""
    times: int = 0
    """How often others were found."""
    in_vain: float = float("-inf")
    """The monotonic second of the last time that the same were found again."""


@dataclass(frozen=True, slots=True)
class Connection:
    """An authenticated way to one API server."""

    context: str
    """The kubeconfig's context; empty inside a cluster."""
    server: str
    """The API server's URL, without credentials."""
    _client: ApiClient
    _compressed: bool = True
    """Whether to ask for compressed answers."""
    _renewal: _Renewal = field(default_factory=_Renewal, repr=False, compare=False)

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str | int] | None = None,
        body: bytes | None = None,
        content_type: str = "application/json",
        accept: str = "application/json",
        read_timeout: float = 60.0,
    ) -> bytes:
        """Send one request and return the answer's bytes.

        Raises ``ApiError`` with the server's own message for any answer that is not 2xx, and with
        status 0 when there was none.
        """
        response = self._send(
            method,
            path,
            query=query,
            body=body,
            content_type=content_type,
            accept=accept,
            read_timeout=read_timeout,
        )
        data: bytes = response.data
        if response.status >= 300:
            raise failure(method, path, response.status, data)
        return data

    def json(self, method: str, path: str, **options: Any) -> Any:
        """As :meth:`request`, decoded."""
        data = self.request(method, path, **options)
        try:
            return orjson.loads(data)
        except orjson.JSONDecodeError as error:
            raise ApiError(
                f"{self.server}{path}: the answer is not JSON: {error}",
                status=0,
                hint="is this an API server, and is a proxy in between?",
            ) from error

    def open_stream(
        self, path: str, *, query: Mapping[str, str | int], read_timeout: float
    ) -> Stream:
        """Start a GET whose answer is read piece by piece (a watch). Raises ``ApiError``."""
        response = self._send("GET", path, query=query, read_timeout=read_timeout, preload=False)
        stream = Stream(path, response)
        if response.status >= 300:
            try:
                data = b"".join(stream.stream(1 << 16))
            finally:
                stream.close()
            raise failure("GET", path, response.status, data)
        return stream

    def _send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str | int] | None,
        read_timeout: float,
        body: bytes | None = None,
        content_type: str = "",
        accept: str = "application/json",
        preload: bool = True,
    ) -> Any:
        """Send a request; once more with new credentials if those that it had are refused.

        A request that is refused for them has done nothing, so this holds for writes too.
        """

        def send() -> Any:
            return self._send_once(
                method,
                path,
                query=query,
                read_timeout=read_timeout,
                body=body,
                content_type=content_type,
                accept=accept,
                preload=preload,
            )

        known = self._renewal.times
        response = send()
        if response.status != _UNAUTHORIZED or not self._renew(known):
            return response
        response.close()
        return send()

    def _send_once(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str | int] | None,
        read_timeout: float,
        body: bytes | None,
        content_type: str,
        accept: str,
        preload: bool,
    ) -> Any:
        headers = {"Accept": accept, **self.headers()}
        if preload and self._compressed:
            headers["Accept-Encoding"] = "gzip"
        if body is not None:
            headers["Content-Type"] = content_type
        url = f"{self.server}{path}"
        if query:
            url = f"{url}?{urlencode(query)}"
        try:
            return self._client.rest_client.pool_manager.request(
                method,
                url,
                body=body,
                headers=headers,
                preload_content=preload,
                timeout=Timeout(connect=10.0, read=read_timeout),
                retries=READ if method == "GET" else WRITE,
            )
        except (HTTPError, HTTPException, OSError) as error:
            raise self.unanswered(method, path, error) from error

    def open_socket(self, timeout: float) -> socket.socket:
        """Open a socket of its own, for what is no plain request; ``timeout`` is in seconds.

        It goes through the same proxy and is secured as every other request. Nothing is sent yet,
        credentials neither. Raises what urllib3 and sockets raise.
        """
        pool = self._client.rest_client.pool_manager.connection_from_url(self.server)
        # urllib3 has no public way to a socket, and nobody else knows all that the client set up.
        opened = pool._new_conn()  # noqa: SLF001
        opened.timeout = timeout
        if pool.proxy is not None and self.server.startswith("https:"):
            pool._prepare_proxy(opened)  # noqa: SLF001
        else:
            opened.connect()
        found: socket.socket = opened.sock
        return found

    def unanswered(self, method: str, path: str, error: BaseException) -> ApiError:
        """The error for a request that got no answer."""
        return ApiError(
            f"{self.server}: no answer to {method} {path}: {plainly(error)}",
            status=0,
            hint="check the address, the network and that the API server runs",
        )

    def headers(self) -> dict[str, str]:
        """What every request says of us: who we are, and the credentials.

        Raises ``ApiError`` if they cannot be renewed.
        """
        return {"User-Agent": "gitops-dr", **self._credentials()}

    def _credentials(self) -> dict[str, str]:
        """The headers that authenticate, renewed by exec plugin or token file if they expired."""
        from kubernetes.config import ConfigException

        try:
            with self._renewal.lock:
                settings = self._client.configuration.auth_settings().values()
        except (ConfigException, OSError) as error:
            raise ApiError(
                f"{self.server}: the credentials cannot be renewed: {one_line(error)}",
                status=0,
                hint="log in again, or choose another --context",
            ) from error
        # A token file may end with a newline, which no header can carry.
        return {each["key"]: each["value"].strip() for each in settings if each["value"]}

    def _renew(self, known: int) -> bool:
        """Read the credentials anew, whatever they say of their end: they may have been revoked.

        True if there are others than ``known``, the number of those that were refused. Where the
        same came back, nobody asks again for some seconds: a plugin may start a browser.
        """
        renewal = self._renewal
        with renewal.lock:
            if renewal.times != known:
                return True
            now = time.monotonic()
            if renewal.load is None or now - renewal.in_vain < _IN_VAIN:
                return False
            old = self._client.configuration
            try:
                new = renewal.load()
                if _credentials_of(new) == _credentials_of(old):
                    renewal.in_vain = now
                    return False
                if (new.cert_file, new.key_file) != (old.cert_file, old.key_file):
                    from kubernetes.client import ApiClient

                    self._client.rest_client = ApiClient(new).rest_client
            except (ClusterError, UsageError, OSError, ValueError):
                # What the server said of the old ones tells more.
                renewal.in_vain = now
                return False
            self._client.configuration = new
            renewal.times += 1
            return True


def connect(kubeconfig: Path | None = None, context: str | None = None) -> Connection:
    """Connect by a kubeconfig (default: ``KUBECONFIG`` or ``~/.kube/config``), or in-cluster.

    Nothing is sent yet. Raises ``UsageError`` if there is no kubeconfig or no such context.
    """
    from kubernetes import client

    files = kubeconfig_files(kubeconfig)
    name, settings = configuration(files, context, CONNECTIONS)
    try:
        api_client = client.ApiClient(settings)
    except (OSError, ValueError) as error:
        raise unusable(files, error) from error
    server = settings.host.rstrip("/")
    # As kubectl does: servers compress what is large, and a tenth of it comes over the network.
    # Where there is none in between it costs a server's time and gains nobody any.
    compressed = not _LOOPBACK.match(server)
    # By the name that was current then: somebody may have switched meanwhile.
    renewal = _Renewal(lambda: configuration(files, name or None, CONNECTIONS)[1])
    return Connection(name, server, api_client, compressed, renewal)


def _credentials_of(found: Configuration) -> tuple[object, ...]:
    return dict(found.api_key), found.cert_file, found.key_file


def failure(method: str, path: str, status: int, data: bytes) -> ApiError:
    """The error for an answer that is not what was hoped for, with the server's own message."""
    reason, message, continuation = "", "", ""
    with contextlib.suppress(orjson.JSONDecodeError):
        answer = orjson.loads(data)
        # An unknown body may hold anything, so only a Status is ever quoted.
        if isinstance(answer, dict) and answer.get("kind") == "Status":
            reason, message = str(answer.get("reason", "")), str(answer.get("message", ""))
            continuation = str((answer.get("metadata") or {}).get("continue") or "")
    hints = {
        401: "the credentials were refused: log in again, or choose another --context",
        403: "the user of this context lacks a permission",
    }
    plain = _NOTHING_THERE.decode() if data.strip() == _NOTHING_THERE else f"HTTP {status}"
    return ApiError(
        message or f"{method} {path}: {plain}",
        status=status,
        reason=reason,
        hint=hints.get(status, ""),
        continuation=continuation,
    )


def or_none[Found](look: Callable[[], Found]) -> Found | None:
    """What was looked for; None if the API server does not say."""
    try:
        return look()
    except ApiError:
        return None


def plainly(error: BaseException) -> str:
    """The innermost reason of urllib3's nested exceptions."""
    while isinstance(error, urllib3.exceptions.MaxRetryError) and error.reason:
        error = error.reason
    return one_line(error).rsplit("): ", 1)[-1] or type(error).__name__
