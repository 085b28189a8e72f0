"""Fields that the API server never changes: named in the plan, replaced on demand, never with loss.

One lab as an ordinary ServiceAccount; Git is changed, and the cluster is to follow.
"""

from pathlib import Path
from typing import Any

import pytest
import yaml
from api_server import ApiServer
from command import Said, git, gitops_dr

from gitops_dr import lab as labs
from gitops_dr.cluster.connect import connect

pytestmark = pytest.mark.lab

LABELS = {"app": "a"}
POD = {
    "metadata": {"labels": {**LABELS, "tier": "b"}},
    "spec": {"containers": [{"name": "a", "image": "registry.example.com/a:1"}]},
}
CRD = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "things.example.com"},
    "spec": {
        "group": "example.com",
        "scope": "Namespaced",
        "names": {"plural": "things", "singular": "thing", "kind": "Thing"},
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
                                    "size": {
                                        "type": "string",
                                        "maxLength": 9,
                                        "x-kubernetes-validations": [
                                            {"rule": "self == oldSelf", "message": "for ever"}
                                        ],
                                    }
                                },
                            }
                        },
                    }
                },
            }
        ],
    },
}


def body(api_version: str, kind: str, name: str, **parts: Any) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "shop", **parts.pop("metadata", {})}
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **parts}


def workload(kind: str, name: str, **spec: Any) -> dict[str, Any]:
    spec = {"selector": {"matchLabels": LABELS}, "template": POD, "replicas": 1, **spec}
    return body("apps/v1", kind, name, spec=spec)


CLAIM_SPEC = {
    "accessModes": ["ReadWriteOnce"],
    "resources": {"requests": {"storage": "1Mi"}},
    "storageClassName": "directory",
}
CLAIM = body("v1", "PersistentVolumeClaim", "data", spec=CLAIM_SPEC)
THING = body("example.com/v1", "Thing", "plain", spec={"size": "s"})
GUARDED = body(
    "example.com/v1",
    "Thing",
    "guarded",
    metadata={"finalizers": ["example.com/database"]},
    spec={"size": "s"},
)
STATEFUL = workload(
    "StatefulSet",
    "db",
    serviceName="db",
    volumeClaimTemplates=[{"metadata": {"name": "v"}, "spec": CLAIM_SPEC}],
    persistentVolumeClaimRetentionPolicy={"whenDeleted": "Delete", "whenScaled": "Retain"},
    selector={"matchLabels": {"app": "db"}},
    template={**POD, "metadata": {"labels": {"app": "db"}}},
)
OBJECTS = [
    workload("Deployment", "web"),
    workload("Deployment", "owner", selector={"matchLabels": {"app": "a", "tier": "b"}}),
    STATEFUL,
    body("v1", "ConfigMap", "fixed", data={"a": "1"}, immutable=True),
    body("v1", "Service", "web", spec={"selector": LABELS, "ports": [{"port": 80}]}),
    body(
        "rbac.authorization.k8s.io/v1",
        "RoleBinding",
        "view",
        roleRef={"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"},
        subjects=[{"kind": "ServiceAccount", "name": "default", "namespace": "shop"}],
    ),
    CLAIM,
    THING,
    GUARDED,
]


class Place:
    def __init__(self, repo: Path, lab: Any) -> None:
        self.repo = repo
        self.kubeconfig = labs.service_account_kubeconfig(lab)
        self.api = ApiServer(connect(lab.kubeconfig, lab.name))

    def run(self, verb: str, *arguments: str) -> Said:
        return gitops_dr(verb, *arguments, "--repo", str(self.repo), kubeconfig=self.kubeconfig)

    def change(self, made: dict[str, Any], **spec: Any) -> None:
        """Change an object in Git; fields of its spec, or of itself with a leading underscore."""
        name = f"{self.api.resource(made).plural}{self._group(made)}"
        file = self.repo / f"clusters/prod/namespaces/shop/{name}/{made['metadata']['name']}.yaml"
        document = yaml.safe_load(file.read_text())
        for key, value in spec.items():
            place = document if key.startswith("_") else document["spec"]
            place[key.removeprefix("_")] = value
        file.write_text(yaml.safe_dump(document))
        git(self.repo, "commit", "--all", "--quiet", "--message", "Another")

    @staticmethod
    def _group(made: dict[str, Any]) -> str:
        group, _, _ = made["apiVersion"].rpartition("/")
        return f".{group}" if group else ""

    def plan(self, *flags: str, code: int) -> dict[str, dict[str, Any]]:
        said = self.run("plan", "--overwrite", "-o", "json", *flags)
        assert said.code == code, said.out + said.err
        return {f"{step['ref']['kind']}/{step['ref']['name']}": step for step in said.json["steps"]}

    def rebuild(self, *flags: str, code: int) -> dict[str, dict[str, Any]]:
        said = self.run("rebuild", "--overwrite", "--yes", "-o", "json", "--timeout", "60", *flags)
        assert said.code == code, said.out + said.err
        return {f"{o['ref']['kind']}/{o['ref']['name']}": o for o in said.json["outcomes"]}

    def uid(self, made: dict[str, Any]) -> str:
        return str(self.api.listed(made)["metadata"]["uid"])


