"""A standby from a target's file, on real control planes: built, equal, and its drift seen alone.

The tests of this file tell one story and run in its order.
"""

from __future__ import annotations

import base64
import os
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyrage
import pytest
from command import Said, commit_all, gitops_dr
from stateful import App, Cluster

from gitops_dr import lab as labs
from gitops_dr.secrets.sops import seal

pytestmark = pytest.mark.lab

CANARY, OTHER, TOKEN = "canary-at-the-source", "canary-at-the-standby", "canary-of-values"
APP = App("shop", "Deployment", "directory")
AT = "/api/v1/namespaces"
SPACE = f"{AT}/shop"


def coded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def secret(name: str, **data: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"namespace": "shop", "name": name, "labels": {"app": "shop"}},
        "type": "Opaque",
        "data": {key: coded(value) for key, value in data.items()},
    }


def workload(kind: str, **spec: Any) -> dict[str, Any]:
    labels = {"app": kind.lower()}
    return {
        "metadata": {"name": "web"},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    "containers": [{"name": "web", "image": "registry.example.com/shop/web:1"}],
                    "terminationGracePeriodSeconds": 0,
                },
            },
            **spec,
        },
    }


JOB = {
    "template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "a", "image": "a"}]}}
}
OBJECTS: list[tuple[str, dict[str, Any]]] = [
    (f"{SPACE}/secrets", secret("db", password=CANARY)),
    (
        f"{SPACE}/secrets",
        {**secret("tls", **{"tls.crt": CANARY, "tls.key": CANARY}), "type": "kubernetes.io/tls"},
    ),
    (f"{SPACE}/secrets", secret("api", password=CANARY, user="web")),
    (f"{SPACE}/serviceaccounts", {"metadata": {"name": "web"}}),
    (
        f"{SPACE}/services",
        {
            "metadata": {"name": "web"},
            "spec": {"selector": {"app": "web"}, "ports": [{"port": 80, "name": "http"}]},
        },
    ),
    ("/apis/apps/v1/namespaces/shop/deployments", workload("Deployment", replicas=3)),
    (
        "/apis/autoscaling/v2/namespaces/shop/horizontalpodautoscalers",
        {
            "metadata": {"name": "web"},
            "spec": {
                "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
                "maxReplicas": 4,
            },
        },
    ),
    (
        "/apis/batch/v1/namespaces/shop/cronjobs",
        {
            "metadata": {"name": "nightly"},
            "spec": {"schedule": "0 3 1 1 *", "jobTemplate": {"spec": JOB}},
        },
    ),
    (
        "/apis/networking.k8s.io/v1/namespaces/shop/ingresses",
        {
            "metadata": {"name": "web"},
            "spec": {
                "ingressClassName": "public",
                "tls": [{"hosts": ["shop.example.com"], "secretName": "tls"}],
                "rules": [{"host": "shop.example.com"}],
                "defaultBackend": {"service": {"name": "web", "port": {"number": 80}}},
            },
        },
    ),
    (
        "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
        {
            "metadata": {"name": "shop-sees"},
            "roleRef": {
                "apiGroup": "rbac.authorization.k8s.io",
                "kind": "ClusterRole",
                "name": "view",
            },
            "subjects": [{"kind": "ServiceAccount", "name": "web", "namespace": "shop"}],
        },
    ),
]

TARGET = """\
format: 1
context: standby
mappings:
  images: {registry.example.com/: "mirror.example.net/b/"}
  namespaces: {shop: shop-b}
  hosts: {shop.example.com: shop.standby.example}
  storageClasses: {directory: standby-directory}
  ingressClasses: {public: internal}
strategy: warm
values: {city: Graz}
patches:
- kind: Deployment
  namespace: shop
  name: web
  because: The standby has small nodes.
  strategic:
    spec:
      template:
        spec:
          containers:
          - name: web
            env: [{name: CITY, value: "${values.city}"}]
            resources: {requests: {cpu: 10m}}
- kind: Secret
  name: api
  because: The standby has a database of its own.
  strategic: {stringData: {password: "${secrets.token}"}}
"""

TEMPLATE = """\
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: standby-directory}
provisioner: directory.csi.gitops-dr.dev
parameters: {city: {{ values.city | quote }}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: where, namespace: shop-b}
data: {target: {{ target }}, of: {{ cluster }}}
"""


