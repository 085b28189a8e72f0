"""A target's folder at HEAD: found, read, Secrets opened, templates rendered, or refused."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyrage
import pytest
from command import Said, commit_all, git, gitops_dr

from gitops_dr.desired.target import IDENTITY, Target
from gitops_dr.engine.opening import Opened, Where, open_repo
from gitops_dr.engine.point import read_point
from gitops_dr.engine.recorded import Tree
from gitops_dr.engine.targets import open_target, read_target, refuse_another
from gitops_dr.errors import (
    GitOpsDRError,
    ManifestError,
    RefusedError,
    RepositoryError,
    SecretError,
    UsageError,
)
from gitops_dr.events import Event, Notice
from gitops_dr.model import Identity, Ref
from gitops_dr.planning.saved import SavedPlan
from gitops_dr.planning.selection import Intent
from gitops_dr.resources import shipped
from gitops_dr.secrets.sops import seal

KEY = pyrage.x25519.Identity.generate()
CANARY = "canary-of-a-target"
FILE = "targets/standby/target.yaml"


@pytest.fixture
def repo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    path = tmp_path / "repository"
    shutil.copytree(shipped("cluster-repos/bookstore"), path)
    git(path, "init", "--quiet", "--initial-branch=main")
    commit_all(path, "Start")
    return path


def put(repo: Path, **files: str | bytes) -> None:
    for name, data in {FILE: "format: 1\n", **files}.items():
        file = repo / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data if isinstance(data, bytes) else data.encode())
    commit_all(repo)


def secret(name: str = "db", **values: str) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "orders"}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": values}


def sealed(name: str = "db", **values: str) -> bytes:
    return seal(secret(name, **values), [str(KEY.to_public())], now=datetime.now(UTC))


def where(repo: Path, *, key: bool = True) -> Where:
    environment = {"HOME": str(repo.parent), "SOPS_AGE_KEY": str(KEY) if key else ""}
    return Where(repo, environment=environment)


def read(repo: Path, name: str | None = "standby", *, key: bool = True, masked: bool = False):
    place = where(repo, key=key)
    return read_target(open_repo(place), place, name, masked=masked)


def test_no_name_is_the_source_itself(repo: Path) -> None:
    assert read(repo, None) is IDENTITY


def test_a_target_that_is_not_there_names_a_near_one(repo: Path) -> None:
    with pytest.raises(UsageError) as caught:
        read(repo)
    assert caught.value.hint == "HEAD has none"
    put(repo)
    with pytest.raises(UsageError) as caught:
        read(repo, "stand-by")
    assert caught.value.hint == "did you mean 'standby'?"


def test_a_target_of_another_cluster_is_refused(repo: Path) -> None:
    put(repo, **{FILE: "format: 1\ncluster: bookstore\n"})
    assert read(repo).cluster == "bookstore"
    put(repo, **{FILE: "format: 1\ncluster: other\n"})
    with pytest.raises(UsageError, match="it is one of cluster other, not bookstore"):
        read(repo)


def test_a_change_is_measured_at_the_source(repo: Path) -> None:
    put(repo)
    said = gitops_dr("drift", "--repo", str(repo), "--target", "standby", "--against", "main")
    assert said.code == 2
    assert "--target with --against" in said.err


def test_only_what_is_committed_counts(repo: Path) -> None:
    put(repo, **{FILE: "format: 1\ncontext: one\n"})
    (repo / FILE).write_text("format: 1\ncontext: two\n")
    assert read(repo).context == "one"


def test_its_version_changes_with_any_of_its_files(repo: Path) -> None:
    put(repo)
    first = read(repo).version
    put(repo, **{"targets/other/target.yaml": "format: 1\n"})
    assert read(repo).version == first
    put(repo, **{"targets/standby/templates/a.yaml": "a: b\n" * 0})
    assert read(repo).version != first


def test_a_link_is_no_file_of_a_target(repo: Path) -> None:
    put(repo)
    (repo / "targets/standby/secrets").mkdir()
    (repo / "targets/standby/secrets/a.yaml").symlink_to("/etc/passwd")
    commit_all(repo)
    with pytest.raises(RepositoryError, match="link"):
        read(repo)


# -- Secrets ---------------------------------------------------------------------------------------


def test_its_secrets_are_opened(repo: Path) -> None:
    put(repo, **{"targets/standby/secrets/orders/db.yaml": sealed(password=CANARY)})
    (own,) = read(repo).manifests
    assert own.body["data"] == {"password": "Y2FuYXJ5LW9mLWEtdGFyZ2V0"}
    assert "stringData" not in own.body
    assert own.body["type"] == "Opaque"


def test_a_secret_that_cannot_be_opened_is_named_and_the_rest_is_there(repo: Path) -> None:
    put(repo, **{"targets/standby/secrets/db.yaml": sealed(password=CANARY)})
    target = read(repo, key=False)
    ((ref, why),) = target.closed.items()
    assert ref == Ref("", "Secret", "orders", "db")
    assert "targets/standby/secrets/db.yaml" in why


def test_a_plain_secret_is_refused(repo: Path) -> None:
    text = f"apiVersion: v1\nkind: Secret\nmetadata: {{name: a}}\nstringData: {{a: {CANARY}}}\n"
    put(repo, **{"targets/standby/secrets/db.yaml": text})
    with pytest.raises(RefusedError, match="is not encrypted") as caught:
        read(repo)
    assert CANARY not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n",
        "a: b\n",
        "",
        "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\nsops: {}\n",
    ],
)
def test_what_is_no_secret_is_an_error_of_its_file(repo: Path, text: str) -> None:
    put(repo, **{"targets/standby/secrets/a.yaml": text})
    with pytest.raises(ManifestError, match=r"targets/standby/secrets/a\.yaml"):
        read(repo)


def test_encrypted_values_mask_themselves(repo: Path) -> None:
    put(repo, **{"targets/standby/secret-values.yaml": sealed(token=CANARY)})
    target = read(repo)
    assert target.secret_values["token"].reveal() == CANARY
    assert CANARY not in repr(target)
    with pytest.raises(SecretError):
        read(repo, key=False)
    for key in (True, False):
        found = read(repo, key=key, masked=True)
        assert found.secret_values["token"].reveal() == "***"


POLICY = """\
format: 1
clusters: {bookstore: null}
secrets:
  policies: [{name: site, policy: per-cluster, because: Each has its certificate.}]
