"""A process that serves admission webhooks and an aggregated API over TLS. Listens on loopback.

``python backend.py CERTIFICATE KEY`` prints its port, then serves until its standard input ends.
``GET /calls`` tells how often each of them was asked: ``/check`` allows everything, ``/inject``
also puts a label on it.
"""

from __future__ import annotations

import base64
import json
import ssl
import sys
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

INJECTED = "injected"
"""The label that ``/inject`` puts on an object, with the value ``yes``."""

GROUP = "stock.campaign.example"
VERSION = "v1"

_RESOURCE = {
    "kind": "Shelf",
    "name": "shelves",
    "namespaced": False,
    "singularName": "shelf",
    "verbs": ["get", "list"],
}
_HERE = f"{GROUP}/{VERSION}"
_DOCUMENTS: dict[str, Any] = {
    f"/apis/{GROUP}/{VERSION}": {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": _HERE,
        "resources": [_RESOURCE],
    },
    f"/apis/{GROUP}/{VERSION}/shelves": {
        "kind": "ShelfList",
        "apiVersion": _HERE,
        "metadata": {"resourceVersion": "1"},
        "items": [],
    },
}


class Handler(BaseHTTPRequestHandler):
    """Allows everything, and keeps count."""

    protocol_version = "HTTP/1.1"
    calls: ClassVar[Counter[str]] = Counter()

    def do_GET(self) -> None:
        """Serve discovery and the one list of the aggregated API."""
        path = self.path.partition("?")[0]
        if path == "/calls":
            self._answer(200, dict(self.calls))
        elif path in _DOCUMENTS:
            self.calls["api"] += 1
            self._answer(200, _DOCUMENTS[path])
        else:
            self._answer(404, {"kind": "Status", "apiVersion": "v1", "status": "Failure"})

    def do_POST(self) -> None:
        """Allow what the webhook is asked about, and change it if it is the one that does."""
        review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        request = review["request"]
        response = {"uid": request["uid"], "allowed": True}
        injects = self.path.partition("?")[0] == "/inject"
        self.calls["injected" if injects else "webhook"] += 1
        if injects:
            labels = request["object"]["metadata"].get("labels") or {}
            value = {**labels, INJECTED: "yes"}
            patch = [{"op": "add", "path": "/metadata/labels", "value": value}]
            response["patchType"] = "JSONPatch"
            response["patch"] = base64.b64encode(json.dumps(patch).encode()).decode()
        review["response"] = response
        self._answer(200, review)

    def _answer(self, status: int, document: Any) -> None:
        data = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_arguments: Any) -> None:
        """Say nothing."""


def main() -> None:
    """Serve until whoever started us is gone."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[1], sys.argv[2])
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_address[1], flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
