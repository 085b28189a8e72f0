"""A State as a target should have it: what is rewritten, left out, untouched, and refused."""

from collections.abc import Iterable, Iterator
from copy import deepcopy
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from volumes_samples import RECORD

from gitops_dr.desired.outward import Hold, shipped_rows
from gitops_dr.desired.target import IDENTITY, Target
from gitops_dr.desired.target_file import read_target
from gitops_dr.desired.target_state import OWN, Rewriter, Rewritten, rewritten
from gitops_dr.errors import UsageError
from gitops_dr.manifests.emit import canonical
from gitops_dr.model import Body, Entry, Gap, MaskedValue, Ref, State

Objects = dict[Ref, Body]


def obj(kind: str, name: str, namespace: str = "shop", group: str = "", **fields: Any) -> Body:
    metadata: Body = {"name": name, "labels": {"app": name}}
    if namespace:
        metadata["namespace"] = namespace
    version = f"{group}/v1" if group else "v1"
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **fields}


def workload(kind: str, name: str, namespace: str = "shop", **spec: Any) -> Body:
    template = {
        "metadata": {"labels": {"app": name}},
        "spec": {"containers": [{"name": "c", "image": "old.example/c:1"}]},
    }
    return obj(kind, name, namespace, "apps", spec={"template": template, **spec})


def ref_of(body: Body) -> Ref:
    metadata = body["metadata"]
    group = body["apiVersion"].rpartition("/")[0]
    return Ref(group, body["kind"], metadata.get("namespace", ""), metadata["name"])


