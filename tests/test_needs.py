"""Needs of docs/needs/ that no other test shows by itself, each as small as it can be.

A few play an API server on loopback; nothing else is touched.
"""

from typing import Any

import fake_api
import pytest
from fake_api import refusal, reply

from gitops_dr.cluster.discover import Discovery
from gitops_dr.engine.act import act
from gitops_dr.engine.preflight import Preflight
from gitops_dr.model import (
    Action,
    Difference,
    Entry,
    Presence,
    Ref,
    Resource,
    Result,
    State,
    Step,
    parse_ref,
)
from gitops_dr.planning.facts import collect
from gitops_dr.planning.plan import Intent, make_plan
from gitops_dr.planning.selection import Selection, closure
from gitops_dr.rules.clean import standing_omissions

api, connection = fake_api.api, fake_api.connection

CONFIG_MAPS = Resource("", "v1", "ConfigMap", "configmaps", namespaced=True)
CLAIMS = Resource("", "v1", "PersistentVolumeClaim", "persistentvolumeclaims", namespaced=True)
SNAPSHOTS = "snapshot.storage.k8s.io"


def body_of(ref: Ref, version: str = "v1", **parts: Any) -> dict[str, Any]:
    api_version = f"{ref.group}/{version}" if ref.group else version
    metadata = {"name": ref.name} | ({"namespace": ref.namespace} if ref.namespace else {})
    return {"apiVersion": api_version, "kind": ref.kind, "metadata": metadata, **parts}


def stored(body: dict[str, Any], **metadata: Any) -> dict[str, Any]:
    added = {"uid": "new", "resourceVersion": "7"}
    return {**body, "metadata": body["metadata"] | added | metadata}


def step(ref: Ref, action: Action = Action.CREATE) -> Step:
    return Step(ref, action, "fingerprint", "path", "v1")


def nobody(_ref: Ref) -> None:
    return None


# -- 3 and 4: webhooks ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "tried_again"),
    [
        pytest.param(
            refusal(403, "Forbidden", 'admission webhook "policy.example.com" denied the request'),
            False,
            id="denied on principle",
        ),
        pytest.param(
            refusal(
                500,
                "InternalError",
                'failed calling webhook "policy.example.com": connect: connection refused',
            ),
            True,
            id="backend not up yet",
        ),
    ],
)
def test_what_a_webhook_refuses_is_named_with_its_words(api, connection, answer, tried_again):
    ref = Ref("", "ConfigMap", "shop", "a")
    api.on("/api/v1/namespaces/shop/configmaps", answer, method="POST")
    done = act(connection, step(ref), CONFIG_MAPS, body_of(ref), nobody)
    assert done.outcome.result is Result.FAILED
    assert 'webhook "policy.example.com"' in done.outcome.reason
    assert done.too_early is tried_again


# -- 9 and 24: overwriting ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "message",
    [
        "data: Forbidden: field is immutable when `immutable` is set",
        'status.storedVersions[1]: Invalid value: "v2": must appear in spec.versions',
    ],
    ids=["immutable", "a version that is stored"],
)
def test_overwriting_what_the_api_server_refuses_has_failed(api, connection, message):
    ref = Ref("", "ConfigMap", "shop", "a")
    path = "/api/v1/namespaces/shop/configmaps/a"
    api.on(path, reply(stored(body_of(ref, data={"k": "other"}))))
    api.on(path, refusal(422, "Invalid", message), method="PATCH")
    wanted = body_of(ref, data={"k": "v"})
    done = act(connection, step(ref, Action.CONFIGURE), CONFIG_MAPS, wanted, nobody)
    assert (done.outcome.result, done.outcome.reason) == (Result.FAILED, message)
    assert not done.too_early
    # Neither deleted nor made anew.
    assert {request.method for request in api.requests} == {"GET", "PATCH"}


# -- 10: versions that the target no longer serves ----------------------------------------------


def preflight(*served: Resource) -> Preflight:
    return Preflight(None, Discovery(served, ()), fields=False)  # type: ignore[arg-type]


