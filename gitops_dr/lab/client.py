"""A small HTTPS client for one API server. Talks to the network (loopback).

The lab needs a handful of plain requests before and beside the product's own client, which is
what its tests are about.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from gitops_dr.errors import LabError
from gitops_dr.model import Body

MANAGER = "gitops-dr-lab"
_SECONDS = 30.0


class Client:
    """Requests to the API server of one lab as its administrator; close it."""

    def __init__(self, server: str, pki: Path) -> None:
        import urllib3

        self._pool = urllib3.PoolManager(
            timeout=_SECONDS,
            retries=False,
            ca_certs=str(pki / "ca.crt"),
            cert_file=str(pki / "admin.crt"),
            key_file=str(pki / "admin.key"),
            headers={"User-Agent": MANAGER, "Accept": "application/json"},
        )
        self._server = server

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self._pool.clear()

    def call(
        self,
        method: str,
        path: str,
        body: Body | bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> tuple[int, bytes]:
        """Status and bytes of one answer; status 0 if there is nobody to answer (yet)."""
        import urllib3

        content = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        kinds = {"Content-Type": "application/json"} if content is not None else {}
        sent = {**self._pool.headers, **kinds, **(headers or {})}
        try:
            answer = self._pool.request(method, self._server + path, body=content, headers=sent)
        except urllib3.exceptions.HTTPError:
            return 0, b""
        return answer.status, answer.data

    def get(self, path: str) -> Body:
        """One object or list.

        Raises ``LabError`` for any answer but 200.
        """
        return self._decoded(path, *self.call("GET", path))

    def post(self, path: str, body: Body) -> Body:
        """Create one object, or ask something of a subresource.

        Raises ``LabError`` for any answer but success.
        """
        return self._decoded(path, *self.call("POST", path, body))

    @staticmethod
    def _decoded(path: str, status: int, answer: bytes) -> Body:
        if not 200 <= status < 300:
            raise LabError(f"{path}: the API server answered {status}", hint=message(answer))
        decoded: Any = json.loads(answer)
        if not isinstance(decoded, dict):
            raise LabError(f"{path}: the API server's answer is not an object")
        return decoded


def message(answer: bytes) -> str:
    """What a ``Status`` object says, or the answer itself if it is none."""
    try:
        decoded = json.loads(answer)
    except ValueError:
        return answer.decode(errors="replace").strip()
    return str(decoded.get("message", "")) if isinstance(decoded, dict) else ""