BODIES = [
    obj("Namespace", "shop", ""),
    obj("Namespace", "other", ""),
    obj("ConfigMap", "settings", data={"a": "1"}),
    obj("ConfigMap", "settings", "other", data={"a": "1"}),
    obj("Secret", "db", data={"password": "eA=="}),
    workload("Deployment", "web", replicas=3),
    workload("Deployment", "hook", replicas=2),
    workload("Deployment", "dns", "kube-system", replicas=2),
    workload("DaemonSet", "agent"),
    obj("CronJob", "nightly", group="batch", spec={"schedule": "0 3 * * *"}),
    obj(
        "HorizontalPodAutoscaler",
        "web",
        group="autoscaling",
        spec={"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}},
    ),
    obj("Service", "hook", spec={"selector": {"app": "hook"}}),
    obj("StorageClass", "fast", "", "storage.k8s.io", provisioner="p"),
    obj("PersistentVolumeClaim", "data", spec={"storageClassName": "fast"}),
    obj(
        "ValidatingWebhookConfiguration",
        "hook",
        "",
        "admissionregistration.k8s.io",
        webhooks=[
            {"name": "h", "clientConfig": {"service": {"name": "hook", "namespace": "shop"}}}
        ],
    ),
]
OBJECTS: Objects = {ref_of(body): body for body in BODIES}


def target(text: str = "", **more: Any) -> Target:
    from dataclasses import replace

    return replace(read_target(f"format: 1\n{text}".encode(), "standby"), **more)


class Loaded:
    """A State of these objects, and which of them were loaded."""

    def __init__(self, objects: Objects = OBJECTS) -> None:
        self.objects = objects
        self.loaded: list[Ref] = []
        self.state = State(
            {
                ref: Entry(self.print(ref, body), f"x/{ref.kind}s/y.yaml", "v1")
                for ref, body in objects.items()
            }
        )

    @staticmethod
    def print(_ref: Ref, body: Body) -> str:
        return canonical(body).decode()

    def bodies(self, refs: Iterable[Ref]) -> Iterator[tuple[Ref, Body]]:
        for ref in refs:
            self.loaded.append(ref)
            yield ref, deepcopy(self.objects[ref])

    def at(self, wanted: Target) -> tuple[Rewritten, Rewriter]:
        rewriter = Rewriter(wanted)
        return rewritten(self.state, rewriter, self.bodies, self.print), rewriter


def found(text: str, **more: Any) -> tuple[dict[str, Body], Rewritten, Rewriter]:
    """What the target has by kind and name, where the source's body would not do."""
    source = Loaded()
    result, rewriter = source.at(target(text, **more))
    by_name = {
        str(ref): yaml.safe_load(entry.fingerprint) for ref, entry in result.state.entries.items()
    }
    return by_name, result, rewriter


def test_a_target_without_anything_changes_nothing_and_loads_nothing() -> None:
    source = Loaded()
    result, _ = source.at(Target("standby"))
    assert result.state.entries == source.state.entries
    assert (dict(result.sources), result.omissions, source.loaded) == ({}, (), [])


def test_only_what_can_be_touched_is_loaded() -> None:
    source = Loaded()
    result, _ = source.at(target("mappings: {storageClasses: {fast: slow}}"))
    # Pods may make claims of their own.
    pods = {"Deployment", "DaemonSet", "CronJob"}
    assert {ref.kind for ref in source.loaded} == {"PersistentVolumeClaim", *pods}
    assert {ref.kind for ref in result.sources} == {"PersistentVolumeClaim"}
    kinds = {ref.kind for ref in result.state.entries}
    assert "StorageClass" not in kinds
    (omission,) = result.omissions
    assert (omission.rule, omission.ref.name) == (OWN, "fast")
    assert "slow" in omission.reason


def test_what_stays_the_same_keeps_its_entry() -> None:
    source = Loaded()
    result, _ = source.at(target("mappings: {images: {nowhere.example/: x/}}"))
    assert result.state.entries == source.state.entries
    assert not result.sources


def test_a_namespace_is_renamed_with_all_that_is_in_it() -> None:
    by_name, result, _ = found("mappings: {namespaces: {shop: shop-b}}")
    assert "Namespace/shop-b" in by_name
    assert not [name for name in by_name if "/shop/" in name or name == "Namespace/shop"]
    assert by_name["ConfigMap/shop-b/settings"]["metadata"]["namespace"] == "shop-b"
    assert by_name["Namespace/shop-b"]["metadata"]["name"] == "shop-b"
    hook = by_name["ValidatingWebhookConfiguration.admissionregistration.k8s.io/hook"]
    assert hook["webhooks"][0]["clientConfig"]["service"]["namespace"] == "shop-b"
    assert result.sources[Ref("", "ConfigMap", "shop-b", "settings")].namespace == "shop"
    assert Ref("", "ConfigMap", "other", "settings") not in result.sources


def test_two_objects_cannot_become_one() -> None:
    with pytest.raises(UsageError, match="two objects of the source would be it"):
        found("mappings: {namespaces: {shop: other}}")


def test_namespaces_may_change_places() -> None:
    by_name, _, _ = found("mappings: {namespaces: {shop: other, other: shop}}")
    assert "Secret/other/db" in by_name
    assert "ConfigMap/shop/settings" in by_name


@pytest.mark.parametrize(
    "text", ["namespaces: {include: [other]}", "namespaces: {exclude: [sh*, kube-system]}"]
)
def test_a_target_without_some_of_the_namespaces(text: str) -> None:
    by_name, result, _ = found(text)
    assert {name for name in by_name if "/other" in name} == {
        "Namespace/other",
        "ConfigMap/other/settings",
    }
    assert not [name for name in by_name if "shop" in name]
    assert "StorageClass.storage.k8s.io/fast" in by_name
    assert {omission.ref for omission in result.omissions} == {
        Ref("", "Namespace", "", "shop"),
        Ref("", "Namespace", "", "kube-system"),
    }


def test_a_standby_rests() -> None:
    by_name, result, _ = found("strategy: warm", hold=Hold(shipped_rows()))
    assert by_name["Deployment.apps/shop/web"]["spec"]["replicas"] == 0
    assert by_name["CronJob.batch/shop/nightly"]["spec"]["suspend"] is True
    assert "HorizontalPodAutoscaler.autoscaling/shop/web" not in by_name
    assert [(o.rule, o.ref.kind) for o in result.omissions] == [
        ("target-standby", "HorizontalPodAutoscaler")
    ]
    assert "replicas" not in by_name["DaemonSet.apps/shop/agent"]["spec"]


def test_what_the_cluster_itself_needs_does_not_rest() -> None:
    """Its DNS, and what stands behind a webhook: without that nothing could be written there."""
    by_name, _, _ = found("strategy: warm")
    assert by_name["Deployment.apps/kube-system/dns"]["spec"]["replicas"] == 2
    assert by_name["Deployment.apps/shop/hook"]["spec"]["replicas"] == 2


def test_what_people_except_does_not_rest() -> None:
    text = "strategy: warm\nstandby: {except: [{kind: Deployment, name: web, because: Watches.}]}"
    by_name, result, _ = found(text)
    assert by_name["Deployment.apps/shop/web"]["spec"]["replicas"] == 3
    # And with it what scales it.
    assert "HorizontalPodAutoscaler.autoscaling/shop/web" in by_name
    assert not result.omissions


@pytest.mark.parametrize(
    "text", ["strategy: hot", "strategy: cold", "strategy: warm\nactive: true"]
)
def test_what_is_not_warm_or_was_failed_over_to_does_not_rest(text: str) -> None:
    by_name, _, _ = found(text)
    assert by_name["Deployment.apps/shop/web"]["spec"]["replicas"] == 3


HOLD = Hold(shipped_rows())
NIGHTLY = "CronJob.batch/shop/nightly"


@pytest.mark.parametrize(
    "text", ["strategy: hot", "strategy: warm", "strategy: warm\nactive: true"]
)
def test_what_acts_outward_is_held_whatever_the_strategy(text: str) -> None:
    by_name, _, rewriter = found(text, hold=HOLD)
    assert by_name[NIGHTLY]["spec"]["suspend"] is True
    assert {str(ref) for ref in rewriter.held} == {NIGHTLY}


def test_a_held_object_is_known_by_its_name_at_the_target() -> None:
    by_name, _, rewriter = found("mappings: {namespaces: {shop: shop-b}}", hold=HOLD)
    assert by_name["CronJob.batch/shop-b/nightly"]["spec"]["suspend"] is True
    assert {str(ref) for ref in rewriter.held} == {"CronJob.batch/shop-b/nightly"}


@pytest.mark.parametrize(
    "text",
    [
        "standby: {except: [{kind: CronJob, because: It only reads.}]}",
        (
            "patches: [{kind: CronJob, because: It reads, json6902: "
            "[{op: replace, path: /spec/suspend, value: false}]}]"
        ),
    ],
    ids=["except", "patch"],
)
def test_people_have_the_last_word_about_what_is_held(text: str) -> None:
    by_name, _, rewriter = found(text, hold=HOLD)
    assert not by_name[NIGHTLY]["spec"].get("suspend")
    assert not rewriter.held


def test_what_git_suspends_is_not_held_by_us() -> None:
    body = obj("CronJob", "asleep", group="batch", spec={"suspend": True})
    source = Loaded({ref_of(body): body})
    result, rewriter = source.at(target(hold=HOLD))
    assert not rewriter.held
    assert result.state == source.state


def test_a_workload_is_held_with_its_autoscaler_unless_the_api_server_asks_it() -> None:
    pods = {"metadata": {"labels": {"app": "hook"}}, "spec": {"containers": [{"image": "keel:1"}]}}
    scaled = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "keel"}
    keel = obj("Deployment", "keel", group="apps", spec={"template": pods})
    scaler = obj(
        "HorizontalPodAutoscaler", "keel", group="autoscaling", spec={"scaleTargetRef": scaled}
    )
    alone = Loaded({ref_of(body): body for body in (scaler, keel)})
    result, rewriter = alone.at(target(hold=HOLD))
    assert {ref.kind for ref in rewriter.held} == {"Deployment", "HorizontalPodAutoscaler"}
    assert [(o.rule, o.ref) for o in result.omissions] == [("outward", ref_of(scaler))]
    ((_, entry),) = result.state.entries.items()
    assert yaml.safe_load(entry.fingerprint)["spec"]["replicas"] == 0
    asked = Loaded({**OBJECTS, ref_of(keel): keel, ref_of(scaler): scaler})
    _, rewriter = asked.at(target(hold=HOLD))
    assert {str(ref) for ref in rewriter.held} == {NIGHTLY}


