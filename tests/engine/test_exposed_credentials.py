"""Credentials in the open in a commit: `secrets check` says where they are, over real git."""

from pathlib import Path

import pytest
from command import gitops_dr
from secret_samples import Repo

from gitops_dr.engine.exposed_credentials import exposed_credentials
from gitops_dr.engine.recorded import read_tree
from gitops_dr.repository.repository import head, open_repository

WEB = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec:
  template:
    spec:
      containers:
      - name: web
        env:
        - {name: DB_PASSWORD, value: hunter2}
        - {name: DB_URL, value: "postgres://shop:$(DB_PASSWORD)@db/shop"}
"""
APP = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: app, namespace: shop}
data: {app.ini: "[db]\\npassword = hunter2\\n"}
"""


@pytest.fixture
def repo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repo:
    made = Repo(tmp_path / "repo")
    for name in ("SOPS_AGE_KEY", "SOPS_AGE_KEY_FILE", "SOPS_AGE_KEY_CMD", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(made.home))
    folder = "clusters/prod/namespaces/shop"
    made.put(f"{folder}/deployments.apps/web.yaml", WEB)
    made.put(f"{folder}/configmaps/app.yaml", APP)
    made.put(f"{folder}/configmaps/broken.yaml", "kind: [\npassword: hunter2\n")
    made.put("clusters/other/namespaces/shop/configmaps/app.yaml", APP)
    return made


def test_each_is_found_in_the_cluster_that_is_meant(repo: Repo) -> None:
    opened = open_repository(repo.path)
    tree = read_tree(opened, head(opened), "clusters/prod")
    assert [(str(one.ref), one.field, one.name) for one in exposed_credentials(tree)] == [
        ("ConfigMap/shop/app", 'data["app.ini"]', "password"),
        (
            "Deployment.apps/shop/web",
            "spec.template.spec.containers[name=web].env[name=DB_PASSWORD].value",
            "",
        ),
    ]


def test_they_are_reported_without_their_values_and_make_nothing_wrong(repo: Repo) -> None:
    here = ("secrets", "check", "--repo", str(repo.path), "-q")
    said = gitops_dr(*here)
    assert "Credentials in the open:" in said.out
    assert 'ConfigMap/shop/app: data["app.ini"] (password): Its name says that' in said.out
    document = gitops_dr(*here, "-o", "json")
    assert [one["row"] for one in document.json["credentials"]] == ["password", "password"]
    assert "hunter2" not in said.out + said.err + document.out + document.err
    assert (said.code, document.json["clean"]) == (0, True)
