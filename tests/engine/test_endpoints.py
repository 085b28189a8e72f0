"""By what a cluster is known outside: read in passing, kept where it cannot be read, waited for."""

from __future__ import annotations

import time
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from fake_api import Answer, refusal, reply, text

from gitops_dr.cluster.discover import identify
from gitops_dr.desired.endpoints import (
    ENDPOINTS,
    Endpoints,
    Issuer,
    read_endpoints,
    write_endpoints,
)
from gitops_dr.desired.exposing import Exposed, Gives
from gitops_dr.desired.outside import Affects
from gitops_dr.desired.target import IDENTITY, Mappings, Strategy, Target
from gitops_dr.desired.target_state import Rewriter
from gitops_dr.engine import endpoints as module
from gitops_dr.engine.endpoints import ISSUER, endpoints_file, read_issuer, what_changed
from gitops_dr.engine.observe import observe
from gitops_dr.errors import RepositoryError
from gitops_dr.events import Notice, Waiting
from gitops_dr.model import Action, Outcome, Ref, Resource, Result, State

EDGE = Ref("", "Service", "shop", "edge")
WEB = Ref("networking.k8s.io", "Ingress", "shop", "web")
OLD, NEW = ("203.0.113.7",), ("198.51.100.7",)
WAITS = frozenset({Gives.ADDRESS})
SIGNED = {"issuer": "https://i.example.com", "jwks_uri": "https://i.example.com/keys"}
SERVICES = Resource("", "v1", "Service", "services", namespaced=True)
PATH = "/api/v1/namespaces/shop/services/edge"


def balanced(*addresses: str, **metadata: Any) -> dict[str, Any]:
    ingress = [{"ip": each} for each in addresses]
    return {
        "metadata": {"name": "edge", "namespace": "shop", **metadata},
        "spec": {"type": "LoadBalancer"},
        "status": {"loadBalancer": {"ingress": ingress}},
    }


# -- who signs --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "expect"),
    [
        (reply(SIGNED), Issuer("https://i.example.com", "https://i.example.com/keys")),
        (refusal(403, message='User "anna" cannot get path'), Issuer(unread="may not be read")),
        (refusal(401), Issuer(unread="may not be read")),
        (refusal(500), Issuer(unread="could not be read")),
        (text(200, "<html>"), Issuer(unread="could not be read")),
        (refusal(404), Issuer()),
    ],
)
def test_who_signs(api: Any, connection: Any, answer: Answer, expect: Issuer) -> None:
    api.on(ISSUER, answer)
    found = read_issuer(connection)
    # It names nobody: whoever exports next would write another name.
    unread = f"{ISSUER} {expect.unread}" if expect.unread else ""
    assert found == replace(expect, unread=unread)


# -- the file ---------------------------------------------------------------------------------


@pytest.fixture
def look(connection: Any) -> Any:
    return lambda: observe(connection, identify(connection), lambda data: str(hash(data)))


def tree(before: Endpoints | None, uid: str = "") -> Any:
    data = write_endpoints(before) if before else None
    return of_file(data, uid)


def of_file(data: bytes | None, uid: str = "") -> Any:
    """A commit with that file, and nothing else."""
    return SimpleNamespace(
        endpoints=lambda: None if data is None else read_endpoints(data, ENDPOINTS),
        coverage=SimpleNamespace(uid=uid) if uid else None,
        files={} if data is None else {ENDPOINTS: str(data)},
        repo=SimpleNamespace(blob_id=str),
    )


def test_addresses_are_read_in_passing(api: Any, connection: Any, cluster: Any, look: Any) -> None:
    api.on(ISSUER, reply(SIGNED))
    cluster.serve("v1", "Service", balanced("203.0.113.8", "203.0.113.7"))
    data = endpoints_file(connection, look(), tree(None))
    assert data is not None
    found = read_endpoints(data, ENDPOINTS)
    assert found.exposed == {EDGE: Exposed(("203.0.113.7", "203.0.113.8"))}
    assert found.issuer.url == "https://i.example.com"
    # No request of its own for any of them.
    assert len(api.asked("/api/v1/services")) == 1
    assert api.asked(PATH) == []