def test_only_what_may_be_held_is_looked_at() -> None:
    source = Loaded()
    source.at(
        Target(hold=Hold(shipped_rows(), frozenset({Ref("batch", "CronJob", "shop", "nightly")})))
    )
    assert {ref.kind for ref in source.loaded} == {"CronJob"}


PATCH = """
values: {count: 5, city: Graz, deep: {a: {b: [1]}}, "yes_": true}
patches:
- kind: Deployment
  labels: app=web
  because: Fewer.
  strategic: {spec: {replicas: "${values.count}"}}
- kind: ConfigMap
  namespace: shop
  because: Another city.
  json6902:
  - {op: add, path: /data/city, value: "in ${values.city}, $${values.city} ${HOME} ${values.yes_}"}
  - {op: add, path: /list, value: "${values.deep.a.b}"}
"""


def test_patches_by_selector_with_values() -> None:
    by_name, result, rewriter = found(PATCH)
    assert by_name["Deployment.apps/shop/web"]["spec"]["replicas"] == 5
    assert by_name["Deployment.apps/shop/hook"]["spec"]["replicas"] == 2
    settings = by_name["ConfigMap/shop/settings"]
    assert settings["data"]["city"] == "in Graz, ${values.city} ${HOME} true"
    assert settings["list"] == [1]
    assert len(result.sources) == 2
    assert rewriter.unmatched() == ()