@pytest.fixture(scope="module")
def place(lab_home: Path, tmp_path_factory: pytest.TempPathFactory):
    repo = tmp_path_factory.mktemp("replace") / "repository"
    with labs.running("replace") as lab:
        made = Place(repo, lab)
        made.api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}})
        made.api.define(CRD)
        for each in OBJECTS:
            made.api.create(each)
        owner = made.api.listed(OBJECTS[1])["metadata"]
        reference = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "owner"}
        made.api.patch(
            CLAIM, {"metadata": {"ownerReferences": [{**reference, "uid": owner["uid"]}]}}
        )
        for workload_ in OBJECTS[:3]:
            made.api.until(workload_, lambda live: live["status"].get("readyReplicas") == 1)
        assert gitops_dr("init", str(repo), "--cluster", "prod").code == 0
        said = made.run("export")
        assert said.code == 0, said.out + said.err
        yield made


def test_it_is_named_in_the_plan_and_fails_unless_it_may_be_replaced(place):
    """Without --replace nothing is deleted, and each is named with its field."""
    web, *_ = OBJECTS
    before = place.uid(web)
    place.change(web, selector={"matchLabels": {"tier": "b"}})
    found = place.plan(code=3)["Deployment/web"]
    assert found["action"] == "configure"
    assert found["reason"] == (
        "cannot be changed in place: spec.selector.matchLabels.app, spec.selector.matchLabels.tier;"
        " --replace deletes it and makes it again"
    )
    outcome = place.rebuild(code=3)["Deployment/web"]
    assert outcome["result"] == "failed"
    assert "immutable" in outcome["reason"]
    assert "--replace" in outcome["reason"]
    assert place.uid(web) == before


def test_a_deployment_is_replaced_and_its_pods_come_anew(place):
    web, *_ = OBJECTS
    before = place.uid(web)
    assert place.plan("--replace", code=1)["Deployment/web"]["action"] == "replace"
    asked = place.run("rebuild", "--overwrite", "--replace")
    assert asked.code == 6
    assert "Deleted and made again:" in asked.err
    outcome = place.rebuild("--replace", code=0)["Deployment/web"]
    assert (outcome["action"], outcome["result"]) == ("replace", "done")
    assert place.uid(web) != before
    sets = place.api.connection.json("GET", "/apis/apps/v1/namespaces/shop/replicasets")["items"]
    owners = {ref["uid"] for s in sets for ref in s["metadata"]["ownerReferences"]}
    assert place.uid(web) in owners
    assert place.rebuild("--replace", code=0) == {}


def test_pods_and_claims_of_a_stateful_set_live_on(place):
    """Although its own policy is to delete its claims with it."""
    pod = body("v1", "Pod", "db-0")
    claim = body("v1", "PersistentVolumeClaim", "v-db-0")
    before = place.uid(STATEFUL), place.uid(pod), place.uid(claim)
    place.change(STATEFUL, podManagementPolicy="Parallel")
    assert place.rebuild("--replace", code=0)["StatefulSet/db"]["action"] == "replace"
    after = place.uid(STATEFUL)
    assert after != before[0]
    owned = place.api.until(
        pod, lambda live: live["metadata"]["ownerReferences"][0]["uid"] == after
    )
    assert owned["metadata"]["uid"] == before[1]
    assert place.uid(claim) == before[2]
    assert not place.api.listed(claim)["metadata"].get("deletionTimestamp")


