"""The shipped example as a standby: all that a shop consists of, mapped, at rest, and equal.

It has webhooks, a conversion, policies, quotas, autoscalers and references between namespaces, so
a mapping that forgets one of them ends in an error or in a difference.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from command import commit_all, git, gitops_dr

from gitops_dr.cluster.connect import connect
from gitops_dr.lab import Lab
from gitops_dr.resources import shipped

pytestmark = pytest.mark.lab

TARGET = """\
format: 1
cluster: bookstore
context: standby
mappings:
  images: {registry.example.com/: mirror.example.net/}
  namespaces: {catalog: catalog-b, monitoring: watching}
  hosts: {.bookstore.example.com: .standby.example.com}
  storageClasses: {directory: standby-directory}
strategy: warm
standby:
  except: [{kind: Deployment, name: prometheus, because: The standby is watched.}]
patches:
- kind: Deployment
  because: What runs here is told apart in dashboards.
  strategic: {metadata: {labels: {site: standby}}}
"""
CLASS = """\
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: standby-directory}
provisioner: directory.csi.gitops-dr.dev
"""


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    path = tmp_path / "repository"
    shutil.copytree(shipped("cluster-repos/bookstore"), path)
    for name, text in {"target.yaml": TARGET, "templates/class.yaml": CLASS}.items():
        file = path / "targets/standby" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    git(path, "init", "--quiet", "--initial-branch=main")
    commit_all(path, "A standby")
    return path


def test_the_bookstore_stands_up_at_rest(new_lab: Any, repo: Path) -> None:
    lab: Lab = new_lab("standby")

    def run(*arguments: str) -> Any:
        where = ("--target", "standby", "--repo", str(repo), "-o", "json")
        return gitops_dr(*arguments, *where, kubeconfig=lab.kubeconfig)

    built = run("rebuild", "--yes", "--accept-empty-volumes", "--timeout", "60")
    assert built.code == 0, built.out[-3000:] + built.err
    assert built.json["differences"] == []
    drift = run("drift")
    assert (drift.code, drift.json["differences"]) == (0, []), drift.out[:3000]
    connection = connect(lab.kubeconfig)
    for deployment in connection.json("GET", "/apis/apps/v1/deployments")["items"]:
        space, name = (deployment["metadata"][key] for key in ("namespace", "name"))
        assert space not in ("catalog", "monitoring")
        if space == "kube-system":
            continue
        assert deployment["metadata"]["labels"]["site"] == "standby"
        images = [c["image"] for c in deployment["spec"]["template"]["spec"]["containers"]]
        assert all(image.startswith("mirror.example.net/") for image in images), name
        # The catalogue's API stands behind a webhook.
        runs = (space, name) in {("catalog-b", "api"), ("watching", "prometheus")}
        assert bool(deployment["spec"]["replicas"]) == runs, name
