"""Mappings: what becomes of each field, that nothing is renamed twice, and of what nothing is."""

from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitops_dr.desired.mappings import Renaming, handle, host, image, labels, requirements
from gitops_dr.desired.target import DeclaredField, Holds, Mappings
from gitops_dr.manifests.fieldpath import get, parse_fieldpath
from gitops_dr.model import Body


def renamed(renaming: Renaming, kind: tuple[str, str], body: Body) -> Body:
    return [body, *(after for _, after in renaming.steps(kind, body))][-1]


IMAGES = [
    ("nginx", "m.example/library/nginx"),
    ("nginx:1.2", "m.example/library/nginx:1.2"),
    ("bitnami/redis@sha256:00", "m.example/bitnami/redis@sha256:00"),
    ("docker.io/bitnami/redis", "m.example/bitnami/redis"),
    ("docker.io/library/nginx", "m.example/library/nginx"),
    ("registry.example.com/shop/web:1", "m.example/shop/web:1"),
    ("registry.example.com/shop", "m.example/shop"),
    ("registry.example.com/shopping:1", "m.example/other/shopping:1"),
    ("registry.example.com:5000/a", "registry.example.com:5000/a"),
    ("localhost/a", "localhost/a"),
    ("quay.io/a/b:1", "quay.io/a/b:1"),
    ("gone.example/a/b:1", "a/b:1"),
]
PREFIXES = {
    "docker.io/": "m.example/",
    "registry.example.com/": "m.example/other/",
    "registry.example.com/shop": "m.example/shop",
    "gone.example/": "",
}


@pytest.mark.parametrize(("name", "wanted"), IMAGES)
def test_the_longest_prefix_of_an_image_counts(name: str, wanted: str) -> None:
    assert image(name, PREFIXES) == wanted


def test_a_short_name_may_be_mapped_as_it_is_written() -> None:
    assert image("nginx:1", {"nginx": "m.example/web"}) == "m.example/web:1"
    assert image("nginxes:1", {"nginx": "m.example/web"}) == "nginxes:1"


HOSTS = {"a.example.com": "b.example.org", ".example.com": ".s.example.com", ".com": ".net"}


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("a.example.com", "b.example.org"),
        ("x.a.example.com", "x.a.s.example.com"),
        ("*.example.com", "*.s.example.com"),
        ("example.com", "example.net"),
        ("example.org", "example.org"),
        ("aXexample.com", "aXexample.net"),
    ],
)
def test_a_host_is_mapped_by_its_name_or_the_longest_ending(name: str, wanted: str) -> None:
    assert host(name, HOSTS) == wanted


def test_handles() -> None:
    known = {"snap-1": "copy-9", "snap-*": "other-*", "snap-2*": "x*"}
    assert [handle(text, known) for text in ("snap-1", "snap-25", "snap-3", "vol")] == [
        "copy-9",
        "x5",
        "other-3",
        "vol",
    ]


def test_labels_of_nodes() -> None:
    renamed = {"zone=a": "zone=b", "disk=ssd": "", "old=x": "new=y"}
    assert labels({"zone": "a", "disk": "ssd", "old": "x", "k": "v"}, renamed) == {
        "zone": "b",
        "new": "y",
        "k": "v",
    }
    same = {"zone": "c"}
    assert labels(same, renamed) is same


@pytest.mark.parametrize(
    ("one", "wanted"),
    [
        ({"key": "zone", "operator": "In", "values": ["a", "c"]}, ["b", "c"]),
        ({"key": "zone", "operator": "NotIn", "values": ["a"]}, ["b"]),
        ({"key": "zone", "values": ["a", "b"]}, ["b"]),
        ({"key": "zone", "operator": "Exists"}, None),
        ({"key": "size", "operator": "Gt", "values": ["3"]}, ["3"]),
    ],
)
def test_requirements_of_nodes(one: Body, wanted: list[str] | None) -> None:
    (found,) = requirements([one], {"zone=a": "zone=b"})
    assert found.get("values") == wanted