def test_patches_count_last_and_choose_by_the_source() -> None:
    text = "mappings: {namespaces: {shop: shop-b}, images: {old.example/: new.example/}}\n" + PATCH
    by_name, _, rewriter = found(
        text.replace(
            "{replicas:",
            "{template: {spec: {containers: [{name: c, image: old.example/x}]}}, replicas:",
        )
    )
    web = by_name["Deployment.apps/shop-b/web"]["spec"]
    assert web["template"]["spec"]["containers"][0]["image"] == "old.example/x"
    assert "ConfigMap/shop-b/settings" in by_name
    assert rewriter.unmatched() == ()


def test_each_step_has_its_reason() -> None:
    text = "mappings: {namespaces: {shop: b}, images: {old.example/: x/}}\nstrategy: warm\n"
    rewriter = Rewriter(target(text + PATCH))
    ref = Ref("apps", "Deployment", "shop", "web")
    reasons = [reason for reason, _ in rewriter.steps(ref, OBJECTS[ref])]
    assert reasons[:2] == ["mappings.namespaces", "mappings.images"]
    assert reasons[2].startswith("standby: ")
    assert reasons[3] == "Fewer."


def test_a_patch_that_is_about_nothing_is_told() -> None:
    _, _, rewriter = found(PATCH.replace("app=web", "app=nobody"))
    (line,) = rewriter.unmatched()
    assert line.startswith("targets/standby/target.yaml: patches[0]: is about no object")


def test_a_name_by_which_nothing_is_called_is_told() -> None:
    text = """
mappings:
  images: {old.example/: x/, odl.example/: x/}
  namespaces: {shop: b, shpo: b}
  storageClasses: {fast: slow, fsat: slow}
  nodeSelectors: {a=b: c=d}
  handles: {snap: copy}
  snapshotClasses: {one: two}
"""
    _, _, rewriter = found(text)
    assert [line.partition("mappings.")[2] for line in rewriter.unmatched()] == [
        "images: nothing is called odl.example/",
        "namespaces: nothing is called shpo",
        "storageClasses: nothing is called fsat",
        "nodeSelectors: nothing is called a=b",
    ]


