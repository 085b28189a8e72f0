"""What a repository that somebody else filled may try, and no other test tries yet."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from command import git, gitops_dr
from fake_api import api, write_kubeconfig

from gitops_dr.config import cluster_settings
from gitops_dr.errors import RepositoryError, UsageError
from gitops_dr.repository.checkout import dirty
from gitops_dr.repository.commit import commit
from gitops_dr.repository.git import Git
from gitops_dr.repository.history import commit_info, resolve
from gitops_dr.repository.repository import create_repository, head, open_repository
from gitops_dr.repository.tree import blobs, read_file

__all__ = ["api"]

SETTINGS = b"format: 1\nclusters:\n  prod: {}\n"


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))


@pytest.fixture
def repo(tmp_path):
    made = create_repository(tmp_path / "repo")
    save(made, {"gitops-dr.yaml": SETTINGS, "clusters/prod/a.yaml": b"a\n"})
    return made


@pytest.fixture
def trap(tmp_path):
    """A program that leaves a file when it is run, and that file."""
    marker, script = tmp_path / "sprung", tmp_path / "trap.sh"
    script.write_text(f"#!/bin/sh\necho \"$0 $@\" >>'{marker}'\ncat\n")
    script.chmod(0o755)
    return script, marker


def save(repo, changes):
    return commit(
        repo,
        changes=changes,
        message="Save",
        trailers={},
        guard=lambda _path, _data: None,
        expected=head(repo),
    )


def use(repo) -> None:
    """Do all that the verbs do with a repository."""
    opened = open_repository(repo.root)
    made = save(opened, {"clusters/prod/a.yaml": b"b\n", "clusters/prod/new.yaml": b"c\n"})
    assert blobs(opened, made.id, "clusters/prod").keys() == {"a.yaml", "new.yaml"}
    assert read_file(opened, "HEAD", "clusters/prod/a.yaml") == b"b\n"
    assert resolve(opened, "main", cluster_prefix="clusters/prod") == made.id
    assert commit_info(opened, made.id).subject == "Save"
    assert dirty(opened, "clusters") == []


def test_nothing_that_the_configuration_names_runs(repo, trap, tmp_path):
    """Also what it brings in from another file, and by aliases that bear the names of commands."""
    script, marker = trap
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    for name in ("reference-transaction", "post-index-change", "post-checkout", "pre-commit"):
        (hooks / name).symlink_to(script)
    included = tmp_path / "included"
    included.write_text(
        f"[core]\n\thooksPath = {hooks}\n\tfsmonitor = {script}\n\tpager = {script}\n"
        f"\tsshCommand = {script}\n\taskPass = {script}\n\teditor = {script}\n"
        f'[diff]\n\texternal = {script}\n[diff "trap"]\n\ttextconv = {script}\n'
        f'[gpg]\n\tprogram = {script}\n[gpg "ssh"]\n\tprogram = {script}\n'
        f"\tdefaultKeyCommand = {script}\n[commit]\n\tgpgSign = true\n"
        f"[credential]\n\thelper = {script}\n"
        f'[submodule "s"]\n\tupdate = !{script}\n\turl = ext::{script}\n'
    )
    with (repo.git_dir / "config").open("a") as config:
        config.write(f"[include]\n\tpath = {included}\n[alias]\n")
        for command in ("cat-file", "ls-tree", "rev-parse", "fast-import", "ls-files", "status"):
            config.write(f"\t{command} = !{script}\n")
    (repo.root / ".gitattributes").write_text("* diff=trap\n")
    (repo.root / ".gitmodules").write_text(
        f'[submodule "s"]\n\tpath = s\n\turl = ext::{script}\n\tupdate = !{script}\n'
    )
    use(repo)
    assert not marker.exists(), marker.read_text()

    # The trap works: plain git springs it.
    (repo.root / "clusters/prod/a.yaml").write_text("c\n")
    subprocess.run(
        ["git", "-c", "user.name=x", "-c", "user.email=x@x", "add", "clusters"],
        cwd=repo.root,
        check=False,
        capture_output=True,
    )
    assert marker.exists()


def test_a_repository_of_somebody_else_is_not_opened(repo):
    if os.geteuid() != 0:
        pytest.skip("only root can give a repository away")
    os.chown(repo.root, 12345, 12345)
    os.chown(repo.git_dir, 12345, 12345)
    with pytest.raises(RepositoryError, match="dubious ownership") as caught:
        open_repository(repo.root)
    assert "safe.directory" in caught.value.hint


def test_a_new_repository_gets_no_hooks_from_a_template(trap, tmp_path):
    script, marker = trap
    (tmp_path / "template" / "hooks").mkdir(parents=True)
    for name in ("reference-transaction", "post-checkout"):
        (tmp_path / "template" / "hooks" / name).symlink_to(script)
    (tmp_path / "gitconfig").write_text(f"[init]\n\ttemplateDir = {tmp_path / 'template'}\n")
    made = create_repository(tmp_path / "made")
    assert not (made.git_dir / "hooks").exists()
    save(made, {"a": b"a"})
    assert not marker.exists()


@pytest.mark.parametrize(
    "path", [":(glob)clusters/**", ":/clusters/prod/a.yaml", "clusters/*/a.yaml"]
)
def test_a_path_is_no_pattern(repo, path):
    assert read_file(repo, "HEAD", path) is None
    assert blobs(repo, "HEAD", path) == {}
    assert Git(repo.root).run(["ls-files", "-z", "--", path]) == b""


def test_the_configuration_is_no_link(repo, tmp_path):
    """It would be read from the machine, and quoted where it makes no sense."""
    secret = tmp_path / "secret"
    secret.write_text("format: [")
    (repo.root / "gitops-dr.yaml").unlink()
    (repo.root / "gitops-dr.yaml").symlink_to(secret)
    git(repo.root, "commit", "--quiet", "--all", "--message", "Link")
    with pytest.raises(RepositoryError, match=r"gitops-dr.yaml: it is a symbolic link, not a file"):
        read_file(repo, "HEAD", "gitops-dr.yaml")


@pytest.mark.parametrize("place", ["kubeconfig: {}", "clusters: {{prod: {{kubeconfig: {}}}}}"])
def test_the_configuration_names_no_kubeconfig(tmp_path, place):
    text = SETTINGS if place.startswith("k") else b"format: 1\n"
    text += place.format(tmp_path / "kubeconfig").encode()
    with pytest.raises(UsageError, match="kubeconfig: unknown key"):
        cluster_settings(text, cluster=None, context=None, environment={})


def test_no_kubeconfig_of_the_repository_is_read(repo, trap, api, tmp_path, monkeypatch):
    """Its exec plugin would run as the one who looks at it. The user's own may."""
    script, marker = trap
    plugin = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "command": str(script),
        "interactiveMode": "Never",
    }
    kubeconfig = write_kubeconfig(tmp_path / "made", api.url, {"exec": plugin}).read_bytes()
    places = ("kubeconfig", "config", ".kube/config", "clusters/prod/kubeconfig")
    save(repo, dict.fromkeys(places, kubeconfig))
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    said = gitops_dr("export", "--dry-run", cwd=repo.root)
    assert (said.code, "no kubeconfig was found" in said.err) == (2, True), said.err
    assert not marker.exists()

    (home / ".kube").mkdir()
    (home / ".kube" / "config").write_bytes(kubeconfig)
    assert gitops_dr("export", "--dry-run", cwd=repo.root).code in (2, 4)
    assert marker.exists()


def test_names_of_branches_and_tags_are_no_options(repo, trap):
    script, marker = trap
    first = head(repo)
    for name in (f"--upload-pack={script}", "-x", "--output=x"):
        Git(repo.root).run(["update-ref", f"refs/tags/{name}", first])
        with pytest.raises(RepositoryError, match="not the name of a commit"):
            resolve(repo, name, cluster_prefix="clusters/prod")
        (repo.git_dir / "HEAD").write_text(f"ref: refs/heads/{name}\n")
        made = save(open_repository(repo.root), {f"{name}.yaml": b"x\n"})
        assert git(repo.root, "rev-parse", f"refs/heads/{name}").strip() == made.id
    assert not marker.exists()
    assert not Path(repo.root / "x").exists()
