"""Which changes may be refused, what goes with an object, and how a plan says so."""

import pytest

from gitops_dr.model import Action, FieldChange, Plan, Ref, Step
from gitops_dr.planning.immutable import (
    Fixed,
    immutable_rows,
    made_again,
    may_be_refused,
    named_fields,
    propagation,
    what_is_lost,
    with_fixed,
)

KINDS = {
    "ConfigMap": "",
    "Deployment": "apps",
    "Job": "batch",
    "Namespace": "",
    "PersistentVolumeClaim": "",
    "RoleBinding": "rbac.authorization.k8s.io",
    "Secret": "",
    "Service": "",
    "StatefulSet": "apps",
    "StorageClass": "storage.k8s.io",
    "Thing": "example.com",
}


def ref(kind):
    return Ref(KINDS[kind], kind, "shop", "a")


def changed(*paths, old="x", new="y"):
    return tuple(FieldChange(path, "replace", old, new) for path in paths)


def live(*, finalizers=(), **parts):
    return {"metadata": {"name": "a", "finalizers": list(finalizers)}, **parts}


def test_every_row_says_why_and_what_becomes_of_what_the_object_owns():
    for row in immutable_rows():
        assert row.kinds
        assert row.paths
        assert row.because.endswith(".")
        assert row.link.startswith("https://")
        assert row.propagation in ("Background", "Orphan")
        assert row.loses or not row.loses_if or all(each.because for each in row.loses_if)


@pytest.mark.parametrize(
    ("kind", "path", "git", "may"),
    [
        ("Deployment", "spec.selector.matchLabels.app", {}, True),
        ("Deployment", "spec.selector", {}, True),
        ("Deployment", "spec", {}, True),
        ("Deployment", "spec.template.spec.containers[name=a].image", {}, False),
        ("Deployment", "spec.selectors", {}, False),
        ("Service", "spec.clusterIP", {}, True),
        ("Service", "spec.selector.app", {}, False),
        ("StatefulSet", "spec.volumeClaimTemplates", {}, True),
        ("StatefulSet", "spec.replicas", {}, False),
        ("ConfigMap", "data.a", {"data": {}}, False),
        ("ConfigMap", "data.a", {"immutable": True}, True),
        ("ConfigMap", "data.a", {"immutable": False}, False),
        ("Secret", "type", {"type": "Opaque"}, True),
        ("RoleBinding", "roleRef.name", {}, True),
        ("RoleBinding", "subjects", {}, False),
        ("PersistentVolumeClaim", "spec.resources.requests.storage", {}, True),
        ("Thing", "spec.size", {}, True),
        ("Thing", "metadata.labels.a", {}, False),
        ("Deployment", "metadata.labels.app", {}, False),
    ],
)
def test_what_may_be_refused_is_what_the_rows_name(kind, path, git, may):
    assert may_be_refused(ref(kind), changed(path), git) is may


def test_one_that_only_the_cluster_marks_as_immutable_may_be_refused_too():
    changes = (*changed("data.a"), FieldChange("immutable", "add", new=True))
    assert may_be_refused(ref("ConfigMap"), changes, {"data": {"a": "x"}})


def test_fields_are_named_by_the_rows_or_as_the_api_server_does():
    changes = changed("spec.replicas", "spec.selector.matchLabels.app")
    found = named_fields(ref("Deployment"), changes, {}, "field is immutable")
    assert found == ("spec.selector.matchLabels.app",)
    changes = changed("spec.color", "spec.size")
    assert named_fields(ref("Thing"), changes, {}, "spec.size: never changes") == ("spec.size",)
    assert named_fields(ref("Thing"), changes, {}, "no") == ()


@pytest.mark.parametrize(
    ("kind", "fields", "body", "said"),
    [
        ("PersistentVolumeClaim", ["spec.accessModes"], live(), "The data goes with it."),
        ("Namespace", ["spec"], live(), "Everything in it goes with it."),
        ("StatefulSet", ["spec.selector"], live(), "would not be adopted"),
        ("StatefulSet", ["spec.serviceName"], live(), ""),
        ("StatefulSet", [], live(), ""),
        ("PersistentVolumeClaim", [], live(), "The data goes with it."),
        ("Service", ["spec.clusterIP"], live(spec={"type": "LoadBalancer"}), "takes its address"),
        ("Service", [], live(spec={"type": "LoadBalancer"}), "takes its address"),
        ("Service", ["spec.clusterIP"], live(spec={"type": "ClusterIP"}), ""),
        ("Job", ["spec.template"], live(status={"active": 2}), "at work"),
        ("Job", ["spec.template"], live(status={"succeeded": 1}), ""),
        ("Secret", ["type"], live(type="kubernetes.io/service-account-token"), "locked out"),
        ("Secret", ["type"], live(type="Opaque"), ""),
        ("ConfigMap", ["data.a"], live(immutable=True), ""),
        ("ConfigMap", ["data.a"], live(finalizers=["example.com/a"]), "example.com/a"),
        ("Thing", [], live(), ""),
        ("Thing", [], live(finalizers=["example.com/database"]), "example.com/database"),
    ],
)
def test_what_goes_with_an_object_is_known(kind, fields, body, said):
    found = what_is_lost(ref(kind), fields, body)
    assert said in found
    assert bool(found) is bool(said)


def test_pods_of_a_stateful_set_live_on_and_those_of_a_deployment_come_anew():
    assert propagation(ref("StatefulSet")) == "Orphan"
    assert propagation(ref("Deployment")) == "Background"
    assert made_again(ref("Deployment")) == ("ReplicaSet.apps",)
    # What an operator has made for its resource is nobody's to delete.
    assert propagation(ref("Thing")) == "Orphan"


def step(kind, action=Action.CONFIGURE):
    return Step(ref(kind), action, "f", "p", "v1")


def test_a_plan_names_it_and_replaces_it_only_when_told():
    plan = Plan((step("Deployment"), step("Service")))
    found = {ref("Deployment"): Fixed(("spec.selector",), "field is immutable")}
    named = with_fixed(plan, found, replacing=False).steps
    assert named[1] == plan.steps[1]
    assert named[0].action is Action.CONFIGURE
    assert named[0].reason == (
        "cannot be changed in place: spec.selector; --replace deletes it and makes it again"
    )
    replaced = with_fixed(plan, found, replacing=True).steps[0]
    assert replaced.action is Action.REPLACE
    assert replaced.reason == "cannot be changed in place: spec.selector"


def test_what_would_be_lost_is_never_replaced():
    found = {
        ref("PersistentVolumeClaim"): Fixed(("spec.accessModes",), "no", "The data goes with it.")
    }
    for replacing in (False, True):
        plan = Plan((step("PersistentVolumeClaim"),))
        (told,) = with_fixed(plan, found, replacing=replacing).steps
        assert told.action is Action.CONFIGURE
        assert told.reason == (
            "cannot be changed in place: spec.accessModes; it is not replaced: "
            "The data goes with it."
        )


def test_where_no_field_is_named_the_server_speaks_for_itself():
    found = {ref("Thing"): Fixed((), "denied: it is for ever")}
    (told,) = with_fixed(Plan((step("Thing"),)), found, replacing=True).steps
    assert told.reason == "cannot be changed in place: denied: it is for ever"
