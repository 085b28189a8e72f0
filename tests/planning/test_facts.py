"""Facts hold what relations need: above all, which workloads stand behind a Service."""

from typing import Any

import pytest

from gitops_dr.model import Ref, parse_ref
from gitops_dr.planning.facts import Backends, ObjectFacts, collect

LABELS = {"app": "web", "tier": "front"}


def workload(kind: str, name: str, labels: Any, namespace: str = "shop") -> tuple[Ref, ObjectFacts]:
    ref = parse_ref(f"{kind}/{namespace}/{name}")
    template = {"metadata": {"labels": labels}, "spec": {}}
    body = template if kind == "Pod" else {"spec": {"template": template}}
    return ref, collect(ref, body, "things")


def service(selector: Any) -> tuple[Ref, ObjectFacts]:
    ref = parse_ref("Service/shop/web")
    return ref, collect(ref, {"spec": {"selector": selector}}, "services")


def behind(selector: Any, *workloads: tuple[Ref, ObjectFacts]) -> list[str]:
    ref, facts = service(selector)
    known = {ref: facts, **dict(workloads)}
    return [str(each) for each in Backends(known, known).of(ref)]


@pytest.mark.parametrize(
    "kind",
    [
        "Pod",
        "Deployment.apps",
        "StatefulSet.apps",
        "DaemonSet.apps",
        "ReplicaSet.apps",
        "ReplicationController",
    ],
)
def test_a_workload_whose_pods_match_stands_behind_the_service(kind: str) -> None:
    assert behind({"app": "web"}, workload(kind, "one", LABELS)) == [f"{kind}/shop/one"]


def test_only_full_matches_in_the_same_namespace_count() -> None:
    assert behind(
        LABELS,
        workload("Deployment.apps", "b", LABELS),
        workload("Deployment.apps", "a", {**LABELS, "more": "yes"}),
        workload("Deployment.apps", "part", {"app": "web"}),
        workload("Deployment.apps", "far", LABELS, namespace="other"),
    ) == ["Deployment.apps/shop/a", "Deployment.apps/shop/b"]


def test_jobs_come_and_go_and_stand_behind_nothing() -> None:
    assert behind(LABELS, workload("Job.batch", "once", LABELS)) == []


@pytest.mark.parametrize("selector", [None, {}, [], "app", {"app": 1}])
def test_a_service_without_a_selector_has_no_workloads(selector: Any) -> None:
    assert behind(selector, workload("Deployment.apps", "a", LABELS)) == []


@pytest.mark.parametrize("labels", [None, [], "x", {"app": None}])
def test_odd_labels_match_nothing(labels: Any) -> None:
    assert behind({"app": "web"}, workload("Deployment.apps", "a", labels)) == []
    assert behind(labels, workload("Deployment.apps", "a", labels)) == []


def test_facts_keep_no_body() -> None:
    ref, facts = workload("Deployment.apps", "a", LABELS)
    assert facts.serves == LABELS
    assert [str(need.ref) for need in facts.references.needs] == [
        "LimitRange/shop/*",
        "Namespace/shop",
        "ServiceAccount/shop/default",
    ]
    assert ref.name == "a"