class Story:
    def __init__(self, root: Path, primary: Cluster, standby: Cluster) -> None:
        self.repo, self.primary, self.standby = root / "repository", primary, standby
        identity = pyrage.x25519.Identity.generate()
        self.key, self.recipient = str(identity), str(identity.to_public())
        self.root = root

    def run(self, *arguments: str, key: bool = True, code: int = 0) -> Said:
        files = (self.primary.lab.kubeconfig, self.standby.lab.kubeconfig)
        said = gitops_dr(
            *arguments,
            "--repo",
            str(self.repo),
            environment={
                "HOME": str(self.root),
                "XDG_CONFIG_HOME": "",
                "SOPS_AGE_KEY": self.key if key else "",
                "KUBECONFIG": os.pathsep.join(map(str, files)),
            },
        )
        for value in (CANARY, OTHER, TOKEN):
            assert value not in said.out + said.err
            assert coded(value) not in said.out + said.err
        assert said.code == code, said.out[:4000] + said.err
        return said

    def drift(self, code: int = 0) -> Any:
        return self.run("drift", "--target", "standby", "-o", "json", code=code).json

    def seal(self, path: str, body: dict[str, Any]) -> None:
        file = self.repo / "targets/standby" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(seal(body, [self.recipient], now=datetime.now(UTC)))

    def write(self, path: str, text: str) -> None:
        file = self.repo / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def commit(self) -> None:
        commit_all(self.repo)


