"""What a person wrote, beside what a real API server made of it: asked, it says what is a change.

Manifests are short or written in other words, as people write them; each is applied as it stands,
and then changed in the cluster or not.
"""

import copy
import itertools
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
import yamlrocks
from api_server import ApiServer

from gitops_dr import lab as labs
from gitops_dr.cluster.connect import ApiError, Connection, connect
from gitops_dr.cluster.discover import identify
from gitops_dr.engine.difference import examine
from gitops_dr.engine.recorded import read_tree
from gitops_dr.lab import Lab
from gitops_dr.model import Difference, Presence

PREFIX = "clusters/prod"
_NUMBERS = itertools.count()

Body = dict[str, Any]


@pytest.fixture(scope="module")
def api(kubeconfig: Path) -> ApiServer:
    return ApiServer(connect(kubeconfig))


@pytest.fixture
def place(api: ApiServer) -> Iterator[str]:
    name = f"asking-{next(_NUMBERS)}"
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    api.create(body)
    yield name
    api.delete(body)


@pytest.fixture
def tidy(api: ApiServer) -> Iterator[list[Body]]:
    """What is put in there is taken away after the test."""
    made: list[Body] = []
    yield made
    for body in reversed(made):
        api.delete(body, wait=True)


Compare = Callable[..., dict[str, Difference]]


@pytest.fixture
def compare(api: ApiServer, repo: Any, save: Any, place: str) -> Compare:
    """Commit manifests and examine the cluster; gives what is modified in the place, by name."""

    def run(*bodies: Body, connection: Connection | None = None, **options: Any) -> Any:
        files = {
            f"{PREFIX}/{number}.yaml": yamlrocks.dumps(body) for number, body in enumerate(bodies)
        }
        tree = read_tree(repo, save(files), PREFIX)
        connection = connection or api.connection
        found = examine(connection, identify(connection), tree, **options)
        mine = [
            difference
            for difference in found.differences
            if difference.presence is Presence.MODIFIED
            and (difference.ref.namespace == place or difference.ref.name.startswith(place))
        ]
        assert all(difference.changes for difference in mine)
        return {difference.ref.name: difference for difference in mine}

    return run


def paths(difference: Difference) -> list[tuple[str, str]]:
    return [(change.op, change.path) for change in difference.changes]


def deployment(place: str, name: str = "web", **spec: Any) -> Body:
    container = {"name": "c", "image": "web:1", "ports": [{"containerPort": 80}]}
    container |= {"resources": {"requests": {"cpu": "1000m", "memory": 1024}}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": place},
        "spec": {
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [container], "hostNetwork": False, "hostname": "", **spec},
            },
        },
    }


def claim(place: str, **spec: Any) -> Body:
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "data", "namespace": place},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Mi"}},
            **spec,
        },
    }


def short(place: str) -> list[Body]:
    """One of each kind whose manifests people write short."""
    pod = {"restartPolicy": "Never", "containers": [{"name": "c", "image": "once"}]}
    template = deployment(place)["spec"]["template"]
    selector = {"matchLabels": {"app": "web"}}
    there = {"namespace": place}
    volume = claim(place)["spec"]
    return [
        deployment(place),
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "service", **there},
            "spec": {"type": "NodePort", "ports": [{"port": 80}], "selector": {"app": "web"}},
        },
        {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {"name": "job", **there},
            "spec": {"suspend": True, "template": {"spec": pod}},
        },
        {
            "apiVersion": "batch/v1",
            "kind": "CronJob",
            "metadata": {"name": "cron", **there},
            "spec": {"schedule": "@daily", "jobTemplate": {"spec": {"template": {"spec": pod}}}},
        },
        {
            "apiVersion": "apps/v1",
            "kind": "StatefulSet",
            "metadata": {"name": "stateful", **there},
            "spec": {
                "serviceName": "stateful",
                "selector": selector,
                "template": template,
                "volumeClaimTemplates": [{"metadata": {"name": "v"}, "spec": volume}],
            },
        },
        {
            "apiVersion": "apps/v1",
            "kind": "DaemonSet",
            "metadata": {"name": "daemon", **there},
            "spec": {"selector": selector, "template": template},
        },
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "pod", **there},
            "spec": {"containers": [{"name": "c", "image": "web:1"}]},
        },
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "Ingress",
            "metadata": {"name": "ingress", **there},
            "spec": {"defaultBackend": {"service": {"name": "web", "port": {"number": 80}}}},
        },
        {
            "apiVersion": "autoscaling/v2",
            "kind": "HorizontalPodAutoscaler",
            "metadata": {"name": "autoscaler", **there},
            "spec": {
                "maxReplicas": 3,
                "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "none"},
            },
        },
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "RoleBinding",
            "metadata": {"name": "binding", **there},
            "roleRef": {
                "kind": "ClusterRole",
                "name": "view",
                "apiGroup": "rbac.authorization.k8s.io",
            },
            "subjects": [{"kind": "User", "name": "dana"}],
        },
        claim(place),
    ]


