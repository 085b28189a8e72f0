"""Asks a registry for the manifest of an image, as container runtimes do. Network only.

Nothing that a registry says is repeated, and what we know it by goes to nobody else: not over plain
HTTP (but on this machine), not along a redirect to another host.
https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pull and, for tokens,
https://distribution.github.io/distribution/spec/auth/token/
"""

from __future__ import annotations

import re
import time
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.client import HTTPException
from urllib.parse import urlencode, urljoin, urlsplit

import orjson
import urllib3
from urllib3.exceptions import HTTPError, LocationParseError
from urllib3.util import Timeout, make_headers, parse_url

from gitops_dr.model import MaskedValue
from gitops_dr.registry.credentials import Credentials
from gitops_dr.registry.names import ImageName, is_loopback, read_name

_ACCEPT = ", ".join(
    (
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    )
)
_CONNECT, _READ = 3.0, 5.0
"""Seconds that one request may take."""
_LARGEST_TOKEN = 64 << 10
_REDIRECTS = 3
_AT_ONCE = 8
_TRIED = 3
"""Credentials that are tried for one image at most, apart from none at all."""

_BEARER = re.compile(r"\s*bearer\s+(.*)", re.IGNORECASE | re.DOTALL)
_PARAMETER = re.compile(r'([a-z]+)="([^"\x00-\x1f]{0,1024})"', re.IGNORECASE)
_TOKEN = re.compile(r"[\x21-\x7e]{1,16384}")

_REFUSED = "may not be pulled with the credentials that are known here"
_SAID = {
    401: _REFUSED,
    403: _REFUSED,
    404: "is not in its registry",
    429: "is not known: its registry asks us to come later",
}


class _NoAnswerError(Exception):
    """There was none that counts; the text says why, in our words."""


@dataclass(frozen=True, slots=True)
class Registries:
    """Asks registries; ``deadline`` is the monotonic second after which nothing more is asked."""

    deadline: float
    environment: Mapping[str, str]

    def lacking(self, images: Mapping[str, Collection[Credentials]]) -> dict[str, str]:
        """Why each image that cannot be had cannot; nothing of those that can.

        ``images``: with the credentials that may be used for each, best first.
        """
        names = list(images)
        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="registry") as pool:
            answers = list(pool.map(lambda name: self._lack(name, images[name]), names))
        return {name: why for name, why in zip(names, answers, strict=True) if why}

    def _lack(self, text: str, known: Collection[Credentials]) -> str:
        name = read_name(text)
        if name is None:
            return "is no name of an image"
        ours = [each.basic for each in known if each.registry == name.registry]
        answers: list[int] = []
        for basic in [*dict.fromkeys(ours[:_TRIED]), None]:
            try:
                status = self._status(name, basic)
            except _NoAnswerError as error:
                return f"is not known: {error}"
            if status == 200:
                return ""
            answers.append(status)
            if status not in (401, 403, 404):
                break
        # Who is known and does not find it knows more than who is not let in.
        status = 404 if 404 in answers and answers[-1] in (401, 403) else answers[-1]
        return _SAID.get(status, f"is not known: its registry answers HTTP {status}")

    def _status(self, name: ImageName, basic: MaskedValue | None) -> int:
        """What the registry answers, once it knows who asks."""
        plain = {"Authorization": f"Basic {basic.reveal()}"} if basic else {}
        # The first question goes without credentials, to learn where they are to go.
        status, challenge = self._head(name, {})
        if status != 401:
            return status
        bearer = _BEARER.match(challenge)
        if bearer is None:
            return self._head(name, plain)[0] if basic else status
        token = self._token(name, dict(_PARAMETER.findall(bearer[1])), plain)
        if token is None:
            return status
        return self._head(name, {"Authorization": f"Bearer {token.reveal()}"})[0]

    def _head(self, name: ImageName, headers: Mapping[str, str]) -> tuple[int, str]:
        """Status and challenge, behind redirects."""
        url, sent = name.url, dict(headers)
        for _ in range(_REDIRECTS + 1):
            response = self._send("HEAD", url, {"Accept": _ACCEPT, **sent})
            try:
                status = response.status
                where = response.headers.get("Location", "")
                challenge = response.headers.get("WWW-Authenticate", "")
            finally:
                response.close()
            if not 300 <= status < 400 or not where:
                return status, challenge[:4096]
            new = self._allowed(urljoin(url, where), name)
            if urlsplit(new).netloc != urlsplit(url).netloc:
                sent = {}
            url = new
        raise _NoAnswerError("its registry leads from one place to the next")

    def _token(
        self, name: ImageName, challenge: Mapping[str, str], headers: Mapping[str, str]
    ) -> MaskedValue | None:
        """A token for pulling, from where the registry says; None if none is given."""
        url = self._allowed(challenge.get("realm", ""), name)
        query = {"scope": f"repository:{name.path}:pull"}
        if challenge.get("service"):
            query["service"] = challenge["service"]
        response = self._send(
            "GET", f"{url}{'&' if '?' in url else '?'}{urlencode(query)}", headers
        )
        try:
            data = response.read(_LARGEST_TOKEN + 1) if response.status == 200 else b""
        except (HTTPError, HTTPException, OSError) as error:
            raise _NoAnswerError("its registry broke off") from error
        finally:
            response.close()
        if len(data) > _LARGEST_TOKEN:
            raise _NoAnswerError("its registry gives no token that can be used")
        try:
            document = orjson.loads(data)
        except orjson.JSONDecodeError:
            return None
        found = document if isinstance(document, dict) else {}
        token = found.get("token") or found.get("access_token")
        return MaskedValue(token) if isinstance(token, str) and _TOKEN.fullmatch(token) else None

    def _allowed(self, url: str, name: ImageName) -> str:
        """A place that a registry leads to, which must not be less safe than itself."""
        try:
            parsed = parse_url(url)
        except LocationParseError:
            raise _NoAnswerError("its registry leads nowhere") from None
        host = parsed.netloc or ""
        plain = parsed.scheme == "http" and is_loopback(name.registry) and is_loopback(host)
        if not parsed.host or parsed.auth or not (parsed.scheme == "https" or plain):
            raise _NoAnswerError("its registry leads to a place that is not safe")
        return str(url)

    def _send(self, method: str, url: str, headers: Mapping[str, str]) -> urllib3.BaseHTTPResponse:
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise _NoAnswerError("there was no time left to ask")
        try:
            return self._pool(url).request(
                method,
                url,
                headers={"User-Agent": "gitops-dr", **headers},
                preload_content=False,
                redirect=False,
                retries=False,
                timeout=Timeout(connect=min(_CONNECT, left), read=min(_READ, left)),
            )
        except (HTTPError, HTTPException, OSError, ValueError) as error:
            raise _NoAnswerError("its registry does not answer") from error

    def _pool(self, url: str) -> urllib3.PoolManager:
        from urllib.request import proxy_bypass_environment  # type: ignore[attr-defined]

        environment = self.environment
        proxy = environment.get("https_proxy") or environment.get("HTTPS_PROXY")
        exempt = {"no": environment.get("no_proxy") or environment.get("NO_PROXY") or ""}
        host = urlsplit(url).hostname or ""
        if not proxy or url.startswith("http:") or proxy_bypass_environment(host, exempt):
            return urllib3.PoolManager()
        user = parse_url(proxy).auth
        headers = make_headers(proxy_basic_auth=user) if user else None
        return urllib3.ProxyManager(proxy, proxy_headers=headers)
