"""Requests to the forge: what is tried again, where the token goes, and what an error shows."""

import logging
import socket
import ssl
import traceback
from collections.abc import Iterator

import pytest
import urllib3
from fake_github import START, TOKEN, FakeClock, GitHub, environment
from urllib3.exceptions import SSLError

from gitops_dr.errors import ExitCode, UsageError
from gitops_dr.forge import api as forge_api
from gitops_dr.forge.api import PAGES, TRIES, Api, Clock, ForgeError, open_api
from gitops_dr.forge.github import from_environment

COMMENTS = "/repos/o/r/issues/7/comments"


@pytest.fixture
def api(github: GitHub, time: FakeClock) -> Api:
    return open_api(github.address, TOKEN, {}, time.clock)


def get(api: Api, **more):
    return api.send("GET", COMMENTS, about="it", **({"deadline": START + 600} | more))


def listed(api: Api) -> list:
    return list(api.pages(COMMENTS, about="it", deadline=START + 600))


def everything_said(error: BaseException) -> Iterator[str]:
    """An error and what led to it, in all the ways in which it may be written down."""
    yield "".join(traceback.format_exception(error))
    seen: list[BaseException] = []
    while error is not None and error not in seen:
        seen.append(error)
        yield f"{error} {error!r} {error.args} {getattr(error, '__dict__', '')}"
        error = error.__cause__ or error.__context__


# -- tried again --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "headers", "body", "slept"),
    [
        (403, {"Retry-After": "7"}, None, [7.0]),
        (429, {"Retry-After": "7"}, None, [7.0]),
        (403, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(int(START) + 9)}, {}, [10.0]),
        (403, {}, {"message": "You have exceeded a secondary rate limit."}, [60.0]),
        (500, {}, None, [1.0]),
        (502, {}, b"<html>", [1.0]),
        (503, {"Retry-After": "3"}, None, [3.0]),
        (504, {}, None, [1.0]),
    ],
)
def test_what_passes_by_is_waited_for(
    github: GitHub, api: Api, time: FakeClock, status: int, headers: dict, body, slept: list[float]
) -> None:
    github.fail("GET", COMMENTS, status, headers=headers, body=body)
    assert get(api).document == []
    assert time.slept == slept


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 422])
def test_what_does_not_pass_is_not_tried_again(github: GitHub, api: Api, status: int) -> None:
    github.fail("GET", COMMENTS, status, body={"message": "No\nway."})
    with pytest.raises(ForgeError) as caught:
        get(api)
    assert str(caught.value) == f"it: the forge answers HTTP {status}: No way."
    assert caught.value.status == status
    assert caught.value.exit_code == ExitCode.PARTIAL
    assert bool(caught.value.hint) == (status in (401, 403, 404))
    assert len(github.requests) == 1


def test_it_gives_up_after_some_tries(github: GitHub, api: Api, time: FakeClock) -> None:
    for _ in range(TRIES):
        github.fail("GET", COMMENTS, 502)
    with pytest.raises(ForgeError, match=r"^it: the forge answers HTTP 502$"):
        get(api)
    assert time.slept == [1.0, 2.0, 4.0, 8.0, 16.0]


def test_a_wait_beyond_the_deadline_is_not_begun(github: GitHub, api: Api, time: FakeClock) -> None:
    reset = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(int(START) + 3000)}
    github.fail("GET", COMMENTS, 403, headers=reset, body={"message": "API rate limit exceeded"})
    with pytest.raises(ForgeError) as caught:
        get(api)
    assert str(caught.value) == (
        "it: the forge answers HTTP 403: API rate limit exceeded;"
        " it would be 3001 seconds until the next try"
    )
    assert time.slept == []


def test_nothing_is_sent_after_the_deadline(github: GitHub, api: Api) -> None:
    with pytest.raises(ForgeError, match=r"^it: no time is left"):
        get(api, deadline=START)
    assert not github.requests


def test_a_broken_connection_is_tried_again(github: GitHub, api: Api, time: FakeClock) -> None:
    github.hangs_up = 2
    assert get(api).document == []
    assert time.slept == [1.0, 2.0]


@pytest.mark.parametrize("how", ["502", "hang up"])
def test_what_must_not_happen_twice_is_left_to_the_caller(
    github: GitHub, api: Api, how: str
) -> None:
    if how == "502":
        github.fail("POST", COMMENTS, 502)
    else:
        github.hangs_up = 1
    with pytest.raises(ForgeError) as caught:
        api.send("POST", COMMENTS, about="it", deadline=START + 9, body={}, repeat=False)
    assert caught.value.unsure
    assert len(github.requests) == 1


def test_a_write_that_was_refused_is_surely_not_done(github: GitHub, api: Api) -> None:
    github.fail("POST", COMMENTS, 429, headers={"Retry-After": "1"})
    api.send("POST", COMMENTS, about="it", deadline=START + 9, body={"body": "x"}, repeat=False)
    assert github.bodies() == ["x"]