@pytest.fixture(scope="module")
def story(lab_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    root = tmp_path_factory.mktemp("targets")
    with (
        tempfile.TemporaryDirectory(prefix="storage-") as storage,
        labs.running("primary", storage=Path(storage)) as source,
        labs.running("standby", storage=Path(storage)) as target,
    ):
        found = Story(root, Cluster(source), Cluster(target))
        assert gitops_dr("init", str(found.repo), "--cluster", "prod").code == 0
        found.write(".sops.yaml", f"creation_rules:\n- path_regex: .*\n  age: {found.recipient}\n")
        found.commit()
        found.primary.start(APP)
        found.primary.write("first", APP)
        for path, body in OBJECTS:
            found.primary.make(path, body)
        yield found


def named(found: Any) -> dict[str, list[str]]:
    return {
        f"{each['ref']['kind']}/{each['ref']['name']}": [one["path"] for one in each["fields"]]
        for each in found["differences"]
    }


def test_the_source_is_exported_with_its_data(story: Story) -> None:
    found = story.run("export", "--volumes", "--context", "primary", "-o", "json").json
    assert found["created"]
    assert [each["claim"]["name"] for each in found["snapshots"]] == ["data"]


def test_a_target_is_read_from_what_is_committed(story: Story) -> None:
    story.write("targets/standby/target.yaml", TARGET)
    story.write("targets/standby/templates/own.yaml.j2", TEMPLATE)
    story.seal(
        "secrets/db.yaml",
        {
            **secret("db", password=OTHER),
            "metadata": {"namespace": "shop-b", "name": "db", "labels": {"app": "shop"}},
        },
    )
    story.seal("secret-values.yaml", secret("values", token=TOKEN))
    said = story.run("render", "--target", "standby", code=2)
    assert "HEAD has no targets/standby/target.yaml" in said.err
    story.commit()
    said = story.run("render", "--target", "standby", key=False)
    assert "mirror.example.net/b/shop/web:1" in said.out
    assert "registry.example.com/shop/web:1" not in said.out


def test_the_diff_names_the_reason_of_each_field(story: Story) -> None:
    found = story.run("render", "--target", "standby", "--diff", "-o", "json", key=False, code=1)
    by_name = {(e["ref"]["kind"], e["ref"]["name"]): e for e in found.json["objects"]}
    reasons = {f["path"]: f["because"] for f in by_name["Deployment", "web"]["fields"]}
    assert reasons["metadata.namespace"] == "mappings.namespaces"
    assert reasons["spec.template.spec.containers[name=web].image"] == "mappings.images"
    assert reasons["spec.replicas"].startswith("standby: ")
    assert reasons["spec.template.spec.containers[name=web].env"] == "The standby has small nodes."
    assert by_name["HorizontalPodAutoscaler", "web"]["state"] == "left out"
    assert by_name["StorageClass", "directory"]["state"] == "left out"
    assert by_name["StorageClass", "standby-directory"]["state"] == "added"


def test_the_source_itself_is_refused(story: Story) -> None:
    said = story.run("plan", "--target", "standby", "--context", "primary", code=6)
    assert "this is the source itself" in said.err


def test_another_cluster_than_the_pinned_one_is_refused(story: Story) -> None:
    said = story.run("plan", "--target", "standby", code=1)
    uid = said.err.partition("this one is uid: ")[2].split()[0]
    story.write("targets/standby/target.yaml", TARGET.replace("values:", f"uid: {uid}\nvalues:"))
    story.commit()
    assert "pins no cluster" not in story.run("plan", "--target", "standby", code=1).err
    for verb in (["plan"], ["drift"], ["rebuild", "--yes"]):
        said = story.run(*verb, "--target", "standby", "--context", "primary", code=6)
        assert "this is not its cluster" in said.err


def test_it_is_rebuilt_and_then_nothing_differs(story: Story) -> None:
    found = story.run("rebuild", "--target", "standby", "--yes", "-o", "json", code=0).json
    assert found["differences"] == []
    after = story.drift()
    assert after["differences"] == []
    standby = story.standby
    web = standby.look("/apis/apps/v1/namespaces/shop-b/deployments/web")
    container = web["spec"]["template"]["spec"]["containers"][0]
    assert web["spec"]["replicas"] == 0
    assert container["image"] == "mirror.example.net/b/shop/web:1"
    assert container["env"] == [{"name": "CITY", "value": "Graz"}]
    claim = standby.look(f"{AT}/shop-b/persistentvolumeclaims/data")
    assert claim["spec"]["storageClassName"] == "standby-directory"
    assert claim["spec"]["dataSourceRef"]["kind"] == "VolumeSnapshot"
    ingress = standby.look("/apis/networking.k8s.io/v1/namespaces/shop-b/ingresses/web")
    assert ingress["spec"]["rules"][0]["host"] == "shop.standby.example"
    assert ingress["spec"]["tls"][0]["hosts"] == ["shop.standby.example"]
    assert ingress["spec"]["ingressClassName"] == "internal"
    binding = standby.look("/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/shop-sees")
    assert binding["subjects"][0]["namespace"] == "shop-b"
    cron = standby.look("/apis/batch/v1/namespaces/shop-b/cronjobs/nightly")
    assert cron["spec"]["suspend"] is True
    assert standby.look(SPACE) is None
    secrets = f"{AT}/shop-b/secrets"
    assert standby.look(f"{secrets}/db")["data"] == {"password": coded(OTHER)}
    api = standby.look(f"{secrets}/api")["data"]
    assert api == {"password": coded(TOKEN), "user": coded("web")}


def test_a_second_plan_has_nothing_to_do(story: Story) -> None:
    assert story.run("plan", "--target", "standby", "-o", "json").json["steps"] == []


def test_later_drift_is_all_that_is_seen(story: Story) -> None:
    web = "/apis/apps/v1/namespaces/shop-b/deployments/web"
    story.standby.patch(web, {"metadata": {"labels": {"by": "hand"}}, "spec": {"replicas": 1}})
    story.standby.patch(f"{AT}/shop-b/secrets/db", {"data": {"password": coded("x")}})
    assert named(story.drift(code=1)) == {
        "Deployment/web": ["metadata.labels", "spec.replicas"],
        "Secret/db": ["data.password"],
    }


def test_a_change_of_the_target_is_planned(story: Story) -> None:
    story.run("rebuild", "--target", "standby", "--overwrite", "--yes")
    assert story.drift()["differences"] == []
    kept = str(story.root / "plan.json")
    story.run("plan", "--target", "standby", "--out", kept)
    story.run("rebuild", "--target", "standby", "--plan", kept, "--yes")
    text = (story.repo / "targets/standby/target.yaml").read_text()
    story.write("targets/standby/target.yaml", text.replace("Graz", "Linz"))
    story.commit()
    found = named(story.drift(code=1))
    assert found == {
        "Deployment/web": ["spec.template.spec.containers[name=web].env[name=CITY].value"],
        "StorageClass/standby-directory": ["parameters.city"],
    }
    said = story.run("rebuild", "--target", "standby", "--plan", kept, "--yes", code=6)
    assert "what its target is has changed since" in said.err


BACK = """\
format: 1
context: primary
uid: UID
patches:
- kind: Secret
  name: db
  because: After a failover it has another one.
  json6902: [{op: replace, path: /data/password, value: eA==}]
"""


def test_the_source_can_be_a_target(story: Story) -> None:
    """Its Secrets are known without a key, but for the one that is another; that must be opened."""
    uid = story.primary.look("/api/v1/namespaces/kube-system")["metadata"]["uid"]
    story.write("targets/back/target.yaml", BACK.replace("UID", uid))
    story.commit()
    found = story.run("drift", "--target", "back", "-o", "json", code=1).json
    assert named(found) == {"Secret/db": ["data.password"]}
    ((field,),) = [each["fields"] for each in found["differences"]]
    assert field["masked"]
    assert field["op"] == "replace"
    closed = story.run("drift", "--target", "back", "-o", "json", key=False, code=3).json
    assert [each["state"] for each in closed["differences"]] == ["unknown"]