def is_bound(body: Body) -> bool:
    return bool(body["status"].get("phase") == "Bound")


# -- what a person leaves out -----------------------------------------------------------------


def test_short_manifests_that_were_applied_are_no_drift(
    api: ApiServer, compare: Compare, place: str
) -> None:
    bodies = short(place)
    for body in bodies:
        api.create(body)
    api.until(claim(place), is_bound)
    assert compare(*bodies) == {}
    assert compare(*bodies, server=True) == {}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """Method and resource of every request for one object."""
    requests: list[tuple[str, str]] = []
    real = Connection.request

    def request(self: Connection, method: str, path: str, **options: Any) -> bytes:
        if method in ("PATCH", "PUT", "DELETE") or "dryRun" in (options.get("query") or ()):
            requests.append((method, path.split("/")[-2 if method == "PATCH" else -1]))
        return real(self, method, path, **options)

    monkeypatch.setattr(Connection, "request", request)
    return requests


def reader(api: ApiServer, lab: Lab, tidy: list[Body]) -> Connection:
    """A user who may get and list, and nothing else."""
    role = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": "asking-reader"},
        "rules": [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["get", "list"]}],
    }
    tidy.append(role)
    api.create(role)
    return connect(labs.service_account_kubeconfig(lab, "asking-reader"))


def limits(place: str) -> Body:
    """What a namespace fills in, which no table of defaults knows."""
    return {
        "apiVersion": "v1",
        "kind": "LimitRange",
        "metadata": {"name": "limits", "namespace": place},
        "spec": {"limits": [{"type": "Container", "default": {"cpu": "300m"}}]},
    }


def test_where_nobody_may_ask_the_local_result_stays_and_says_why(
    api: ApiServer, compare: Compare, place: str, lab: Lab, tidy: list[Body], asked: Any
) -> None:
    api.create(limits(place))
    pods = [body for body in short(place) if body["kind"] == "Pod"]
    pods += [{**pods[0], "metadata": {"name": "other", "namespace": place}}]
    service = next(body for body in short(place) if body["kind"] == "Service")
    for body in (*pods, service, deployment(place)):
        api.create(body)
    same = copy.deepcopy(service)
    same["spec"]["clusterIP"] = api.listed(service)["spec"]["clusterIP"]
    bodies = [*pods, same, deployment(place)]
    connection = reader(api, lab, tidy)
    asked.clear()
    found = compare(*bodies, connection=connection)
    # What the rows know needs nobody's word, and what is in the object can be read.
    assert set(found) == {"pod", "other"}
    for difference in found.values():
        assert "; a dry run was refused: " in difference.compared_locally
        assert "cannot patch" in difference.compared_locally
    assert ("add", "spec.containers[name=c].resources") in paths(found["pod"])
    assert "Git leaves out what the API server" in found["pod"].compared_locally
    # One refusal a kind is enough.
    assert asked == [("PATCH", "pods")]
    # Who may ask is told that all of it is the API server's doing.
    assert compare(*bodies) == {}


def test_a_real_change_is_left_and_nothing_else(
    api: ApiServer, compare: Compare, place: str
) -> None:
    body = deployment(place, terminationGracePeriodSeconds=7)
    api.create(body)
    containers = copy.deepcopy(body["spec"]["template"]["spec"]["containers"])
    containers[0]["env"] = [{"name": "DEBUG", "value": "1"}]
    containers[0]["imagePullPolicy"] = "Never"
    pod = {"containers": containers, "dnsPolicy": "Default", "terminationGracePeriodSeconds": 8}
    api.patch(body, {"spec": {"template": {"spec": pod}, "paused": True}})
    expected = [
        ("add", "spec.paused"),
        ("add", "spec.template.spec.containers[name=c].env"),
        ("add", "spec.template.spec.containers[name=c].imagePullPolicy"),
        ("add", "spec.template.spec.dnsPolicy"),
        ("replace", "spec.template.spec.terminationGracePeriodSeconds"),
    ]
    found = compare(body)["web"]
    assert paths(found) == expected
    assert found.compared_locally == ""
    assert found.changes[3].new == "Default"
    assert paths(compare(body, server=True)["web"]) == expected


