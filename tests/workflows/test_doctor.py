"""Doctor before clusters and repositories that are not well: it looks at what it can, and ends."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from command import commit_all, git
from fake_api import api, refusal, reply, write_kubeconfig
from secret_samples import new_key, place
from small_cluster import new_repo

from gitops_dr.checks.needs import Job
from gitops_dr.cluster import connect as connecting
from gitops_dr.engine.opening import Where
from gitops_dr.errors import UsageError
from gitops_dr.secrets.sops import seal
from gitops_dr.workflows.doctor import doctor

__all__ = ["api"]


SNAPSHOT_API = "/apis/snapshot.storage.k8s.io/v1"
LEASE = "/apis/coordination.k8s.io/v1/namespaces/gitops-dr/leases/cluster"
AUTHORIZATION = "/apis/authorization.k8s.io/v1"
VERBS = ["get", "list", "watch", "create", "patch", "update", "delete"]


def served(group: str, **kinds: str) -> dict:
    resources = [
        {
            "resource": plural,
            "responseKind": {"group": group, "version": "v1", "kind": kind},
            "scope": "Namespaced",
            "verbs": VERBS,
        }
        for plural, kind in kinds.items()
    ]
    metadata = {"name": group} if group else {}
    return {"metadata": metadata, "versions": [{"version": "v1", "resources": resources}]}


def discovery(*groups: dict) -> dict:
    return {"kind": "APIGroupDiscoveryList", "items": list(groups)}


@pytest.fixture
def cluster(api, monkeypatch):
    """A cluster that allows everything and has nothing wrong."""
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
    for retry in ("READ", "WRITE"):
        monkeypatch.setattr(connecting, retry, getattr(connecting, retry).new(backoff_factor=0))
    api.on("/api", reply(discovery(served("", configmaps="ConfigMap", secrets="Secret"))))
    snapshots = served("snapshot.storage.k8s.io", volumesnapshots="VolumeSnapshot")
    api.on("/apis", reply(discovery(snapshots)))
    api.on("/version", reply({"gitVersion": "v1.37.2"}))
    api.on("/api/v1/namespaces/kube-system", reply({"metadata": {"uid": "u1"}}))
    api.on("/api/v1/namespaces", reply({"metadata": {"resourceVersion": "7"}}))
    api.on("/api/v1/namespaces/gitops-dr", reply({"metadata": {"name": "gitops-dr"}}))
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    review = {"metadata": {"creationTimestamp": now}, "status": {"userInfo": {"username": "bob"}}}
    path = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
    api.on(path, reply(review, 201), method="POST")
    everything = {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}
    rules = {"status": {"resourceRules": [everything]}}
    api.on(f"{AUTHORIZATION}/selfsubjectrulesreviews", reply(rules, 201), method="POST")
    api.on("/api/v1/persistentvolumes", reply({"items": []}))
    api.on(f"{SNAPSHOT_API}/volumesnapshotclasses", reply({"items": []}))
    api.on(f"{SNAPSHOT_API}/volumesnapshots", reply({"items": []}))
    return api


@pytest.fixture
def where(cluster, tmp_path: Path) -> Where:
    repo = new_repo(tmp_path / "repo")
    config = write_kubeconfig(tmp_path / "kubeconfig", cluster.url)
    return Where(repo, cluster="prod", kubeconfig=config)


def standing(where: Where, job: Job = Job.EXPORT) -> dict[str, list[str] | None]:
    """What is wrong by the check that found it; None for what could not be looked at."""
    return {
        one.id: None if one.findings is None else [f"{f.about}: {f.reason}" for f in one.findings]
        for one in doctor(where, job).checks
        if one.findings is None or one.findings
    }


@pytest.mark.parametrize("job", [Job.EXPORT, Job.SECRETS, Job.VOLUMES])
def test_nothing_is_wrong_where_all_is_well(where, job):
    found = doctor(where, job)
    assert [one.findings for one in found.checks] == [()] * len(found.checks)
    assert (found.cluster, found.context, found.missing) == ("prod", "fake", ())


def test_nothing_is_written(where, cluster):
    def there() -> list[Path]:
        # What git does not know, and only saves time.
        notes = where.repo / ".git" / "gitops-dr"
        return sorted(path for path in where.repo.rglob("*") if not path.is_relative_to(notes))

    before = git(where.repo, "rev-parse", "HEAD"), there()
    doctor(where, Job.VOLUMES)
    assert before == (git(where.repo, "rev-parse", "HEAD"), there())
    # Reviews are questions: nothing is stored.
    posted = {request.path for request in cluster.requests if request.method != "GET"}
    assert all(path.startswith("/apis/auth") and "review" in path for path in posted)


def test_without_a_repository_the_cluster_is_still_looked_at(where, tmp_path):
    there = Where(tmp_path, kubeconfig=where.kubeconfig)
    found = standing(there)
    assert "not in a Git repository" in found["repository"][0]
    assert found["branch"] is found["identity"] is None
    assert "permissions" not in found


def test_a_server_that_fails_is_told_once(where, cluster):
    cluster.on("/api", refusal(500, "InternalError", "etcd is away"))
    found = standing(where)
    assert found["reachable"] == [": etcd is away"]
    assert found["permissions"] is None
    assert "branch" not in found


def test_who_may_not_even_know_the_cluster_is_told_all_that_is_missing(where, cluster):
    cluster.on("/api/v1/namespaces/kube-system", refusal(403, "Forbidden", "bob may not"))
    rules = reply({"status": {"resourceRules": []}}, 201)
    cluster.on(f"{AUTHORIZATION}/selfsubjectrulesreviews", rules, method="POST")
    no = reply({"status": {"allowed": False}}, 201)
    cluster.on(f"{AUTHORIZATION}/selfsubjectaccessreviews", no, method="POST")
    found = standing(where)
    assert "cannot be identified" in found["identity"][0]
    assert "bob: may not get configmaps" in found["permissions"]
    kinds = [body["kind"] for body in doctor(where, Job.EXPORT).missing]
    assert kinds == ["ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"]


def test_a_server_that_answers_no_reviews(where, cluster):
    path = f"{AUTHORIZATION}/selfsubjectrulesreviews"
    cluster.on(path, refusal(403, "Forbidden", "no"), method="POST")
    path = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
    cluster.on(path, refusal(404, "NotFound", "no"), method="POST")
    found = standing(where)
    assert found == {"permissions": [f"{cluster.url}: does not say what its user may do"]}


def test_a_repository_in_the_middle_of_something(where):
    repo = where.repo
    (repo / "gitops-dr.yaml").write_text("format: 1\nclusters:\n  prod:\n  two:\n")
    (repo / ".git" / "index.lock").touch()
    (repo / ".git" / "MERGE_HEAD").write_text("x")
    found = standing(where)
    assert "a merge is under way" in found["branch"][0]
    assert "index.lock" in found["branch"][1]
    assert found["worktree"][0].startswith("gitops-dr.yaml: has changes")


def test_who_is_to_open_secrets_must_be_somebody(where):
    rule = "- path_regex: ^clusters/prod/\n  age: age1nonsense\n"
    (where.repo / ".sops.yaml").write_text(f"creation_rules:\n{rule}")
    commit_all(where.repo)
    (told,) = standing(where, Job.SECRETS)["recipients"]
    assert told.startswith(".sops.yaml: creation_rules[0]: age1nonsense")
    assert "recipients" not in standing(where, Job.DRIFT)


def test_what_a_rebuild_brings_back_must_open_here(where, tmp_path):
    body = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "db", "namespace": "shop"},
        "stringData": {"password": "tr0ub4dor"},
    }
    key = new_key(tmp_path, "one")
    file = where.repo / place()
    file.parent.mkdir(parents=True)
    file.write_bytes(seal(body, [key.recipient], now=datetime.now(UTC)))
    commit_all(where.repo)
    environment = {"HOME": str(tmp_path)}
    (told,) = standing(replace(where, environment=environment), Job.REBUILD)["identities"]
    assert told.startswith(place())
    environment["SOPS_AGE_KEY_FILE"] = str(key.file)
    assert "identities" not in standing(replace(where, environment=environment), Job.REBUILD)


@pytest.mark.parametrize(
    ("job", "target", "said"),
    [(Job.FAILOVER, None, "no target is named"), (Job.EXPORT, "standby", "has no target")],
)
def test_a_failover_is_to_a_target_and_an_export_is_not(where, job, target, said):
    with pytest.raises(UsageError, match=said):
        doctor(where, job, target=target)


def test_a_target_that_is_not_there_is_told_and_no_other_cluster_is_looked_at(where, cluster):
    found = {one.id: one for one in doctor(where, Job.SYNC, target="nowhere").checks}
    (told,) = found["target"].findings or ()
    assert "HEAD has no targets/nowhere/target.yaml" in told.reason
    assert found["permissions"].findings is None
    assert cluster.requests == []


def test_somebody_at_work(where, cluster):
    renewed = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    spec = {"holderIdentity": "alice/1", "renewTime": renewed, "leaseDurationSeconds": 30}
    cluster.on(LEASE, reply({"metadata": {"name": "cluster"}, "spec": spec}))
    assert standing(where)["alone"] == ["Lease gitops-dr/cluster: is held by alice/1"]
    spec["renewTime"] = "2026-01-01T00:00:00.000000Z"
    cluster.on(LEASE, reply({"metadata": {"name": "cluster"}, "spec": spec}))
    assert standing(where) == {}


def snapshot(name: str, *, seconds: float, **more: object) -> dict:
    made = datetime.now(UTC) - timedelta(seconds=seconds)
    stamp = made.strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"metadata": {"namespace": "shop", "name": name, "creationTimestamp": stamp}, **more}


def test_volumes_that_nobody_could_capture(where, cluster):
    volumes = [{"spec": {"csi": {"driver": d}}} for d in ("a.csi", "b.csi")] + [{"spec": {}}]
    cluster.on("/api/v1/persistentvolumes", reply({"items": volumes}))
    cluster.on(f"{SNAPSHOT_API}/volumesnapshotclasses", reply({"items": [{"driver": "a.csi"}]}))
    items = [
        snapshot("new", seconds=1),
        snapshot("seen", seconds=3600, status={"readyToUse": False}),
        snapshot("untouched", seconds=3600),
    ]
    cluster.on(f"{SNAPSHOT_API}/volumesnapshots", reply({"items": items}))
    assert standing(where, Job.VOLUMES)["snapshots"] == [
        "b.csi: has volumes and no VolumeSnapshotClass: they cannot be captured",
        "VolumeSnapshot shop/untouched: nobody has looked at it",
    ]
    assert standing(where, Job.EXPORT) == {}


def test_a_cluster_without_snapshots(where, cluster):
    cluster.on("/apis", reply(discovery()))
    assert standing(where, Job.VOLUMES) == {
        "snapshots": ["snapshot.storage.k8s.io/v1: is not served"]
    }


def test_snapshots_that_may_not_be_listed(where, cluster):
    cluster.on(f"{SNAPSHOT_API}/volumesnapshots", refusal(403, "Forbidden", "snapshots: bob not"))
    assert standing(where, Job.VOLUMES)["snapshots"] == ["snapshots: bob not"]


@pytest.mark.parametrize(("minutes", "gone"), [(0, False), (4, False), (7, True)])
def test_a_snapshot_controller_that_does_not_renew_its_lease(where, cluster, minutes, gone):
    renewed = (datetime.now(UTC) - timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M:%S.000000Z")
    lease = {"spec": {"renewTime": renewed}}
    cluster.on("/apis/coordination.k8s.io/v1/leases", reply({"items": [lease]}))
    told = standing(where, Job.VOLUMES).get("snapshots", [])
    assert bool(told) is gone
    (request, *_) = cluster.asked("/apis/coordination.k8s.io/v1/leases")
    assert request.query["fieldSelector"] == "metadata.name=snapshot-controller-leader"


def test_where_nobody_may_see_the_lease_it_is_no_sign(where, cluster):
    cluster.on("/apis/coordination.k8s.io/v1/leases", refusal(403, "Forbidden", "no"))
    assert "snapshots" not in standing(where, Job.VOLUMES)


ADMISSION = "/apis/admissionregistration.k8s.io/v1"


def test_what_would_stop_writes_is_told_to_who_writes(where, cluster):
    client = {"service": {"namespace": "ops", "name": "w"}}
    hooks = [
        {"name": "must.example.com", "failurePolicy": "Fail", "clientConfig": client},
        {"name": "may.example.com", "failurePolicy": "Ignore", "clientConfig": client},
    ]
    made = {"metadata": {"name": "w"}, "webhooks": hooks}
    cluster.on(f"{ADMISSION}/mutatingwebhookconfigurations", reply({"items": [made]}))
    going = {"metadata": {"name": "old", "deletionTimestamp": "2026-11-22T10:00:00Z"}}
    there = {"metadata": {"name": "shop"}}
    listing = {"items": [going, there], "metadata": {"resourceVersion": "7"}}
    cluster.on("/api/v1/namespaces", reply(listing))
    found = standing(where, Job.VOLUMES_RESTORE)
    assert found["webhooks"] == [
        (
            "MutatingWebhookConfiguration.admissionregistration.k8s.io/w: its webhook "
            "must.example.com must answer, and nothing is behind Service/ops/w: whatever it is "
            "about is refused"
        )
    ]
    assert found["namespaces"] == ["Namespace/old: is being deleted, and nothing can be made in it"]
    assert not {"webhooks", "namespaces"} & standing(where, Job.EXPORT).keys()