def test_a_requirement_without_values_goes() -> None:
    one = {"key": "disk", "operator": "In", "values": ["ssd"]}
    assert requirements([one], {"disk=ssd": ""}) == []
    # Part of it below another key: nobody can say that in one requirement.
    two = {"key": "zone", "operator": "In", "values": ["a", "b"]}
    assert requirements([two], {"zone=a": "other=a"}) == [two]


ALL = Mappings(
    storage_classes={"fast": "slow"},
    snapshot_classes={"one": "two"},
    handles={"h1": "h2"},
    images={"old.example/": "new.example/"},
    namespaces={"shop": "shop-b"},
    hosts={"shop.example.com": "b.example.com"},
    node_labels={"zone=a": "zone=b"},
    ingress_classes={"public": "internal"},
    service_types={"LoadBalancer": "NodePort"},
)
POD: Body = {
    "nodeSelector": {"zone": "a"},
    "containers": [{"name": "a", "image": "old.example/a"}, {"name": "b", "image": "x.example/b"}],
    "initContainers": [{"name": "i", "image": "old.example/i"}],
    "volumes": [{"name": "v", "image": {"reference": "old.example/v"}}],
    "affinity": {
        "nodeAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": {
                "nodeSelectorTerms": [
                    {"matchExpressions": [{"key": "zone", "operator": "In", "values": ["a"]}]}
                ]
            }
        },
        "podAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": [{"namespaces": ["shop", "x"]}]
        },
    },
}
RBAC = "rbac.authorization.k8s.io"
ADMISSION = "admissionregistration.k8s.io"
SELECTOR = {"matchLabels": {"kubernetes.io/metadata.name": "shop"}}
SERVICE = {"name": "hook", "namespace": "shop"}

