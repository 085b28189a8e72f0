"""What is about to be committed, over real git: the index that counts, and the hook that asks."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from command import gitops_dr

from gitops_dr.errors import ExitCode, RepositoryError
from gitops_dr.reports.secrets_staged import STAGED_FORMATS, staged_exit_code
from gitops_dr.repository.hooks import install_hook
from gitops_dr.repository.repository import open_repository
from gitops_dr.secrets.standing import History
from gitops_dr.workflows.init import HOOK, init
from gitops_dr.workflows.secrets_staged import check_staged

PLAIN = "kind: Secret\nmetadata: {name: db}\ndata: {password: aHVudGVyMg==}\n"
HARMLESS = "kind: ConfigMap\nmetadata: {name: db}\n"
IDENTITY = "AGE-SECRET-KEY-1" + "QYQSZQGP" * 7


@pytest.fixture(autouse=True)
def quiet_git(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{name}_NAME", "Someone")
        monkeypatch.setenv(f"GIT_{name}_EMAIL", "someone@example.org")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.delenv("GIT_INDEX_FILE", raising=False)


def git(folder: Path, *args: str, code: int = 0) -> str:
    done = subprocess.run(["git", *args], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr
    return done.stdout + done.stderr


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    folder = tmp_path / "repo"
    git(tmp_path, "init", "--quiet", "--initial-branch=main", str(folder))
    return folder


def put(repo: Path, path: str, text: str | bytes, *, add: bool = True) -> None:
    file = repo / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    if add:
        git(repo, "add", "--", path)


def refused(repo: Path) -> list[tuple[str, str]]:
    found = check_staged(repo, os.environ)
    assert found.unread == ()
    return [(one.path, one.reason) for one in found.exposures]


SECRET = "db.yaml is a Secret with values in plain text"


def test_before_the_first_commit_all_that_is_staged_is_looked_at(repo: Path) -> None:
    put(repo, "a/db.yaml", PLAIN)
    put(repo, "keys.txt", IDENTITY)
    put(repo, "b.yaml", HARMLESS)
    assert refused(repo) == [("a/db.yaml", SECRET), ("keys.txt", "holds an age identity")]
    assert check_staged(repo, {}).blobs == 3


def test_only_what_is_staged_and_new_is_looked_at(repo: Path) -> None:
    put(repo, "old.yaml", PLAIN)
    git(repo, "commit", "--quiet", "--message", "Theirs")
    put(repo, "new.yaml", HARMLESS)
    put(repo, "later.yaml", PLAIN, add=False)
    assert refused(repo) == []
    put(repo, "old.yaml", PLAIN + "# changed\n")
    assert [path for path, _ in refused(repo)] == ["old.yaml"]


def test_the_index_counts_and_not_the_file(repo: Path) -> None:
    put(repo, "db.yaml", PLAIN)
    put(repo, "db.yaml", HARMLESS, add=False)
    assert refused(repo) == [("db.yaml", SECRET)]


def test_each_path_of_a_blob_is_named_and_what_is_deleted_is_not(repo: Path) -> None:
    put(repo, "gone.yaml", PLAIN + "# gone\n")
    git(repo, "commit", "--quiet", "--message", "Theirs")
    git(repo, "rm", "--quiet", "gone.yaml")
    for path in ("a/db.yaml", "b/db.yaml", "ü\n.yaml"):
        put(repo, path, PLAIN)
    assert [path for path, _ in refused(repo)] == ["a/db.yaml", "b/db.yaml", r"'\xfc\n.yaml'"]


def test_links_submodules_and_modes_are_no_trouble(repo: Path) -> None:
    put(repo, "db.yaml", HARMLESS)
    git(repo, "commit", "--quiet", "--message", "Theirs")
    (repo / "link").symlink_to("/etc/shadow")
    (repo / "db.yaml").chmod(0o755)
    head = git(repo, "rev-parse", "HEAD").strip()
    git(repo, "update-index", "--add", "--cacheinfo", f"160000,{head},sub")
    git(repo, "add", "link", "db.yaml")
    assert refused(repo) == []
    assert check_staged(repo, {}).blobs == 2


def test_a_conflict_that_is_not_resolved_is_left_to_git(repo: Path) -> None:
    put(repo, "db.yaml", HARMLESS)
    git(repo, "commit", "--quiet", "--message", "Base")
    git(repo, "switch", "--quiet", "--create", "other")
    put(repo, "db.yaml", HARMLESS + "a: 1\n")
    git(repo, "commit", "--quiet", "--message", "Other")
    git(repo, "switch", "--quiet", "main")
    put(repo, "db.yaml", HARMLESS + "a: 2\n")
    git(repo, "commit", "--quiet", "--message", "Main")
    git(repo, "merge", "--quiet", "other", code=1)
    assert refused(repo) == []
    put(repo, "db.yaml", PLAIN)
    assert refused(repo) == [("db.yaml", SECRET)]


def test_what_is_too_large_is_said(repo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gitops_dr.repository.staged.staged_blobs.__kwdefaults__", {"limit": 100})
    put(repo, "big.yaml", PLAIN + "#" * 100)
    put(repo, "db.yaml", HARMLESS)
    found = check_staged(repo, {})
    assert (found.blobs, found.exposures) == (1, ())
    assert [gap.ref.name for gap in found.unread] == ["big.yaml"]
    assert staged_exit_code(found) is ExitCode.PARTIAL
    assert "big.yaml: has " in STAGED_FORMATS["table"](found)


def test_outside_of_a_repository_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(RepositoryError, match="not in a Git repository"):
        check_staged(tmp_path, {})


def test_an_index_that_is_no_index_is_an_error(repo: Path, tmp_path: Path) -> None:
    (tmp_path / "index").write_text("no index")
    with pytest.raises(RepositoryError, match="git diff-index"):
        check_staged(repo, {"GIT_INDEX_FILE": str(tmp_path / "index")})


# -- the hook, run by git ---------------------------------------------------------------------


@pytest.fixture
def made(tmp_path: Path) -> Path:
    folder = tmp_path / "made"
    result = init(folder, cluster="shop")
    assert result.no_hook == ""
    return folder


def test_git_commit_is_refused_with_the_path_and_without_the_value(made: Path) -> None:
    put(made, "a/db.yaml", PLAIN)
    said = git(made, "commit", "--message", "No", code=1)
    assert f"a/db.yaml: {SECRET}" in said
    assert "git commit --no-verify" in said
    assert "aHVudGVyMg" not in said
    assert git(made, "rev-list", "--count", "HEAD").strip() == "1"
    git(made, "commit", "--quiet", "--no-verify", "--message", "All the same")


def test_a_harmless_commit_says_nothing(made: Path) -> None:
    put(made, "b.yaml", HARMLESS)
    assert git(made, "commit", "--quiet", "--message", "Yes") == ""


@pytest.mark.parametrize("form", [["--all"], ["--", "b.yaml"], ["--include", "--", "b.yaml"]])
def test_what_git_commits_by_another_index_is_looked_at(made: Path, form: list[str]) -> None:
    put(made, "b.yaml", HARMLESS)
    git(made, "commit", "--quiet", "--message", "Yes")
    put(made, "b.yaml", PLAIN, add=False)
    assert "b.yaml" in git(made, "commit", "--message", "No", *form, code=1)


def test_a_partial_commit_is_not_held_up_by_what_is_staged_beside_it(made: Path) -> None:
    put(made, "b.yaml", HARMLESS)
    put(made, "db.yaml", PLAIN)
    git(made, "commit", "--quiet", "--message", "Only this", "--", "b.yaml")
    git(made, "commit", "--message", "No", code=1)


def test_in_a_worktree_and_from_a_subfolder_it_is_the_same(made: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    git(made, "worktree", "add", "--quiet", str(other), "-b", "other")
    put(other, "deep/db.yaml", PLAIN)
    assert "deep/db.yaml" in git(other / "deep", "commit", "--message", "No", code=1)


def test_without_the_command_nothing_is_committed_and_the_hint_says_why(
    made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    put(made, "b.yaml", HARMLESS)
    said = git(made, "commit", "--message", "No", code=1)
    assert "gitops-dr: not found" in said
    assert "--no-verify" in said


def test_the_hook_of_the_tree_is_never_run(made: Path) -> None:
    """What somebody pushes must not run on the machines of those who pull."""
    put(made, HOOK, "#!/bin/sh\ntouch pwned\n")
    (made / HOOK).chmod(0o755)
    git(made, "commit", "--quiet", "--message", "Theirs")
    assert not (made / "pwned").exists()


# -- how it gets there ------------------------------------------------------------------------


def test_the_hook_is_a_copy_that_can_be_run(made: Path) -> None:
    hook = made / ".git" / "hooks" / "pre-commit"
    assert hook.read_bytes() == (made / HOOK).read_bytes()
    assert os.access(hook, os.X_OK)
    assert git(made, "config", "--get", "core.hooksPath", code=1) == ""
    assert subprocess.run(["sh", "-n", hook], check=False).returncode == 0


def test_a_clone_gets_it_as_the_file_says(made: Path, tmp_path: Path) -> None:
    git(tmp_path, "clone", "--quiet", str(made), "clone")
    clone = tmp_path / "clone"
    line = next(line for line in (clone / HOOK).read_text().splitlines() if "cp .git" in line)
    subprocess.run(["sh", "-ec", line.lstrip("# ")], cwd=clone, check=True)
    put(clone, "db.yaml", PLAIN)
    assert SECRET in git(clone, "commit", "--message", "No", code=1)


def test_a_hook_that_is_there_is_left_alone(repo: Path) -> None:
    hook = repo / ".git" / "hooks" / "pre-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\n")
    result = init(repo, cluster="shop")
    assert result.no_hook == "there is a hook pre-commit already"
    assert hook.read_text() == "#!/bin/sh\n"


def test_hooks_that_are_kept_elsewhere_are_left_alone(repo: Path) -> None:
    git(repo, "config", "core.hooksPath", ".husky")
    said = gitops_dr("init", str(repo), "--cluster", "shop")
    assert "not installed in this clone: core.hooksPath is .husky." in said.out
    assert not (repo / ".git" / "hooks" / "pre-commit").exists()


def test_a_second_time_it_is_there(repo: Path) -> None:
    opened = open_repository(repo)
    assert install_hook(opened, "pre-commit", b"#!/bin/sh\n") == ""
    assert install_hook(opened, "pre-commit", b"#!/bin/sh\n") == ""
    assert "already" in install_hook(opened, "pre-commit", b"#!/bin/sh\ntrue\n")


def test_a_folder_that_cannot_be_written_is_said(repo: Path) -> None:
    folder = repo / ".git" / "hooks"
    for file in folder.glob("*"):
        file.unlink()
    if folder.exists():
        folder.rmdir()
    folder.write_text("a file")
    assert "hooks" in install_hook(open_repository(repo), "pre-commit", b"")


# -- the report -------------------------------------------------------------------------------


def test_nothing_found_is_one_line() -> None:
    clean = History(3, (), ())
    assert STAGED_FORMATS["table"](clean).count("\n") == 0
    assert staged_exit_code(clean) is ExitCode.DONE
    assert '"clean": true' in STAGED_FORMATS["json"](clean)


def test_what_was_found_is_a_document(repo: Path) -> None:
    put(repo, "db.yaml", PLAIN)
    found = check_staged(repo, {})
    assert staged_exit_code(found) is ExitCode.DIFFERENCES
    assert f'"reason": "{SECRET}"' in STAGED_FORMATS["json"](found)