BAD = [
    (PATCH.replace("values.count", "values.cuont"), "${values.cuont}: there is no such value"),
    (PATCH.replace("values.deep.a.b", "values.deep.x"), "there is no x in it"),
    (PATCH.replace("in ${values.city}", "in ${values.deep}"), "is no text"),
    (PATCH.replace("/data/city", "/dat/city"), "/dat is not there"),
    (PATCH.replace("{spec: {replicas", "{metadata: {name: b}, spec: {replicas"), "another object"),
    (PATCH.replace("{spec: {replicas", "{kind: Pod, spec: {replicas"), "another object"),
    (PATCH.replace("/list, value", "/metadata, value"), "another object"),
    (PATCH.replace("${values.city}, ", "${secrets.password}, "), "is for Secrets only"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "said"), BAD, ids=[one[1] for one in BAD])
def test_a_patch_that_does_not_fit_names_itself_and_the_object(text: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        found(text, secret_values={"password": MaskedValue("geheim")})
    assert str(caught.value).startswith("targets/standby/target.yaml: patches[")
    assert said in str(caught.value)
    assert "geheim" not in str(caught.value) + caught.value.hint


def test_an_encrypted_value_goes_into_a_secret() -> None:
    text = """
patches:
- kind: Secret
  name: db
  because: A database of its own.
  strategic: {stringData: {password: "x${secrets.password}"}}
"""
    by_name, _, _ = found(text, secret_values={"password": MaskedValue("y")})
    assert by_name["Secret/shop/db"]["data"] == {"password": "eHk="}
    assert "stringData" not in by_name["Secret/shop/db"]


def test_gaps_of_what_the_target_has_not_are_none_of_its() -> None:
    state = State({}, gaps=(Gap(Ref("", "ConfigMap", "shop", "a"), "broken"),))
    result = rewritten(
        state, Rewriter(target("namespaces: {exclude: [shop]}")), Loaded().bodies, Loaded.print
    )
    assert result.state.gaps == ()


def test_records_of_snapshots_follow_their_claims() -> None:
    text = """
mappings:
  namespaces: {%s: moved}
  handles: {"%s": copy-1}
  storageClasses: {%s: slow}
  snapshotClasses: {%s: other}
"""
    rewriter = Rewriter(
        target(
            text % (RECORD.namespace, RECORD.handle, RECORD.storage_class, RECORD.snapshot_class)
        )
    )
    ((claim, record),) = rewriter.records({RECORD.ref: RECORD}).items()
    assert claim.namespace == record.namespace == "moved"
    assert (record.handle, record.storage_class) == ("copy-1", "slow")
    assert record.snapshot_class == "other"
    assert record.ref == claim
    assert Rewriter(IDENTITY).records({RECORD.ref: RECORD}) == {RECORD.ref: RECORD}
    gone = Rewriter(target(f"namespaces: {{exclude: [{RECORD.namespace}]}}"))
    assert gone.records({RECORD.ref: RECORD}) == {}


@given(st.sampled_from(BODIES))
def test_rewriting_leaves_the_sources_body_alone(body: Body) -> None:
    before = deepcopy(body)
    text = "mappings: {namespaces: {shop: b}, images: {old.example/: x/}}\nstrategy: warm\n"
    rewriter = Rewriter(target(text + PATCH))
    once = rewriter.rewrite(ref_of(body), body)
    assert body == before
    assert rewriter.rewrite(ref_of(body), body) == once


@given(st.sampled_from(BODIES))
def test_without_mappings_each_body_is_the_very_same(body: Body) -> None:
    assert Rewriter(Target("standby")).rewrite(ref_of(body), body) is body
