"""What mutating admission is asked about: a table of requests, odd bodies included."""

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from gitops_dr.manifests.fieldpath import parse_fieldpath
from gitops_dr.model import Ref, parse_ref
from gitops_dr.planning.admission import (
    Kind,
    asked,
    asks,
    background,
    goes_first,
    is_exempt,
    labels_of,
    made_of,
)
from gitops_dr.resources import shipped

GROUP = "admissionregistration.k8s.io"
WEBHOOK = parse_ref(f"MutatingWebhookConfiguration.{GROUP}/w")
POLICY = parse_ref(f"MutatingAdmissionPolicy.{GROUP}/p")
BINDING = parse_ref(f"MutatingAdmissionPolicyBinding.{GROUP}/b")
DATA = yaml.safe_load(shipped("planning/admission.yaml").read_text())

PODS = Kind("", "v1", "pods", namespaced=True)
DEPLOYMENTS = Kind("apps", "v1", "deployments", namespaced=True)
NAMESPACES = Kind("", "v1", "namespaces", namespaced=False)


def rule(resources: Any = ("pods",), **others: Any) -> dict[str, Any]:
    found = {
        "apiGroups": [""],
        "apiVersions": ["v1"],
        "operations": ["CREATE"],
        "resources": list(resources),
    }
    return {**found, **others}


def takes(kind: Kind, *rules: Any, name: str = "x", **others: Any) -> bool:
    found = asked(WEBHOOK, {"webhooks": [{"rules": list(rules), **others}]})
    assert found is not None
    return found.matches[0].takes(kind, name)


@pytest.mark.parametrize(
    ("kind", "rules", "expected"),
    [
        (PODS, [rule()], True),
        (PODS, [rule(["pods/*"])], True),
        (PODS, [rule(["*"])], True),
        (PODS, [rule(["*/*"])], True),
        (PODS, [rule(["deployments", "pods"])], True),
        (PODS, [rule(["secrets"]), rule()], True),
        (PODS, [rule(["pods/status"])], False),
        (PODS, [rule(["pods/exec", "*/scale"])], False),
        (PODS, [rule(["secrets"])], False),
        (PODS, [rule([])], False),
        (PODS, [], False),
        (PODS, [rule(apiGroups=["*"])], True),
        (PODS, [rule(apiGroups=["apps"])], False),
        (PODS, [rule(operations=["*"])], True),
        (PODS, [rule(operations=["UPDATE", "CREATE"])], True),
        (PODS, [rule(operations=["UPDATE", "DELETE", "CONNECT"])], False),
        (PODS, [rule(scope="Namespaced")], True),
        (PODS, [rule(scope="Cluster")], False),
        (PODS, [rule(scope="*")], True),
        (NAMESPACES, [rule(["namespaces"], scope="Namespaced")], False),
        (NAMESPACES, [rule(["namespaces"], scope="Cluster")], True),
        (NAMESPACES, [rule(["namespaces"])], True),
        (DEPLOYMENTS, [rule(["deployments"], apiGroups=["apps"])], True),
        (DEPLOYMENTS, [rule(["deployments"])], False),
    ],
)
def test_rules_take_what_the_api_server_asks_about(
    kind: Kind, rules: list[Any], expected: bool
) -> None:
    assert takes(kind, *rules) is expected


@pytest.mark.parametrize(
    ("policy", "versions", "expected"),
    [
        (None, ["v1beta1"], True),
        ("Equivalent", ["v1beta1"], True),
        ("Exact", ["v1beta1"], False),
        ("Exact", ["v1beta1", "v1"], True),
        ("Exact", ["*"], True),
    ],
)
def test_the_version_counts_where_the_match_is_exact(
    policy: str | None, versions: list[str], expected: bool
) -> None:
    apps = rule(["deployments"], apiGroups=["apps"], apiVersions=versions)
    assert takes(DEPLOYMENTS, apps, matchPolicy=policy) is expected


def test_the_policy_of_a_match_can_name_objects_and_leave_some_out() -> None:
    found = asked(
        POLICY,
        {
            "spec": {
                "matchConstraints": {
                    "resourceRules": [rule(["*"])],
                    "excludeResourceRules": [rule(["pods"], resourceNames=["special"])],
                }
            }
        },
    )
    assert found is not None
    (match,) = found.matches
    assert not found.alone
    assert match.by_name
    assert match.takes(PODS, "other")
    assert not match.takes(PODS, "special")
    assert match.takes(PODS, ""), "a controller makes up names that nobody has named"


def test_a_policy_without_rules_is_about_everything_and_a_webhook_about_nothing() -> None:
    found = asked(POLICY, {"spec": {"matchConstraints": {}}})
    assert found is not None
    assert found.matches[0].takes(PODS, "x")
    assert not takes(PODS)


