"""``endpoints.yaml``: read back as written, the same for the same, refused when unsound."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitops_dr.desired.endpoints import (
    Endpoints,
    Issuer,
    endpoints_after,
    issuer_of,
    read_endpoints,
    write_endpoints,
)
from gitops_dr.desired.exposing import Exposed, Gives
from gitops_dr.errors import ManifestError, RepositoryError
from gitops_dr.manifests.emit import canonical
from gitops_dr.model import ANY, Gap, Ref

PATH = "clusters/prod/recovery/endpoints.yaml"
EDGE = Ref("", "Service", "shop", "edge")
WEB = Ref("networking.k8s.io", "Ingress", "shop", "web")
ROUTE = Ref("gateway.networking.k8s.io", "HTTPRoute", "shop", "web")
GATEWAY = Ref("gateway.networking.k8s.io", "Gateway", "infra", "edge")
FOUND = Endpoints(
    {
        WEB: Exposed(("203.0.113.7",), ("shop.example.com",)),
        EDGE: Exposed(node_ports=("30080",), routed=("192.0.2.10",), asked=("192.0.2.11",)),
        ROUTE: Exposed(hosts=("a.example.com",), via=(GATEWAY,)),
        Ref("", "ServiceAccount", "shop", "web"): Exposed(trusts=("arn:aws:iam::1:role/a",)),
    },
    "https://api.example.com:6443",
    Issuer("https://issuer.example.com/id/1", "https://issuer.example.com/id/1/keys"),
)
TEXT = """\
api: https://api.example.com:6443
exposed:
- asked:
  - 192.0.2.11
  nodePorts:
  - "30080"
  ref: Service/shop/edge
  routed:
  - 192.0.2.10
- ref: ServiceAccount/shop/web
  trusts:
  - arn:aws:iam::1:role/a
- hosts:
  - a.example.com
  ref: HTTPRoute.gateway.networking.k8s.io/shop/web
  via:
  - Gateway.gateway.networking.k8s.io/infra/edge
- addresses:
  - 203.0.113.7
  hosts:
  - shop.example.com
  ref: Ingress.networking.k8s.io/shop/web
format: 1
issuer:
  keys: https://issuer.example.com/id/1/keys
  url: https://issuer.example.com/id/1
