"""`init` against real Git repositories in tmp_path."""

import os
import subprocess
from pathlib import Path

import pytest
import yaml

from gitops_dr.config import ClusterSettings, cluster_settings
from gitops_dr.errors import ExitCode, GitOpsDRError, RefusedError, UsageError
from gitops_dr.workflows.init import TEMPLATES, init

FILES = {".gitattributes", ".githooks/pre-commit", ".gitignore", "README.md", "gitops-dr.yaml"}


@pytest.fixture(autouse=True)
def identity(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{name}_NAME", "Someone")
        monkeypatch.setenv(f"GIT_{name}_EMAIL", "someone@example.org")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)


def git(folder: Path, *args: str) -> str:
    done = subprocess.run(["git", *args], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def settings(folder: Path) -> object:
    return yaml.safe_load((folder / "gitops-dr.yaml").read_text())


def read_back(folder: Path) -> ClusterSettings:
    """What the other commands make of the file."""
    text = (folder / "gitops-dr.yaml").read_bytes()
    return cluster_settings(text, cluster=None, context=None, environment={})


def test_a_new_folder_becomes_a_repository_with_one_commit(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "a folder"
    result = init(folder, cluster="shop")
    assert (result.directory, result.cluster) == (folder, "shop")
    assert set(result.written) == FILES
    assert git(folder, "rev-parse", "HEAD") == result.commit
    assert git(folder, "branch", "--show-current") == "main"
    assert git(folder, "rev-list", "--count", "HEAD") == "1"
    assert git(folder, "status", "--porcelain") == ""
    assert set(git(folder, "ls-files").splitlines()) == FILES


def test_manifests_keep_their_bytes_whatever_git_is_configured_to_do(tmp_path: Path) -> None:
    init(tmp_path, cluster="shop")
    manifest = "clusters/shop/cluster/namespaces/web.yaml"
    assert git(tmp_path, "check-attr", "text", manifest) == f"{manifest}: text: unset"
    ignored = subprocess.run(
        ["git", "check-ignore", "--quiet", manifest], cwd=tmp_path, check=False
    )
    assert ignored.returncode == 1


def test_keys_are_not_committed_by_accident(tmp_path: Path) -> None:
    init(tmp_path, cluster="shop")
    secret = ["prod.kubeconfig", "kubeconfig", "backup.agekey", "keys.txt"]
    assert git(tmp_path, "check-ignore", *secret).splitlines() == secret


@pytest.mark.parametrize("cluster", ["on", "123", "null", "a" * 63])
def test_settings_name_the_cluster_whatever_yaml_makes_of_it(tmp_path: Path, cluster: str) -> None:
    init(tmp_path, cluster=cluster)
    assert settings(tmp_path) == {"format": 1, "clusters": {cluster: None}}
    found = read_back(tmp_path)
    assert (found.name, found.context) == (cluster, None)


@pytest.mark.parametrize("context", ["arn:aws:eks:eu:1:cluster/a", 'it\'s #1: "<&>" é'])
def test_settings_hold_the_context(tmp_path: Path, context: str) -> None:
    init(tmp_path, cluster="shop", context=context)
    assert settings(tmp_path) == {"format": 1, "clusters": {"shop": {"context": context}}}
    found = read_back(tmp_path)
    assert found.context
    assert found.context.value == context


def test_the_readme_speaks_of_this_cluster(tmp_path: Path) -> None:
    init(tmp_path, cluster="shop")
    text = (tmp_path / "README.md").read_text()
    for verb in ("export", "drift", "plan", "rebuild"):
        assert f"gitops-dr {verb} --cluster shop" in text
    assert "{{" not in text


def test_an_empty_repository_gets_its_first_commit(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet", "--initial-branch=trunk")
    result = init(tmp_path, cluster="shop")
    assert git(tmp_path, "rev-parse", "trunk") == result.commit


def test_a_repository_with_a_history_is_left_to_its_people(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "commit", "--quiet", "--allow-empty", "--message", "Theirs")
    before = git(tmp_path, "rev-parse", "HEAD")
    result = init(tmp_path, cluster="shop")
    assert result.commit is None
    assert git(tmp_path, "rev-parse", "HEAD") == before
    assert set(git(tmp_path, "ls-files", "--others").splitlines()) == FILES


def test_what_is_in_the_way_is_named_and_nothing_is_written(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("mine")
    (tmp_path / ".gitignore").symlink_to("nowhere")
    with pytest.raises(RefusedError, match=r"already has \.gitignore, README\.md$") as caught:
        init(tmp_path, cluster="shop")
    assert caught.value.exit_code == ExitCode.REFUSED
    assert caught.value.message.startswith(str(tmp_path))
    assert {path.name for path in tmp_path.iterdir()} == {"README.md", ".gitignore"}
    assert (tmp_path / "README.md").read_text() == "mine"


def test_a_second_init_is_refused(tmp_path: Path) -> None:
    first = init(tmp_path, cluster="shop")
    with pytest.raises(RefusedError):
        init(tmp_path, cluster="other")
    assert git(tmp_path, "rev-parse", "HEAD") == first.commit
    assert settings(tmp_path) == {"format": 1, "clusters": {"shop": None}}


def test_a_folder_inside_another_repository_is_refused(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    with pytest.raises(RefusedError, match=f"lies inside the Git repository {tmp_path}$"):
        init(tmp_path / "inner", cluster="shop")
    assert not (tmp_path / "inner").exists()


def test_a_file_is_not_a_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RefusedError, match="is not a folder"):
        init(tmp_path / "file", cluster="shop")


@pytest.mark.parametrize("name", ["", "Shop", "-shop", "shop-", "a.b", "../up", "a" * 64, "shop\n"])
def test_a_cluster_is_named_by_a_dns_label(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError) as caught:
        init(tmp_path / "new", cluster=name)
    assert caught.value.hint
    assert not (tmp_path / "new").exists()


def test_a_disk_that_refuses_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "commit", "--quiet", "--allow-empty", "--message", "Theirs")
    really_open = Path.open

    def fail_at_the_last(path: Path, *args: object, **options: object) -> object:
        if path.name == list(TEMPLATES)[-1] and args == ("xb",):
            raise OSError(28, "No space left on device")
        return really_open(path, *args, **options)  # type: ignore[call-overload]

    monkeypatch.setattr(Path, "open", fail_at_the_last)
    with pytest.raises(GitOpsDRError, match=r"gitops-dr\.yaml: No space left on device"):
        init(tmp_path, cluster="shop")
    assert {path.name for path in tmp_path.iterdir()} == {".git"}