def test_a_policy_whose_rules_are_about_updates_is_about_nothing_that_is_made() -> None:
    rules = [rule(operations=["UPDATE"])]
    found = asked(POLICY, {"spec": {"matchConstraints": {"resourceRules": rules}}})
    assert found is not None
    assert not found.matches[0].takes(PODS, "x")


def test_each_webhook_is_asked_by_itself() -> None:
    webhooks = [{"rules": [rule()]}, {"rules": [rule(["secrets"])]}]
    found = asked(WEBHOOK, {"webhooks": webhooks})
    assert found is not None
    assert [match.takes(PODS, "x") for match in found.matches] == [True, False]


def test_a_binding_says_which_policy_and_which_parameters() -> None:
    spec = {"policyName": "p", "paramRef": {"name": "limits", "namespace": "shop"}}
    found = asked(BINDING, {"spec": spec})
    assert found is not None
    assert (found.policy, found.given) == (POLICY, ("shop", "limits"))
    policy = {"spec": {"paramKind": {"apiVersion": "shop.example/v1", "kind": "Limits"}}}
    other = asked(POLICY, policy)
    assert other is not None
    assert other.parameters == ("shop.example", "Limits")


def test_only_mutating_admission_is_asked() -> None:
    assert asked(parse_ref("ConfigMap/a/b"), {"webhooks": [{"rules": [rule()]}]}) is None
    assert not asks((GROUP, "ValidatingWebhookConfiguration"))
    assert is_exempt(parse_ref(f"ValidatingWebhookConfiguration.{GROUP}/v"))
    assert not is_exempt(parse_ref("Pod/a/b"))


def test_controllers_make_pods_with_the_labels_of_their_template() -> None:
    template = {"metadata": {"labels": {"app": "web"}}}
    (replica_set, pod) = made_of(
        parse_ref("Deployment.apps/a/b"),
        {"metadata": {"labels": {"team": "x"}}, "spec": {"template": template}},
    )
    assert (replica_set.kind.group, replica_set.kind.resource) == ("apps", "replicasets")
    assert pod.kind == PODS
    assert pod.labels == {"app": "web"}
    job, pod = made_of(
        parse_ref("CronJob.batch/a/b"),
        {
            "spec": {
                "jobTemplate": {
                    "metadata": {"labels": {"of": "job"}},
                    "spec": {"template": {"metadata": {"labels": {"of": "pod"}}}},
                }
            }
        },
    )
    assert (job.kind.group, job.kind.version, job.labels) == ("batch", "v1", {"of": "job"})
    assert pod.labels == {"of": "pod"}
    assert made_of(parse_ref("ConfigMap/a/b"), {}) == ()


def test_what_backends_need_without_saying_so_goes_first() -> None:
    assert goes_first(("apiextensions.k8s.io", "CustomResourceDefinition"), None)
    assert goes_first(("apps", "Deployment"), "system-cluster-critical")
    assert not goes_first(("apps", "Deployment"), "gold")
    assert not goes_first(("apps", "Deployment"), ["odd"])


def test_namespaces_and_policies_are_read_where_admission_is_missing() -> None:
    held = [parse_ref("Namespace/a"), POLICY, BINDING, parse_ref("ConfigMap/a/b")]
    assert background([parse_ref("ConfigMap/a/b")], held) == frozenset()
    assert background([BINDING], held) == {parse_ref("Namespace/a"), POLICY, BINDING}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    *("webhooks", "rules", "operations", "resources", "apiGroups", "scope"),
                    *("namespaceSelector", "matchExpressions", "matchLabels", "operator", "key"),
                    *("values", "matchConstraints", "matchResources", "resourceRules", "paramRef"),
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@given(st.sampled_from([WEBHOOK, POLICY, BINDING]), st.dictionaries(st.just("spec"), JSON), JSON)
def test_odd_bodies_are_no_errors(ref: Ref, body: dict[str, Any], webhooks: Any) -> None:
    found = asked(ref, {**body, "webhooks": webhooks})
    assert found is not None
    for match in found.matches:
        match.takes(PODS, "x")
        for one in (*match.namespaces, *match.objects):
            one.holds({"app": "web"})


@given(JSON)
def test_odd_labels_are_none(value: Any) -> None:
    assert all(isinstance(text, str) for text in labels_of(value).values())


def test_every_row_says_why() -> None:
    for row in (*DATA["asks"], *DATA["exempt"], *DATA["unheld"]):
        assert row["because"]
        assert row["link"].startswith("https://")
    for row in DATA["makes"]:
        parse_fieldpath(row["labels"])