def test_of_a_map_that_git_leaves_out_only_the_changed_field_is_named(
    api: ApiServer, compare: Compare, place: str
) -> None:
    body = deployment(place)
    api.create(body)
    api.patch(body, {"spec": {"strategy": {"rollingUpdate": {"maxSurge": 1}}}})
    (change,) = compare(body)["web"].changes
    assert (change.op, change.path, change.old, change.new) == (
        "add", "spec.strategy.rollingUpdate.maxSurge", None, 1,
    )  # fmt: skip


def test_what_cannot_be_changed_is_compared_as_if_it_were_new(
    api: ApiServer, compare: Compare, place: str, asked: Any
) -> None:
    job = next(body for body in short(place) if body["kind"] == "Job")
    api.create(job)
    asked.clear()
    assert compare(job) == {}
    # Its pods' labels are the API server's, and cannot be taken away.
    assert asked == [("PATCH", "jobs"), ("POST", "jobs")]
    wanted = copy.deepcopy(job)
    wanted["spec"]["template"]["spec"]["containers"][0]["image"] = "twice"
    found = compare(wanted)["job"]
    assert paths(found) == [("replace", "spec.template.spec.containers[name=c].image")]
    assert found.compared_locally == ""


def test_a_claim_that_git_expands_is_one_and_one_that_was_expanded_is_none(
    api: ApiServer, compare: Compare, place: str
) -> None:
    body = claim(place)
    api.create(body)
    api.until(body, is_bound)
    smaller, larger = copy.deepcopy(body), copy.deepcopy(body)
    smaller["spec"]["resources"]["requests"]["storage"] = "512Ki"
    larger["spec"]["resources"]["requests"]["storage"] = "2Mi"
    assert compare(smaller) == {}
    assert paths(compare(larger)["data"]) == [("replace", "spec.resources.requests.storage")]


def test_an_address_that_is_the_same_is_none_of_another(
    api: ApiServer, compare: Compare, place: str
) -> None:
    body = next(body for body in short(place) if body["kind"] == "Service")
    api.create(body)
    given = api.listed(body)["spec"]
    same, other = copy.deepcopy(body), copy.deepcopy(body)
    same["spec"]["clusterIP"] = given["clusterIP"]
    same["spec"]["ports"][0]["nodePort"] = given["ports"][0]["nodePort"]
    assert compare(same) == {}
    other["spec"]["clusterIP"] = "10.96.77.77"
    assert given["clusterIP"] != "10.96.77.77"
    assert paths(compare(other)["service"]) == [("remove", "spec.clusterIP")]


# -- admission --------------------------------------------------------------------------------


def test_what_admission_makes_of_git_s_version_is_no_change(
    api: ApiServer, compare: Compare, place: str, tidy: list[Body]
) -> None:
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": place}}
    body |= {"data": {"registry": "example.com", "other": "1"}}
    rules = [{"apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"]}]
    rules[0]["operations"] = ["CREATE", "UPDATE"]  # type: ignore[assignment]
    expression = 'Object{data: {"registry": "mirror.example.com"}}'
    policy = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingAdmissionPolicy",
        "metadata": {"name": place},
        "spec": {
            "matchConstraints": {
                "resourceRules": rules,
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": place}},
            },
            "failurePolicy": "Fail",
            "reinvocationPolicy": "Never",
            "mutations": [
                {
                    "patchType": "ApplyConfiguration",
                    "applyConfiguration": {"expression": expression},
                }
            ],
        },
    }
    binding = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingAdmissionPolicyBinding",
        "metadata": {"name": place},
        "spec": {"policyName": place},
    }
    tidy += [policy, binding]
    api.create(policy)
    api.create(binding)
    # A policy takes effect a moment after it is there.
    probe = {**body, "metadata": {"name": "probe", "namespace": place}}
    while api.create(probe, dry_run=True)["data"]["registry"] == "example.com":
        time.sleep(0.02)
    api.create(body)
    assert compare(body) == {}
    other = {**body, "data": {**body["data"], "other": "2"}}
    assert paths(compare(other)["a"]) == [("replace", "data.other")]


