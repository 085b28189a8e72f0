"""What jobs need, what rules allow, and the roles that close the gap."""

from __future__ import annotations

import pytest

from gitops_dr.checks.needs import WRITES, Job, Need, allows, grants, needs_of, needs_of_fence
from gitops_dr.desired.fence import Stoppable
from gitops_dr.manifests.parse import parse_documents
from gitops_dr.model import Resource
from gitops_dr.resources import shipped

FULL = frozenset({"get", "list", "watch", "create", "delete", "patch", "update"})


def served(group: str, kind: str, plural: str, verbs: frozenset[str] = FULL) -> Resource:
    return Resource(group, "v1", kind, plural, namespaced=True, verbs=verbs)


CLUSTER = (
    served("", "ConfigMap", "configmaps"),
    served("", "Pod", "pods"),
    served("", "Secret", "secrets"),
    served("", "Event", "events"),
    served("apps", "Deployment", "deployments"),
    served("metrics.k8s.io", "PodMetrics", "pods", frozenset({"get", "list"})),
    served("coordination.k8s.io", "Lease", "leases"),
    served("snapshot.storage.k8s.io", "VolumeSnapshot", "volumesnapshots"),
    served("snapshot.storage.k8s.io", "VolumeSnapshotContent", "volumesnapshotcontents"),
    served("shop.example.com", "Shop", "shops"),
)
ADMIN = [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]


def told(job: Job, cluster=CLUSTER) -> set[str]:
    return {str(need) for need in needs_of(job, cluster)}


def test_drift_reads_every_kind_but_secrets_and_what_is_never_listed() -> None:
    assert told(Job.DRIFT) == {
        f"{verb} {what}"
        for verb in ("get", "list", "watch")
        for what in ("configmaps", "pods", "deployments.apps", "shops.shop.example.com")
    }


def test_export_needs_its_lease_and_its_note_besides() -> None:
    lease = {f"{verb} leases.coordination.k8s.io in gitops-dr" for verb in ("get", "create")}
    assert told(Job.EXPORT) - told(Job.DRIFT) == {
        *lease,
        "update leases.coordination.k8s.io in gitops-dr",
        "create configmaps in gitops-dr",
        "patch configmaps recovery-points in gitops-dr",
    }


def test_secrets_are_a_job_of_their_own() -> None:
    assert told(Job.SECRETS) - told(Job.EXPORT) == {
        *("get secrets", "list secrets", "watch secrets"),
        *("create secrets in gitops-dr", "get secrets fingerprint-key in gitops-dr"),
    }


def test_volumes_write_snapshots_and_run_hooks() -> None:
    more = told(Job.VOLUMES) - told(Job.EXPORT)
    assert {"create pods/exec", "get pods/exec"} <= more
    assert "delete volumesnapshots.snapshot.storage.k8s.io" in more
    assert "patch volumesnapshotcontents.snapshot.storage.k8s.io" in more


@pytest.mark.parametrize("job", sorted(WRITES))
def test_who_writes_anything_needs_everything(job: Job) -> None:
    assert needs_of(job, CLUSTER) == (Need("*", "*", "*"),)
    assert allows(ADMIN, Need("*", "*", "*"))
    assert not allows([{**ADMIN[0], "apiGroups": ["apps"]}], Need("*", "*", "*"))


def test_a_fence_reads_what_writes_and_changes_what_is_to_rest() -> None:
    served_here = (*CLUSTER, served("apps", "StatefulSet", "statefulsets", FULL - {"patch"}))
    assert {str(need) for need in needs_of_fence(Stoppable(), served_here)} == {
        *("list pods", "list deployments.apps", "patch deployments.apps"),
        *(f"{verb} configmaps in gitops-dr" for verb in ("get", "create", "patch")),
    }


def test_what_the_cluster_does_not_serve_is_not_needed() -> None:
    without = tuple(r for r in CLUSTER if r.group != "snapshot.storage.k8s.io")
    assert not [need for need in told(Job.VOLUMES, without) if "snapshot" in need]
    assert "create pods/exec" in told(Job.VOLUMES, without)