def test_a_version_that_the_target_does_not_serve_is_told_beforehand():
    budgets = Resource("policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets", True)
    ref = Ref("policy", "PodDisruptionBudget", "shop", "web")
    looked = preflight(budgets)
    looked.look(ref, "v1beta1", body_of(ref, "v1beta1"))
    looked.look(Ref("policy", "PodDisruptionBudget", "shop", "api"), "v1", {})
    (refused,) = looked.refusals().items()
    assert refused[0] == ref
    assert "does not serve this kind in version v1beta1" in refused[1]
    assert "it serves v1" in refused[1]


def test_a_kind_that_the_plan_brings_along_is_served():
    crd = Ref("apiextensions.k8s.io", "CustomResourceDefinition", "", "books.shop.io")
    versions = [{"name": "v1", "served": True}, {"name": "v0", "served": False}]
    spec = {"group": "shop.io", "names": {"kind": "Book"}, "versions": versions}
    looked = preflight(Resource(crd.group, "v1", crd.kind, "customresourcedefinitions", False))
    for version in ("v1", "v0"):
        looked.look(Ref("shop.io", "Book", "shop", version), version, {})
    looked.look(crd, "v1", {"spec": spec})
    assert [ref.name for ref in looked.refusals()] == ["v0"]


def test_a_field_that_the_target_does_not_know_is_told_beforehand(api, connection):
    kind = {"group": "policy", "version": "v1", "kind": "PodDisruptionBudget"}
    schema = {
        "x-kubernetes-group-version-kind": [kind],
        "properties": {
            "apiVersion": {},
            "kind": {},
            "metadata": {},
            "spec": {"properties": {"minAvailable": {}}},
        },
    }
    api.on("/openapi/v3/apis/policy/v1", reply({"components": {"schemas": {"budget": schema}}}))
    budgets = Resource("policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets", True)
    looked = Preflight(connection, Discovery((budgets,), ()), fields=True)
    for name, spec in (("old", {"minAvailable": 1}), ("new", {"minAvailable": 1, "novel": {}})):
        ref = Ref("policy", "PodDisruptionBudget", "shop", name)
        looked.look(ref, "v1", body_of(ref, spec=spec))
    (refused,) = looked.refusals().items()
    assert refused[0].name == "new"
    assert "does not know its spec.novel" in refused[1]


def test_what_the_target_does_not_serve_is_a_gap_and_no_step():
    ref = parse_ref("PodDisruptionBudget.policy/shop/web")
    made = make_plan(
        State({ref: Entry("f", "web.yaml", "v1beta1")}),
        State({}),
        [Difference(ref, Presence.MISSING, "web.yaml")],
        {},
        refused={ref: "the target does not serve it"},
    )
    assert made.steps == ()
    assert [(gap.ref, gap.reason) for gap in made.gaps] == [(ref, "the target does not serve it")]


# -- 13 and 14: tokens ---------------------------------------------------------------------------


def test_that_tokens_are_worth_nothing_elsewhere_stands_in_every_recovery_point():
    reasons = {each.rule: each.reason for each in standing_omissions("", "Secret")}
    assert "worth nothing elsewhere" in reasons["service-account-token"]


def test_who_mounts_a_token_that_is_left_out_is_told():
    pod = parse_ref("Deployment.apps/shop/ci")
    volumes = [{"name": "token", "secret": {"secretName": "ci-token"}}]
    body = {"spec": {"template": {"spec": {"volumes": volumes}}}}
    made = make_plan(
        State({pod: Entry("f", "ci.yaml", "v1")}, omissions=standing_omissions("", "Secret")),
        State({parse_ref("Namespace/shop"): Entry("f", "shop.yaml", "v1")}),
        [Difference(pod, Presence.MISSING, "ci.yaml")],
        {pod: collect(pod, body, "deployments")},
    )
    (gap,) = made.gaps
    assert gap.ref == Ref("", "Secret", "shop", "ci-token")
    assert "Deployment.apps/shop/ci" in gap.reason


# -- 16: a volume that is still held for a claim of the past ---------------------------------------