def test_a_forge_that_is_not_there(time: FakeClock) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        base = f"http://127.0.0.1:{closed.getsockname()[1]}"
        with pytest.raises(ForgeError) as caught:
            get(open_api(base, TOKEN, {}, time.clock), repeat=False)
    assert str(caught.value).startswith(f"it: no answer from {base}: ")
    assert "Connection refused" in str(caught.value)
    assert not caught.value.unsure
    assert len(time.slept) == TRIES - 1


def test_a_forge_whose_certificate_is_not_trusted_is_not_asked_again(
    api: Api, time: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_, **__):
        raise SSLError(ssl.SSLCertVerificationError(1, "certificate verify failed"))

    monkeypatch.setattr(api._pool, "request", refuse)
    with pytest.raises(ForgeError, match="certificate verify failed") as caught:
        get(api)
    assert "SSL_CERT_FILE" in caught.value.hint
    assert time.slept == []


# -- answers that are none ----------------------------------------------------------------------


@pytest.mark.parametrize("body", [b"<html>a proxy's page</html>", b"", b"null", {"message": "x"}])
def test_a_list_that_is_none(github: GitHub, api: Api, body) -> None:
    github.fail("GET", COMMENTS, 200, body=body)
    with pytest.raises(ForgeError, match=r"^it: the answer is no list$"):
        listed(api)


def test_an_answer_without_end_is_not_read_to_it(
    github: GitHub, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forge_api, "LARGEST_ANSWER", 1 << 20)
    github.fail("GET", COMMENTS, 200, body=b" " * (2 << 20))
    with pytest.raises(ForgeError, match=r"^it: the answer has more than 1 MiB$"):
        get(api)
    assert len(github.requests) == 1


def test_an_answer_that_drips_is_not_waited_for(github: GitHub) -> None:
    moments = iter([START, START, START + 9, *[START + 99] * 9])
    api = open_api(github.address, TOKEN, {}, Clock(now=lambda: next(moments)))
    github.fail("GET", COMMENTS, 200, body=b" " * (4 << 20))
    with pytest.raises(ForgeError, match=r"^it: the answer took too long$"):
        get(api, deadline=START + 10)
    assert len(github.requests) == 1


def test_a_list_that_leads_back_to_itself_ends(github: GitHub, api: Api) -> None:
    for _ in range(5):
        github.comment("talk")
    github.link = lambda url: f'<{url.rpartition("=")[0]}=2>; rel="next"'
    with pytest.raises(ForgeError, match=r"^it: the list has no end$"):
        listed(api)
    assert len(github.requests) == PAGES


@pytest.mark.parametrize(
    "link",
    [
        '<{}>; rel="next"',
        "<{}>; rel=next",
        '<{}>;title="a, b";rel="next"',
        '<{}>; rel="next"; type="x"',
    ],
)
def test_the_next_page_is_found_as_the_header_says_it(github: GitHub, api: Api, link: str) -> None:
    for _ in range(5):
        github.comment("talk")
    github.link = link.format
    assert len(listed(api)) == 5


# -- where the token goes -----------------------------------------------------------------------


def test_the_token_is_sent_to_the_forge(github: GitHub, api: Api) -> None:
    get(api)
    assert github.requests[0].authorization == f"Bearer {TOKEN}"


@pytest.mark.parametrize(
    "next_page",
    [
        "{stranger}/repos/o/r/issues/7/comments?page=2",
        "//{stranger_host}/x",
        "http://{forge_host}@{stranger_host}/x",
        "http://{stranger_host}\\@{forge_host}/x",
        "http://{stranger_host}#@{forge_host}/x",
        "https://{forge_host}/x",
        "http://user@{forge_host}/x",
        "http://localhost:1/x",
        "http://[::1/x",
        "gopher://{forge_host}/x",
    ],
)
def test_a_next_page_elsewhere_is_not_asked_for(
    github: GitHub, stranger: GitHub, api: Api, next_page: str
) -> None:
    for _ in range(5):
        github.comment("talk")
    link = next_page.format(
        stranger=stranger.address,
        stranger_host=stranger.address.removeprefix("http://"),
        forge_host=github.address.removeprefix("http://"),
    )
    github.link = lambda _: f'<{link}>; rel="next"'
    with pytest.raises(ForgeError, match=r"^it: the next page is said to be at another host"):
        listed(api)
    assert not stranger.requests
    assert len(github.requests) == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_is_followed(github: GitHub, stranger: GitHub, api: Api, status: int) -> None:
    github.fail("GET", COMMENTS, status, headers={"Location": f"{stranger.address}/x"}, body={})
    with pytest.raises(ForgeError, match=f"^it: the forge answers HTTP {status}$") as caught:
        get(api)
    assert "redirects are not followed" in caught.value.hint
    assert not stranger.requests
    assert len(github.requests) == 1


