"""What people write, against a real API server: nothing it fills in counts, and all else does."""

import copy
import itertools
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
import yamlrocks
from api_server import ApiServer, group_kind

from gitops_dr.cluster.connect import connect
from gitops_dr.cluster.listing import object_path
from gitops_dr.cluster.openapi import schemas
from gitops_dr.drift import defaults
from gitops_dr.drift.attribute import Owners, trusted_managers
from gitops_dr.drift.contained import Contained, contained
from gitops_dr.drift.defaults import default_rows, defaults_of
from gitops_dr.drift.meaning import LITERALLY, Meaning
from gitops_dr.manifests.shape import kind_shape
from gitops_dr.rules.clean import rules_for

CASES = yamlrocks.loads(Path(__file__).with_name("authored_lab.yaml").read_bytes())
PAIRS = [(case, row) for case in CASES for row in case["rows"]]
NUMBERS = itertools.count()

JSON_PATCH = "application/json-patch+json"


@pytest.fixture(scope="module")
def api(kubeconfig: Path) -> ApiServer:
    return ApiServer(connect(kubeconfig))


@pytest.fixture(scope="module")
def namespace(api: ApiServer) -> Iterator[str]:
    body = {"apiVersion": "v1", "kind": "Namespace"}
    name = "authored"
    api.create(body | {"metadata": {"name": name}})
    account = {"apiVersion": "v1", "kind": "ServiceAccount"}
    api.until(account | {"metadata": {"name": "default", "namespace": name}}, lambda _: True)
    yield name
    api.delete(body | {"metadata": {"name": name}})


@pytest.fixture
def place(api: ApiServer, namespace: str) -> Iterator[Callable[[Any], Any]]:
    """Gives an object its namespace, or the name of its own that a cluster-scoped one needs."""
    made: list[Any] = []

    def put(body: Any) -> Any:
        body = copy.deepcopy(body)
        if api.resource(body).namespaced:
            body["metadata"]["namespace"] = namespace
        api.delete(body, wait=True)
        made.append(body)
        return body

    yield put
    for body in made:
        api.delete(body)


@pytest.fixture(scope="module")
def meaning(api: ApiServer) -> Callable[[Any], Meaning]:
    known: dict[tuple[str, str], Any] = {}

    def of(body: Any) -> Meaning:
        group, _, version = body["apiVersion"].rpartition("/")
        if (group, version) not in known:
            known[group, version] = schemas(api.connection, group, version)
        return Meaning(kind_shape(known[group, version], group, version, body["kind"]))

    return of


@pytest.fixture
def compare(meaning: Callable[[Any], Meaning]) -> Callable[..., Contained]:
    def run(git: Any, live: Any, *, schema: bool = True) -> Contained:
        git, live = copy.deepcopy((git, live))
        managed = live["metadata"].get("managedFields")
        for body in (git, live):
            rules_for(*group_kind(git)).clean(body)
        return contained(
            git,
            live,
            meaning=meaning(git) if schema else LITERALLY,
            defaults=defaults_of(*group_kind(git)),
            owners=Owners(managed, live, trusted=trusted_managers()),
        )

    return run


def without(row_id: str, compare: Callable[[], Contained]) -> Contained:
    """As if the defaults did not have that row."""
    others = tuple(row for row in default_rows() if row.id != row_id)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(defaults, "default_rows", lambda: others)
        defaults_of.cache_clear()
        try:
            return compare()
        finally:
            defaults_of.cache_clear()


def paths(found: Contained) -> list[tuple[str, str]]:
    return [(change.path, change.op) for change in found.changes]


# -- what the API server fills in ---------------------------------------------------------------


@pytest.mark.parametrize("case", CASES, ids=lambda case: "+".join(case["rows"])[:60])
def test_what_is_filled_in_does_not_count(api, place, compare, case):
    """Made without server-side apply, so that the creator owns the defaults too."""
    git = place(case["object"])
    live = api.create(git)
    assert paths(compare(git, live)) == []
    assert compare(git, live).unsure == ()


@pytest.mark.parametrize(("case", "row"), PAIRS, ids=[row for _, row in PAIRS])
def test_it_would_count_without_its_row(api, place, compare, case, row):
    git = place(case["object"])
    live = api.create(git)
    assert paths(without(row, lambda: compare(git, live))) != []


def test_every_row_is_tried():
    assert {row for _, row in PAIRS} == {row.id for row in default_rows()}


# -- who wrote it -------------------------------------------------------------------------------

WEB = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "web", "labels": {"app": "web"}},
    "spec": {
        "selector": {"matchLabels": {"app": "web"}},
        "template": {
            "metadata": {"labels": {"app": "web"}},
            "spec": {
                "containers": [
                    {
                        "name": "web",
                        "image": "registry.example.com/web:1",
                        "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}],
                        "ports": [{"containerPort": 80}],
                        "resources": {"requests": {"cpu": "1000m"}},
                    }
                ]
            },
        },
    },
}
CONTAINER = "spec.template.spec.containers[name=web]"