@pytest.mark.parametrize(
    ("name", "change", "field"),
    [
        ("ConfigMap/fixed", {"_data": {"a": "2"}}, "data.a"),
        ("Service/web", {"clusterIP": "None"}, "spec.clusterIP"),
        (
            "RoleBinding/view",
            {
                "_roleRef": {
                    "apiGroup": "rbac.authorization.k8s.io",
                    "kind": "ClusterRole",
                    "name": "edit",
                }
            },
            "roleRef.name",
        ),
        ("Thing/plain", {"size": "l"}, "spec.size"),
    ],
    ids=["immutable", "Service", "RoleBinding", "custom resource"],
)
def test_what_can_be_made_again_is(place, name, change, field):
    made = next(each for each in OBJECTS if f"{each['kind']}/{each['metadata']['name']}" == name)
    before = place.uid(made)
    place.change(made, **change)
    found = place.plan(code=3)[name]
    assert field in found["reason"]
    assert place.plan("--replace", code=1)[name]["action"] == "replace"
    outcome = place.rebuild("--replace", code=0)[name]
    assert outcome["action"] == "replace"
    # A custom resource that reports nothing is not observable.
    assert outcome["result"] in ("done", "unobservable")
    assert place.uid(made) != before
    assert place.run("drift").code == 0


@pytest.mark.parametrize(
    ("made", "change", "said"),
    [
        (CLAIM, {"accessModes": ["ReadWriteMany"]}, "The data goes with it."),
        (GUARDED, {"size": "l"}, "example.com/database"),
        (
            OBJECTS[1],
            {"selector": {"matchLabels": LABELS}},
            "PersistentVolumeClaim/shop/data, which it owns, would go with it.",
        ),
    ],
    ids=["a claim", "a finalizer", "an owned claim"],
)
def test_what_would_be_lost_is_refused_by_name(place, made, change, said):
    name = f"{made['kind']}/{made['metadata']['name']}"
    before = place.uid(made)
    place.change(made, **change)
    found = place.plan("--replace", code=3)[name]
    assert found["action"] == "configure"
    assert said in found["reason"]
    outcome = place.rebuild("--replace", code=3)[name]
    assert outcome["result"] == "failed"
    assert said in outcome["reason"]
    assert place.uid(made) == before
    git(place.repo, "revert", "--no-edit", "HEAD")


def test_a_change_that_is_wrong_in_itself_is_no_reason_to_replace(place):
    """Made anew it would be refused just the same, and the old one would be gone."""
    place.change(THING, size="far too long a size")
    found = place.plan("--replace", code=1)["Thing/plain"]
    assert (found["action"], found["reason"]) == ("configure", "")
    before = place.uid(THING)
    assert place.rebuild("--replace", code=3)["Thing/plain"]["result"] == "failed"
    assert place.uid(THING) == before
    git(place.repo, "revert", "--no-edit", "HEAD")


def test_a_binding_that_gives_us_our_rights_stays(place):
    """Without it nobody could make it again."""
    account = place.api.connection.json(
        "GET", "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings"
    )["items"]
    ours = [
        b
        for b in account
        for s in b.get("subjects") or ()
        if s["kind"] == "ServiceAccount" and b["roleRef"]["name"] == "cluster-admin"
    ]
    assert ours, "the lab binds the account to cluster-admin"
    subject = ours[0]["subjects"][0]
    extra = body(
        "rbac.authorization.k8s.io/v1",
        "RoleBinding",
        "also-ours",
        roleRef={"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"},
        subjects=[subject],
    )
    place.api.create(extra)
    assert place.run("export").code == 0
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "edit"}
    place.change(extra, _roleRef=role)
    found = place.plan("--replace", code=3)["RoleBinding/also-ours"]
    assert found["action"] == "configure"
    assert "It gives the rights by which this is done." in found["reason"]


def test_replacing_is_only_for_what_is_overwritten(place):
    said = place.run("rebuild", "--replace", "--yes")
    assert said.code == 2
    assert "--overwrite" in said.err
