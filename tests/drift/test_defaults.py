"""The rows of defaults: well formed, and about the fields that they name and no others."""

from typing import Any

import pytest
import yamlrocks

from gitops_dr.drift.defaults import default_rows, defaults_of
from gitops_dr.errors import GitOpsDRError
from gitops_dr.manifests.fieldpath import parse_fieldpath
from gitops_dr.resources import shipped

FILE = yamlrocks.loads(shipped("drift/defaults.yaml").read_bytes())

DEPLOYMENT = ("apps", "Deployment")
CONTAINER = "spec.template.spec.containers[name=web]"


def container(**fields: Any) -> dict[str, Any]:
    return {"spec": {"template": {"spec": {"containers": [{"name": "web", **fields}]}}}}


def test_each_row_has_a_name_of_its_own_a_reason_and_a_link():
    ids = [row.id for row in default_rows()]
    assert len(set(ids)) == len(ids)
    for row in default_rows():
        assert row.because.endswith("."), row.id
        assert row.link.startswith("https://"), row.id
        assert row.fields or row.copies or row.derived or row.omits_zero, row.id


def test_every_row_and_place_leads_somewhere():
    for row in default_rows():
        if row.place in FILE["places"]:
            continue
        kind, _, group = row.place.partition(".")
        assert kind[0].isupper(), f"{row.id}: {row.place} is neither a place nor a kind"
        assert defaults_of(group, kind) is defaults_of(group, kind)
    for name, place in FILE["places"].items():
        assert "kinds" in place or place["in"] in FILE["places"], name


@pytest.mark.parametrize(
    ("path", "value", "filled_in"),
    [
        ("spec.replicas", 1, True),
        ("spec.replicas", 2, False),
        ("spec.replicas", True, False),
        ("spec.replicas", "1", False),
        ("spec.template.spec.restartPolicy", "Always", True),
        (f"{CONTAINER}.terminationMessagePath", "/dev/termination-log", True),
        ("spec.template.spec.initContainers[0].terminationMessagePolicy", "File", True),
        (f"{CONTAINER}.resources", {}, True),
        (f"{CONTAINER}.resources", {"limits": {}}, False),
        (f"{CONTAINER}.ports[containerPort=80,protocol=TCP].protocol", "TCP", True),
        (f"{CONTAINER}.readinessProbe.httpGet.scheme", "HTTP", True),
        ("spec.template.spec.volumes[name=a].secret.defaultMode", 420, True),
        ("spec.template.spec.volumes[name=a].secret.defaultMode", 256, False),
        # In another place than the row's.
        ("spec.restartPolicy", "Always", False),
        ("metadata.labels.replicas", 1, False),
        (CONTAINER, {}, False),
        ("spec", {}, False),
    ],
)
def test_a_default_is_told_by_its_place_and_its_value(path, value, filled_in):
    assert defaults_of(*DEPLOYMENT).fills_in({}, parse_fieldpath(path), value) is filled_in


@pytest.mark.parametrize(
    ("image", "policy"),
    [
        ("web", "Always"),
        ("registry.example.com/shop/web", "Always"),
        ("registry.example.com:5000/web", "Always"),
        ("web:latest", "Always"),
        ("web:1", "IfNotPresent"),
        ("registry.example.com:5000/web:latest-2", "IfNotPresent"),
        ("web@sha256:" + 64 * "0", "IfNotPresent"),
        ("web:latest@sha256:" + 64 * "0", "IfNotPresent"),
        ("ko://example.com/cmd/web", "IfNotPresent"),
        ("Web", "IfNotPresent"),
    ],
)
def test_the_pull_policy_follows_from_the_image(image, policy):
    path = parse_fieldpath(f"{CONTAINER}.imagePullPolicy")
    live = container(image=image)
    for each in ("Always", "IfNotPresent", "Never"):
        assert defaults_of(*DEPLOYMENT).fills_in(live, path, each) is (each == policy)


def test_some_defaults_are_those_of_other_fields():
    service = {"spec": {"ports": [{"port": 80}, {"port": 443}]}}
    port = parse_fieldpath("spec.ports[port=443].targetPort")
    assert defaults_of("", "Service").fills_in(service, port, 443)
    assert not defaults_of("", "Service").fills_in(service, port, 80)

    limits = {"limits": {"cpu": "1"}, "requests": {"cpu": "1"}}
    pod = {"spec": {"containers": [{"name": "web", "resources": limits}]}}
    request = parse_fieldpath("spec.containers[name=web].resources.requests.cpu")
    assert defaults_of("", "Pod").fills_in(pod, request, "1")
    assert not defaults_of("", "Pod").fills_in(pod, request, "2")
    # Templates are not filled in so.
    below = parse_fieldpath(f"{CONTAINER}.resources.requests.cpu")
    assert not defaults_of(*DEPLOYMENT).fills_in(container(resources=limits), below, "1")

    label = parse_fieldpath('metadata.labels["kubernetes.io/metadata.name"]')
    namespace = {"metadata": {"name": "shop"}}
    assert defaults_of("", "Namespace").fills_in(namespace, label, "shop")
    assert not defaults_of("", "Namespace").fills_in(namespace, label, "other")


def test_the_first_of_several_sources_that_is_there_counts():
    limit = {"max": {"cpu": "4"}, "min": {"cpu": "1"}}
    body = {"spec": {"limits": [limit]}}
    request = parse_fieldpath("spec.limits[0].defaultRequest.cpu")
    known = defaults_of("", "LimitRange")
    assert known.fills_in(body, request, "4")
    assert not known.fills_in(body, request, "1")
    limit["default"] = {"cpu": "2"}
    assert known.fills_in(body, request, "2")
    assert not known.fills_in(body, request, "4")


def test_zero_is_left_out_where_a_row_says_so():
    known = defaults_of(*DEPLOYMENT)
    read_only = parse_fieldpath(f"{CONTAINER}.volumeMounts[mountPath=/a].readOnly")
    assert known.omits(read_only, False)
    assert not known.omits(read_only, True)
    assert known.omits(parse_fieldpath(f"{CONTAINER}.env[name=A].value"), "")
    # A pointer: false is not the same as nothing.
    assert not known.omits(
        parse_fieldpath("spec.template.spec.automountServiceAccountToken"), False
    )
    assert not known.omits(read_only, 0.0)
    assert not known.omits(read_only, {})


def test_other_kinds_have_no_defaults():
    assert not defaults_of("example.com", "Deployment").fills_in({}, ("spec", "replicas"), 1)
    assert not defaults_of("", "Deployment").knows(("spec", "replicas"))


def test_a_row_that_names_no_function_is_refused(monkeypatch):
    from gitops_dr.drift import defaults

    row = defaults.DefaultRow("x", "Widget.example.com", "", "", derived={"spec.a": "nonsense"})
    monkeypatch.setattr(defaults, "default_rows", lambda: (row,))
    defaults_of.cache_clear()
    try:
        with pytest.raises(GitOpsDRError, match="nonsense"):
            defaults_of("example.com", "Widget")
    finally:
        defaults_of.cache_clear()