def server_side(api: ApiServer, body: Any, manager: str = "kubectl") -> Any:
    return api.apply(body, manager)


def client_side(api: ApiServer, body: Any) -> Any:
    """As kubectl apply does it the first time."""
    applied = orjson.dumps(body).decode()
    annotations = {"kubectl.kubernetes.io/last-applied-configuration": applied}
    noted = body | {"metadata": body["metadata"] | {"annotations": annotations}}
    return api.create(noted, manager="kubectl-client-side-apply")


def created(api: ApiServer, body: Any) -> Any:
    return api.create(body)


WAYS = {"server-side apply": server_side, "client-side apply": client_side, "create": created}


def json_patch(api: ApiServer, body: Any, manager: str, *operations: Any) -> Any:
    metadata = body["metadata"]
    return api.connection.json(
        "PATCH",
        object_path(api.resource(body), metadata.get("namespace", ""), metadata["name"]),
        query={"fieldManager": manager},
        body=orjson.dumps(list(operations)),
        content_type=JSON_PATCH,
    )


def add(path: str, value: Any) -> Any:
    return {"op": "add", "path": path, "value": value}


IN_CONTAINER = "/spec/template/spec/containers/0"
ADDED = {
    "an environment variable": (
        add(f"{IN_CONTAINER}/env/-", {"name": "C", "value": "3"}),
        f"{CONTAINER}.env[name=C]",
    ),
    "a port": (
        add(f"{IN_CONTAINER}/ports/-", {"containerPort": 80, "protocol": "UDP"}),
        f"{CONTAINER}.ports[containerPort=80,protocol=UDP]",
    ),
    "a label": (add("/metadata/labels/extra", "1"), "metadata.labels.extra"),
    "a label of the pods": (
        add("/spec/template/metadata/labels/extra", "1"),
        "spec.template.metadata.labels.extra",
    ),
    "a toleration": (
        add("/spec/template/spec/tolerations", [{"key": "x", "operator": "Exists"}]),
        "spec.template.spec.tolerations",
    ),
    "an annotation": (
        add("/spec/template/metadata/annotations", {"a": "b"}),
        "spec.template.metadata.annotations",
    ),
    "a probe": (
        add(f"{IN_CONTAINER}/livenessProbe", {"httpGet": {"port": 80}}),
        f"{CONTAINER}.livenessProbe",
    ),
    "a container": (
        add("/spec/template/spec/containers/-", {"name": "side", "image": "side:1"}),
        "spec.template.spec.containers[name=side]",
    ),
    "a limit": (
        add(f"{IN_CONTAINER}/resources/limits", {"memory": "1Gi"}),
        f"{CONTAINER}.resources.limits",
    ),
    "another default": (
        add("/spec/template/spec/terminationGracePeriodSeconds", 5),
        "spec.template.spec.terminationGracePeriodSeconds",
    ),
    "a part of a strategy": (
        add("/spec/strategy/rollingUpdate/maxSurge", 3),
        "spec.strategy.rollingUpdate.maxSurge",
    ),
    "a finalizer": (add("/metadata/finalizers", ["example.com/x"]), "metadata.finalizers"),
}


@pytest.mark.parametrize("way", WAYS.values(), ids=list(WAYS))
@pytest.mark.parametrize(("operation", "path"), ADDED.values(), ids=list(ADDED))
def test_what_another_manager_adds_is_found(api, place, compare, way, operation, path):
    git = place(WEB)
    live = way(api, git)
    assert paths(compare(git, live)) == []
    live = json_patch(api, git, "kubectl-edit", operation)
    assert paths(compare(git, live)) == [(path, "add")]
    if "finalizers" in path:
        json_patch(api, git, "kubectl-edit", {"op": "remove", "path": "/metadata/finalizers"})


@pytest.mark.parametrize("way", WAYS.values(), ids=list(WAYS))
def test_what_is_no_longer_in_git_is_found(api, place, compare, way):
    git = place(WEB)
    live = way(api, git)
    container = git["spec"]["template"]["spec"]["containers"][0]
    container["env"] = container["env"][:1]
    del container["resources"]
    del git["metadata"]["labels"]
    assert paths(compare(git, live)) == [
        ("metadata.labels", "add"),
        (f"{CONTAINER}.env[name=B]", "add"),
        (f"{CONTAINER}.resources", "add"),
    ]


@pytest.mark.parametrize("way", WAYS.values(), ids=list(WAYS))
def test_a_value_that_somebody_changed_is_found(api, place, compare, way):
    git = place(WEB)
    way(api, git)
    changed = [
        {"op": "replace", "path": f"{IN_CONTAINER}/image", "value": "other"},
        {"op": "replace", "path": f"{IN_CONTAINER}/resources/requests/cpu", "value": "2"},
        {"op": "remove", "path": f"{IN_CONTAINER}/env/0"},
    ]
    live = json_patch(api, git, "kubectl-edit", *changed)
    assert paths(compare(git, live)) == [
        (f"{CONTAINER}.env[name=A]", "remove"),
        (f"{CONTAINER}.image", "replace"),
        # The pull policy is still the one that follows from Git's image.
        (f"{CONTAINER}.resources.requests.cpu", "replace"),
    ]


