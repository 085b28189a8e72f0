"""Requests to GitHub's API: patient with its limits, silent towards strangers. Network only.

The token goes to one origin (scheme, host and port) and nowhere else: redirects are not followed, a
next page on another host is an error. It is in no message, no ``repr`` and no exception.
"""

from __future__ import annotations

import ipaddress
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.client import HTTPException
from ssl import SSLCertVerificationError
from typing import Any
from urllib.parse import urljoin

import orjson
import urllib3
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    LocationParseError,
    NewConnectionError,
    ProxyError,
    SSLError,
)
from urllib3.util import Timeout, make_headers, parse_url

from gitops_dr.errors import ExitCode, GitOpsDRError, UsageError
from gitops_dr.forge import limits
from gitops_dr.model import MaskedValue

TRIES = 6
"""Times that one request is sent at most."""

PAGES = 100
"""Pages of a list that are read at most; of a hundred each, that is more than GitHub allows."""

LARGEST_ANSWER = 32 << 20
"""Bytes of one answer that are read at most: a page of a hundred comments has a third of that."""

_CONNECT_TIMEOUT = 10.0
_READ_TIMEOUT = 30.0
_QUOTED = 300
"""Characters of the forge's own message that an error shows."""

_NEXT = re.compile(r"<([^<>]*)>(?=[^<>]*;\s*rel\s*=\s*\"?next\"?\s*(?:[;,]|$))", re.IGNORECASE)
_TOKEN = re.compile(r"[\x21-\x7e]+")

_HINTS = {
    401: "GITHUB_TOKEN was refused; in a workflow it is ${{ github.token }}",
    403: "the job needs `permissions: pull-requests: write`; a fork's pull request never has it",
    404: "check GITHUB_REPOSITORY and the number; a token without the right to read gets this too",
}


class ForgeError(GitOpsDRError):
    """The forge could not be reached or refused us: what was found stands, but was not posted.

    ``status`` is the HTTP status, 0 for no answer. ``unsure`` says that the request may have been
    carried out all the same.
    """

    exit_code = ExitCode.PARTIAL

    def __init__(
        self, message: str, *, status: int = 0, hint: str = "", unsure: bool = False
    ) -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.unsure = unsure


@dataclass(frozen=True, slots=True)
class Clock:
    """Where time comes from: seconds since 1970, and a way to let some pass."""

    now: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep


@dataclass(frozen=True, slots=True)
class Answer:
    """What the forge answered."""

    status: int
    headers: Mapping[str, str]
    """With names that are found in any case."""
    document: Any
    """The decoded JSON; None where there was none."""

    @property
    def message(self) -> str:
        """The forge's own words about a failure; empty if it has none."""
        said = self.document.get("message") if isinstance(self.document, dict) else None
        return " ".join(said.split()) if isinstance(said, str) else ""


