"""How often a request is sent again, and after which pause. Does no I/O itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self, override

from urllib3.exceptions import MaxRetryError, ReadTimeoutError, SSLError
from urllib3.util import Retry

if TYPE_CHECKING:
    from types import TracebackType

    import urllib3

LONGEST_PAUSE = 30.0
"""Seconds that a server may ask us to wait before a request is sent again."""

_JITTER = 0.25
"""Seconds by which pauses differ at most, so that many threads do not come back at once."""

_INTERNAL = 500
_AFTER_INTERNAL = 2
"""How often a read is repeated after an internal error: etcd may be changing its leader, but where
a conversion webhook is down each time is in vain."""

_AFTER_SILENCE = 2
"""How often a read is repeated that was not answered: each time costs the whole read timeout."""


class _Retry(Retry):
    """urllib3's, without its patience of six hours for a server that asks for it."""

    @override
    def is_retry(self, method: str, status_code: int, has_retry_after: bool = False) -> bool:
        """Whether an answer of this status is worth another attempt."""
        if status_code == _INTERNAL and _INTERNAL in (self.status_forcelist or ()):
            earlier = sum(each.status == _INTERNAL for each in self.history)
            if earlier >= _AFTER_INTERNAL:
                return False
        return super().is_retry(method, status_code, has_retry_after)

    @override
    def increment(
        self,
        method: str | None = None,
        url: str | None = None,
        response: urllib3.BaseHTTPResponse | None = None,
        error: Exception | None = None,
        _pool: urllib3.connectionpool.ConnectionPool | None = None,
        _stacktrace: TracebackType | None = None,
    ) -> Self:
        """The attempts that are left after one more failure; raises if there are none."""
        # Nobody will vouch for the server a moment later.
        in_vain = isinstance(error, SSLError) and "certificate verify failed" in str(error)
        if isinstance(error, ReadTimeoutError):
            earlier = sum(isinstance(each.error, ReadTimeoutError) for each in self.history)
            in_vain = earlier >= _AFTER_SILENCE
        if _pool and in_vain:
            raise MaxRetryError(_pool, url or "", error)
        return super().increment(method, url, response, error, _pool, _stacktrace)

    @override
    def get_retry_after(self, response: urllib3.BaseHTTPResponse) -> float | None:
        """Seconds that the answer asks us to wait, but no more than we are willing to."""
        asked = super().get_retry_after(response)
        return None if asked is None else min(asked, LONGEST_PAUSE)


# Reads are repeated through a restart of the API server; Retry-After is honoured. One that breaks
# off is repeated less often: a proxy in between that cuts long answers short does so every time.
READ = _Retry(
    total=6,
    read=4,
    backoff_factor=0.25,
    backoff_jitter=_JITTER,
    status_forcelist=(429, _INTERNAL, 502, 503, 504),
    allowed_methods=("GET",),
    respect_retry_after_header=True,
    raise_on_status=False,
)

# A write is repeated only when the server says that it did not take it: 429, or 503 with a time to
# come back. A bare 503 may be a proxy's whose connection broke when the server had it already.
WRITE = _Retry(
    total=6,
    connect=6,
    read=0,
    backoff_factor=0.25,
    backoff_jitter=_JITTER,
    status_forcelist=(429,),
    allowed_methods=None,
    respect_retry_after_header=True,
    raise_on_status=False,
)
