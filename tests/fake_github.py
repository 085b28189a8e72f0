"""GitHub's API as far as comments go, on loopback, with faults; and a clock that tests move."""

import json
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from gitops_dr.forge.api import Clock
from gitops_dr.forge.github import PullRequest, from_environment

TOKEN = "ghs_Not4RealTokenButLooksLikeOne"
BOT = "github-actions[bot]"
START = 1_800_000_000.0
HEAD = "c0ffee" + "0" * 34


@dataclass
class Request:
    method: str
    path: str
    authorization: str | None
    body: Any


@dataclass
class Fault:
    """Answers the next request that fits, instead of GitHub (or after it has done its work)."""

    method: str
    part: str
    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: Any = None
    carried_out: bool = False


class GitHub:
    """One pull request, o/r#7, and its comments."""

    def __init__(self) -> None:
        self.comments: list[dict[str, Any]] = []
        self.requests: list[Request] = []
        self.faults: list[Fault] = []
        self.viewer: str | None = BOT
        self.head = HEAD
        self.page = 2
        self.link: Callable[[str], str] = '<{}>; rel="next"'.format
        self.hangs_up = 0
        self.address = ""
        self._next = 100

    def comment(self, body: str | None, login: str = BOT, kind: str = "Bot") -> int:
        self._next += 1
        user = {"login": login, "type": kind} if login else None
        address = f"https://github.example/o/r/pull/7#{self._next}"
        self.comments.append({"id": self._next, "body": body, "user": user, "html_url": address})
        return self._next

    def bodies(self) -> list[str]:
        return [comment["body"] for comment in self.comments]

    def asked(self, method: str, part: str = "") -> list[Request]:
        return [r for r in self.requests if r.method == method and part in r.path]

    def fail(self, method: str, part: str, status: int, **more: Any) -> None:
        self.faults.append(Fault(method, part, status, **more))

    def answer(self, method: str, target: str, body: Any) -> tuple[int, dict[str, str], Any]:
        url = urlsplit(target)
        if url.path.endswith("/graphql"):
            if self.viewer is None:
                return 403, {}, {"message": "Resource not accessible"}
            return 200, {}, {"data": {"viewer": {"login": self.viewer}}}
        path = url.path.removeprefix("/api/v3")
        if path == "/repos/o/r/pulls/7":
            return 200, {}, {"number": 7, "head": {"sha": self.head}}
        if path == "/repos/o/r/issues/7/comments":
            if method == "POST":
                self.comment(body["body"])
                return 201, {}, self.comments[-1]
            return self._list(target, int(parse_qs(url.query).get("page", ["1"])[0]))
        found = re.fullmatch(r"/repos/o/r/issues/comments/(\d+)", path)
        for comment in self.comments:
            if found and comment["id"] == int(found[1]):
                if method == "DELETE":
                    self.comments.remove(comment)
                    return 204, {}, None
                comment["body"] = body["body"]
                return 200, {}, comment
        return 404, {}, {"message": "Not Found"}

    def _list(self, target: str, page: int) -> tuple[int, dict[str, str], Any]:
        start = (page - 1) * self.page
        headers = {}
        if start + self.page < len(self.comments):
            base = f"{self.address}{target.partition('?')[0]}"
            first = f'<{base}?per_page=100&page=1>; rel="first"'
            headers["Link"] = f"{first}, {self.link(f'{base}?per_page=100&page={page + 1}')}"
        return 200, headers, self.comments[start : start + self.page]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    github: GitHub

    def _serve(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else None
        github = self.github
        github.requests.append(
            Request(self.command, self.path, self.headers.get("Authorization"), body)
        )
        if github.hangs_up:
            github.hangs_up -= 1
            self.close_connection = True
            return
        for fault in github.faults:
            if fault.method == self.command and fault.part in self.path:
                github.faults.remove(fault)
                if fault.carried_out:
                    github.answer(self.command, self.path, body)
                self._send(fault.status, fault.headers, fault.body)
                return
        self._send(*github.answer(self.command, self.path, body))

    do_GET = do_POST = do_PATCH = do_DELETE = _serve  # noqa: N815 - their names are the base's

    def _send(self, status: int, headers: dict[str, str], document: Any) -> None:
        data = document if isinstance(document, bytes) else json.dumps(document).encode()
        data = b"" if document is None else data
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        pass


def serving() -> Iterator[GitHub]:
    github = GitHub()
    handler = type("Bound", (Handler,), {"github": github})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        server.block_on_close = False
        github.address = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield github
        server.shutdown()
        thread.join()


@pytest.fixture
def github() -> Iterator[GitHub]:
    yield from serving()


@pytest.fixture
def stranger() -> Iterator[GitHub]:
    """Another host, as an origin: it must never see the token, nor anything else."""
    yield from serving()


class FakeClock:
    """Time stands still but for the sleeps, which are kept."""

    def __init__(self) -> None:
        self.time = START
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.time += seconds

    @property
    def clock(self) -> Clock:
        return Clock(now=lambda: self.time, sleep=self.sleep)


@pytest.fixture
def time() -> FakeClock:
    return FakeClock()


def environment(github: GitHub, **more: str) -> dict[str, str]:
    return {
        "GITHUB_API_URL": github.address,
        "GITHUB_TOKEN": TOKEN,
        "GITHUB_REPOSITORY": "o/r",
        "GITHUB_REF": "refs/pull/7/merge",
        "GITHUB_JOB": "drift",
        **more,
    }


@pytest.fixture
def pull_request(github: GitHub, time: FakeClock) -> PullRequest:
    return from_environment(environment(github), clock=time.clock)
