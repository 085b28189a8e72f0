"""What changed for the outside: each sort of change, and what is none."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitops_dr.desired.endpoints import Endpoints, Issuer
from gitops_dr.desired.exposing import Exposed, Gives
from gitops_dr.desired.mappings import host
from gitops_dr.desired.outside import (
    Affects,
    Changed,
    Moved,
    Outside,
    awaited,
    changed_outside,
    seen_since,
)
from gitops_dr.model import Ref

EDGE = Ref("", "Service", "shop", "edge")
WEB = Ref("networking.k8s.io", "Ingress", "shop", "web")
ROUTE = Ref("gateway.networking.k8s.io", "HTTPRoute", "shop", "web")
GATEWAY = Ref("gateway.networking.k8s.io", "Gateway", "infra", "edge")
ACCOUNT = Ref("", "ServiceAccount", "shop", "web")
OLD, NEW = ("203.0.113.7",), ("198.51.100.7",)
WAITS = frozenset({Gives.ADDRESS})
SHOP, STANDBY = "shop.example.com", "shop.standby.example"
HERE = Moved()
ELSEWHERE = Moved(elsewhere=True)
RENAMED = Moved(
    ref=lambda ref: replace(ref, namespace="shop-b") if ref.namespace == "shop" else ref,
    host=lambda name: host(name, {SHOP: STANDBY}),
)
WEB_B = replace(WEB, namespace="shop-b")


def told(
    before: Exposed, now: Exposed | None, moved: Moved = HERE, ref: Ref = WEB
) -> list[Changed]:
    there = moved.ref(ref) or ref
    found = {} if now is None else {there: now}
    changes = changed_outside(Endpoints({ref: before}), Endpoints(found), moved)
    return [each for each in changes if each.affects not in (Affects.API, Affects.TOKENS)]


def test_nothing_changed() -> None:
    same = Exposed(OLD, (SHOP,), routed=("192.0.2.1",), node_ports=("30080",), trusts=("a",))
    assert told(same, same) == []


def test_a_name_leads_to_another_address() -> None:
    [change] = told(Exposed(OLD, (SHOP,)), Exposed(NEW, (SHOP,)))
    assert change == Changed(
        Affects.DNS, SHOP, OLD, NEW, f"point {SHOP} to 198.51.100.7", host=SHOP, refs=(WEB,)
    )


def test_names_that_several_objects_serve_are_told_once() -> None:
    other = replace(WEB, name="other")
    exposed = Exposed(OLD, (SHOP,))
    before = Endpoints({WEB: exposed, other: exposed})
    now = Endpoints(dict.fromkeys((WEB, other), Exposed(NEW, (SHOP,))))
    [change] = changed_outside(before, now, HERE)
    assert change.refs == (other, WEB)


def test_a_name_is_another_at_the_target() -> None:
    [change] = told(Exposed(OLD, (SHOP,)), Exposed(NEW, (STANDBY,)), RENAMED)
    assert (change.subject, change.host, change.refs) == (SHOP, STANDBY, (WEB_B,))
    assert change.todo.startswith(f"point {STANDBY} to 198.51.100.7; who asks for {SHOP}")


def test_a_name_is_told_even_where_no_address_is_known() -> None:
    [change] = told(Exposed(hosts=(SHOP,)), Exposed(hosts=(STANDBY,)), RENAMED)
    assert (change.old, change.new, change.pending) == ((), (), False)
    assert change.todo == f"find its address, and point {STANDBY} to it"
    assert told(Exposed(hosts=(SHOP,)), Exposed(hosts=(SHOP,))) == []


def test_a_name_that_a_patch_took_away_and_one_that_it_brought() -> None:
    gone, new = told(Exposed(OLD, (SHOP,)), Exposed(NEW, ("new.example.com",)))
    assert (gone.subject, gone.host) == (SHOP, "")
    assert f"nothing serves {SHOP} here" in gone.todo
    assert (new.subject, new.host) == ("", "new.example.com")
    assert new.todo == "point new.example.com to 198.51.100.7"


def test_an_address_that_is_not_there_yet() -> None:
    [change] = told(Exposed(OLD, (SHOP,)), Exposed(hosts=(SHOP,), awaited=WAITS))
    assert change.pending
    assert change.todo == f"once it has an address, point {SHOP} to it"
    [change] = told(Exposed(OLD), Exposed(awaited=WAITS), ref=EDGE)
    assert (change.affects, change.subject, change.pending) == (Affects.ADDRESS, str(EDGE), True)
    [change] = told(Exposed(OLD), Exposed(asked=OLD, awaited=WAITS), ref=EDGE)
    assert change.todo == "it asks for 203.0.113.7, which the source may still hold"


def test_a_name_that_is_not_made_yet_is_not_lost() -> None:
    made = frozenset({Gives.HOST})
    assert told(Exposed(hosts=(SHOP,)), Exposed(awaited=made)) == []
    [change] = told(Exposed(hosts=(SHOP,)), Exposed(awaited=made), RENAMED)
    assert (change.host, change.pending) == (STANDBY, True)


def test_a_load_balancer_without_names() -> None:
    [change] = told(Exposed(OLD), Exposed(NEW), ref=EDGE)
    assert (change.affects, change.old, change.new) == (Affects.ADDRESS, OLD, NEW)
    assert "allow lists" in change.todo
    [change] = told(Exposed(OLD), Exposed(), ref=EDGE)
    assert (change.new, change.pending) == ((), False)
    assert "no address here" in change.todo


def test_one_that_only_the_target_gives_an_address_changes_nothing_that_is_known() -> None:
    assert told(Exposed(routed=("192.0.2.1",)), Exposed(NEW, routed=("192.0.2.1",))) == []


def test_an_object_that_is_not_there() -> None:
    old = Exposed(OLD, (SHOP,), routed=("192.0.2.1",), node_ports=("30080",), trusts=("a",))
    found = told(old, None, ELSEWHERE)
    assert [each.affects for each in found] == [
        Affects.DNS,
        Affects.ROUTED,
        Affects.NODE_PORT,
        Affects.TRUST,
    ]
    for change in found:
        assert change.new == ()
        assert change.todo == f"{WEB} is not there, so nothing answers"


def test_what_the_target_is_without_on_purpose_is_not_told() -> None:
    nowhere = Moved(ref=lambda _ref: None)
    assert told(Exposed(OLD, (SHOP,)), None, nowhere) == []


def test_what_leads_to_nodes() -> None:
    old = Exposed(routed=("192.0.2.1",), node_ports=("30080",))
    routed, port = told(old, old, ELSEWHERE)
    assert (routed.affects, routed.todo) == (
        Affects.ROUTED,
        "route 192.0.2.1 to nodes of this cluster",
    )
    assert (port.affects, port.todo) == (
        Affects.NODE_PORT,
        "send to port 30080 of this cluster's nodes",
    )
    [port] = told(old, replace(old, node_ports=("30081",)))
    assert port.new == ("30081",)


def test_a_route_changes_with_its_gateway() -> None:
    route = Exposed(hosts=(SHOP,), via=(GATEWAY,))
    before = Endpoints({ROUTE: route, GATEWAY: Exposed(OLD)})
    now = Endpoints({ROUTE: route, GATEWAY: Exposed(NEW)})
    address, dns = sorted(changed_outside(before, now, HERE), key=lambda each: each.affects)
    assert (address.subject, address.new) == (str(GATEWAY), NEW)
    assert (dns.subject, dns.old, dns.new) == (SHOP, OLD, NEW)


ISSUER = Issuer("https://a.example.com")


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (ACCOUNT, "IAM OIDC provider"),
        (Ref("cert-manager.io", "ClusterIssuer", "", "vault"), "Vault"),
        (Ref("example.com", "Thing", "", "x"), "let it trust the new issuer"),
    ],
)
def test_who_trusts_tokens(kind: Ref, words: str) -> None:
    trusted = Exposed(trusts=("arn:a",))
    before, now = (
        Endpoints({kind: trusted}, issuer=ISSUER),
        Endpoints({kind: trusted}, issuer=ISSUER),
    )
    assert changed_outside(before, now, HERE) == ()
    found = {each.affects: each for each in changed_outside(before, now, ELSEWHERE)}
    assert words in found[Affects.TRUST].todo
    now = replace(now, issuer=Issuer("https://b.example.com"))
    found = {each.affects: each for each in changed_outside(before, now, HERE)}
    assert found.keys() == {Affects.ISSUER, Affects.TRUST}
    assert found[Affects.ISSUER].old == ("https://a.example.com",)
    assert found[Affects.ISSUER].new == ("https://b.example.com",)


@pytest.mark.parametrize(
    ("before", "now", "elsewhere", "expect"),
    [
        ("https://a", "https://b", True, (("https://a",), ("https://b",))),
        ("https://a", "https://b", False, (("https://a",), ("https://b",))),
        ("", "https://b", True, ((), ("https://b",))),
        ("https://a", "", True, (("https://a",), ())),
        # Nobody recorded it: that is no change.
        ("", "https://b", False, None),
        ("https://a", "", False, None),
        # A name that was pointed to the new one already.
        ("https://a", "https://a", True, None),
        ("", "", True, None),
    ],
)
def test_the_api_server_and_the_issuer(
    before: str, now: str, elsewhere: bool, expect: tuple[object, object] | None
) -> None:
    changes = changed_outside(
        Endpoints(api=before, issuer=Issuer(before)),
        Endpoints(api=now, issuer=Issuer(now)),
        Moved(elsewhere=elsewhere),
    )
    found = {each.affects: (each.old, each.new) for each in changes}
    assert found.get(Affects.API) == expect
    assert found.get(Affects.ISSUER) == expect
    assert (Affects.TOKENS in found) == elsewhere
    partly = changed_outside(
        Endpoints(api=before), Endpoints(api=now), Moved(elsewhere=elsewhere, whole=False)
    )
    assert partly == ()


def test_an_issuer_that_could_not_be_asked_for_says_why() -> None:
    now = Endpoints(issuer=Issuer(unread="it may not be read"))
    found = {e.affects: e for e in changed_outside(Endpoints(issuer=ISSUER), now, ELSEWHERE)}
    assert found[Affects.ISSUER].todo.endswith("(it is not known: it may not be read)")


# -- waiting ----------------------------------------------------------------------------------


def test_what_is_waited_for() -> None:
    gateway = Exposed(awaited=WAITS)
    route = Exposed(hosts=(SHOP,), via=(GATEWAY,))
    before = Endpoints({ROUTE: route, GATEWAY: Exposed(OLD), EDGE: Exposed(OLD)})
    now = Endpoints({ROUTE: route, GATEWAY: gateway, EDGE: Exposed(awaited=WAITS)})
    assert awaited(before, now, HERE) == (EDGE, GATEWAY)
    now = seen_since(now, {EDGE: Exposed(NEW), GATEWAY: None})
    assert awaited(before, now, HERE) == ()
    assert now.exposed.keys() == {ROUTE, EDGE}


def test_what_had_no_address_at_the_source_is_not_waited_for() -> None:
    before = Endpoints({WEB: Exposed(hosts=(SHOP,))})
    now = Endpoints({WEB: Exposed(hosts=(SHOP,), awaited=WAITS)})
    assert awaited(before, now, HERE) == ()
    named = Endpoints({WEB: Exposed(awaited=frozenset({Gives.HOST}))})
    assert awaited(before, named, HERE) == (WEB,)


def test_what_is_pending_is_told_apart() -> None:
    changes = told(Exposed(OLD, (SHOP,)), Exposed(hosts=(SHOP,), awaited=WAITS))
    more = told(Exposed(OLD), Exposed(NEW), ref=EDGE)
    assert Outside((*changes, *more)).pending == tuple(changes)


NAMES = st.sampled_from([SHOP, STANDBY, "a.example.com"])
TUPLES = st.lists(NAMES, max_size=2, unique=True).map(lambda found: tuple(sorted(found)))
EXPOSED = st.builds(
    Exposed,
    TUPLES,
    TUPLES,
    routed=TUPLES,
    node_ports=TUPLES,
    trusts=TUPLES,
    via=st.sampled_from([(), (GATEWAY,)]),
    awaited=st.sampled_from([frozenset(), WAITS]),
)
ENDPOINTS = st.builds(
    Endpoints,
    st.dictionaries(st.sampled_from([WEB, EDGE, ROUTE, GATEWAY, ACCOUNT]), EXPOSED),
    st.sampled_from(["", "https://a"]),
    st.builds(Issuer, st.sampled_from(["", "https://a", "https://b"])),
)


@given(ENDPOINTS, ENDPOINTS, st.sampled_from([HERE, ELSEWHERE, RENAMED]))
def test_every_change_is_one_and_says_what_to_do(
    before: Endpoints, now: Endpoints, moved: Moved
) -> None:
    changes = changed_outside(before, now, moved)
    for change in changes:
        assert change.todo
        assert not (change.pending and change.new)
        if moved is HERE:
            assert change.old != change.new or change.subject != change.host or not change.new
    assert len({replace(each, refs=()) for each in changes}) == len(changes)


@given(ENDPOINTS)
def test_of_the_very_same_nothing_is_told(found: Endpoints) -> None:
    assert changed_outside(found, found, HERE) == ()