"""
SITE = "clusters/bookstore/namespaces/orders/secrets/site.yaml"


def test_a_secret_of_each_cluster_never_comes_from_the_source(repo: Path) -> None:
    put(
        repo,
        **{
            FILE: "format: 1\nactive: true\n",
            "gitops-dr.yaml": POLICY,
            SITE: sealed("site", key=CANARY),
            SITE.replace("site", "db"): sealed("db", password=CANARY),
        },
    )
    diff = ("--target", "standby", "--diff", "-o", "json")
    (found,) = render(repo, *diff, code=1).json["objects"]
    assert (found["state"], found["ref"]["name"]) == ("left out", "site")
    assert "name: site" in render(repo).out
    own = {"targets/standby/secrets/site.yaml": sealed("site", key="other")}
    put(repo, **{FILE: "format: 1\nactive: true\n", **own})
    (found,) = render(repo, *diff, code=1).json["objects"]
    assert (found["state"], found["because"]) == (
        "changed",
        "targets/standby/secrets/site.yaml, in place of the source's",
    )
    # The source itself, to go back to it, has it still.
    uid = read_point(open_repo(where(repo)), None).coverage.uid  # type: ignore[union-attr]
    put(repo, **{"targets/back/target.yaml": f"format: 1\nactive: true\nuid: {uid}\n"})
    assert "no difference" in render(repo, "--target", "back", "--diff").out


# -- templates -------------------------------------------------------------------------------------

TEMPLATE = "apiVersion: v1\nkind: %s\nmetadata: {name: own, namespace: orders}\n%s\n"


def test_templates_are_rendered(repo: Path) -> None:
    text = TEMPLATE % ("ConfigMap", "data: {at: '{{ target }}', of: '{{ cluster }}'}")
    put(
        repo,
        **{
            FILE: "format: 1\nvalues: {city: Graz}\n",
            "targets/standby/templates/a.yaml.j2": text + "---\n" + text.replace("own", "two"),
            "targets/standby/templates/README.md": "not {{ one }}",
        },
    )
    first, second = read(repo).manifests
    assert first.body["data"] == {"at": "standby", "of": "bookstore"}
    assert second.body["metadata"]["name"] == "two"
    assert first.path == "targets/standby/templates/a.yaml.j2"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{{ values.none }}", "a.yaml.j2:1: 'dict object' has no attribute 'none'"),
        ("{% include 'x' %}", "reads another file"),
        ("a: b", "what it makes is no manifest"),
        ("{{ secrets.token }}: [", "what it makes is no manifest"),
        (b"\xff", "is not UTF-8"),
    ],
)
def test_a_template_that_makes_nothing_good(repo: Path, text: str | bytes, said: str) -> None:
    put(
        repo,
        **{
            "targets/standby/templates/a.yaml.j2": text,
            "targets/standby/secret-values.yaml": sealed(token=CANARY),
        },
    )
    with pytest.raises(ManifestError) as caught:
        read(repo)
    assert said in str(caught.value)
    assert CANARY not in str(caught.value) + caught.value.hint


def test_an_encrypted_value_stays_in_secrets(repo: Path) -> None:
    values = {"targets/standby/secret-values.yaml": sealed(token=CANARY)}
    path = "targets/standby/templates/a.yaml.j2"
    put(repo, **values, **{path: TEMPLATE % ("Secret", "stringData: {a: '{{ secrets.token }}'}")})
    (own,) = read(repo).manifests
    assert own.body["data"]
    put(repo, **values, **{path: TEMPLATE % ("ConfigMap", "data: {a: 'x{{ secrets.token }}'}")})
    with pytest.raises(RefusedError, match="which anybody reads") as caught:
        read(repo)
    assert CANARY not in str(caught.value)


# -- the cluster -----------------------------------------------------------------------------------


def opened(repo: Path, **options: Any) -> tuple[Where, Opened]:
    place = Where(repo, **options)
    return place, open_repo(place)


KUBECONFIG = """\
apiVersion: v1
kind: Config
current-context: source
clusters:
- {name: c, cluster: {server: "https://127.0.0.1:1"}}
users:
- {name: u, user: {}}
contexts:
- {name: source, context: {cluster: c, user: u}}
- {name: standby, context: {cluster: c, user: u}}
- {name: third, context: {cluster: c, user: u}}
"""


def test_the_context_is_the_targets_and_never_the_sources(repo: Path, tmp_path: Path) -> None:
    kubeconfig = tmp_path / "config"
    kubeconfig.write_text(KUBECONFIG)
    settings = "format: 1\nclusters:\n  bookstore: {context: source}\n"
    put(repo, **{"gitops-dr.yaml": settings})
    target = Target("standby", context="standby")
    place, found = opened(repo, kubeconfig=kubeconfig)
    assert open_target(place, found, target).context == "standby"
    with pytest.raises(UsageError, match="no context is named"):
        open_target(place, found, Target("standby"))
    place, found = opened(repo, kubeconfig=kubeconfig, context="third")
    assert open_target(place, found, target).context == "third"
    place, found = opened(repo, kubeconfig=kubeconfig, environment={"GITOPS_DR_CONTEXT": "third"})
    assert open_target(place, found, target).context == "third"


def test_no_other_cluster_is_taken_for_the_targets(repo: Path) -> None:
    tree: Tree = read_point(open_repo(where(repo)), None)
    assert tree.coverage is not None
    source, other = (Identity(uid, "v1.37.2", "1") for uid in (tree.coverage.uid, "other"))
    told: list[Event] = []
    with pytest.raises(RefusedError, match="this is the source itself"):
        refuse_another(Target("standby"), tree, source)
    refuse_another(Target("standby"), tree, other, told.append)
    (notice,) = told
    assert isinstance(notice, Notice)
    assert "uid: other" in notice.text
    with pytest.raises(RefusedError, match="this is not its cluster"):
        refuse_another(Target("standby", uid="third"), tree, other)
    refuse_another(Target("standby", uid="other"), tree, other)
    # Back again: the source is meant where its UID is pinned.
    refuse_another(Target("back", uid=tree.coverage.uid), tree, source)
    refuse_another(IDENTITY, tree, source)


# -- render ----------------------------------------------------------------------------------------


def render(repo: Path, *arguments: str, code: int = 0) -> Said:
    said = gitops_dr("render", "--repo", str(repo), *arguments)
    assert said.code == code, said.out[:2000] + said.err
    return said


def test_without_a_target_the_source_is_printed_byte_for_byte(repo: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    render(repo, "--output-dir", str(out))
    source = repo / "clusters/bookstore"
    files = {
        path.relative_to(source): path.read_bytes()
        for path in source.rglob("*.yaml")
        if path.relative_to(source).parts[0] != "recovery"
    }
    written = {path.relative_to(out): path.read_bytes() for path in out.rglob("*.yaml")}
    assert written == files


def test_a_target_without_anything_is_the_source_byte_for_byte(repo: Path) -> None:
    put(repo, **{FILE: "format: 1\nactive: true\n"})
    assert render(repo, "--target", "standby").out == render(repo).out
    assert "no difference" in render(repo, "--target", "standby", "--diff").out


def test_one_that_was_not_failed_over_to_holds_what_acts_outward_and_nothing_else(
    repo: Path,
) -> None:
    put(repo)
    found = render(repo, "--target", "standby", "--diff", "-o", "json", code=1).json["objects"]
    kinds = {each["ref"]["kind"] for each in found}
    assert kinds == {"CronJob"}
    assert all(
        [change["path"] for step in each["steps"] for change in step["changes"]] == ["spec.suspend"]
        for each in found
        if "steps" in each
    )


def test_the_target_is_printed(repo: Path, tmp_path: Path) -> None:
    text = "format: 1\nmappings: {namespaces: {catalog: catalog-b}}\nstrategy: warm\n"
    put(
        repo,
        **{
            FILE: text + "patches: [{kind: Nothing, because: x, strategic: {}}]\n",
            "targets/standby/secrets/db.yaml": sealed(password=CANARY),
        },
    )
    said = render(repo, "--target", "standby")
    assert "namespace: catalog-b\n" in said.out
    assert "namespace: catalog\n" not in said.out
    assert CANARY not in said.out
    assert 'password: "***"' in said.out
    assert "patches[0]: is about no object" in said.err
    out = tmp_path / "out"
    render(repo, "--target", "standby", "--output-dir", str(out))
    assert (out / "namespaces/catalog-b/services/api.yaml").exists()
    assert not (out / "namespaces/catalog").exists()
    said = render(repo, "--target", "standby", "--output-dir", str(out), code=2)
    assert "is not empty" in said.err


def test_the_diff_as_a_table_and_for_programs(repo: Path) -> None:
    put(
        repo,
        **{
            FILE: "format: 1\nstrategy: warm\n",
            "targets/standby/secrets/db.yaml": sealed(password=CANARY),
        },
    )
    table = render(repo, "--target", "standby", "--diff", code=1).out
    assert "~ spec.replicas: 3 → 0  (standby: " in table
    assert "added      Secret/orders/db  (targets/standby/secrets/db.yaml)" in table
    assert "left out   HorizontalPodAutoscaler" in table
    document = render(repo, "--target", "standby", "--diff", "-o", "json", code=1).json
    assert document["same"] > 100
    states = {each["state"] for each in document["objects"]}
    assert states == {"changed", "added", "left out"}
    assert all(field["because"] for each in document["objects"] for field in each["fields"])
    assert "--diff with --output-dir" in render(repo, "--diff", "--output-dir", "x", code=2).err


def test_a_manifest_of_its_own_that_is_the_sources_too_is_an_error(repo: Path) -> None:
    text = (repo / "clusters/bookstore/namespaces/catalog/services/api.yaml").read_text()
    put(repo, **{"targets/standby/templates/a.yaml.j2": text})
    said = render(repo, "--target", "standby", code=2)
    assert "is an object of the source, too" in said.err


def test_a_plan_that_was_kept_is_not_carried_out_for_another_target() -> None:
    kept = SavedPlan("prod", "c", "a+1", "uid", "digest", Intent(), ())
    with pytest.raises(RefusedError, match="what its target is has changed since"):
        kept.refuse_another(replace(kept, configuration="a+2", digest="other"))
    with pytest.raises(RefusedError, match=r"gitops-dr\.yaml has changed since"):
        kept.refuse_another(replace(kept, configuration="b+1", digest="other"))


def test_each_error_is_ours(repo: Path) -> None:
    for text in ("a: b", "format: 9", "{", "format: 1\nuid: 3\n"):
        put(repo, **{FILE: text})
        with pytest.raises(GitOpsDRError):
            read(repo)