def test_where_a_webhook_is_down_the_local_result_stays(
    api: ApiServer, compare: Compare, place: str, tidy: list[Body]
) -> None:
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": place}}
    api.create({**body, "data": {"a": "1", "b": "2"}})
    hook = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": place},
        "webhooks": [
            {
                "name": "nobody.example.com",
                "sideEffects": "NoneOnDryRun",
                "admissionReviewVersions": ["v1"],
                "failurePolicy": "Fail",
                "timeoutSeconds": 1,
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": place}},
                "clientConfig": {"url": "https://127.0.0.1:1/never"},
                "rules": [
                    {
                        "apiGroups": [""],
                        "apiVersions": ["v1"],
                        "operations": ["UPDATE"],
                        "resources": ["configmaps"],
                    }
                ],
            }
        ],
    }
    tidy.append(hook)
    api.create(hook)
    while _is_taken(api, body):
        time.sleep(0.02)
    found = compare({**body, "data": {"a": "1"}}, server=True)["a"]
    assert ("add", "data.b") in paths(found)
    assert "failed calling webhook" in found.compared_locally


def _is_taken(api: ApiServer, body: Body) -> bool:
    try:
        api.patch(body, {"metadata": {"labels": {"a": "b"}}}, dryRun="All")
    except ApiError:
        return False
    return True


def test_a_field_that_no_version_knows_is_told_and_not_asked_away(
    api: ApiServer, compare: Compare, place: str
) -> None:
    body = deployment(place)
    api.create(body)
    body["spec"]["replcas"] = 3
    for options in ({}, {"server": True}):
        found = compare(body, **options)["web"]
        assert paths(found) == [("remove", "spec.replcas")]
    assert 'unknown field "spec.replcas"' in found.compared_locally


# -- another version of the API ---------------------------------------------------------------


def test_a_manifest_of_another_version_is_compared_in_that_version(
    api: ApiServer, compare: Compare, place: str
) -> None:
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "none"}
    old = {
        "apiVersion": "autoscaling/v1",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "a", "namespace": place},
        "spec": {
            "minReplicas": 1,
            "maxReplicas": 3,
            "scaleTargetRef": target,
            "targetCPUUtilizationPercentage": 50,
        },
    }
    api.create(old)
    assert compare(old) == {}
    other = copy.deepcopy(old)
    other["spec"]["maxReplicas"] = 4
    found = compare(other)["a"]
    assert paths(found) == [("replace", "spec.maxReplicas")]
    assert found.compared_locally == ""
    # One that no row of desired/versions.yaml is about: its fields may mean something else.
    gone = {**old, "apiVersion": "autoscaling/v0alpha0"}
    found = compare(gone)["a"]
    assert ("replace", "apiVersion") in paths(found)
    assert "does not serve autoscaling/v0alpha0" in found.compared_locally
    assert "Git has it in autoscaling/v0alpha0, the cluster in autoscaling/v2" in (
        found.compared_locally
    )


# -- what is asked, and what is not -----------------------------------------------------------


def test_nobody_is_asked_where_the_rows_tell_it(
    api: ApiServer, compare: Compare, place: str, asked: Any
) -> None:
    body = {"apiVersion": "v1", "kind": "ResourceQuota"}
    body |= {"metadata": {"name": "a", "namespace": place, "labels": None}}
    body |= {"spec": {"hard": {"requests.cpu": "1000m"}}}
    api.create(body)
    asked.clear()
    assert compare(body) == {}
    changed = {**body, "spec": {"hard": {"requests.cpu": "2"}}}
    assert paths(compare(changed)["a"]) == [("replace", 'spec.hard["requests.cpu"]')]
    assert asked == []
    assert set(compare(changed, server=True)) == {"a"}
    assert asked == [("PATCH", "resourcequotas")]


def test_nothing_is_written(api: ApiServer, compare: Compare, place: str) -> None:
    body = deployment(place)
    api.create(body)
    api.patch(body, {"spec": {"paused": True}})
    before = api.until(body, lambda found: found["status"].get("observedGeneration") == 2)
    assert compare(body, server=True)
    after = api.listed(body)
    for raw in (before, after):
        raw.pop("status")
    assert orjson.dumps(after["spec"]) == orjson.dumps(before["spec"])
    assert "gitops-dr" not in str(after["metadata"]["managedFields"])
