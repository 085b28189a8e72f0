"""Kinds in their usual order, and what must come last."""

from itertools import pairwise

import pytest
import yaml

from gitops_dr.model import parse_ref
from gitops_dr.planning.tiers import stage, tier, unbacked_stage
from gitops_dr.resources import shipped

RBAC = "rbac.authorization.k8s.io"
ORDER = [
    "CustomResourceDefinition.apiextensions.k8s.io",
    "Namespace",
    "StorageClass.storage.k8s.io",
    f"ClusterRole.{RBAC}",
    "ServiceAccount",
    f"RoleBinding.{RBAC}",
    "LimitRange",
    "Secret",
    "VolumeSnapshotContent.snapshot.storage.k8s.io",
    "VolumeSnapshot.snapshot.storage.k8s.io",
    "PersistentVolume",
    "PersistentVolumeClaim",
    "Service",
    "Deployment.apps",
    "HorizontalPodAutoscaler.autoscaling",
    "Book.shop.example",
    "Ingress.networking.k8s.io",
    "ResourceQuota",
    "APIService.apiregistration.k8s.io",
    "ValidatingWebhookConfiguration.admissionregistration.k8s.io",
]


def key(kind: str) -> tuple[str, str]:
    return parse_ref(f"{kind}/x").group_kind


@pytest.mark.parametrize(("before", "after"), list(pairwise(ORDER)))
def test_one_kind_comes_before_the_other(before: str, after: str) -> None:
    assert tier(key(before)) < tier(key(after))
    assert stage(key(before)) <= stage(key(after))


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("Deployment.apps", 0),
        ("Book.shop.example", 0),
        ("Ingress.networking.k8s.io", 0),
        ("ValidatingAdmissionPolicy.admissionregistration.k8s.io", 0),
        ("ResourceQuota", 1),
        ("APIService.apiregistration.k8s.io", 2),
        ("MutatingWebhookConfiguration.admissionregistration.k8s.io", 0),
        ("MutatingAdmissionPolicyBinding.admissionregistration.k8s.io", 0),
        ("ValidatingWebhookConfiguration.admissionregistration.k8s.io", 2),
        ("ValidatingAdmissionPolicyBinding.admissionregistration.k8s.io", 2),
    ],
)
def test_what_refuses_others_waits_for_them(kind: str, expected: int) -> None:
    assert stage(key(kind)) == expected


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("MutatingWebhookConfiguration.admissionregistration.k8s.io", 2),
        ("MutatingAdmissionPolicyBinding.admissionregistration.k8s.io", 2),
        ("ValidatingWebhookConfiguration.admissionregistration.k8s.io", 2),
        ("ResourceQuota", 1),
        ("Deployment.apps", 0),
    ],
)
def test_what_changes_others_and_has_no_backend_comes_last(kind: str, expected: int) -> None:
    assert unbacked_stage(key(kind)) == expected


def test_a_kind_of_another_group_is_not_mistaken() -> None:
    assert tier(key("Service.serving.knative.dev")) == tier(key("Book.shop.example"))


def test_every_tier_says_why_and_each_kind_has_one_place() -> None:
    tiers = yaml.safe_load(shipped("planning/order.yaml").read_text())["tiers"]
    kinds = [kind for entry in tiers for kind in entry["kinds"]]
    assert len(kinds) == len(set(kinds))
    assert all(entry["because"] and entry["link"].startswith("https://") for entry in tiers)
    stages = [entry.get("stage", 0) for entry in tiers]
    assert stages == sorted(stages)
