"""What owners and autoscalers mean for an object, and who is an orphan."""

import copy
from itertools import pairwise
from typing import Any

import pytest
from counting import steps

from gitops_dr.model import Ref
from gitops_dr.rules.relations import (
    RelationFacts,
    apply_autoscaler,
    controller_owner,
    generated_omission,
    keep_scale,
    note_autoscaler,
    orphans,
)
from gitops_dr.rules.rows import relation_rows

DEPLOYMENT = Ref("apps", "Deployment", "shop", "web")
REPLICA_SET = Ref("apps", "ReplicaSet", "shop", "web-5d4")
POD = Ref("", "Pod", "shop", "web-5d4-x7k2p")
NAMESPACED = {("apps", "Deployment"), ("apps", "ReplicaSet"), ("apps", "StatefulSet"), ("", "Pod")}


def test_every_relation_row_is_used_by_a_test_here() -> None:
    assert {row.id for row in relation_rows()} == {"generated", "autoscaled-replicas"}


# -- generated --------------------------------------------------------------------------------


def owned(*owners: Any) -> dict[str, Any]:
    return {"metadata": {"name": "x", "namespace": "shop", "ownerReferences": list(owners)}}


def owner(kind: str, name: str, api_version: str = "apps/v1", **more: Any) -> dict[str, Any]:
    return {"apiVersion": api_version, "kind": kind, "name": name, "uid": "u", **more}


def test_the_controller_among_the_owners_counts() -> None:
    body = owned(owner("Deployment", "other"), owner("ReplicaSet", "web-5d4", controller=True))
    assert controller_owner(POD, body, NAMESPACED) == REPLICA_SET


@pytest.mark.parametrize(
    "body",
    [
        owned(),
        owned(owner("ReplicaSet", "web-5d4")),
        owned(owner("ReplicaSet", "web-5d4", controller=False)),
        {"metadata": {"name": "x"}},
        {"metadata": {"name": "x", "ownerReferences": None}},
    ],
    ids=str,
)
def test_an_owner_that_is_no_controller_makes_nothing_again(body: Any) -> None:
    assert controller_owner(POD, body, NAMESPACED) is None


def test_a_cluster_scoped_owner_has_no_namespace() -> None:
    body = owned(owner("Shop", "main", "example.com/v1", controller=True))
    assert controller_owner(POD, body, NAMESPACED) == Ref("example.com", "Shop", "", "main")


def test_a_core_owner_has_no_group() -> None:
    body = owned(owner("Pod", "bare", "v1", controller=True))
    assert controller_owner(REPLICA_SET, body, NAMESPACED) == Ref("", "Pod", "shop", "bare")


def test_a_claim_is_never_left_out_for_its_owner() -> None:
    body = owned(owner("StatefulSet", "db", controller=True))
    claim = Ref("", "PersistentVolumeClaim", "shop", "data-db-0")
    assert controller_owner(claim, body, NAMESPACED) is None
    alike = Ref("example.com", "PersistentVolumeClaim", "shop", "data-db-0")
    assert controller_owner(alike, body, NAMESPACED) is not None


def test_what_is_generated_is_accounted_for_with_the_reason() -> None:
    assert generated_omission().rule == "generated"
    assert generated_omission().reason


# -- orphans ----------------------------------------------------------------------------------

A, B, C = (Ref("", "Thing", "shop", name) for name in "abc")