"""


def test_what_it_looks_like() -> None:
    data = write_endpoints(FOUND)
    assert data is not None
    assert data.decode() == TEXT
    assert read_endpoints(data, PATH) == FOUND


def test_there_is_none_where_nothing_is_known() -> None:
    assert write_endpoints(Endpoints()) is None


def test_that_something_could_not_be_read_is_recorded() -> None:
    data = write_endpoints(Endpoints(issuer=Issuer(unread="it may not be read")))
    assert data == b"format: 1\nissuer:\n  unread: it may not be read\n"
    assert read_endpoints(data, PATH).issuer == Issuer(unread="it may not be read")


def test_order_and_doubles_that_people_write_mean_nothing() -> None:
    entry = {"ref": str(WEB), "hosts": ["b.example.com", "a.example.com", "a.example.com"]}
    found = read_endpoints(canonical({"format": 1, "exposed": [entry], "later": 1}), PATH)
    assert found.exposed == {WEB: Exposed(hosts=("a.example.com", "b.example.com"))}


WORDS = st.from_regex(r"[a-z0-9]([a-z0-9.-]{0,8}[a-z0-9])?", fullmatch=True)
LISTS = st.lists(WORDS, max_size=3, unique=True).map(lambda found: tuple(sorted(found)))
NAME = st.from_regex(r"[a-z]{1,6}", fullmatch=True)
REFS = st.builds(Ref, st.sampled_from(["", "a.b"]), st.just("Kind"), st.just("") | NAME, NAME)
EXPOSED = st.builds(
    Exposed,
    addresses=LISTS,
    hosts=LISTS,
    asked=LISTS,
    routed=LISTS,
    node_ports=st.lists(st.integers(1, 65535).map(str), max_size=2, unique=True).map(
        lambda found: tuple(sorted(found))
    ),
    via=st.lists(REFS, max_size=2, unique=True).map(lambda found: tuple(sorted(found))),
    trusts=LISTS,
)
URLS = st.just("") | WORDS.map("https://{}".format)
ENDPOINTS = st.builds(
    Endpoints,
    st.dictionaries(REFS, EXPOSED, max_size=4),
    URLS,
    st.builds(Issuer, URLS, URLS, st.just("") | NAME),
)


@given(ENDPOINTS)
def test_it_is_read_back_as_it_was_written(found: Endpoints) -> None:
    inner = ("svc", "localhost")
    hosts = [host for each in found.exposed.values() for host in each.hosts]
    if any(host.endswith((*inner, "svc.cluster.local")) for host in hosts):
        return
    data = write_endpoints(found)
    if data is None:
        assert found == Endpoints()
    else:
        assert read_endpoints(data, PATH) == found
        backwards = dict(reversed(found.exposed.items()))
        assert write_endpoints(replace(found, exposed=backwards)) == data


UNSOUND: list[dict[str, Any]] = [
    {"exposed": {}},
    {"exposed": ["a"]},
    {"exposed": [{}]},
    {"exposed": [{"ref": 7}]},
    {"exposed": [{"ref": "web"}]},
    {"exposed": [{"ref": str(WEB), "hosts": "a.example.com"}]},
    {"exposed": [{"ref": str(WEB), "hosts": [7]}]},
    {"exposed": [{"ref": str(WEB), "hosts": ["a\x1b[2J"]}]},
    {"exposed": [{"ref": str(WEB), "addresses": ["a b"]}]},
    {"exposed": [{"ref": str(WEB), "nodePorts": ["x"]}]},
    {"exposed": [{"ref": str(WEB), "nodePorts": [30080]}]},
    {"exposed": [{"ref": str(WEB), "via": ["web"]}]},
    {"exposed": [{"ref": str(WEB), "via": str(GATEWAY)}]},
    {"api": 7},
    {"api": "api.example.com"},
    {"api": "https://user:password@api.example.com"},
    {"issuer": "https://issuer.example.com"},
    {"issuer": {"url": "issuer"}},
    {"issuer": {"unread": 7}},
]


@pytest.mark.parametrize("document", UNSOUND, ids=map(str, range(len(UNSOUND))))
def test_a_file_that_is_none(document: dict[str, Any]) -> None:
    with pytest.raises(RepositoryError, match="not a file of endpoints") as caught:
        read_endpoints(canonical({"format": 1, **document}), PATH)
    assert caught.value.message.startswith(PATH)
    assert "last commit" in caught.value.hint


@pytest.mark.parametrize("version", [2, "1", None])
def test_a_newer_format(version: object) -> None:
    with pytest.raises(RepositoryError, match="reads format 1"):
        read_endpoints(canonical({"format": version}), PATH)


@pytest.mark.parametrize("data", [b"", b"a: [", b"- a", b"a: 1\na: 2", b"\xff"])
def test_what_is_no_document(data: bytes) -> None:
    with pytest.raises(ManifestError):
        read_endpoints(data, PATH)


# -- who signs --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("document", "expect"),
    [
        (
            {"issuer": "https://i.example.com/1", "jwks_uri": "https://i.example.com/1/keys"},
            Issuer("https://i.example.com/1", "https://i.example.com/1/keys"),
        ),
        # Each of several API servers says its own address.
        (
            {"issuer": "https://i.example.com", "jwks_uri": "https://10.0.0.5:6443/openid/v1/jwks"},
            Issuer("https://i.example.com"),
        ),
        (
            {"issuer": "https://i.example.com", "jwks_uri": "https://keys.example.com/1.json"},
            Issuer("https://i.example.com", "https://keys.example.com/1.json"),
        ),
        (
            {"issuer": "https://i.example.com", "jwks_uri": "https://i.example.com/openid/v1/jwks"},
            Issuer("https://i.example.com", "https://i.example.com/openid/v1/jwks"),
        ),
        ({"issuer": "https://i.example.com"}, Issuer("https://i.example.com")),
        ({"issuer": "i", "jwks_uri": "https://i.example.com/keys"}, Issuer()),
        ({"issuer": "https://a:b@i.example.com"}, Issuer()),
        ({"issuer": 7, "jwks_uri": []}, Issuer()),
        ({}, Issuer()),
        ([], Issuer()),
        (None, Issuer()),
    ],
)
def test_who_signs(document: object, expect: Issuer) -> None:
    assert issuer_of(document) == expect


# -- from one recovery point to the next ------------------------------------------------------

AWAITED = Exposed(hosts=("shop.example.com",), awaited=frozenset({Gives.ADDRESS}))
UNREAD = Issuer(unread="it may not be read")


def test_what_is_not_there_just_now_is_remembered() -> None:
    now = Endpoints({WEB: AWAITED})
    assert endpoints_after(now, FOUND).exposed == {WEB: FOUND.exposed[WEB]}


def test_another_address_is_taken() -> None:
    now = Endpoints({WEB: Exposed(("203.0.113.8",), ("other.example.com",))})
    assert endpoints_after(now, FOUND).exposed == now.exposed


def test_names_that_people_took_away_are_not_remembered() -> None:
    now = Endpoints({WEB: replace(AWAITED, hosts=())})
    assert endpoints_after(now, FOUND).exposed == {WEB: Exposed(("203.0.113.7",))}


def test_a_name_that_its_controller_makes_is_remembered() -> None:
    now = Endpoints({WEB: Exposed(awaited=frozenset({Gives.HOST}))})
    assert endpoints_after(now, FOUND).exposed == {WEB: Exposed(hosts=("shop.example.com",))}


def test_nothing_is_recorded_of_what_never_had_an_address() -> None:
    now = Endpoints({EDGE: Exposed(awaited=frozenset({Gives.ADDRESS}))})
    assert write_endpoints(endpoints_after(now, Endpoints())) is None


def test_an_object_that_is_gone_is_gone() -> None:
    assert endpoints_after(Endpoints(), FOUND).exposed == {}


def test_what_could_not_be_listed_stays() -> None:
    gaps = [Gap(Ref("networking.k8s.io", "Ingress", "", ANY), "403 Forbidden")]
    assert endpoints_after(Endpoints(), FOUND, gaps).exposed == {WEB: FOUND.exposed[WEB]}
    now = Endpoints({WEB: Exposed(("203.0.113.8",))})
    assert endpoints_after(now, FOUND, gaps).exposed == now.exposed


def test_the_api_server_stays_where_nobody_could_look() -> None:
    maps = [Gap(Ref("", "ConfigMap", "", ANY), "403 Forbidden")]
    pods = [Gap(Ref("", "Pod", "", ANY), "403 Forbidden")]
    assert endpoints_after(Endpoints(), FOUND, maps).api == FOUND.api
    assert endpoints_after(Endpoints(), FOUND, pods).api == ""
    assert endpoints_after(Endpoints(api="https://b.example.com"), FOUND, maps).api != FOUND.api


def test_an_issuer_that_may_not_be_read_stays() -> None:
    assert endpoints_after(Endpoints(issuer=UNREAD), FOUND).issuer == FOUND.issuer
    assert endpoints_after(Endpoints(issuer=UNREAD), Endpoints()).issuer == UNREAD
    assert endpoints_after(Endpoints(), FOUND).issuer == Issuer()


def test_a_route_is_reached_where_its_gateways_are() -> None:
    other = replace(GATEWAY, name="other")
    found = Endpoints(
        {
            ROUTE: Exposed(hosts=("a.example.com",), via=(GATEWAY, other)),
            GATEWAY: Exposed(("203.0.113.9", "203.0.113.8")),
            other: Exposed(awaited=frozenset({Gives.ADDRESS})),
        }
    )
    assert found.addresses(ROUTE) == ("203.0.113.8", "203.0.113.9")
    assert found.awaiting(ROUTE) == (other,)
    assert found.awaiting(GATEWAY) == ()
    assert found.addresses(EDGE) == ()
