"""One run at a time in a worktree: told by name, and never held by the dead."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gitops_dr.errors import ExitCode, RefusedError, RepositoryError
from gitops_dr.model import Holder
from gitops_dr.repository.lock import held
from gitops_dr.repository.repository import open_repository

ME = Holder("run-1", "laptop", "alice", 4711, "gitops-dr export", "2026-11-22T10:00:00Z")
OTHER = Holder("run-2", "laptop", "bob", 4712, "gitops-dr accept", "2026-11-22T10:00:05Z")

HOLD = """
import sys
from pathlib import Path
from gitops_dr.model import Holder
from gitops_dr.repository.lock import held
from gitops_dr.repository.repository import open_repository
with held(open_repository(Path(sys.argv[1])), Holder("r", "h", "carol", 1, "gitops-dr x", "")):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holding(repo):
    """Another process that holds the worktree until it is told to end."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, repo.root],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def test_a_second_run_is_refused_and_told_who_holds_it(repo):
    with held(repo, ME), pytest.raises(RefusedError) as caught, held(repo, OTHER):
        pytest.fail("both hold it")
    assert caught.value.exit_code == ExitCode.REFUSED
    assert caught.value.message == (
        f"{repo.root}: is in use by alice@laptop (process 4711): gitops-dr export, "
        "since 2026-11-22T10:00:00Z"
    )


def test_what_ended_holds_nothing_and_leaves_no_name(repo):
    with held(repo, ME):
        pass
    with pytest.raises(KeyError), held(repo, ME):
        raise KeyError
    with held(repo, OTHER):
        pass
    assert (repo.git_dir / "gitops-dr" / "run").read_bytes() == b""


def test_another_process_is_refused_too(repo, holding):
    with pytest.raises(RefusedError, match=re.escape("carol@h")), held(repo, ME):
        pytest.fail("both hold it")


def test_a_killed_run_holds_nothing(repo, holding):
    holding.send_signal(signal.SIGKILL)
    holding.wait()
    with held(repo, ME):
        pass


def test_a_child_does_not_inherit_the_hold(repo):
    """A git that is still busy when its parent is gone must not keep everybody out."""
    with held(repo, ME):
        sleeper = subprocess.Popen(["sleep", "60"], close_fds=False)
    try:
        with held(repo, OTHER):
            pass
    finally:
        sleeper.kill()
        sleeper.wait()


@pytest.mark.parametrize("said", [b"", b"{", b"[]", b"\xff", b'{"run": 1}', b'{"pid": "x"}'])
def test_a_name_that_cannot_be_read_is_left_out(repo, said):
    with held(repo, ME):
        (repo.git_dir / "gitops-dr" / "run").write_bytes(said)
        with pytest.raises(RefusedError) as caught, held(repo, OTHER):
            pytest.fail("both hold it")
    assert caught.value.message == f"{repo.root}: is in use"


def test_worktrees_are_held_apart(repo, save, plain, tmp_path: Path):
    save(repo, {"a": b"a\n"})
    plain(repo, "worktree", "add", "-q", "-b", "other", str(tmp_path / "other"))
    with held(repo, ME), held(open_repository(tmp_path / "other"), OTHER):
        pass


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_repository_that_cannot_be_written(repo):
    repo.git_dir.chmod(0o500)
    try:
        with pytest.raises(RepositoryError, match="must be able to write"), held(repo, ME):
            pytest.fail("held")
    finally:
        repo.git_dir.chmod(0o700)


def test_a_file_in_the_way_of_the_folder(repo):
    (repo.git_dir / "gitops-dr").write_bytes(b"")
    with pytest.raises(RepositoryError), held(repo, ME):
        pytest.fail("held")
