"""What acts outward comes last: held until everything else is ready, in a cluster of its own.

Of one source two recovery points; each is rebuilt into another lab. What was live when, the audit
log tells.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from campaigns.history import POLICY
from command import commit_all, git, gitops_dr

from gitops_dr import lab as labs
from gitops_dr.cluster.connect import ApiError, Connection, connect

pytestmark = pytest.mark.lab

APPS = "/apis/apps/v1/namespaces/shop/deployments"
CRON = "/apis/batch/v1/namespaces/shop/cronjobs"
DNS = "/apis/apps/v1/namespaces/dns/deployments"
SCALERS = "/apis/autoscaling/v2/namespaces/dns/horizontalpodautoscalers"
ARGO = "/apis/apps/v1/namespaces/argocd/statefulsets"
FLUX = "/apis/kustomize.toolkit.fluxcd.io/v1/namespaces/shop/kustomizations"
APPLICATIONS = "/apis/argoproj.io/v1alpha1/namespaces/argocd/applications"
BUCKETS = "/apis/s3.aws.example.org/v1beta1/buckets"
ISSUERS = "/apis/cert-manager.io/v1/clusterissuers"
CERTIFICATES = "/apis/cert-manager.io/v1/namespaces/shop/certificates"
SKIP, PAUSED = "argocd.argoproj.io/skip-reconcile", "crossplane.io/paused"


def crd(group: str, version: str, kind: str, plural: str, *, namespaced: bool = True) -> dict:
    schema = {
        "type": "object",
        "properties": {"spec": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
    }
    return {
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced" if namespaced else "Cluster",
            "names": {"kind": kind, "plural": plural, "singular": kind.lower()},
            "versions": [
                {
                    "name": version,
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": schema},
                }
            ],
        },
    }


CRDS = [
    crd("kustomize.toolkit.fluxcd.io", "v1", "Kustomization", "kustomizations"),
    crd("argoproj.io", "v1alpha1", "Application", "applications"),
    crd("s3.aws.example.org", "v1beta1", "Bucket", "buckets", namespaced=False),
    crd("cert-manager.io", "v1", "ClusterIssuer", "clusterissuers", namespaced=False),
    crd("cert-manager.io", "v1", "Certificate", "certificates"),
]


def workload(name: str, image: str = "registry.example/web:1", **labels: str) -> dict:
    labels = {"app": name, **labels}
    pod = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": image}]}}
    selector = {"matchLabels": {"app": name}}
    return {
        "metadata": {"name": name, "labels": labels},
        "spec": {"replicas": 1, "selector": selector, "template": pod},
    }


def cron_job(name: str, *, suspend: bool = False) -> dict:
    pod = {"restartPolicy": "Never", "containers": [{"name": "c", "image": "registry.example/c:1"}]}
    job = {"spec": {"template": {"spec": pod}}}
    spec = {"schedule": "0 3 1 1 *", "suspend": suspend, "jobTemplate": job}
    return {"metadata": {"name": name}, "spec": spec}


def custom(api_version: str, kind: str, name: str, **spec: Any) -> dict:
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": name}, "spec": spec}


def create(connection: Connection, path: str, body: dict) -> None:
    connection.request("POST", path, body=orjson.dumps(body))


def merge(connection: Connection, path: str, patch: dict) -> None:
    kind = "application/merge-patch+json"
    connection.request("PATCH", path, body=orjson.dumps(patch), content_type=kind)


def fill(connection: Connection) -> None:
    for body in CRDS:
        create(connection, "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", body)
    for name in ("shop", "dns", "argocd"):
        create(connection, "/api/v1/namespaces", {"metadata": {"name": name}})
    create(connection, APPS, workload("web"))
    create(connection, CRON, cron_job("nightly"))
    create(connection, CRON, cron_job("asleep", suspend=True))
    create(connection, DNS, workload("names", "mirror.example/hub/external-dns:v1"))
    scaled = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "names"}
    scaler = {"scaleTargetRef": scaled, "minReplicas": 1, "maxReplicas": 2}
    create(connection, SCALERS, {"metadata": {"name": "names"}, "spec": scaler})
    component = "application-controller"
    named = {"app.kubernetes.io/part-of": "argocd", "app.kubernetes.io/component": component}
    controller = workload("argo", **named)
    controller["spec"]["serviceName"] = "argo"
    create(connection, ARGO, controller)
    tracked = {"argocd.argoproj.io/tracking-id": "shop:/ConfigMap:shop/settings"}
    settings = {"metadata": {"name": "settings", "annotations": tracked}, "data": {"a": "1"}}
    create(connection, "/api/v1/namespaces/shop/configmaps", settings)
    objects = [
        (FLUX, custom("kustomize.toolkit.fluxcd.io/v1", "Kustomization", "apps", prune=True)),
        (APPLICATIONS, custom("argoproj.io/v1alpha1", "Application", "shop", project="default")),
        (BUCKETS, custom("s3.aws.example.org/v1beta1", "Bucket", "data", forProvider={"a": "b"})),
        (ISSUERS, custom("cert-manager.io/v1", "ClusterIssuer", "le", acme={"email": "a@b.c"})),
        (
            CERTIFICATES,
            custom(
                "cert-manager.io/v1",
                "Certificate",
                "site",
                issuerRef={"name": "le", "kind": "ClusterIssuer"},
            ),
        ),
    ]
    for path, body in objects:
        # A definition is served a moment after it is made.
        for _ in range(200):
            try:
                create(connection, path, body)
                break
            except ApiError as error:
                if error.status != 404:
                    raise


LIVE = {
    ("cronjobs", "nightly"): lambda body: not body["spec"].get("suspend"),
    ("deployments", "names"): lambda body: body["spec"].get("replicas", 1) > 0,
    ("statefulsets", "argo"): lambda body: body["spec"].get("replicas", 1) > 0,
    ("kustomizations", "apps"): lambda body: not body["spec"].get("suspend"),
    ("applications", "shop"): lambda body: noted(body, SKIP) != "true",
    ("buckets", "data"): lambda body: noted(body, PAUSED) != "true",
    ("clusterissuers", "le"): lambda body: True,
}
"""Of each object that acts outward, whether it does."""


def noted(body: dict, key: str) -> str | None:
    return (body["metadata"].get("annotations") or {}).get(key)


PATHS = {
    ("cronjobs", "nightly"): CRON,
    ("deployments", "names"): DNS,
    ("statefulsets", "argo"): ARGO,
    ("kustomizations", "apps"): FLUX,
    ("applications", "shop"): APPLICATIONS,
    ("buckets", "data"): BUCKETS,
    ("clusterissuers", "le"): ISSUERS,
}


def live(connection: Connection) -> set[str]:
    """The names of those that act."""
    found = set()
    for (plural, name), is_live in LIVE.items():
        try:
            body = connection.json("GET", f"{PATHS[plural, name]}/{name}")
        except ApiError as error:
            if error.status != 404:
                raise
            continue
        if is_live(body):
            found.add(plural)
    return found


EVERY = {plural for plural, _ in LIVE}


class Story:
    def __init__(self, root: Path) -> None:
        self.repo = root / "repository"
        self.old = ""

    def run(self, *arguments: str, on: Path, code: int = 0):
        said = gitops_dr(*arguments, "--repo", str(self.repo), kubeconfig=on)
        assert said.code == code, said.out[:3000] + said.err
        return said


@pytest.fixture(scope="module")
def story(lab_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Story:
    made = Story(tmp_path_factory.mktemp("outward"))
    with labs.running("outward-source") as source:
        connection = connect(source.kubeconfig, source.name)
        fill(connection)
        reach = labs.service_account_kubeconfig(source)
        assert gitops_dr("init", str(made.repo), "--cluster", "prod").code == 0
        made.run("export", on=reach)
        made.old = git(made.repo, "rev-parse", "HEAD").strip()
        merge(connection, "/api/v1/namespaces/shop/configmaps/settings", {"data": {"a": "2"}})
        made.run("export", on=reach)
    return made


@pytest.fixture(scope="module")
def earlier(story: Story) -> Iterator[labs.Lab]:
    with labs.running("outward-earlier") as lab:
        yield lab


def test_a_rebuild_of_an_earlier_point_releases_nothing(story: Story, earlier: labs.Lab) -> None:
    reach = labs.service_account_kubeconfig(earlier)
    found = story.run("plan", "--at", story.old, "-o", "json", on=reach, code=1).json["outward"]
    assert len(found["held"]) == len(LIVE) + 1
    found = story.run("rebuild", "--yes", "--at", story.old, "-o", "json", on=reach).json
    assert found["complete"]
    assert {each["ref"]["kind"] for each in found["outward"]["held"]} == {
        "CronJob",
        "Deployment",
        "StatefulSet",
        "Kustomization",
        "Application",
        "Bucket",
        "ClusterIssuer",
        "HorizontalPodAutoscaler",
    }
    assert "is a newer recovery point" in found["outward"]["stays"]
    assert found["outward"]["releasedBy"] == f"gitops-dr rebuild --release --at {story.old[:12]}"
    assert found["released"] == []
    connection = connect(earlier.kubeconfig, earlier.name)
    assert live(connection) == set()
    connection.json("GET", f"{CERTIFICATES}/site")


def test_that_is_said_again_and_by_drift(story: Story, earlier: labs.Lab) -> None:
    reach = labs.service_account_kubeconfig(earlier)
    again = story.run("rebuild", "--yes", "--at", story.old, on=reach).out
    assert "nothing to do" in again
    assert "stays held, since" in again
    assert f"gitops-dr rebuild --release --at {story.old[:12]}" in again
    found = story.run("drift", "--at", story.old, "-o", "json", on=reach, code=1).json
    differences = {(d["ref"]["kind"], d["ref"]["name"]): d["held"] for d in found["differences"]}
    assert len(differences) == len(LIVE) + 1
    assert differences["CronJob", "nightly"].startswith("held by spec.suspend: ")
    assert differences["ClusterIssuer", "le"].startswith("not made yet: ")
    assert all(f"rebuild --release --at {story.old[:12]}" in told for told in differences.values())


def test_a_part_is_released_by_its_name_and_the_rest_in_one_go(
    story: Story, earlier: labs.Lab
) -> None:
    reach = labs.service_account_kubeconfig(earlier)
    part = ("--release", "--ref", "CronJob.batch/shop/nightly")
    story.run("rebuild", "--yes", "--at", story.old, *part, on=reach)
    connection = connect(earlier.kubeconfig, earlier.name)
    assert live(connection) == {"cronjobs"}
    asked = story.run("rebuild", "--at", story.old, "--release", on=reach, code=6)
    assert "released when everything else is there" in asked.err
    found = story.run("rebuild", "--yes", "--at", story.old, "--release", "-o", "json", on=reach)
    assert found.json["complete"]
    assert found.json["outward"]["held"] == []
    assert live(connection) == EVERY
    assert connection.json("GET", f"{CRON}/asleep")["spec"]["suspend"] is True
    story.run("drift", "--at", story.old, on=reach)
    again = story.run("rebuild", "--yes", "--at", story.old, "-o", "json", on=reach).json
    assert again["outcomes"] == []
    assert again["outward"]["held"] == []


def test_the_newest_point_is_released_when_everything_else_is_ready(
    story: Story, tmp_path: Path
) -> None:
    audit = tmp_path / "audit.log"
    flags = (f"--audit-policy-file={POLICY}",)
    with labs.running("outward-newest", audit_log=audit, api_server_flags=flags) as lab:
        reach = labs.service_account_kubeconfig(lab)
        found = story.run("rebuild", "--yes", "--no-release", "-o", "json", on=reach).json
        assert found["outward"]["stays"] == "--no-release was said"
        connection = connect(lab.kubeconfig, lab.name)
        assert live(connection) == set()
        # As after a rebuild that was killed between the two.
        merge(connection, f"{APPS}/web", {"spec": {"paused": True}})
        stopped = story.run("rebuild", "--yes", "-o", "json", on=reach, code=3).json
        assert stopped["outward"]["stays"] == "Deployment.apps/shop/web is modified"
        assert live(connection) == set()
        connection.request("DELETE", f"{APPS}/web")
        done = story.run("rebuild", "--yes", "-o", "json", on=reach).json
        assert done["complete"]
        assert len(done["released"]) == len(LIVE) + 1
        assert "release" in done["seconds"]
        assert live(connection) == EVERY
        story.run("drift", on=reach)
    moments = [orjson.loads(line) for line in audit.read_bytes().splitlines()]
    ready = first(moments, "deployments", "web", is_ready, last=True)
    for key, is_live in LIVE.items():
        told = [
            (m["stageTimestamp"], m["verb"], m["requestURI"], m.get("userAgent"))
            for m in moments
            if (m.get("objectRef") or {}).get("name") == key[1]
        ]
        assert first(moments, *key, is_live) > ready, (key, told)


def is_ready(body: dict) -> bool:
    return (body.get("status") or {}).get("readyReplicas") == 1


def first(moments: list[dict], plural: str, name: str, holds, *, last: bool = False) -> str:
    """When an object was first stored so that something holds of it; or when first once more."""
    found, before = "", False
    for moment in moments:
        ref, body = moment.get("objectRef") or {}, moment.get("responseObject") or {}
        if (ref.get("resource"), ref.get("name")) != (plural, name) or "spec" not in body:
            continue
        if "dryRun=" in moment["requestURI"] or body["kind"] in ("Scale", "Status"):
            continue
        now = holds(body)
        if now and not before and (last or not found):
            found = moment["stageTimestamp"]
        before = now
    assert found
    return found


def test_a_target_holds_it_until_it_was_failed_over_to(story: Story) -> None:
    """Hot as it is; with namespaces of its own names, and a template that acts outward."""
    with labs.running("outward-target") as lab:
        reach = labs.service_account_kubeconfig(lab)
        connection = connect(lab.kubeconfig, lab.name)
        own = {"apiVersion": "batch/v1", "kind": "CronJob", **cron_job("own")}
        own["metadata"]["namespace"] = "shop"
        folder = story.repo / "targets/standby"
        (folder / "templates").mkdir(parents=True)
        (folder / "templates/own.yaml").write_bytes(orjson.dumps(own))

        def commit(*, active: bool) -> None:
            text = f"format: 1\ncontext: {lab.name}\nstrategy: hot\nactive: {str(active).lower()}\n"
            (folder / "target.yaml").write_text(text)
            commit_all(story.repo, f"active: {active}")

        def sync(code: int = 0) -> dict:
            flags = ("--target", "standby", "--yes", "-o", "json")
            return story.run("sync", *flags, on=reach, code=code).json

        def is_suspended(name: str) -> bool:
            return connection.json("GET", f"{CRON}/{name}")["spec"]["suspend"]

        commit(active=True)
        found = sync()
        assert found["outward"]["held"] == []
        assert live(connection) == EVERY
        assert not is_suspended("own")
        assert sync()["outcomes"] == []
        # Back again: it is a standby once more.
        commit(active=False)
        # What an autoscaler scales is stopped once that is gone.
        found = sync(code=3)
        assert [d["ref"]["name"] for d in found["differences"]] == ["names"]
        assert {each["ref"]["kind"] for each in found["pruned"]} == {
            "ClusterIssuer",
            "HorizontalPodAutoscaler",
        }
        found = sync()
        assert found["complete"]
        assert found["outward"]["stays"] == "target standby was not failed over to"
        assert live(connection) == set()
        assert is_suspended("own")
        story.run("drift", "--target", "standby", on=reach)
        asked = ("--target", "standby", "--release", "--yes")
        assert "failover --target standby" in story.run("rebuild", *asked, on=reach, code=2).err
        commit(active=True)
        assert sync()["complete"]
        assert live(connection) == EVERY
        assert not is_suspended("own")
        assert is_suspended("asleep")