@pytest.mark.parametrize("way", WAYS.values(), ids=list(WAYS))
def test_a_scale_counts_where_git_leaves_the_replicas_out(api, place, compare, way):
    """Where nobody owned the replicas, as after server-side apply, nobody does after a scale."""
    git = place(WEB)
    way(api, git)
    api.patch(git, {"spec": {"replicas": 1}}, "scale")
    assert paths(compare(git, api.listed(git))) == []
    api.patch(git, {"spec": {"replicas": 3}}, "scale")
    assert paths(compare(git, api.listed(git))) == [("spec.replicas", "add")]


def test_what_admission_adds_does_not_count(api, place, compare, namespace):
    policy = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingAdmissionPolicy",
        "metadata": {"name": f"side-{next(NUMBERS)}"},
        "spec": {
            "failurePolicy": "Fail",
            "reinvocationPolicy": "Never",
            "matchConstraints": {
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
                "resourceRules": [
                    {
                        "apiGroups": ["apps"],
                        "apiVersions": ["v1"],
                        "operations": ["CREATE"],
                        "resources": ["deployments"],
                    }
                ],
            },
            "mutations": [
                {
                    "patchType": "ApplyConfiguration",
                    "applyConfiguration": {
                        "expression": "Object{metadata: Object.metadata{labels: "
                        '{"injected": "yes"}}, spec: Object.spec{template: Object.spec.template{'
                        "spec: Object.spec.template.spec{containers: "
                        '[Object.spec.template.spec.containers{name: "side", image: "x"}]}}}}'
                    },
                }
            ],
        },
    }
    binding = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingAdmissionPolicyBinding",
        "metadata": policy["metadata"],
        "spec": {"policyName": policy["metadata"]["name"]},
    }
    policy, binding, git = place(policy), place(binding), place(WEB)
    api.create(policy)
    api.create(binding)
    for way in WAYS.values():
        api.delete(git, wait=True)
        live = way(api, git)
        while "injected" not in live["metadata"]["labels"]:
            # The API server reads its policies a moment later.
            api.delete(git, wait=True)
            live = way(api, git)
        assert len(live["spec"]["template"]["spec"]["containers"]) == 2
        assert paths(compare(git, live)) == []


def test_without_a_schema_the_rows_still_tell_most(api, place, compare):
    for way in WAYS.values():
        git = place(WEB)
        live = way(api, git)
        found = paths(compare(git, live, schema=False))
        # A quantity in another form, and a port that Git names without its protocol.
        assert [path for path, _ in found] == [f"{CONTAINER}.resources.requests.cpu"]


CRD = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "shelves.authored.example.com"},
    "spec": {
        "group": "authored.example.com",
        "names": {"kind": "Shelf", "plural": "shelves"},
        "scope": "Namespaced",
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {
                            "spec": {
                                "type": "object",
                                "properties": {
                                    "size": {"type": "integer", "default": 3},
                                    "open": {"type": "boolean"},
                                    "free": {
                                        "type": "object",
                                        "x-kubernetes-preserve-unknown-fields": True,
                                    },
                                    "books": {
                                        "type": "array",
                                        "items": {
                                            "type": "object",
                                            "properties": {
                                                "title": {"type": "string"},
                                                "copies": {"type": "integer", "default": 1},
                                            },
                                        },
                                    },
                                },
                            }
                        },
                    }
                },
            }
        ],
    },
}


def test_defaults_of_custom_resources_do_not_count(api, place, compare, namespace):
    crd = place(CRD)
    api.define(crd)
    while not schemas(api.connection, "authored.example.com", "v1"):
        time.sleep(0.1)  # The API server publishes it a moment later.
    shelf = {
        "apiVersion": "authored.example.com/v1",
        "kind": "Shelf",
        "metadata": {"name": "a"},
        "spec": {"open": False, "books": [{"title": "A"}], "free": {"a": {"b": [1]}}},
    }
    git = place(shelf)
    for way in WAYS.values():
        api.delete(git, wait=True)
        live = way(api, git)
        assert live["spec"]["size"] == 3
        assert paths(compare(git, live)) == []
        live = json_patch(
            api,
            git,
            "operator",
            {"op": "replace", "path": "/spec/size", "value": 4},
            {"op": "replace", "path": "/spec/books/0/copies", "value": 2},
            {"op": "remove", "path": "/spec/open"},
            add("/spec/free/a/c", "d"),
        )
        assert paths(compare(git, live)) == [
            ("spec.books[0].copies", "add"),
            ("spec.free.a.c", "add"),
            ("spec.open", "remove"),
            ("spec.size", "add"),
        ]