@pytest.mark.parametrize(
    "base",
    [
        "http://api.github.com",
        "http://127.0.0.1.example.org",
        "http://localhost.example.org",
        "ftp://127.0.0.1",
        "api.github.com",
        "https://",
        "https://[::1",
        "file:///etc/passwd",
        "",
    ],
)
def test_the_token_goes_nowhere_unencrypted(base: str) -> None:
    with pytest.raises(UsageError, match=r"^GITHUB_API_URL .* is no https address$"):
        open_api(base, TOKEN, {})


@pytest.mark.parametrize(
    "base", ["https://ada:pa55@api.github.com", "https://a.example/?q", "https://a.example/#f"]
)
def test_an_address_with_more_in_it_is_refused_and_not_shown(base: str) -> None:
    with pytest.raises(UsageError) as caught:
        open_api(base, TOKEN, {})
    assert "pa55" not in "".join(everything_said(caught.value))


@pytest.mark.parametrize(
    "base",
    [
        "https://api.github.com",
        "https://github.example.org/api/v3/",
        "http://127.0.0.1:8080",
        "http://[::1]:8080",
        "http://localhost:8080",
    ],
)
def test_an_address_that_is_one(base: str) -> None:
    assert open_api(base, TOKEN, {}).base == base.rstrip("/")


# -- what is shown ------------------------------------------------------------------------------


def test_the_token_is_in_nothing_that_is_said(
    github: GitHub, api: Api, time: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    pull_request = from_environment(environment(github), clock=time.clock)
    said = [repr(api), str(api), repr(pull_request), str(pull_request)]
    faults = [
        {"status": 401, "body": {"message": f"Bad credentials: Bearer {TOKEN}"}},
        {"status": 403, "body": {"message": TOKEN * 20}},
        {"status": 422, "body": TOKEN.encode()},
        {"status": 302, "headers": {"Location": f"https://example.org/{TOKEN}"}},
    ]
    for fault in faults:
        github.fail("GET", COMMENTS, **fault)
        with pytest.raises(ForgeError) as caught:
            pull_request.post("shop", "report", clean=False)
        said += everything_said(caught.value)
    github.hangs_up = 100
    with pytest.raises(ForgeError) as caught:
        pull_request.post("shop", "report", clean=False)
    said += everything_said(caught.value)
    assert "Bad credentials: Bearer ***" in "".join(said)
    assert TOKEN[:8] not in "".join(said) + caplog.text


@pytest.mark.parametrize("token", ["two\nlines", "a b", "ghp_ü", "\x00", "tab\t"])
def test_what_no_header_can_carry_is_refused_unseen(github: GitHub, token: str) -> None:
    with pytest.raises(UsageError, match=r"^GITHUB_TOKEN: ") as caught:
        open_api(github.address, token, {})
    assert token not in "".join(everything_said(caught.value))


def test_a_long_message_is_cut(github: GitHub, api: Api) -> None:
    github.fail("GET", COMMENTS, 422, body={"message": "x" * 100_000})
    with pytest.raises(ForgeError) as caught:
        get(api)
    assert len(str(caught.value)) < 400


# -- proxies ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("variables", "proxied"),
    [
        ({}, False),
        ({"HTTPS_PROXY": "http://proxy.example:3128"}, True),
        ({"https_proxy": "http://proxy.example:3128"}, True),
        ({"HTTPS_PROXY": "http://proxy.example:3128", "NO_PROXY": "example.org,x"}, False),
        ({"HTTPS_PROXY": "http://proxy.example:3128", "no_proxy": "*"}, False),
        ({"HTTPS_PROXY": "http://proxy.example:3128", "NO_PROXY": "other.example"}, True),
        ({"HTTP_PROXY": "http://proxy.example:3128"}, False),
    ],
)
def test_a_proxy_is_taken_from_the_environment(variables: dict[str, str], proxied: bool) -> None:
    pool = open_api("https://github.example.org/api/v3", TOKEN, variables)._pool
    assert isinstance(pool, urllib3.ProxyManager) is proxied


def test_a_proxy_may_want_a_password_and_it_is_not_shown() -> None:
    made = open_api("https://a.example", TOKEN, {"HTTPS_PROXY": "http://ada:pa55@proxy:1"})
    assert made._pool.proxy_headers == {"proxy-authorization": "Basic YWRhOnBhNTU="}
    assert "pa55" not in repr(made)
    wrong = {"HTTPS_PROXY": "socks9://ada:{}@proxy:x".format("pa55")}
    with pytest.raises(UsageError, match=r"^HTTPS_PROXY: ") as caught:
        open_api("https://a.example", TOKEN, wrong)
    assert "pa55" not in "".join(everything_said(caught.value))


def test_this_machine_needs_no_proxy(github: GitHub, time: FakeClock) -> None:
    variables = {"HTTPS_PROXY": "http://proxy.example:3128"}
    assert get(open_api(github.address, TOKEN, variables, time.clock)).document == []