FIELDS: list[tuple[str, str, Body, str, Any]] = [
    ("apps", "Deployment", {"spec": {"template": {"spec": POD}}}, path, wanted)
    for path, wanted in [
        ("spec.template.spec.nodeSelector", {"zone": "b"}),
        ("spec.template.spec.containers[name=a].image", "new.example/a"),
        ("spec.template.spec.containers[name=b].image", "x.example/b"),
        ("spec.template.spec.initContainers[0].image", "new.example/i"),
        ("spec.template.spec.volumes[0].image.reference", "new.example/v"),
        (
            (
                "spec.template.spec.affinity.nodeAffinity"
                ".requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0]"
                ".matchExpressions[0].values"
            ),
            ["b"],
        ),
        (
            (
                "spec.template.spec.affinity.podAffinity"
                ".requiredDuringSchedulingIgnoredDuringExecution[0].namespaces"
            ),
            ["shop-b", "x"],
        ),
    ]
]
FIELDS += [
    ("", "Pod", {"spec": POD}, "spec.containers[0].image", "new.example/a"),
    (
        "batch",
        "CronJob",
        {"spec": {"jobTemplate": {"spec": {"template": {"spec": POD}}}}},
        "spec.jobTemplate.spec.template.spec.containers[0].image",
        "new.example/a",
    ),
    (
        "",
        "PersistentVolumeClaim",
        {"spec": {"storageClassName": "fast"}},
        "spec",
        {"storageClassName": "slow"},
    ),
    (
        "apps",
        "StatefulSet",
        {"spec": {"volumeClaimTemplates": [{"spec": {"storageClassName": "fast"}}]}},
        "spec.volumeClaimTemplates[0].spec.storageClassName",
        "slow",
    ),
    (
        "",
        "PersistentVolume",
        {"spec": {"claimRef": {"namespace": "shop"}, "csi": {"volumeHandle": "h1"}}},
        "spec",
        {"claimRef": {"namespace": "shop-b"}, "csi": {"volumeHandle": "h2"}},
    ),
    (
        "snapshot.storage.k8s.io",
        "VolumeSnapshotContent",
        {"spec": {"volumeSnapshotClassName": "one", "source": {"snapshotHandle": "h1"}}},
        "spec",
        {"volumeSnapshotClassName": "two", "source": {"snapshotHandle": "h2"}},
    ),
    (
        "networking.k8s.io",
        "Ingress",
        {"spec": {"ingressClassName": "public"}},
        "spec.ingressClassName",
        "internal",
    ),
    (
        "networking.k8s.io",
        "Ingress",
        {"spec": {"tls": [{"hosts": ["shop.example.com", "y.example.com"]}]}},
        "spec.tls[0].hosts",
        ["b.example.com", "y.example.com"],
    ),
    (
        "gateway.networking.k8s.io",
        "HTTPRoute",
        {"spec": {"hostnames": ["shop.example.com"], "parentRefs": [{"namespace": "shop"}]}},
        "spec",
        {"hostnames": ["b.example.com"], "parentRefs": [{"namespace": "shop-b"}]},
    ),
    ("", "Service", {"spec": {"type": "LoadBalancer"}}, "spec.type", "NodePort"),
    (
        "",
        "Service",
        {"spec": {"externalName": "db.shop.svc.cluster.local"}},
        "spec.externalName",
        "db.shop-b.svc.cluster.local",
    ),
    (
        "",
        "Service",
        {"spec": {"externalName": "shop.svc.example.com"}},
        "spec.externalName",
        "shop.svc.example.com",
    ),
    (
        "",
        "Service",
        {"spec": {"externalName": "shop.example.com"}},
        "spec.externalName",
        "b.example.com",
    ),
    (
        RBAC,
        "RoleBinding",
        {
            "subjects": [
                {"kind": "ServiceAccount", "name": "shop", "namespace": "shop"},
                {"kind": "User", "name": "system:serviceaccount:shop:web"},
                {"kind": "Group", "name": "system:serviceaccounts:shop"},
                {"kind": "User", "name": "shop"},
            ]
        },
        "subjects",
        [
            {"kind": "ServiceAccount", "name": "shop", "namespace": "shop-b"},
            {"kind": "User", "name": "system:serviceaccount:shop-b:web"},
            {"kind": "Group", "name": "system:serviceaccounts:shop-b"},
            {"kind": "User", "name": "shop"},
        ],
    ),
    (
        ADMISSION,
        "ValidatingWebhookConfiguration",
        {"webhooks": [{"clientConfig": {"service": SERVICE}, "namespaceSelector": SELECTOR}]},
        "webhooks[0].namespaceSelector.matchLabels",
        {"kubernetes.io/metadata.name": "shop-b"},
    ),
    (
        ADMISSION,
        "MutatingWebhookConfiguration",
        {"webhooks": [{"clientConfig": {"service": SERVICE}}]},
        "webhooks[0].clientConfig.service.namespace",
        "shop-b",
    ),
    (
        "apiregistration.k8s.io",
        "APIService",
        {"spec": {"service": SERVICE}},
        "spec.service.namespace",
        "shop-b",
    ),
    (
        "networking.k8s.io",
        "NetworkPolicy",
        {"spec": {"ingress": [{"from": [{"namespaceSelector": SELECTOR}]}]}},
        "spec.ingress[0].from[0].namespaceSelector.matchLabels",
        {"kubernetes.io/metadata.name": "shop-b"},
    ),
    (
        "apiextensions.k8s.io",
        "CustomResourceDefinition",
        {"metadata": {"annotations": {"cert-manager.io/inject-ca-from": "shop/cert"}}},
        'metadata.annotations["cert-manager.io/inject-ca-from"]',
        "shop-b/cert",
    ),
]


