"""When a request is sent again, and after how long. Pure."""

from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitops_dr.forge.limits import LONGEST_BACKOFF, backoff, has_failed, pause, was_refused

NOW = 1_800_000_000.0


@pytest.mark.parametrize(
    ("status", "headers", "message", "refused"),
    [
        (429, {}, "", True),
        (403, {"retry-after": "5"}, "", True),
        (403, {"x-ratelimit-remaining": "0"}, "", True),
        (403, {}, "You have exceeded a secondary Rate Limit.", True),
        (403, {"x-ratelimit-remaining": "4999"}, "Resource not accessible by integration", False),
        (401, {"x-ratelimit-remaining": "0"}, "Bad credentials", False),
        (503, {"retry-after": "5"}, "", False),
        (200, {}, "", False),
    ],
)
def test_a_limit_is_told_from_a_lack_of_rights(
    status: int, headers: dict[str, str], message: str, refused: bool
) -> None:
    assert was_refused(status, headers, message) is refused


def test_what_the_forge_failed_at() -> None:
    assert [status for status in range(100, 600) if has_failed(status)] == [500, 502, 503, 504]


@pytest.mark.parametrize(
    ("status", "headers", "tries", "seconds"),
    [
        (403, {"retry-after": "7"}, 1, 7),
        (403, {"retry-after": "0"}, 1, 0),
        (503, {"retry-after": "7"}, 3, 7),
        (429, {"retry-after": formatdate(NOW + 20, usegmt=True)}, 1, 20),
        (429, {"retry-after": formatdate(NOW - 20, usegmt=True)}, 1, 0),
        (429, {"retry-after": "86400"}, 1, 86400),
        (403, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(int(NOW) + 90)}, 1, 91),
        (403, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(int(NOW) - 90)}, 1, 1),
        # The reset of a limit that was not hit says nothing.
        (403, {"x-ratelimit-remaining": "9", "x-ratelimit-reset": str(int(NOW) + 90)}, 1, 60),
        (403, {"x-ratelimit-remaining": "0"}, 1, 60),
        (403, {}, 1, 60),
        (403, {}, 2, 120),
        (502, {}, 1, 1),
        (502, {}, 3, 4),
        (502, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(int(NOW) + 90)}, 1, 1),
        (403, {"retry-after": "soon"}, 1, 60),
        (403, {"retry-after": "-5"}, 1, 60),
        (403, {"retry-after": "9" * 30}, 1, 60),
        (403, {"retry-after": "١٢"}, 1, 60),
        (403, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "tomorrow"}, 1, 60),
    ],
)
def test_how_long_it_waits(
    status: int, headers: dict[str, str], tries: int, seconds: float
) -> None:
    assert pause(status, headers, tries=tries, now=NOW) == pytest.approx(seconds)


def test_it_gives_a_failing_forge_more_and_more_time_but_not_for_ever() -> None:
    waits = [backoff(tries) for tries in range(1, 12)]
    assert waits == sorted(waits)
    assert waits[0] == 1
    assert waits[-1] == LONGEST_BACKOFF


@given(
    status=st.sampled_from([403, 429, 500, 502, 503, 504]),
    headers=st.dictionaries(
        st.sampled_from(["retry-after", "x-ratelimit-reset", "x-ratelimit-remaining"]),
        st.text(max_size=40) | st.integers().map(str),
    ),
    tries=st.integers(1, 6),
)
def test_no_header_breaks_it(status: int, headers: dict[str, str], tries: int) -> None:
    assert pause(status, headers, tries=tries, now=NOW) >= 0
