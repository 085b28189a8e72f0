"""The floor: what a bare client needs. Talks to one API server; shares no code with the product.

Threads over one urllib3 pool send requests and take answers as raw bytes; nothing is decoded but
the token of the next page. Each command prints one JSON object; its seconds are those of the
requests alone, without Python's start.

    python bench/bare.py list KUBECONFIG PATHS [--at-once 4] [--exact]
    python bench/bare.py create KUBECONFIG LINES [--at-once 16]

PATHS is a file with one URL path of a collection a line; LINES is what ``world.py`` writes.
"""

from __future__ import annotations

import argparse
import base64
import itertools
import json
import re
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from urllib.parse import urlencode

import urllib3

PAGE = 500
PATIENCE = 60.0
"""Seconds for which a refused object is tried again."""

_METADATA_ONLY = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
_TOKEN = re.compile(rb'"metadata":\{[^{}]*?"continue":"([^"]+)"')
_REVISION = re.compile(rb'"metadata":\{[^{}]*?"resourceVersion":"(\d+)"')
_EDGE = 2000
"""Bytes at either end of a list in which its own metadata stands."""


class Bare:
    """One API server, by a kubeconfig with a token, as the lab writes it."""

    def __init__(self, kubeconfig: Path, connections: int) -> None:
        config = json.loads(kubeconfig.read_text())
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        with tempfile.NamedTemporaryFile(suffix=".crt") as authority:
            authority.write(base64.b64decode(cluster["certificate-authority-data"]))
            authority.flush()
            context = urllib3.util.ssl_.create_urllib3_context()
            context.load_verify_locations(authority.name)
        self._server = cluster["server"]
        self._pool = urllib3.PoolManager(maxsize=connections, retries=False, ssl_context=context)
        self._headers = {"Authorization": f"Bearer {user['token']}", "User-Agent": "bare"}

    def get(self, path: str, query: dict[str, str | int], accept: str) -> bytes:
        """The raw answer; ends the program for anything but success."""
        url = f"{self._server}{path}?{urlencode(query)}"
        answer = self._pool.request("GET", url, headers={**self._headers, "Accept": accept})
        if answer.status != 200:
            raise SystemExit(f"{path}: {answer.status} {answer.data[:300].decode()}")
        return answer.data

    def post(self, path: str, body: bytes) -> tuple[int, bytes]:
        """Status and raw answer."""
        headers = {**self._headers, "Content-Type": "application/json"}
        answer = self._pool.request("POST", self._server + path, body=body, headers=headers)
        return answer.status, answer.data


def list_all(bare: Bare, paths: list[str], *, at_once: int, exact: bool) -> dict[str, float]:
    """Page through every collection, ``at_once`` of them at a time."""
    revision = ""
    if exact:
        found = _REVISION.search(bare.get("/api/v1/namespaces", {"limit": 1}, "application/json"))
        revision = found[1].decode() if found else ""
    received: list[int] = []
    started = time.perf_counter()
    _in_threads(at_once, paths, lambda path: received.extend(_pages(bare, path, revision)))
    seconds = time.perf_counter() - started
    return {"seconds": seconds, "pages": len(received), "bytes": sum(received)}


def _pages(bare: Bare, path: str, revision: str) -> Iterator[int]:
    accept = _METADATA_ONLY if path.endswith("/secrets") else "application/json"
    query: dict[str, str | int] = {"limit": PAGE}
    if revision:
        query |= {"resourceVersion": revision, "resourceVersionMatch": "Exact"}
    while True:
        data = bare.get(path, query, accept)
        yield len(data)
        # Built-in lists begin with their metadata, those of custom resources end with it.
        token = _TOKEN.search(data[:_EDGE]) or _TOKEN.search(data[-_EDGE:])
        if token is None:
            return
        query = {"limit": PAGE, "continue": token[1].decode()}


def create_all(bare: Bare, lines: Iterable[str], *, at_once: int) -> dict[str, float]:
    """Create every object, wave by wave, ``at_once`` of them at a time.

    What comes too early (404, 403 and 429 while the cluster catches up) is tried again.
    """
    items = (json.loads(line) for line in lines)
    waves = [
        [(path, json.dumps(body).encode()) for _, path, body in group]
        for _, group in itertools.groupby(items, key=lambda item: item[0])
    ]
    answered: dict[str, int] = {}
    lock = threading.Lock()

    def create(item: tuple[str, bytes]) -> None:
        deadline = time.monotonic() + PATIENCE
        while True:
            status, answer = bare.post(*item)
            with lock:
                answered[str(status)] = answered.get(str(status), 0) + 1
            if status in (201, 409):
                return
            if status not in (403, 404, 429, 500, 503) or time.monotonic() > deadline:
                raise SystemExit(f"{item[0]}: {status} {answer[:300].decode()}")
            time.sleep(0.05)

    started = time.perf_counter()
    for wave in waves:
        _in_threads(at_once, wave, create)
    seconds = time.perf_counter() - started
    return {"seconds": seconds, "objects": sum(map(len, waves)), **answered}


def _in_threads[T](number: int, work: Iterable[T], do: Callable[[T], None]) -> None:
    """Give each piece of work to one of ``number`` threads; ends the program if one fails."""
    pieces = iter(work)
    lock = threading.Lock()
    failures: list[BaseException] = []

    def run() -> None:
        while not failures:
            with lock:
                piece = next(pieces, None)
            if piece is None:
                return
            try:
                do(piece)
            except BaseException as error:  # noqa: BLE001 - raised again below
                failures.append(error)

    threads = [threading.Thread(target=run) for _ in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def main() -> None:
    """Run one command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("command", choices=("list", "create"))
    parser.add_argument("kubeconfig", type=Path)
    parser.add_argument("file", type=Path)
    parser.add_argument("--at-once", type=int, default=4)
    parser.add_argument("--exact", action="store_true")
    given = parser.parse_args()
    bare = Bare(given.kubeconfig, given.at_once)
    with given.file.open() as lines:
        if given.command == "list":
            paths = [line.strip() for line in lines]
            result = list_all(bare, paths, at_once=given.at_once, exact=given.exact)
        else:
            result = create_all(bare, lines, at_once=given.at_once)
    json.dump(result, sys.stdout)


if __name__ == "__main__":
    main()
