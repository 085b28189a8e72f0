"""Which credentials an image is asked for with: those that its pods pull with, and no others."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from fake_api import Answer, FakeApi, Request, serving

from gitops_dr.checks.demand import Demand
from gitops_dr.engine.images import lacking_images
from gitops_dr.model import Body, Entry, Ref, State

PATH = "/v2/web/manifests/1"


@dataclass
class Held:
    """What Git has of Secrets."""

    secrets: dict[Ref, Body]
    unopened: dict[Ref, str] = field(default_factory=dict)

    @property
    def state(self) -> State:
        return State({ref: Entry("", "", "v1") for ref in self.secrets})

    def bodies(self, refs: Iterable[Ref]) -> Iterator[tuple[Ref, Body]]:
        for ref in refs:
            yield ref, self.secrets[ref]


@pytest.fixture
def registry() -> Iterator[FakeApi]:
    with serving() as server:
        yield server


def auth(user: str) -> str:
    return base64.b64encode(f"{user}:pw".encode()).decode()


def lets_in(*users: str) -> Any:
    known = {f"Basic {auth(user)}" for user in users}

    def answer(request: Request) -> Answer:
        if request.headers.get("Authorization") in known:
            return Answer(200)
        return Answer(401, headers={"WWW-Authenticate": 'Basic realm="x"'})

    return answer


def host(server: FakeApi) -> str:
    return server.url.partition("//")[2]


def secret(server: FakeApi, user: str) -> Body:
    config = json.dumps({"auths": {host(server): {"auth": auth(user)}}}).encode()
    return {"data": {".dockerconfigjson": base64.b64encode(config).decode()}}


def demand(server: FakeApi, **namespaces: dict[str, Any]) -> Demand:
    made = Demand()
    for namespace, parts in namespaces.items():
        pod = {"containers": [{"image": f"{host(server)}/web:1"}], **parts.get("pod", {})}
        ref = Ref("apps", "Deployment", namespace, "web")
        made.look(ref, {"spec": {"template": {"spec": pod}}})
        if "account" in parts:
            made.look(Ref("", "ServiceAccount", namespace, "default"), parts["account"])
    return made


def asked(held: Held, wanted: Demand, **environment: str) -> dict[str, str]:
    return lacking_images(held, wanted, list(wanted.pods), environment)  # type: ignore[arg-type]


PULL = {"imagePullSecrets": [{"name": "pull"}]}
PULLS = Ref("", "Secret", "shop", "pull")


def test_with_the_secret_that_its_pod_names(registry):
    registry.on(PATH, lets_in("robot"), method="HEAD")
    held = Held({PULLS: secret(registry, "robot")})
    assert asked(held, demand(registry, shop={"pod": PULL})) == {}
    assert asked(held, demand(registry, shop={})) != {}


def test_with_the_secret_of_its_service_account(registry):
    registry.on(PATH, lets_in("robot"), method="HEAD")
    held = Held({PULLS: secret(registry, "robot")})
    assert asked(held, demand(registry, shop={"account": PULL})) == {}


def test_never_with_one_that_is_closed_or_of_another_namespace(registry):
    registry.on(PATH, lets_in("robot"), method="HEAD")
    closed = Held({PULLS: secret(registry, "robot")}, {PULLS: "no key"})
    assert asked(closed, demand(registry, shop={"pod": PULL})) != {}
    open_ = Held({PULLS: secret(registry, "robot")})
    assert asked(open_, demand(registry, other={"pod": PULL})) != {}
    assert all("Authorization" not in each.headers for each in registry.requests)


def test_what_is_no_such_secret_is_none(registry):
    registry.on(PATH, Answer(200), method="HEAD")
    for data in ({}, None, {".dockerconfigjson": 7}, {".dockerconfigjson": "***"}):
        assert asked(Held({PULLS: {"data": data}}), demand(registry, shop={"pod": PULL})) == {}


def test_with_dockers_own_settings_last(registry, tmp_path):
    registry.on(PATH, lets_in("person"), method="HEAD")
    config = {"auths": {host(registry): {"auth": auth("person")}}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    held = Held({PULLS: secret(registry, "robot")})
    wanted = demand(registry, shop={"pod": PULL})
    assert asked(held, wanted, DOCKER_CONFIG=str(tmp_path)) == {}
    sent = [each.headers.get("Authorization") for each in registry.asked(PATH, "HEAD")]
    assert [each for each in sent if each] == [f"Basic {auth('robot')}", f"Basic {auth('person')}"]


def test_an_image_is_asked_for_once_and_only_if_it_is_needed(registry):
    registry.on(PATH, Answer(200), method="HEAD")
    wanted = demand(registry, one={}, two={})
    assert lacking_images(Held({}), wanted, list(wanted.pods), {}) == {}  # type: ignore[arg-type]
    assert len(registry.requests) == 1
    assert lacking_images(Held({}), wanted, [], {}) == {}  # type: ignore[arg-type]
    assert len(registry.requests) == 1