def test_what_a_rule_leaves_out_is_not_recorded_and_what_owners_make_is(
    connection: Any, cluster: Any, look: Any
) -> None:
    owner = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "op", "uid": "x"}
    cluster.serve("apps/v1", "Deployment", {"metadata": {"name": "op", "namespace": "shop"}})
    made = balanced("203.0.113.7", ownerReferences=[{**owner, "controller": True}])
    kubernetes = balanced("203.0.113.9")
    kubernetes["metadata"] = {
        "name": "kubernetes",
        "namespace": "default",
        "labels": {"component": "apiserver", "provider": "kubernetes"},
    }
    cluster.serve("v1", "Service", made, kubernetes)
    found = look()
    assert EDGE not in found.state.entries
    assert found.exposed == {EDGE: Exposed(OLD)}


def test_the_api_server_is_told_by_the_cluster(connection: Any, cluster: Any, look: Any) -> None:
    def config(name: str, space: str, key: str, host: str) -> dict[str, Any]:
        text = f"clusters: [{{cluster: {{server: 'https://{host}'}}}}]"
        return {"metadata": {"name": name, "namespace": space}, "data": {key: text}}

    proxy = config("kube-proxy", "kube-system", "kubeconfig", "second.example.com")
    info = config("cluster-info", "kube-public", "kubeconfig", "first.example.com")
    maps = cluster.serve("v1", "ConfigMap", proxy)
    assert look().api == "https://second.example.com"
    cluster.kinds[maps] = [proxy, info]
    cluster.ready()
    assert look().api == "https://first.example.com"


def test_what_cannot_be_read_stays_and_is_said_once(
    api: Any, connection: Any, cluster: Any, look: Any
) -> None:
    api.on(ISSUER, refusal(403))
    cluster.serve("v1", "Service", answer=refusal(403))
    before = Endpoints({EDGE: Exposed(OLD)}, issuer=Issuer("https://i.example.com"))
    told: list[Any] = []
    observed = look()
    data = endpoints_file(connection, observed, tree(before, cluster.uid), told.append)
    assert data is not None
    assert read_endpoints(data, ENDPOINTS) == before
    assert told == []
    endpoints_file(connection, observed, tree(None), told.append)
    assert told == [Notice(f"the issuer of tokens is not known: {ISSUER} may not be read")]


def test_of_another_cluster_nothing_stays(connection: Any, cluster: Any, look: Any) -> None:
    cluster.serve("v1", "Service", answer=refusal(403))
    before = Endpoints({EDGE: Exposed(OLD)}, issuer=Issuer("https://i.example.com"))
    assert endpoints_file(connection, look(), tree(before, "another")) is None


def test_a_malformed_file_is_an_error(connection: Any, cluster: Any, look: Any) -> None:
    with pytest.raises(RepositoryError, match="not a file of endpoints"):
        endpoints_file(connection, look(), of_file(b"format: 1\nexposed: 7\n"))