@pytest.mark.parametrize(
    ("rule", "need", "allowed"),
    [
        ({}, Need("", "pods", "list"), True),
        ({"verbs": ["*"]}, Need("", "pods", "list"), True),
        ({"verbs": ["get"]}, Need("", "pods", "list"), False),
        ({"apiGroups": ["*"]}, Need("", "pods", "list"), True),
        ({"apiGroups": ["apps"]}, Need("", "pods", "list"), False),
        ({"resources": ["*"]}, Need("", "pods", "list"), True),
        ({"resources": ["*"]}, Need("", "pods/exec", "list"), True),
        ({"resources": ["pods"]}, Need("", "pods/exec", "list"), False),
        ({"resources": ["pods/exec"]}, Need("", "pods", "list"), False),
        ({"resources": ["*/exec"]}, Need("", "pods/exec", "list"), True),
        ({"resources": ["*/exec"]}, Need("", "pods/log", "list"), False),
        ({"resourceNames": ["one"]}, Need("", "pods", "list"), False),
        ({"resourceNames": ["one"]}, Need("", "pods", "list", "", "one"), True),
        ({"resourceNames": ["one"]}, Need("", "pods", "list", "", "two"), False),
        ({"resourceNames": []}, Need("", "pods", "list"), True),
        ({"nonResourceURLs": ["*"], "resources": None, "apiGroups": None}, Need("", "", ""), False),
    ],
)
def test_rules_allow_as_rbac_does(rule, need: Need, allowed: bool) -> None:
    base = {"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}
    assert allows([{**base, **rule}], need) is allowed


@pytest.mark.parametrize("job", list(Job))
def test_what_is_granted_is_what_is_missing(job: Job) -> None:
    """The roles allow each need, in its namespace or in all, and nothing that was not asked."""
    needs = needs_of(job, CLUSTER)
    made = grants(needs, job, "system:serviceaccount:ci:robot")
    roles = {
        body["metadata"].get("namespace", ""): body["rules"]
        for body in made
        if body["kind"] in ("Role", "ClusterRole")
    }
    bindings = [body for body in made if body["kind"].endswith("Binding")]
    if job in WRITES:
        assert [body["roleRef"]["name"] for body in bindings] == ["cluster-admin"]
        assert roles == {}
    else:
        assert all(allows(roles[need.namespace], need) for need in needs)
        granted = {
            Need(group, resource, verb, namespace, name)
            for namespace, rules in roles.items()
            for rule in rules
            for group in rule["apiGroups"]
            for resource in rule["resources"]
            for verb in rule["verbs"]
            for name in rule.get("resourceNames", [""])
        }
        assert granted == set(needs)
    for body in bindings:
        assert body["subjects"] == [{"kind": "ServiceAccount", "namespace": "ci", "name": "robot"}]


def test_a_user_stays_one_and_nothing_missing_grants_nothing() -> None:
    (_, binding) = grants([Need("", "pods", "list")], Job.DRIFT, "alice@example.com")
    assert binding["subjects"] == [
        {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "alice@example.com"}
    ]
    assert grants([], Job.DRIFT, "alice") == ()


def test_what_was_granted_before_is_not_replaced() -> None:
    """Applied one after the other, each adds to those before."""
    one, two = Need("", "pods", "list"), Need("", "services", "list")
    names = {
        grants(needs, Job.DRIFT, user)[0]["metadata"]["name"]
        for needs in ([one], [two], [one, two])
        for user in ("alice", "bob")
    }
    assert len(names) == 6
    assert grants([two, one], Job.DRIFT, "bob") == grants([one, two], Job.DRIFT, "bob")


def test_our_namespace_is_made_only_where_it_is_not_there() -> None:
    needs = [Need("coordination.k8s.io", "leases", "get", "gitops-dr")]
    assert [body["kind"] for body in grants(needs, Job.EXPORT, "a")] == [
        *("Namespace", "Role", "RoleBinding")
    ]
    there = grants(needs, Job.EXPORT, "a", namespaces=("gitops-dr",))
    assert [body["kind"] for body in there] == ["Role", "RoleBinding"]


# -- the shipped files --------------------------------------------------------------------------

FILES = sorted(shipped("templates/deploy").glob("*.yaml"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_shipped_roles_refer_to_each_other(file) -> None:
    """Each binding is of a role and of accounts that some shipped file has."""
    every = [body for one in FILES for body in parse_documents(one.read_bytes(), one.name)]
    there = {
        (body["kind"], body["metadata"].get("namespace", ""), body["metadata"]["name"])
        for body in every
    } | {("ClusterRole", "", "cluster-admin")}
    bodies = parse_documents(file.read_bytes(), file.name)
    assert bodies
    for body in bodies:
        if not body["kind"].endswith("Binding"):
            continue
        namespace = body["metadata"].get("namespace", "")
        assert (body["roleRef"]["kind"], namespace, body["roleRef"]["name"]) in there
        for subject in body["subjects"]:
            assert (subject["kind"], subject["namespace"], subject["name"]) in there


@pytest.mark.parametrize("name", ["drift", "export", "volumes"])
def test_no_role_but_that_of_secrets_reads_one(name: str) -> None:
    for body in parse_documents(shipped(f"templates/deploy/{name}.yaml").read_bytes(), name):
        if body["kind"] in ("ClusterRole", "Role"):
            for verb in ("get", "list", "watch"):
                assert not allows(body["rules"], Need("", "secrets", verb))


def test_drift_and_export_read_the_same() -> None:
    rules = [
        body["rules"]
        for name in ("drift", "export")
        for body in parse_documents(shipped(f"templates/deploy/{name}.yaml").read_bytes(), name)
        if body["kind"] == "ClusterRole"
    ]
    assert rules[0] == rules[1]


@pytest.mark.parametrize("name", ["drift", "export"])
def test_the_cron_jobs_name_no_image_that_nobody_publishes(name: str) -> None:
    file = shipped(f"templates/deploy/cronjob-{name}.yaml")
    (body,) = parse_documents(file.read_bytes(), file.name)
    pod = body["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    assert pod["containers"][0]["image"] == "IMAGE"
    assert pod["serviceAccountName"] == name
    assert body["spec"]["concurrencyPolicy"] == "Forbid"
    assert "publishes no container image" in file.read_text()