@pytest.mark.parametrize(
    ("claim_ref", "freed"),
    [
        ({"namespace": "shop", "name": "data", "uid": "old", "resourceVersion": "3"}, True),
        ({"namespace": "shop", "name": "data"}, False),
        ({"namespace": "shop", "name": "data", "uid": "new"}, False),
        ({"namespace": "shop", "name": "other", "uid": "old"}, False),
        ({"namespace": "elsewhere", "name": "data", "uid": "old"}, False),
    ],
    ids=["of its own past", "not yet", "already", "another claim's", "another namespace's"],
)
def test_a_released_volume_is_freed_for_the_claim_that_came_back(api, connection, claim_ref, freed):
    ref = Ref("", "PersistentVolumeClaim", "shop", "data")
    claim = body_of(ref, spec={"volumeName": "archive"})
    volume = {"metadata": {"name": "archive"}, "spec": {"claimRef": claim_ref}}
    path = "/api/v1/persistentvolumes/archive"
    api.on(f"/api/v1/namespaces/shop/{CLAIMS.plural}", reply(stored(claim), 201), method="POST")
    api.on(path, reply(volume))
    api.on(path, reply(volume), method="PATCH")
    done = act(connection, step(ref), CLAIMS, claim, nobody)
    assert done.outcome.result is Result.DONE
    patches = [request.json for request in api.asked(path, "PATCH")]
    removed = [
        [each["path"] for each in operations if each["op"] == "remove"] for operations in patches
    ]
    assert removed == ([["/spec/claimRef/uid", "/spec/claimRef/resourceVersion"]] if freed else [])


# -- 23: a part, with the helpers of which nobody thinks ------------------------------------------

PART: dict[str, dict[str, Any]] = {
    "Deployment.apps/shop/web": {
        "metadata": {"labels": {"app": "web"}},
        "spec": {
            "template": {
                "spec": {"volumes": [{"persistentVolumeClaim": {"claimName": "data"}}]},
            }
        },
    },
    "PersistentVolumeClaim/shop/data": {
        "spec": {
            "storageClassName": "fast",
            "dataSource": {"kind": "VolumeSnapshot", "name": "monday"},
        }
    },
    f"VolumeSnapshot.{SNAPSHOTS}/shop/monday": {
        "spec": {"source": {"volumeSnapshotContentName": "monday"}}
    },
    f"VolumeSnapshotContent.{SNAPSHOTS}/monday": {"spec": {"volumeSnapshotClassName": "keep"}},
    f"VolumeSnapshotClass.{SNAPSHOTS}/keep": {},
    "StorageClass.storage.k8s.io/fast": {},
    "Namespace/shop": {},
    "ConfigMap/shop/other": {},
    "StorageClass.storage.k8s.io/slow": {},
}


def test_a_part_chosen_by_label_has_the_snapshots_and_classes_that_bear_no_label():
    refs = {text: parse_ref(text) for text in PART}
    facts = {ref: collect(ref, PART[text], "things") for text, ref in refs.items()}
    by_label = Selection(labels=(("app", "web"),))
    named = [
        ref
        for text, ref in refs.items()
        if by_label.names(ref, PART[text].get("metadata", {}).get("labels", {}))
    ]
    assert [str(ref) for ref in named] == ["Deployment.apps/shop/web"]
    found = closure(named, frozenset(facts), facts)
    left = {"ConfigMap/shop/other", "StorageClass.storage.k8s.io/slow"}
    assert {str(ref) for ref in found} == PART.keys() - left


# -- 53: nothing is deleted ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "intent",
    [Intent(), Intent(overwrite=True), Intent(overwrite=True, elsewhere=True)],
    ids=["as it is", "overwriting", "overwriting elsewhere"],
)
def test_no_rebuild_deletes_what_only_the_cluster_has(intent):
    presences = {
        Ref("", "ConfigMap", "shop", presence.value): presence for presence in Presence
    } | {Ref("", "Namespace", "", "gitops-dr"): Presence.UNMANAGED}
    entries = {ref: Entry("f", f"{ref.name}.yaml", "v1") for ref in presences}
    differences = [Difference(ref, presence, "path") for ref, presence in presences.items()]
    made = make_plan(State(entries), State(entries), differences, {}, intent)
    assert {each.action for each in made.steps} <= {Action.CREATE, Action.CONFIGURE, Action.SKIP}
    assert {each.ref.name for each in made.steps} == {"missing", "modified"}
