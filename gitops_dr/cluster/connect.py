"""Opens a connection to one API server by the user's kubeconfig. Touches kubeconfig and network.

The official client does configuration, authentication, exec plugins and token renewal; requests go
as raw bytes through its own connection pool, because decoding into its models costs ten times the
request.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlencode

import orjson
import urllib3
from urllib3.exceptions import HTTPError
from urllib3.util import Retry, Timeout

from gitops_dr.errors import ClusterError, UsageError

if TYPE_CHECKING:
    from kubernetes.client import ApiClient

FIELD_MANAGER = "gitops-dr"
"""The field manager of everything that we write."""

CONNECTIONS = 16
"""Requests in flight at once; the pool keeps as many connections alive."""

# Reads are repeated through a restart of the API server; Retry-After is honoured.
_READ_RETRY = Retry(
    total=6,
    backoff_factor=0.25,
    status_forcelist=(429, 502, 503, 504),
    allowed_methods=("GET",),
    respect_retry_after_header=True,
    raise_on_status=False,
)
# A write is repeated only when the server says that it did not take it.
_WRITE_RETRY = Retry(
    total=6,
    connect=6,
    read=0,
    backoff_factor=0.25,
    status_forcelist=(429, 503),
    allowed_methods=None,
    respect_retry_after_header=True,
    raise_on_status=False,
)


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


class Stream(Protocol):
    """A response whose body arrives in pieces."""

    def stream(self, amt: int) -> Iterator[bytes]:
        """Pieces of at most ``amt`` bytes, as they come."""

    def close(self) -> None:
        """End the connection."""


@dataclass(frozen=True, slots=True)
class Connection:
    """An authenticated way to one API server."""

    context: str
    """The kubeconfig's context; empty inside a cluster."""
    server: str
    """The API server's URL, without credentials."""
    _client: ApiClient

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
            method, path, query, body, content_type, accept, read_timeout, preload=True
        )
        data: bytes = response.data
        if response.status >= 300:
            raise _failure(method, path, response.status, data)
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
        response = self._send(
            "GET", path, query, None, "", "application/json", read_timeout, preload=False
        )
        if response.status >= 300:
            data = response.read()
            response.close()
            raise _failure("GET", path, response.status, data)
        stream: Stream = response
        return stream

    def _send(
        self,
        method: str,
        path: str,
        query: Mapping[str, str | int] | None,
        body: bytes | None,
        content_type: str,
        accept: str,
        read_timeout: float,
        *,
        preload: bool,
    ) -> Any:
        headers = {"Accept": accept, "User-Agent": "gitops-dr"}
        if body is not None:
            headers["Content-Type"] = content_type
        url = f"{self.server}{path}"
        if query:
            url = f"{url}?{urlencode(query)}"
        try:
            # Renews an expired token through the user's exec plugin or token file.
            for setting in self._client.configuration.auth_settings().values():
                if setting["in"] == "header" and setting["value"]:
                    headers[setting["key"]] = setting["value"]
            return self._client.rest_client.pool_manager.request(
                method,
                url,
                body=body,
                headers=headers,
                preload_content=preload,
                timeout=Timeout(connect=10.0, read=read_timeout),
                retries=_READ_RETRY if method == "GET" else _WRITE_RETRY,
            )
        except (HTTPError, HTTPException, OSError) as error:
            raise ApiError(
                f"{self.server}: no answer to {method} {path}: {_plainly(error)}",
                status=0,
                hint="check the address, the network and that the API server runs",
            ) from error


def connect(kubeconfig: Path | None = None, context: str | None = None) -> Connection:
    """Connect by a kubeconfig (default: ``KUBECONFIG`` or ``~/.kube/config``), or in-cluster.

    Nothing is sent yet. Raises ``UsageError`` if there is no kubeconfig or no such context.
    """
    from kubernetes import client, config

    configuration = client.Configuration()
    configuration.connection_pool_maxsize = CONNECTIONS
    file = str(kubeconfig) if kubeconfig else None
    try:
        if file is None and context is None and not _has_kubeconfig():
            config.load_incluster_config(client_configuration=configuration)
            name = ""
        else:
            contexts, active = config.list_kube_config_contexts(config_file=file)
            name = context or (active or {}).get("name", "")
            known = sorted(entry["name"] for entry in contexts)
            if name not in known:
                raise UsageError(
                    f"context {name!r}: not in the kubeconfig",
                    hint=f"known contexts: {', '.join(known) or 'none'}",
                )
            config.load_kube_config(
                config_file=file, context=name, client_configuration=configuration
            )
    except config.ConfigException as error:
        raise UsageError(
            f"kubeconfig: {error}",
            hint="name one with --kubeconfig or KUBECONFIG, and a context with --context",
        ) from error
    # The pool manager must not retry on its own; each request says what is safe to repeat.
    configuration.retries = False
    api_client = client.ApiClient(configuration)
    return Connection(context=name, server=configuration.host.rstrip("/"), _client=api_client)


def _has_kubeconfig() -> bool:
    from kubernetes.config.kube_config import KUBE_CONFIG_DEFAULT_LOCATION

    return any(
        Path(entry).expanduser().is_file()
        for entry in KUBE_CONFIG_DEFAULT_LOCATION.split(":")
        if entry
    )


def _failure(method: str, path: str, status: int, data: bytes) -> ApiError:
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
    return ApiError(
        message or f"{method} {path}: HTTP {status}",
        status=status,
        reason=reason,
        hint=hints.get(status, ""),
        continuation=continuation,
    )


def _plainly(error: BaseException) -> str:
    """The innermost reason of urllib3's nested exceptions."""
    while isinstance(error, urllib3.exceptions.MaxRetryError) and error.reason:
        error = error.reason
    return str(error).rsplit("): ", 1)[-1] or type(error).__name__