@dataclass(frozen=True, slots=True)
class Api:
    """One forge's API, as one token sees it."""

    base: str
    """URL of its root, without a slash at the end."""
    _token: MaskedValue
    _pool: urllib3.PoolManager = field(repr=False)
    clock: Clock = field(default_factory=Clock, repr=False)

    def send(
        self,
        method: str,
        path: str,
        *,
        about: str,
        deadline: float,
        body: Mapping[str, Any] | None = None,
        repeat: bool = True,
        expected: tuple[int, ...] = (),
        tries: int = TRIES,
    ) -> Answer:
        """Send one request, again if a limit was hit, and if the forge failed and ``repeat``.

        ``path`` follows ``base``, or is a whole URL at its origin. ``deadline`` (seconds since
        1970) ends all tries: a wait that would pass it is not begun. Returns an answer of 2xx or
        with an ``expected`` status; raises ``ForgeError``, which begins with ``about``, for any
        other.
        """
        url = path if path.startswith(("http:", "https:")) else f"{self.base}{path}"
        for tried in range(1, tries + 1):
            try:
                answer = self._once(method, url, about, body, deadline)
            except ForgeError as error:
                setback, heals = error, not isinstance(error, _FinalError)
                heals = heals and (repeat or not error.unsure)
                wait = limits.backoff(tried)
            else:
                refused = limits.was_refused(answer.status, answer.headers, answer.message)
                if answer.status < 300 or (answer.status in expected and not refused):
                    return answer
                setback = self._failure(about, answer)
                heals = refused or (repeat and limits.has_failed(answer.status))
                now = self.clock.now()
                wait = limits.pause(answer.status, answer.headers, tries=tried, now=now)
            if not heals or tried == tries:
                raise setback
            if self.clock.now() + wait > deadline:
                raise ForgeError(
                    f"{setback.message}; it would be {wait:.0f} seconds until the next try",
                    status=setback.status,
                    hint="run the job again later",
                    unsure=setback.unsure,
                )
            self.clock.sleep(wait)
        raise ValueError(f"{tries} tries are none")

    def pages(self, path: str, *, about: str, deadline: float) -> Iterator[Any]:
        """Give the items of a list, page after page, as the ``Link`` header leads.

        Raises ``ForgeError``, also for a page that is no list or that is somewhere else.
        """
        url = path
        for _ in range(PAGES):
            answer = self.send("GET", url, about=about, deadline=deadline)
            if not isinstance(answer.document, list):
                raise ForgeError(f"{about}: the answer is no list", status=answer.status)
            yield from answer.document
            found = _NEXT.search(answer.headers.get("link", ""))
            if found is None:
                return
            url = self._beside(url, found[1])
            if origin(url) != origin(self.base):
                raise ForgeError(
                    f"{about}: the next page is said to be at another host than {self.base}",
                    hint="the token is not sent there; is something between us and the forge?",
                )
        raise ForgeError(f"{about}: the list has no end")

    def _beside(self, url: str, link: str) -> str:
        try:
            return urljoin(url if url.startswith("http") else f"{self.base}{url}", link)
        except ValueError:
            return ""

    def _once(
        self, method: str, url: str, about: str, body: Mapping[str, Any] | None, deadline: float
    ) -> Answer:
        left = deadline - self.clock.now()
        if left <= 0:
            raise _FinalError(f"{about}: no time is left for it", hint="run the job again later")
        headers = {
            "Accept": "application/vnd.github+json",
            "Authorization": f"Bearer {self._token.reveal()}",
            "Content-Type": "application/json",
            "User-Agent": "gitops-dr",
            "X-GitHub-Api-Version": "2022-11-28",
        }
        try:
            response = self._pool.request(
                method,
                url,
                body=None if body is None else orjson.dumps(body),
                headers=headers,
                preload_content=False,
                redirect=False,
                retries=False,
                timeout=Timeout(connect=min(_CONNECT_TIMEOUT, left), read=min(_READ_TIMEOUT, left)),
            )
            try:
                data = self._body(response, about, deadline)
            finally:
                response.close()
        except (HTTPError, HTTPException, OSError) as error:
            raise self._unanswered(about, error) from error
        try:
            document = orjson.loads(data) if data.strip() else None
        except orjson.JSONDecodeError:
            document = None
        return Answer(response.status, response.headers, document)

    def _body(self, response: urllib3.BaseHTTPResponse, about: str, deadline: float) -> bytes:
        data = bytearray()
        # A server that sends a byte now and then keeps no read timeout busy; the deadline ends it.
        while chunk := response.read1(1 << 16):
            data += chunk
            if len(data) > LARGEST_ANSWER:
                raise _FinalError(f"{about}: the answer has more than {LARGEST_ANSWER >> 20} MiB")
            if self.clock.now() > deadline:
                raise _FinalError(f"{about}: the answer took too long", unsure=True)
        return bytes(data)

    def _failure(self, about: str, answer: Answer) -> ForgeError:
        said = f": {self._quoted(answer.message)}" if answer.message else ""
        hint = _HINTS.get(answer.status, "")
        if 300 <= answer.status < 400:
            said, hint = "", "redirects are not followed; was the repository renamed?"
        return ForgeError(
            f"{about}: the forge answers HTTP {answer.status}{said}",
            status=answer.status,
            hint=hint,
            unsure=limits.has_failed(answer.status),
        )

    def _unanswered(self, about: str, error: Exception) -> ForgeError:
        reason = " ".join(str(error).rsplit("): ", 1)[-1].split()) or type(error).__name__
        message = f"{about}: no answer from {self.base}: {self._quoted(reason)}"
        if error.args and isinstance(error.args[0], SSLCertVerificationError):
            return _FinalError(message, hint="SSL_CERT_FILE names the authorities to trust")
        unsent = (NewConnectionError, ConnectTimeoutError, ProxyError, SSLError)
        never_sent = isinstance(error, unsent)
        hint = "check GITHUB_API_URL and the network"
        return ForgeError(message, hint=hint, unsure=not never_sent)

    def _quoted(self, text: str) -> str:
        # Cut afterwards: half a token would not be found.
        return text.replace(self._token.reveal(), str(self._token))[:_QUOTED]