@pytest.mark.parametrize(
    ("owner_of", "exported", "expected"),
    [
        pytest.param({}, set(), [], id="nothing"),
        pytest.param({POD: REPLICA_SET, REPLICA_SET: DEPLOYMENT}, {DEPLOYMENT}, [], id="chain"),
        pytest.param({REPLICA_SET: DEPLOYMENT, POD: REPLICA_SET}, {DEPLOYMENT}, [], id="chain, up"),
        pytest.param(
            {POD: REPLICA_SET, REPLICA_SET: DEPLOYMENT}, set(), [POD, REPLICA_SET], id="no owner"
        ),
        pytest.param({POD: REPLICA_SET}, {DEPLOYMENT}, [POD], id="missing link"),
        pytest.param({POD: REPLICA_SET}, {REPLICA_SET}, [], id="exported owner"),
        pytest.param({A: A}, set(), [A], id="its own owner"),
        pytest.param({A: B, B: A}, set(), [A, B], id="cycle"),
        pytest.param({C: A, A: B, B: A}, set(), [C, A, B], id="into a cycle"),
        pytest.param({A: B, B: A, C: DEPLOYMENT}, {DEPLOYMENT}, [A, B], id="cycle beside a chain"),
        pytest.param({A: C, B: C, C: DEPLOYMENT}, {DEPLOYMENT}, [], id="two of one owner"),
        pytest.param({A: C, B: C}, set(), [A, B], id="two of a missing owner"),
    ],
)
def test_who_is_an_orphan(owner_of: Any, exported: Any, expected: Any) -> None:
    assert orphans(owner_of, exported) == expected


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize("exported", [True, False])
def test_a_deep_chain_is_no_problem(order: int, exported: bool) -> None:
    def work(length: int) -> int:
        chain = [Ref("", "Thing", "shop", str(number)) for number in range(length + 1)]
        links = dict(list(pairwise(chain))[::order])
        ends = {chain[-1]} if exported else set()
        assert len(orphans(links, ends)) == (0 if exported else length)
        return steps(lambda: orphans(links, ends))

    # Linear: were each chain walked anew, a tenfold chain would be a hundred times the work.
    assert work(10_000) < 11 * work(1_000)


# -- autoscaled replicas ----------------------------------------------------------------------


def autoscaler(**target: Any) -> dict[str, Any]:
    return {"metadata": {"name": "h", "namespace": "shop"}, "spec": {"scaleTargetRef": target}}


def test_the_autoscaler_decides_about_replicas() -> None:
    facts = RelationFacts()
    note_autoscaler(autoscaler(apiVersion="apps/v1", kind="Deployment", name="web"), facts)
    body = {"spec": {"replicas": 3, "template": {"spec": {"replicas": 1}}}}
    apply_autoscaler(DEPLOYMENT, body, facts)
    assert body == {"spec": {"template": {"spec": {"replicas": 1}}}}


@pytest.mark.parametrize(
    "other",
    [
        Ref("apps", "Deployment", "other", "web"),
        Ref("apps", "Deployment", "shop", "web2"),
        Ref("apps", "StatefulSet", "shop", "web"),
        Ref("", "Deployment", "shop", "web"),
    ],
    ids=str,
)
def test_the_replicas_of_others_stay(other: Ref) -> None:
    facts = RelationFacts()
    note_autoscaler(autoscaler(apiVersion="apps/v1", kind="Deployment", name="web"), facts)
    body = {"spec": {"replicas": 3}}
    apply_autoscaler(other, body, facts)
    assert body == {"spec": {"replicas": 3}}


@pytest.mark.parametrize("body", [autoscaler(), {"metadata": {}}, {"metadata": {}, "spec": {}}])
def test_an_autoscaler_without_a_target_scales_nothing(body: Any) -> None:
    facts = RelationFacts()
    note_autoscaler(body, facts)
    assert facts.autoscaled == set()


@pytest.mark.parametrize(
    ("spec", "recorded", "expected"),
    [
        pytest.param({"replicas": 5}, {"replicas": 3}, {"replicas": 3}, id="another number"),
        pytest.param({"replicas": 5}, {}, {}, id="left to an autoscaler"),
        pytest.param({"replicas": 5}, {"replicas": 0}, {"replicas": 0}, id="none"),
        pytest.param({"replicas": 3}, {"replicas": 3}, None, id="the same"),
        pytest.param({"paused": True}, {"replicas": 3}, None, id="it has none"),
        pytest.param(None, {"replicas": 3}, None, id="no spec"),
    ],
)
def test_the_scale_that_is_recorded_is_kept(spec: Any, recorded: Any, expected: Any) -> None:
    body = {} if spec is None else {"spec": {"x": 1, **spec}}
    wanted = copy.deepcopy(body) if expected is None else {"spec": {"x": 1, **expected}}
    assert keep_scale(body, {"spec": recorded}) is (expected is not None)
    assert body == wanted
