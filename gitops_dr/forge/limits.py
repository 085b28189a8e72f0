"""When a request that a forge did not answer well is sent again, and after how long. Pure.

https://docs.github.com/en/rest/using-the-rest-api/best-practices-for-using-the-rest-api says what a
client owes GitHub: ``Retry-After`` first, then ``x-ratelimit-reset`` if nothing remains, then at
least a minute, longer each time.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

LONGEST_BACKOFF = 30.0
"""Seconds between two tries of what failed at the forge, where it does not say."""

_SECONDARY = 60.0
"""Seconds that GitHub wants at least after a secondary limit that names no time."""

_FAILED = (500, 502, 503, 504)
_SECONDS = re.compile(r"\d{1,9}", re.ASCII)


def was_refused(status: int, headers: Mapping[str, str], message: str) -> bool:
    """Whether a limit was hit: the forge did not carry the request out and will, later.

    ``message`` is the answer's own text. A 403 is a lack of rights unless something says otherwise.
    """
    if status == 429:
        return True
    return status == 403 and (
        "retry-after" in headers
        or headers.get("x-ratelimit-remaining") == "0"
        or "rate limit" in message.lower()
    )


def has_failed(status: int) -> bool:
    """Whether the forge failed, so that nobody knows if it carried the request out."""
    return status in _FAILED


def backoff(tries: int) -> float:
    """Seconds to wait after so many tries (from 1) that failed at the forge or on the way."""
    return min(2.0 ** (tries - 1), LONGEST_BACKOFF)


def pause(status: int, headers: Mapping[str, str], *, tries: int, now: float) -> float:
    """Seconds to wait before a request is sent again that was refused or failed.

    ``tries`` counts the answers so far, from 1; ``now`` is in seconds since 1970. What the answer
    asks for is taken at its word, however long: the caller decides whether it has that much time.
    """
    asked = _retry_after(headers.get("retry-after", ""), now)
    if asked is not None:
        return asked
    if has_failed(status):
        return backoff(tries)
    reset = headers.get("x-ratelimit-reset", "").strip()
    if headers.get("x-ratelimit-remaining") == "0" and re.fullmatch(r"\d{1,12}", reset, re.ASCII):
        # Their clock and ours differ a little; a second too early would cost another try.
        return max(0.0, math.ceil(int(reset) - now)) + 1.0
    return _SECONDARY * 2.0 ** (tries - 1)


def _retry_after(value: str, now: float) -> float | None:
    """Seconds that a ``Retry-After`` means, which may be a date; None for none or nonsense."""
    value = value.strip()
    if _SECONDS.fullmatch(value):
        return float(value)
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - now)
    except (ValueError, OverflowError):
        return None
