"""What stands in the way of an export, authored paths, and death at every point of it."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import small_cluster
from command import commit_all, git, gitops_dr
from small_cluster import config_map, new_repo

from gitops_dr.config import ClusterSettings
from gitops_dr.engine.opening import Where
from gitops_dr.errors import ExitCode, GitOpsDRError, RefusedError, RepositoryError, UsageError
from gitops_dr.manifests.emit import canonical
from gitops_dr.manifests.parse import parse
from gitops_dr.model import Ref
from gitops_dr.workflows.export import export

MAPS = Path("clusters/prod/namespaces/shop/configmaps")


@contextmanager
def refused(
    kind: type[GitOpsDRError], match: str, repo: Path | None = None
) -> Iterator[pytest.ExceptionInfo[GitOpsDRError]]:
    """The error for a person, and that nothing was written."""
    before = git(repo, "rev-parse", "HEAD") if repo else ""
    status = git(repo, "status", "--porcelain") if repo else ""
    with pytest.raises(kind, match=match) as caught:
        yield caught
    assert "\n" not in caught.value.message
    assert caught.value.hint
    if repo:
        assert git(repo, "rev-parse", "HEAD") == before
        assert git(repo, "status", "--porcelain") == status


def test_no_repository(tmp_path):
    said = gitops_dr("export", "--repo", str(tmp_path))
    assert said.code == ExitCode.REPOSITORY
    assert "not in a Git repository" in said.err
    assert "gitops-dr init" in said.err


def test_an_unborn_branch_gets_the_export_as_its_first_commit(tmp_path, cluster):
    git(tmp_path, "init", "--quiet", "--initial-branch=main")
    with refused(UsageError, "which cluster is meant"):
        export(Where(tmp_path))
    assert export(Where(tmp_path, cluster="prod")).created
    assert git(tmp_path, "rev-list", "--count", "HEAD") == "1\n"
    assert git(tmp_path, "status", "--porcelain") == ""
    assert not export(Where(tmp_path, cluster="prod")).created


def test_uncommitted_work_where_we_would_write(repo, cluster):
    (repo / MAPS / "a.yaml").write_text("mine")
    cluster.put(config_map("a", v="2"), config_map("b", v="2"))
    with refused(RefusedError, "a.yaml: it has uncommitted changes", repo):
        export(Where(repo))


def test_head_moves_while_the_cluster_is_read(repo, cluster):
    def somebody_commits() -> None:
        (repo / "README.md").write_text("news")
        commit_all(repo)

    cluster.meanwhile = somebody_commits
    cluster.put(config_map("a", v="2"))
    with pytest.raises(RepositoryError, match="HEAD moved") as caught:
        export(Where(repo))
    assert "run again" in caught.value.hint
    assert git(repo, "log", "-1", "--format=%s") == "By hand\n"
    assert git(repo, "status", "--porcelain") == ""
    cluster.meanwhile = lambda: None
    assert export(Where(repo)).created


def test_a_detached_head_is_said_before_the_cluster_is_read(repo, cluster):
    git(repo, "switch", "--quiet", "--detach")
    cluster.meanwhile = lambda: pytest.fail("the cluster was read for nothing")
    with refused(RepositoryError, "HEAD is detached", repo):
        export(Where(repo))


def test_a_dry_run_needs_no_branch(repo, cluster):
    git(repo, "switch", "--quiet", "--detach")
    assert export(Where(repo), dry_run=True).written == ()


def test_a_bare_repository(repo, cluster, tmp_path):
    bare = tmp_path / "bare.git"
    git(tmp_path, "clone", "--quiet", "--bare", str(repo), str(bare))
    assert not export(Where(bare)).created
    cluster.put(config_map("a", v="2"))
    assert export(Where(bare)).created
    assert 'v: "2"' in git(bare, "show", f"HEAD:{MAPS}/a.yaml")


def test_a_repository_of_sha256(tmp_path, cluster):
    path = new_repo(tmp_path / "repository", "--object-format=sha256")
    assert export(Where(path)).created
    assert not export(Where(path)).created
    (path / MAPS / "a.yaml").write_bytes(canonical(config_map("a", v="2")))
    commit_all(path)
    cluster.put(config_map("b", v="2"))
    for _ in range(2):
        assert [each.ref.name for each in export(Where(path)).pending] == ["a"]
    assert len(git(path, "rev-parse", "HEAD").strip()) == 64


def test_the_same_object_in_two_files(repo, cluster):
    shutil.copy(repo / MAPS / "a.yaml", repo / MAPS / "z.yaml")
    commit_all(repo)
    with refused(RepositoryError, "ConfigMap/shop/a: in two files, .*a.yaml and .*z.yaml", repo):
        export(Where(repo))


@contextmanager
def as_nobody(folder: Path) -> Iterator[None]:
    """Permissions count; they do not for root."""
    everything = [folder, *folder.rglob("*")]
    for path in everything:
        path.chmod(0o555 if path.is_dir() else 0o444)
    root = os.geteuid() == 0
    if root:
        for path in everything:
            os.chown(path, 65534, 65534)
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)
        for path in everything:
            path.chmod(0o755)


@pytest.fixture
def _open_folders(tmp_path: Path) -> Iterator[None]:
    """Let everybody in: pytest keeps its folders to its own user."""
    ours = [tmp_path, *tmp_path.parents]
    folders = ours[: ours.index(Path(tempfile.gettempdir()))]
    modes = [folder.stat().st_mode for folder in folders]
    for folder in folders:
        folder.chmod(0o755)
    yield
    for folder, mode in zip(folders, modes, strict=True):
        folder.chmod(mode)


@pytest.mark.usefixtures("_open_folders")
def test_a_repository_that_is_read_only(repo, cluster):
    cluster.put(config_map("a", v="2"))
    before = git(repo, "rev-parse", "HEAD")
    with as_nobody(repo), pytest.raises(RepositoryError, match="Permission denied") as caught:
        export(Where(repo))
    assert caught.value.hint
    assert git(repo, "-c", f"safe.directory={repo}", "rev-parse", "HEAD") == before


ODD = {
    "words": "yes",
    "octal": "08",
    "float": "1e3",
    "sexagesimal": "12:30",
    "equals": "=",
    "date": "2026-11-24",
    "separator": "one\u2028two",
    "return": "one\r\ntwo\r",
    "empty": "",
    "spaces": "  \n\n x \n",
    "large": "0123456789abcde\n" * (900 * 64),
}


def test_odd_values_and_names_come_back_as_they_were(repo, cluster):
    long = "a" * 253
    other = "a" * 252 + "b"
    odd = config_map("odd", **ODD) | {"binaryData": {"b": "//79/A=="}, "immutable": True}
    cluster.put(odd, config_map(long, v="1"), config_map(other, v="1"))
    assert export(Where(repo)).created
    assert not export(Where(repo)).created
    assert parse((repo / MAPS / "odd.yaml").read_bytes(), "odd") == odd
    names = {
        parse(file.read_bytes(), file.name)["metadata"]["name"]
        for file in (repo / MAPS).glob("a*.yaml")
    }
    assert {long, other} <= names
    del cluster[long]
    assert len(export(Where(repo)).deleted) == 1


# -- authored paths ---------------------------------------------------------------------------

AUTHORED = """\
format: 1
clusters:
  prod:
    authored:
    - namespaces/shop/configmaps/a.yaml
    - "namespaces/ours/**"
