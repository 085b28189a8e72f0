"""Objects in a version that was removed, written in the one that is served."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
import yamlrocks

from gitops_dr.desired.versions import conversion
from gitops_dr.resources import shipped

ROWS = yamlrocks.loads(shipped("desired/versions.yaml").read_bytes())


def converted(version: str, kind: str, **parts: Any) -> Any:
    group, _, number = version.rpartition("/")
    body = {"apiVersion": version, "kind": kind, "metadata": {"name": "x"}, **parts}
    before = deepcopy(body)
    row = conversion((group, kind), number)
    assert row is not None
    assert row.fits(body)
    made = row.converted(body)
    assert body == before
    assert made["apiVersion"] == row.api_version
    return {key: value for key, value in made.items() if key in parts}


def backend(service: str, **port: Any) -> dict[str, Any]:
    return {"service": {"name": service, "port": port}}


def test_an_ingress_from_before_v1() -> None:
    old = {
        "backend": {"serviceName": "web", "servicePort": "http"},
        "rules": [
            {
                "host": "shop.example.com",
                "http": {
                    "paths": [
                        {"path": "/", "backend": {"serviceName": "web", "servicePort": 80}},
                        {
                            "path": "/bucket",
                            "pathType": "Prefix",
                            "backend": {"resource": {"kind": "Bucket", "name": "b"}},
                        },
                    ]
                },
            },
            {"host": "empty.example.com"},
        ],
    }
    new = {
        "defaultBackend": backend("web", name="http"),
        "rules": [
            {
                "host": "shop.example.com",
                "http": {
                    "paths": [
                        {
                            "path": "/",
                            "pathType": "ImplementationSpecific",
                            "backend": backend("web", number=80),
                        },
                        {
                            "path": "/bucket",
                            "pathType": "Prefix",
                            "backend": {"resource": {"kind": "Bucket", "name": "b"}},
                        },
                    ]
                },
            },
            {"host": "empty.example.com"},
        ],
    }
    for version in ("networking.k8s.io/v1beta1", "extensions/v1beta1"):
        assert converted(version, "Ingress", spec=deepcopy(old)) == {"spec": new}


METRICS = [
    (
        {"type": "Resource", "resource": {"name": "cpu", "targetAverageUtilization": 70}},
        {
            "type": "Resource",
            "resource": {
                "name": "cpu",
                "target": {"type": "Utilization", "averageUtilization": 70},
            },
        },
    ),
    (
        {"type": "Pods", "pods": {"metricName": "hits", "targetAverageValue": "10"}},
        {
            "type": "Pods",
            "pods": {
                "metric": {"name": "hits"},
                "target": {"type": "AverageValue", "averageValue": "10"},
            },
        },
    ),
    (
        {
            "type": "Object",
            "object": {
                "target": {"kind": "Ingress", "name": "shop"},
                "metricName": "hits",
                "targetValue": "100",
            },
        },
        {
            "type": "Object",
            "object": {
                "describedObject": {"kind": "Ingress", "name": "shop"},
                "metric": {"name": "hits"},
                "target": {"type": "Value", "value": "100"},
            },
        },
    ),
    (
        {
            "type": "External",
            "external": {
                "metricName": "queue",
                "metricSelector": {"matchLabels": {"q": "a"}},
                "targetValue": "30",
            },
        },
        {
            "type": "External",
            "external": {
                "metric": {"name": "queue", "selector": {"matchLabels": {"q": "a"}}},
                "target": {"type": "Value", "value": "30"},
            },
        },
    ),
]


@pytest.mark.parametrize(("old", "new"), METRICS, ids=[new["type"] for _, new in METRICS])
def test_an_autoscaler_from_before_v2(old: Any, new: Any) -> None:
    made = converted("autoscaling/v2beta1", "HorizontalPodAutoscaler", spec={"metrics": [old]})
    assert made == {"spec": {"metrics": [new]}}


def test_what_v1beta1_of_a_webhook_took_for_granted_is_said() -> None:
    made = converted(
        "admissionregistration.k8s.io/v1beta1",
        "ValidatingWebhookConfiguration",
        webhooks=[{"name": "a", "sideEffects": "None", "timeoutSeconds": 5}],
    )
    (hook,) = made["webhooks"]
    assert (hook["failurePolicy"], hook["matchPolicy"]) == ("Ignore", "Exact")
    assert hook["timeoutSeconds"] == 5
    assert hook["admissionReviewVersions"] == ["v1beta1"]


def test_shares_have_another_name() -> None:
    made = converted(
        "flowcontrol.apiserver.k8s.io/v1beta2",
        "PriorityLevelConfiguration",
        spec={"type": "Limited", "limited": {"assuredConcurrencyShares": 5}},
    )
    assert made["spec"]["limited"] == {"nominalConcurrencyShares": 5}


def test_the_place_of_an_endpoint() -> None:
    labels = {"kubernetes.io/hostname": "n1", "topology.kubernetes.io/zone": "z", "other": "o"}
    made = converted(
        "discovery.k8s.io/v1beta1",
        "EndpointSlice",
        endpoints=[{"addresses": ["10.0.0.1"], "topology": labels}],
    )
    (endpoint,) = made["endpoints"]
    assert (endpoint["nodeName"], endpoint["zone"]) == ("n1", "z")
    assert endpoint["deprecatedTopology"] == {"other": "o"}


NOT_THE_SAME = {
    "an empty selector meant nothing": (
        ("policy", "PodDisruptionBudget"),
        {"spec": {"selector": {}}},
    ),
    "side effects that nobody knows": (
        ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration"),
        {"webhooks": [{"sideEffects": "None"}, {"sideEffects": "Unknown"}]},
    ),
    "side effects of which nothing is said": (
        ("admissionregistration.k8s.io", "MutatingWebhookConfiguration"),
        {"webhooks": [{"name": "a"}]},
    ),
}


@pytest.mark.parametrize("name", NOT_THE_SAME)
def test_what_would_mean_something_else_stays(name: str) -> None:
    kind, body = NOT_THE_SAME[name]
    row = conversion(kind, "v1beta1")
    assert row is not None
    assert not row.fits(body)


def test_a_selector_is_no_reason_to_stay() -> None:
    row = conversion(("policy", "PodDisruptionBudget"), "v1beta1")
    assert row is not None
    assert row.fits({"spec": {"selector": {"matchLabels": {"a": "b"}}}})
    assert row.fits({"spec": {}})


@pytest.mark.parametrize(
    ("kind", "version"),
    [
        (("policy", "PodDisruptionBudget"), "v1"),
        (("apiextensions.k8s.io", "CustomResourceDefinition"), "v1beta1"),
        (("example.com", "CronJob"), "v1beta1"),
    ],
)
def test_of_others_nothing_is_said(kind: tuple[str, str], version: str) -> None:
    assert conversion(kind, version) is None


def test_odd_bodies_break_nothing() -> None:
    kinds = [(kind, old) for row in ROWS for kind in row["kinds"] for old in row["from"]]
    for kind, old in kinds:
        name, _, group = kind.partition(".")
        row = conversion((group, name), old)
        assert row is not None
        for odd in (None, 3, "x", [], [None, 3], {"x": None}, {"rules": [{"http": 3}]}):
            for key in ("spec", "webhooks", "endpoints"):
                body = {"apiVersion": "a/b", "kind": "c", key: odd}
                row.fits(body)
                assert row.converted(body)["apiVersion"] == row.api_version


def test_every_row_says_why_and_leads_to_another_version() -> None:
    for row in ROWS:
        assert row["because"].endswith(".")
        assert row["link"].startswith("https://")
        for kind in row["kinds"]:
            assert row["to"] not in [f"{kind.partition('.')[2]}/{old}" for old in row["from"]]