def test_what_is_the_same_is_not_read(
    api: Any, connection: Any, cluster: Any, look: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.on(ISSUER, reply(SIGNED))
    cluster.serve("v1", "Service", balanced(*OLD))
    observed = look()
    data = endpoints_file(connection, observed, of_file(None))
    same = of_file(data)
    monkeypatch.setattr(same, "endpoints", lambda: pytest.fail("it was read"))
    assert endpoints_file(connection, observed, same) == data


# -- old and new ------------------------------------------------------------------------------


class Run:
    """A rebuild that is done, and what is seen of its cluster."""

    def __init__(self, connection: Any, target: Target = IDENTITY) -> None:
        self.target = target
        recorded = SimpleNamespace(
            rewriter=Rewriter(target),
            tree=SimpleNamespace(coverage=SimpleNamespace(uid="source")),
        )
        self.planned = SimpleNamespace(
            saved=SimpleNamespace(intent=SimpleNamespace(selection=False)),
            goal=SimpleNamespace(target=SimpleNamespace(uid="source")),
        )
        self.prepared = SimpleNamespace(
            connection=connection,
            target=target,
            planned=self.planned,
            chosen=frozenset[Ref](),
            examined=SimpleNamespace(recorded=recorded),
        )

    def told(
        self,
        before: Endpoints | None,
        now: dict[Ref, Exposed],
        *made: Ref,
        seconds: float = 0.0,
        unlisted: frozenset[Ref] = frozenset(),
        emit: Any = lambda _event: None,
    ) -> Any:
        outcomes = [Outcome(ref, Action.CREATE, Result.DONE, "", 0.0) for ref in made]
        observation = SimpleNamespace(
            exposed=now,
            api="",
            resources={SERVICES.group_kind: SERVICES},
            state=State({}, unlisted=unlisted),
        )
        prepared: Any = self.prepared
        after: Any = SimpleNamespace(observation=observation)
        until = time.monotonic() + seconds
        return what_changed(prepared, before, after, outcomes, until=until, emit=emit)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_ASK_AGAIN", 0.01)


KNOWN = Endpoints({EDGE: Exposed(OLD)})
PENDING = {EDGE: Exposed(awaited=WAITS)}


@pytest.mark.usefixtures("quick")
def test_an_address_is_waited_for(api: Any, connection: Any) -> None:
    api.on(PATH, reply(balanced()), refusal(403), reply(balanced(*NEW)))
    told: list[Any] = []
    found = Run(connection).told(KNOWN, PENDING, EDGE, seconds=60, emit=told.append)
    [change] = found.changes
    assert (change.new, change.pending) == (NEW, False)
    assert [each for each in told if isinstance(each, Waiting)] == 3 * [
        Waiting(EDGE, "has no address yet")
    ]


@pytest.mark.usefixtures("quick")
def test_no_longer_than_it_may_take(api: Any, connection: Any) -> None:
    api.on(PATH, reply(balanced()))
    [change] = Run(connection).told(KNOWN, PENDING, EDGE, seconds=0.05).changes
    assert change.pending


@pytest.mark.parametrize(
    ("target", "made"),
    [
        # Nobody made it now: an earlier run has waited already.
        (IDENTITY, ()),
        (IDENTITY, (WEB,)),
        # No controller runs there that could give one.
        (Target(name="b", strategy=Strategy.WARM), (EDGE,)),
    ],
)
def test_what_is_not_waited_for(api: Any, connection: Any, target: Target, made: Any) -> None:
    [change] = Run(connection, target).told(KNOWN, PENDING, *made, seconds=600).changes
    assert change.pending
    assert api.asked(PATH) == []


@pytest.mark.usefixtures("quick")
def test_what_an_operator_makes_is_waited_for_too(api: Any, connection: Any) -> None:
    api.on(PATH, reply(balanced(*NEW)))
    generated = frozenset({EDGE})
    found = Run(connection).told(KNOWN, PENDING, WEB, seconds=60, unlisted=generated)
    assert [each.new for each in found.changes] == [NEW]


@pytest.mark.usefixtures("quick")
def test_what_goes_away_meanwhile_is_not_there(api: Any, connection: Any) -> None:
    api.on(PATH, refusal(404))
    [change] = Run(connection).told(KNOWN, PENDING, EDGE, seconds=60).changes
    assert "is not there" in change.todo


def test_names_and_namespaces_of_a_target(connection: Any) -> None:
    mappings = Mappings(namespaces={"shop": "shop-b"}, hosts={".example.com": ".standby.example"})
    run = Run(connection, Target(name="b", mappings=mappings))
    before = Endpoints({WEB: Exposed(OLD, ("shop.example.com",))})
    there = replace(WEB, namespace="shop-b")
    found = run.told(before, {there: Exposed(NEW, ("shop.standby.example",))})
    [change] = found.changes
    assert (change.subject, change.host) == ("shop.example.com", "shop.standby.example")
    assert change.refs == (there,)


def test_another_cluster_is_reached_elsewhere(connection: Any) -> None:
    run = Run(connection)
    run.planned.goal.target.uid = "another"
    found = run.told(None, {})
    assert not found.recorded
    api, tokens = found.changes
    assert (api.affects, api.old, api.new) == (Affects.API, (), (connection.server,))
    assert tokens.affects is Affects.TOKENS


def test_of_a_part_only_that_part_is_told(connection: Any) -> None:
    run = Run(connection)
    run.planned.goal.target.uid = "another"
    run.planned.saved.intent.selection = True
    before = Endpoints({EDGE: Exposed(OLD), WEB: Exposed(OLD)})
    now = {EDGE: Exposed(NEW), WEB: Exposed(NEW)}
    assert run.told(before, now).changes == ()
    run.prepared.chosen = frozenset({EDGE})
    assert [each.subject for each in run.told(before, now).changes] == [str(EDGE)]