class _FinalError(ForgeError):
    """One that no second try would heal."""


def open_api(base: str, token: str, environ: Mapping[str, str], clock: Clock | None = None) -> Api:
    """Make an API of its URL (``https``, or ``http`` on this machine) and a token; sends nothing.

    The proxy is taken from ``environ``: ``HTTPS_PROXY``, unless ``NO_PROXY`` has the host. Raises
    ``UsageError`` for what is no such URL, proxy or token.
    """
    _check_base(base)
    if not _TOKEN.fullmatch(token):
        # Not shown, and never sent: http.client would quote the header that it refuses.
        raise UsageError("GITHUB_TOKEN: is no token: it has characters that none can have")
    pool = _open_pool(base, environ)
    return Api(base.rstrip("/"), MaskedValue(token), pool, clock or Clock())


def origin(url: str) -> tuple[str | None, str | None, int | None, str | None]:
    """Scheme, host, port and user of a URL: what decides who gets the token.

    It is parsed as urllib3 parses it when it sends, so that both see the same host.
    """
    try:
        parsed = parse_url(url)
    except LocationParseError:
        return (None, None, None, None)
    port = parsed.port or {"https": 443, "http": 80}.get(parsed.scheme or "")
    return (parsed.scheme, parsed.host, port, parsed.auth)


def _check_base(base: str) -> None:
    scheme, host, _, user = origin(base)
    if user is not None or "?" in base or "#" in base:
        raise UsageError("GITHUB_API_URL: is more than the address of an API; it is not shown here")
    if not host or not (scheme == "https" or (scheme == "http" and _is_loopback(host))):
        raise UsageError(
            f"GITHUB_API_URL {base!r}: is no https address",
            hint="plain http is taken on this machine only, because it would show the token",
        )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def _open_pool(base: str, environ: Mapping[str, str]) -> urllib3.PoolManager:
    from urllib.request import proxy_bypass_environment  # type: ignore[attr-defined]

    scheme, host, _, _ = origin(base)
    proxy = environ.get("https_proxy") or environ.get("HTTPS_PROXY")
    exempt = {"no": environ.get("no_proxy") or environ.get("NO_PROXY") or ""}
    if scheme != "https" or not proxy or proxy_bypass_environment(host, exempt):
        return urllib3.PoolManager()
    try:
        user = parse_url(proxy).auth
        return urllib3.ProxyManager(
            proxy, proxy_headers=make_headers(proxy_basic_auth=user) if user else None
        )
    except (HTTPError, ValueError):
        # Not shown: it may hold a password.
        raise UsageError("HTTPS_PROXY: is no address of a proxy") from None
