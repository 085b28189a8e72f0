"""What an API server refuses or a storage cannot do, told before: the server has the last word."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lasting_faults
import orjson
import pytest
from campaigns.independent import Api
from command import Said, commit_all, gitops_dr

from gitops_dr import lab as labs
from gitops_dr.cluster.connect import ApiError, connect
from gitops_dr.desired.recovery import COVERAGE, Coverage, write_coverage
from gitops_dr.model import Resource

pytestmark = pytest.mark.lab

CLUSTER = "refused"
RBAC = "rbac.authorization.k8s.io"
RBAC_PATH = f"/apis/{RBAC}/v1"
STORAGE = "storage.k8s.io/v1"
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
HOOKS = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"
KINDS = (
    Resource("", "v1", "ConfigMap", "configmaps", namespaced=True),
    Resource("", "v1", "Namespace", "namespaces", namespaced=False),
)


@dataclass
class Story:
    lab: labs.Lab
    api: Api
    uid: str
    folder: Path

    def repository(self, name: str, files: dict[str, list[Any]], **texts: str) -> Path:
        """What an export might have left of these objects, by folder; and other files."""
        path = self.folder / name
        assert gitops_dr("init", str(path), "--cluster", CLUSTER).code == 0
        root = path / "clusters" / CLUSTER
        for place, bodies in files.items():
            (root / place).mkdir(parents=True)
            for body in bodies:
                (root / place / f"{body['metadata']['name']}.yaml").write_bytes(orjson.dumps(body))
        coverage = root / COVERAGE
        coverage.parent.mkdir(parents=True, exist_ok=True)
        coverage.write_bytes(
            write_coverage(Coverage(self.uid, "v1.37.0", tuple((k, 0) for k in KINDS)))
        )
        for place, text in texts.items():
            file = path / place
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        commit_all(path, f"A recovery point\n\nCluster: {CLUSTER}")
        return path

    def checks(self, repo: Path, kubeconfig: Path, *more: str) -> dict[str, Any]:
        arguments = ("plan", "--checks-only", "--repo", str(repo), "-o", "json", *more)
        said = gitops_dr(*arguments, kubeconfig=kubeconfig)
        assert said.code in (0, 3), said.err
        assert "hunter2" not in said.out + said.err
        return {one["id"]: one for one in said.json["checks"]}


@pytest.fixture(scope="module")
def story(lab_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    with labs.running("refusals") as lab, Api(lab.server, lab.pki) as api:
        uid = api.get("/api/v1/namespaces/kube-system")["metadata"]["uid"]
        yield Story(lab, api, uid, tmp_path_factory.mktemp("refusals"))


@pytest.fixture(scope="module")
def admin(story: Story) -> Path:
    return labs.service_account_kubeconfig(story.lab)


def manifest(version: str, kind: str, name: str, namespace: str = "", **parts: Any) -> Any:
    metadata = {"name": name} | ({"namespace": namespace} if namespace else {})
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **parts}


def told(check: dict[str, Any]) -> list[str]:
    return [f"{f['severity']}: {f['about']}: {f['reason']}" for f in check["findings"]]


# -- rights that are given -----------------------------------------------------------------------


def rule(verbs: str, resources: str = "*", group: str = "*", **more: Any) -> dict[str, Any]:
    return {
        "apiGroups": [group],
        "resources": resources.split(),
        "verbs": verbs.split(),
        **more,
    }


def role(name: str, *rules: Any, kind: str = "Role", **more: Any) -> Any:
    namespace = "given" if kind == "Role" else ""
    return manifest(f"{RBAC}/v1", kind, name, namespace, rules=list(rules), **more)


def binding(name: str, to: str, kind: str = "Role") -> Any:
    reference = {"apiGroup": RBAC, "kind": kind, "name": to}
    who = [{"kind": "ServiceAccount", "namespace": "given", "name": "somebody"}]
    version = f"{RBAC}/v1"
    return manifest(version, "RoleBinding", name, "given", roleRef=reference, subjects=who)


MAKER = [
    rule("get list watch"),
    rule("create", "namespaces", ""),
    rule("create", "roles rolebindings clusterroles", RBAC),
    rule("bind", "clusterroles", RBAC, resourceNames=["edit"]),
]
GATHERED = {"clusterRoleSelectors": [{"matchLabels": {"nobody": "has-it"}}]}
ROLES = [
    role("reads", rule("get list", "pods secrets", "")),
    role("reads-one", rule("get", "configmaps", "", resourceNames=["one"])),
    role("writes", rule("get list", "pods", ""), rule("create", "pods", "")),
    role("does-all", rule("*")),
]
CLUSTER_ROLES = [
    role("health", {"nonResourceURLs": ["/healthz"], "verbs": ["get"]}, kind="ClusterRole"),
    role("metrics", {"nonResourceURLs": ["/metrics"], "verbs": ["get"]}, kind="ClusterRole"),
    role("gathers", kind="ClusterRole", aggregationRule=GATHERED),
]
BINDINGS = [
    binding("to-reads", "reads"),
    binding("to-writes", "writes"),
    binding("to-edit", "edit", "ClusterRole"),
    binding("to-view", "view", "ClusterRole"),
    binding("to-admin", "admin", "ClusterRole"),
    binding("to-nobody", "nobody", "ClusterRole"),
]
PATHS = {
    "Role": f"{RBAC_PATH}/namespaces/given/roles",
    "ClusterRole": f"{RBAC_PATH}/clusterroles",
    "RoleBinding": f"{RBAC_PATH}/namespaces/given/rolebindings",
}


def test_the_roles_and_bindings_are_told_that_the_server_refuses(story: Story) -> None:
    api = story.api
    maker = role("maker", *MAKER, kind="ClusterRole")
    lasting_faults.post(api, f"{RBAC_PATH}/clusterroles", maker)
    kubeconfig = labs.service_account_kubeconfig(story.lab, "maker")
    files = {
        "cluster/namespaces": [manifest("v1", "Namespace", "given")],
        f"cluster/clusterroles.{RBAC}": CLUSTER_ROLES,
        f"namespaces/given/roles.{RBAC}": ROLES,
        f"namespaces/given/rolebindings.{RBAC}": BINDINGS,
    }
    repo = story.repository("rights", files)
    found = told(story.checks(repo, kubeconfig)["escalation"])
    names = {line.split(": ")[1].rpartition("/")[2] for line in found if "/" in line}

    # The server's own word: roles are made by others first, so that bindings have what to give.
    lasting_faults.namespace(api, "given")
    connection = connect(kubeconfig, None)
    refused: set[tuple[str, int]] = set()
    for body in (*ROLES, *CLUSTER_ROLES, *BINDINGS):
        path = PATHS[body["kind"]]
        data = orjson.dumps(body)
        try:
            connection.request("POST", path, query={"dryRun": "All"}, body=data)
        except ApiError as error:
            refused.add((body["metadata"]["name"], error.status))
        if body["kind"] == "Role":
            lasting_faults.post(api, path, body)
    assert refused == {
        *((name, 403) for name in ("writes", "does-all", "metrics", "gathers")),
        *(("to-writes", 403), ("to-admin", 403), ("to-nobody", 404)),
    }
    # The first five are told one by one, of the others their number.
    assert len(names) == 5
    assert names < {name for name, _ in refused}
    assert found[-1].endswith("may not make 2 more roles and bindings, of the same reason")


def test_who_may_do_everything_is_asked_for_nothing_more(story: Story, admin: Path) -> None:
    files = {
        "cluster/namespaces": [manifest("v1", "Namespace", "all")],
        f"cluster/clusterroles.{RBAC}": [role("all", rule("*"), kind="ClusterRole")],
    }
    repo = story.repository("everything", files)
    assert story.checks(repo, admin)["escalation"]["standing"] == "ok"


# -- definitions ---------------------------------------------------------------------------------


def definition(*versions: str, stored: str) -> Any:
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    spec = {
        "group": "refused.example.com",
        "names": {
            "kind": "Thing",
            "plural": "things",
            "singular": "thing",
            "listKind": "ThingList",
        },
        "scope": "Namespaced",
        "versions": [
            {"name": name, "served": True, "storage": name == stored, "schema": schema}
            for name in versions
        ],
    }
    name = "things.refused.example.com"
    return manifest("apiextensions.k8s.io/v1", "CustomResourceDefinition", name, spec=spec)


def test_a_definition_that_drops_a_stored_version_stops_the_plan(story: Story, admin: Path) -> None:
    api = story.api
    lasting_faults.post(api, CRDS, definition("v1", "v2", stored="v1"))
    path = f"{CRDS}/things.refused.example.com"
    lasting_faults.until(lambda: api.get(path)["status"].get("storedVersions"), "it is stored")
    merge = "application/merge-patch+json"
    newer = {"spec": definition("v1", "v2", stored="v2")["spec"]}
    assert api.call("PATCH", path, newer, merge)[0] == 200
    lasting_faults.until(
        lambda: api.get(path)["status"]["storedVersions"] == ["v1", "v2"], "both are stored"
    )
    folder = "cluster/customresourcedefinitions.apiextensions.k8s.io"
    repo = story.repository("versions", {folder: [definition("v2", stored="v2")]})
    # Left as it is there, it stops nothing.
    assert story.checks(repo, admin)["stored-versions"]["standing"] == "ok"
    (line,) = told(story.checks(repo, admin, "--overwrite")["stored-versions"])
    assert line.startswith(
        "warning: CustomResourceDefinition.apiextensions.k8s.io/things.refused.example.com: Git no "
        "longer has version v1, "
    )
    said = gitops_dr("rebuild", "--repo", str(repo), "--overwrite", "--yes", kubeconfig=admin)
    assert said.code == 3, said.err
    assert "things.refused.example.com" in said.out
    # So does the server.
    status, answer = api.call("PATCH", path, {"spec": definition("v2", stored="v2")["spec"]}, merge)
    assert status == 422, answer
    assert "status.storedVersions" in answer["message"]
    # Once nothing is stored in it any more, nothing is in the way.
    done = {"status": {"storedVersions": ["v2"]}}
    assert api.call("PATCH", f"{path}/status", done, merge)[0] == 200
    assert story.checks(repo, admin, "--overwrite")["stored-versions"]["standing"] == "ok"


# -- webhooks outside ----------------------------------------------------------------------------


def test_a_webhook_outside_the_cluster_is_told_and_its_url_is_not(
    story: Story, admin: Path
) -> None:
    asked = {
        "apiGroups": [""],
        "apiVersions": ["v1"],
        "operations": ["CREATE"],
        "resources": ["configmaps"],
    }
    hook = {
        "name": "outside.example.com",
        "admissionReviewVersions": ["v1"],
        "sideEffects": "None",
        "failurePolicy": "Fail",
        "timeoutSeconds": 1,
        "clientConfig": {"url": "https://hooks.invalid:8443/in/hunter2"},
        "rules": [asked],
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "hooked"}},
    }
    version = "admissionregistration.k8s.io/v1"
    body = manifest(version, "ValidatingWebhookConfiguration", "outside", webhooks=[hook])
    lasting_faults.post(story.api, HOOKS, body)
    files = {
        "cluster/namespaces": [manifest("v1", "Namespace", name) for name in ("hooked", "free")],
        "namespaces/hooked/configmaps": [manifest("v1", "ConfigMap", "asked", "hooked")],
        "namespaces/free/configmaps": [manifest("v1", "ConfigMap", "free", "free")],
    }
    checks = story.checks(story.repository("hooks", files), admin)
    (line,) = told(checks["webhook-urls"])
    assert "is asked at hooks.invalid:8443, outside the cluster" in line
    assert line.endswith("it is asked about ConfigMap/hooked/asked")
    assert checks["webhooks"]["standing"] == "ok"


# -- storage -------------------------------------------------------------------------------------


def storage_class(name: str, **parts: Any) -> Any:
    return manifest(STORAGE, "StorageClass", name, provisioner="room.csi.example.com", **parts)


def claim(name: str, size: str, of: str) -> Any:
    spec = {
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": of,
        "resources": {"requests": {"storage": size}},
    }
    return manifest("v1", "PersistentVolumeClaim", name, "stored", spec=spec)


def test_classes_that_make_other_volumes_and_storage_without_room(
    story: Story, admin: Path
) -> None:
    api, root = story.api, f"/apis/{STORAGE}"
    late = {"volumeBindingMode": "WaitForFirstConsumer"}
    kept, there = {"reclaimPolicy": "Retain", **late}, {"reclaimPolicy": "Delete"}
    venus = {"matchLabelExpressions": [{"key": "topology.kubernetes.io/zone", "values": ["venus"]}]}
    for zone in ("earth", "mars"):
        node = manifest("v1", "Node", f"{zone}-1")
        node["metadata"]["labels"] = {"topology.kubernetes.io/zone": zone}
        lasting_faults.post(api, "/api/v1/nodes", node)
    for body in (
        storage_class("other", **there),
        storage_class("late", **late),
        storage_class("far", **late, allowedTopologies=[venus]),
    ):
        lasting_faults.post(api, f"{root}/storageclasses", body)
    driver = manifest(STORAGE, "CSIDriver", "room.csi.example.com", spec={"storageCapacity": True})
    lasting_faults.post(api, f"{root}/csidrivers", driver)
    for name, of, capacity in (
        ("one", "late", "1Gi"),
        ("two", "late", "3Gi"),
        ("far", "far", "9Gi"),
    ):
        lasting_faults.post(
            api,
            f"{root}/namespaces/kube-system/csistoragecapacities",
            manifest(
                STORAGE,
                "CSIStorageCapacity",
                name,
                "kube-system",
                storageClassName=of,
                capacity=capacity,
                nodeTopology={"matchLabels": {"topology.kubernetes.io/zone": "earth"}},
            ),
        )
    files = {
        "cluster/namespaces": [manifest("v1", "Namespace", "stored")],
        "cluster/storageclasses.storage.k8s.io": [
            storage_class("other", **kept),
            storage_class("late", **late),
            storage_class("far", **late, allowedTopologies=[venus]),
        ],
        "namespaces/stored/persistentvolumeclaims": [
            claim("kept", "1Gi", "other"),
            *(claim(f"late-{n}", "2Gi", "late") for n in range(2)),
            claim("large", "4Gi", "late"),
            claim("far", "1Gi", "far"),
        ],
    }
    checks = story.checks(story.repository("storage", files), admin)
    lines = told(checks["storage-classes"])
    about = "warning: StorageClass.storage.k8s.io/"
    of = "PersistentVolumeClaim/stored/"
    assert len(lines) == 3
    place = "topology.kubernetes.io/zone venus"
    assert lines[0].startswith(f"{about}far: makes volumes in {place} only, and no node is there")
    assert lines[1].startswith(f"{about}other: deletes a volume with its claim, and the source's")
    assert lines[2].startswith(
        f"{about}other: makes volumes at once, in any zone, and the source's"
    )
    assert told(checks["storage-room"]) == [
        f"{about}late: has room for a volume of 3Gi at most, and 4Gi is asked for by {of}large"
    ]


# -- a failover, before it -----------------------------------------------------------------------


def test_doctor_says_what_a_failover_lacks_at_both_ends(
    story: Story, admin: Path, tmp_path: Path
) -> None:
    """Source and target are one cluster here: the target pins it, so that it is meant."""
    reads = role("only-reads", rule("get list watch"), kind="ClusterRole")
    lasting_faults.post(story.api, f"{RBAC_PATH}/clusterroles", reads)
    reader = labs.service_account_kubeconfig(story.lab, "only-reads")
    config = json.loads(admin.read_text())
    weak = json.loads(reader.read_text())["users"][0]["user"]
    (cluster,) = config["clusters"]
    strong = config["users"][0]["user"]
    config["users"] = [{"name": "primary", "user": weak}, {"name": "standby", "user": strong}]
    config["contexts"] = [
        {"name": name, "context": {"cluster": cluster["name"], "user": name}}
        for name in ("primary", "standby")
    ]
    config["current-context"] = "standby"
    kubeconfig = tmp_path / "both"
    kubeconfig.touch(mode=0o600)
    kubeconfig.write_text(json.dumps(config))
    target = f"format: 1\ncluster: {CLUSTER}\ncontext: standby\nuid: {{uid}}\n"
    settings = f"format: 1\nclusters:\n  {CLUSTER}:\n    context: {{context}}\n"
    files = {
        "cluster/namespaces": [manifest("v1", "Namespace", "stored")],
        "namespaces/stored/persistentvolumeclaims": [claim("data", "1Gi", "late")],
    }

    def run(name: str, *, uid: str, context: str) -> tuple[Said, dict[str, Any]]:
        repo = story.repository(
            name,
            files,
            **{
                "targets/standby/target.yaml": target.format(uid=uid),
                "gitops-dr.yaml": settings.format(context=context),
            },
        )
        said = gitops_dr(
            *("doctor", "--for", "failover", "--target", "standby"),
            *("--repo", str(repo), "-o", "json"),
            kubeconfig=kubeconfig,
        )
        return said, {one["id"]: one for one in said.json["checks"]}

    said, checks = run("both", uid=story.uid, context="primary")
    for calm in ("target", "source", "permissions", "identities"):
        assert checks[calm]["standing"] == "ok", checks[calm]
    lines = told(checks["fence"])
    assert any("may not patch deployments.apps, and so failover --fence does" in x for x in lines)
    assert not any("may not list" in line for line in lines)
    assert "of context primary" in told(checks["last-point"])[0]
    (line,) = told(checks["recovery-point"])
    assert line.startswith(
        "warning: PersistentVolumeClaim/stored/data: comes back without its data"
    )

    said, checks = run("strong", uid=story.uid, context="standby")
    assert checks["fence"]["standing"] == "ok"
    assert not any("may not" in line for line in told(checks["last-point"]))

    said, checks = run("dead", uid="another", context="gone")
    assert "this is not its cluster" in told(checks["target"])[0]
    assert "cannot be asked" in told(checks["source"])[0]
    assert checks["fence"]["standing"] == checks["last-point"]["standing"] == "not known"
    assert said.code == 3
    usage = gitops_dr("doctor", "--for", "failover", kubeconfig=kubeconfig)
    assert usage.code == 2
    assert "no target is named" in usage.err