@pytest.mark.parametrize(
    ("group", "kind", "body", "path", "wanted"), FIELDS, ids=[f"{f[1]}-{f[3]}" for f in FIELDS]
)
def test_each_field_that_holds_a_name(group, kind, body, path, wanted) -> None:
    before = deepcopy(body)
    renaming = Renaming(ALL)
    assert renaming.touches((group, kind))
    found = renamed(renaming, (group, kind), body)
    assert get(found, parse_fieldpath(path)) == wanted
    assert body == before
    # What is renamed once is not renamed again.
    assert list(renaming.steps((group, kind), found)) == []


def test_two_names_may_change_places() -> None:
    renaming = Renaming(Mappings(storage_classes={"a": "b", "b": "a"}))
    claim = ("", "PersistentVolumeClaim")
    ((name, found),) = renaming.steps(claim, {"spec": {"storageClassName": "a"}})
    assert (name, found["spec"]["storageClassName"]) == ("storageClasses", "b")


def test_fields_that_people_declare() -> None:
    app = ("example.com", "App")
    declared = [
        DeclaredField(*app, parse_fieldpath("spec.parts[*].image"), Holds.IMAGE),
        DeclaredField(*app, parse_fieldpath("spec.env[name=URL].value"), Holds.HOST),
        DeclaredField(*app, parse_fieldpath("spec.db"), Holds.DNS),
    ]
    body = {
        "spec": {
            "parts": [{"image": "old.example/a"}, {"image": 3}],
            "env": [
                {"name": "URL", "value": "https://shop.example.com:8443/a?b=shop.example.com"},
                {"name": "OTHER", "value": "https://shop.example.com"},
            ],
            "db": "tcp://db.shop.svc:5432,other.svcs",
        }
    }
    assert not Renaming(ALL).touches(app)
    found = renamed(Renaming(ALL, declared), app, body)
    assert found["spec"] == {
        "parts": [{"image": "new.example/a"}, {"image": 3}],
        "env": [
            {"name": "URL", "value": "https://b.example.com:8443/a?b=b.example.com"},
            {"name": "OTHER", "value": "https://shop.example.com"},
        ],
        "db": "tcp://db.shop-b.svc:5432,other.svcs",
    }


def test_what_is_renamed_is_not_made() -> None:
    renaming = Renaming(ALL)
    assert renaming.replaces(("storage.k8s.io", "StorageClass"), "fast") == "slow"
    assert renaming.replaces(("storage.k8s.io", "StorageClass"), "slow") == ""
    assert renaming.replaces(("networking.k8s.io", "IngressClass"), "public") == "internal"
    assert renaming.replaces(("", "Namespace"), "shop") == ""


def test_no_mapping_touches_nothing() -> None:
    for group, kind, body, *_ in FIELDS:
        assert not Renaming(Mappings()).touches((group, kind))
        assert list(Renaming(Mappings()).steps((group, kind), body)) == []


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(st.sampled_from(FIELDS), JSON, st.integers(0, 6))
def test_odd_shapes_are_left_as_they_are(field, odd, depth) -> None:
    """A field that is not what its kind says is nobody's name; nothing breaks on it."""
    group, kind, body, path, _ = field
    body = deepcopy(body)
    node: Any = body
    for step in parse_fieldpath(path)[:depth]:
        below = get(node, (step,), None)
        if not isinstance(below, dict):
            break
        node = below
    for key in list(node):
        node[key] = odd
    assert isinstance(renamed(Renaming(ALL), (group, kind), body), dict)


NAMES = st.text("ab./", min_size=1, max_size=4)


@given(NAMES, st.dictionaries(NAMES, NAMES.map("q.example/".__add__), max_size=4))
def test_renaming_an_image_twice_is_renaming_it_once(name: str, prefixes: dict[str, str]) -> None:
    """Unless a mapping is about what another one gives."""
    once = image(name, prefixes)
    twice = image(once, prefixes)
    about_another = any(new.startswith(old) for new in prefixes.values() for old in prefixes)
    assert about_another or once == name or twice == once