"""


@pytest.fixture
def authored(repo: Path) -> Path:
    (repo / "gitops-dr.yaml").write_text(AUTHORED)
    commit_all(repo)
    return repo


def test_an_authored_file_is_neither_written_nor_deleted(authored, cluster):
    kept = (authored / MAPS / "a.yaml").read_bytes()
    cluster.put(config_map("a", v="2"), config_map("b", v="2"))
    result = export(Where(authored))
    assert [path for path in result.written if "configmaps" in path] == [
        "namespaces/shop/configmaps/b.yaml"
    ]
    del cluster["a"]
    result = export(Where(authored))
    assert result.deleted == result.pending == result.conflicts == ()
    assert (authored / MAPS / "a.yaml").read_bytes() == kept


def test_what_an_authored_file_holds_is_not_written_a_second_time(authored, cluster):
    folder = authored / "clusters/prod/namespaces/ours"
    folder.mkdir()
    shutil.move(authored / MAPS / "b.yaml", folder / "theirs.yaml")
    (folder / "kustomization.yaml").write_text("resources: [theirs.yaml]\n")
    commit_all(authored)
    cluster.put(config_map("b", v="2"))
    result = export(Where(authored))
    assert not (authored / MAPS / "b.yaml").exists()
    assert result.gaps == ()


def test_an_object_whose_place_is_authored_is_named_and_not_written(authored, cluster):
    cluster.put(config_map("new", namespace="ours", v="1"))
    result = export(Where(authored))
    assert not (authored / "clusters/prod/namespaces/ours").exists()
    assert Ref("", "ConfigMap", "ours", "new") in {each.ref for each in result.omissions}
    assert not export(Where(authored)).created


@pytest.mark.parametrize(
    ("glob", "path", "answer"),
    [
        ("namespaces/shop/configmaps/a.yaml", "namespaces/shop/configmaps/a.yaml", True),
        ("namespaces/shop/configmaps/a.yaml", "namespaces/shop/configmaps/ab.yaml", False),
        ("namespaces/shop", "namespaces/shop/configmaps/a.yaml", True),
        ("namespaces/shop/", "namespaces/shop/configmaps/a.yaml", True),
        ("namespaces/shop/**", "namespaces/shop/configmaps/a.yaml", True),
        ("namespaces/sho", "namespaces/shop/configmaps/a.yaml", False),
        ("namespaces/*/configmaps", "namespaces/shop/configmaps/a.yaml", True),
        ("namespaces/*.yaml", "namespaces/shop/configmaps/a.yaml", False),
        ("**/a.yaml", "namespaces/shop/configmaps/a.yaml", True),
        ("**/a.yaml", "a.yaml", True),
        ("namespaces/**/a.yaml", "namespaces/shop/configmaps/a.yaml", True),
        ("namespaces/s?op", "namespaces/shop/a.yaml", True),
        ("**", "namespaces/shop/a.yaml", True),
        ("namespaces/a.b", "namespaces/aXb/a.yaml", False),
    ],
)
def test_what_a_pattern_matches(glob, path, answer):
    assert ClusterSettings("prod", None, (glob,)).is_authored(path) is answer


@pytest.mark.parametrize("glob", ["", "/", "/abs", "../other", "a//b", "a/../b", "recovery/**"])
def test_a_pattern_that_names_no_manifests_is_refused(repo, cluster, glob):
    settings = {"format": 1, "clusters": {"prod": {"authored": [glob]}}}
    (repo / "gitops-dr.yaml").write_text(json.dumps(settings))
    commit_all(repo)
    with refused(UsageError, "clusters.prod.authored", repo):
        export(Where(repo))


# -- death ------------------------------------------------------------------------------------

PROGRAM = Path(small_cluster.__file__)


def export_and_die(repo: Path, state: Path, failpoint: str, nth: int) -> int:
    command = [sys.executable, PROGRAM, repo, state, failpoint, str(nth)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run(command, env=environment, check=False, timeout=60).returncode


@pytest.mark.parametrize(
    ("failpoint", "nth", "complete"),
    [
        ("blobs", 1, False),
        ("tree", 1, False),
        ("commit", 1, False),
        ("recorded", 1, False),
        ("branch", 1, True),
        ("removed", 1, True),
        ("written", 1, True),
        ("written", 3, True),
        ("files", 1, True),
        ("index", 1, True),
    ],
)
def test_death_at_any_point_leaves_the_old_commit_or_the_new_one(
    tmp_path, repo, cluster, failpoint, nth, complete
):
    before = git(repo, "rev-parse", "HEAD")
    cluster.put(config_map("a", v="2"), config_map("c", v="1"), config_map("d", v="1"))
    del cluster["b"]
    twin = tmp_path / "twin"
    shutil.copytree(repo, twin)
    assert export(Where(twin)).created
    wanted = git(twin, "rev-parse", "HEAD^{tree}")
    state = tmp_path / "state.json"
    state.write_text(json.dumps(list(cluster.objects.values())))

    assert export_and_die(repo, state, failpoint, nth) == 137
    if complete:
        assert git(repo, "rev-parse", "HEAD^{tree}") == wanted
        assert git(repo, "rev-parse", "HEAD^") == before
    else:
        assert git(repo, "rev-parse", "HEAD") == before
    result = export(Where(repo))
    assert result.created is not complete
    assert (result.pending, result.conflicts) == ((), ())
    assert git(repo, "rev-parse", "HEAD^{tree}") == wanted
    assert git(repo, "status", "--porcelain") == ""
    assert git(repo, "fsck", "--strict", "--no-dangling") == ""
