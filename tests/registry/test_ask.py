"""Registries on loopback: friendly ones, such as want to know who asks, and hostile ones."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from fake_api import Answer, FakeApi, Request, broken, reply, serving, silence

from gitops_dr.registry.ask import Registries
from gitops_dr.registry.credentials import Credentials, dockers_own, read_credentials

PASSWORD = "open-sesame-4711"
AUTH = base64.b64encode(f"robot:{PASSWORD}".encode()).decode()
PATH = "/v2/shop/web/manifests/1"


@pytest.fixture
def registry() -> Iterator[FakeApi]:
    with serving() as server:
        yield server


@pytest.fixture
def other() -> Iterator[FakeApi]:
    with serving() as server:
        yield server


def host(server: FakeApi) -> str:
    return server.url.partition("//")[2]


def known(server: FakeApi) -> tuple[Credentials, ...]:
    return read_credentials(json.dumps({"auths": {host(server): {"auth": AUTH}}}).encode())


def ask(server: FakeApi, *credentials: Credentials, seconds: float = 20.0) -> str:
    name = f"{host(server)}/shop/web:1"
    registries = Registries(time.monotonic() + seconds, {})
    return registries.lacking({name: credentials}).get(name, "")


def heads(server: FakeApi, path: str = PATH) -> list[Request]:
    return server.asked(path, "HEAD")


def wants(scheme: str) -> Answer:
    return Answer(401, headers={"WWW-Authenticate": scheme})


def bearer(server: FakeApi, **more: str) -> Answer:
    told = {"realm": f"{server.url}/token", "service": "the-registry", **more}
    return wants("Bearer " + ",".join(f'{key}="{value}"' for key, value in told.items()))


def only_with(token: str, otherwise: Answer) -> Any:
    def answer(request: Request) -> Answer:
        return Answer(200) if request.headers.get("Authorization") == token else otherwise

    return answer


def test_an_image_that_is_there(registry):
    registry.on(PATH, Answer(200), method="HEAD")
    assert ask(registry) == ""
    (request,) = heads(registry)
    assert "application/vnd.oci.image.index.v1+json" in request.headers["Accept"]
    assert "Authorization" not in request.headers


SAID = {
    404: "is not in its registry",
    403: "may not be pulled with the credentials that are known here",
    401: "may not be pulled with the credentials that are known here",
    429: "is not known: its registry asks us to come later",
    500: "is not known: its registry answers HTTP 500",
}


@pytest.mark.parametrize("status", SAID)
def test_what_a_registry_says(registry, status):
    registry.on(PATH, Answer(status), method="HEAD")
    assert ask(registry) == SAID[status]


def test_a_token_that_anybody_gets(registry):
    registry.on(PATH, only_with("Bearer t0k3n", bearer(registry)), method="HEAD")
    registry.on("/token", reply({"token": "t0k3n"}))
    assert ask(registry) == ""
    (request,) = registry.asked("/token")
    assert request.query == {"service": "the-registry", "scope": "repository:shop/web:pull"}
    assert "Authorization" not in request.headers


def test_a_token_for_whom_the_registry_knows(registry):
    registry.on(PATH, only_with("Bearer ours", bearer(registry)), method="HEAD")
    registry.on("/token", only_with_body(f"Basic {AUTH}", {"access_token": "ours"}))
    assert ask(registry) != ""
    assert ask(registry, *known(registry)) == ""


def only_with_body(token: str, document: Any) -> Any:
    def answer(request: Request) -> Answer:
        fits = request.headers.get("Authorization") == token
        return reply(document) if fits else reply({}, 401)

    return answer


def test_a_registry_that_takes_a_password_itself(registry):
    basic = only_with(f"Basic {AUTH}", wants('Basic realm="x"'))
    registry.on(PATH, basic, method="HEAD")
    assert ask(registry, *known(registry)) == ""
    # It is never shown before anybody asks for it.
    assert "Authorization" not in heads(registry)[0].headers


def test_who_is_known_and_does_not_find_it_knows_more(registry):
    def answer(request: Request) -> Answer:
        return Answer(404) if request.headers.get("Authorization") else wants('Basic realm="x"')

    registry.on(PATH, answer, method="HEAD")
    assert ask(registry, *known(registry)) == SAID[404]


def test_credentials_of_another_registry_stay_at_home(registry, other):
    registry.on(PATH, wants('Basic realm="x"'), method="HEAD")
    assert ask(registry, *known(other)) == SAID[401]
    assert all("Authorization" not in each.headers for each in registry.requests)


def test_a_redirect_to_another_host_is_followed_without_credentials(registry, other):
    def lead(request: Request) -> Answer:
        if request.headers.get("Authorization"):
            return Answer(307, headers={"Location": f"{other.url}/blob"})
        return wants('Basic realm="x"')

    registry.on(PATH, lead, method="HEAD")
    other.on("/blob", Answer(200), method="HEAD")
    assert ask(registry, *known(registry)) == ""
    (request,) = other.asked("/blob", "HEAD")
    assert "Authorization" not in request.headers


NOT_SAFE = "is not known: its registry leads to a place that is not safe"


@pytest.mark.parametrize(
    "where",
    [
        "http://registry.example.com/token",
        "file:///etc/passwd",
        "ftp://127.0.0.1/x",
        "https://user:pass@example.com/",
        "//",
    ],
)
def test_hostile_places_are_not_gone_to(registry, where):
    registry.on(PATH, Answer(302, headers={"Location": where}), method="HEAD")
    assert ask(registry, *known(registry)).startswith("is not known: its registry leads")
    registry.on(PATH, wants(f'Bearer realm="{where}"'), method="HEAD")
    assert ask(registry, *known(registry)).startswith("is not known: its registry leads")
    assert all("Authorization" not in each.headers for each in registry.requests)


def test_a_circle_of_redirects_has_an_end(registry):
    registry.on(PATH, Answer(302, headers={"Location": PATH}), method="HEAD")
    assert ask(registry) == "is not known: its registry leads from one place to the next"
    assert len(heads(registry)) == 4


HOSTILE_TOKENS = {
    "no JSON": Answer(200, (b"<html>",)),
    "no map": reply([1]),
    "no text": reply({"token": 7}),
    "a header of its own": reply({"token": "a\r\nX-Evil: 1"}),
    "huge": reply({"token": "a" * 100_000}),
    "cut off": Answer(200, (b'{"tok',), length=500, end="break"),
    "refused": reply({}, 403),
}


@pytest.mark.parametrize("name", HOSTILE_TOKENS)
def test_a_token_that_is_none(registry, name):
    registry.on(PATH, bearer(registry), method="HEAD")
    registry.on("/token", HOSTILE_TOKENS[name])
    assert ask(registry) != ""
    assert all("Authorization" not in each.headers for each in heads(registry))


def test_one_that_breaks_off_or_never_answers_is_not_known(registry):
    registry.on(PATH, broken(), method="HEAD")
    assert ask(registry) == "is not known: its registry does not answer"
    registry.on(PATH, silence(), method="HEAD")
    started = time.monotonic()
    assert ask(registry, seconds=0.5) == "is not known: its registry does not answer"
    assert time.monotonic() - started < 4
    assert ask(registry, seconds=0) == "is not known: there was no time left to ask"


def test_nobody_listens(registry):
    registry.stop()
    assert ask(registry) == "is not known: its registry does not answer"


def test_a_password_is_in_no_text(registry):
    (credentials,) = known(registry)
    for text in (repr(credentials), str(credentials), f"{credentials}"):
        assert AUTH not in text
        assert PASSWORD not in text


# -- credentials ---------------------------------------------------------------------------------


def test_dockers_own_file(tmp_path):
    auths = {
        "https://index.docker.io/v1/": {"auth": AUTH},
        "ghcr.io": {"username": "robot", "password": PASSWORD},
        "quay.io": {},
    }
    (tmp_path / "config.json").write_text(json.dumps({"auths": auths, "credsStore": "evil"}))
    found = dockers_own({"DOCKER_CONFIG": str(tmp_path)})
    assert [(each.registry, each.basic.reveal()) for each in found] == [
        ("docker.io", AUTH),
        ("ghcr.io", AUTH),
    ]
    assert dockers_own({"DOCKER_CONFIG": str(tmp_path / "nowhere")}) == ()
    assert dockers_own({}) == ()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b'{"auths": []}',
        b'{"auths": {"x": 3}}',
        b'{"auths": {"x": {"auth": "***"}}}',
        b'{"auths": {"x": {"auth": "YQ=="}}}',
        b'{"auths": {"x": {"auth": 7, "username": 3}}}',
        b"\xff",
    ],
)
def test_what_is_no_such_file_holds_none(data):
    assert read_credentials(data) == ()
