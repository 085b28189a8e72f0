"""What is held, and what is not."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_cluster import new_repo

from gitops_dr.cluster.lease import this_run
from gitops_dr.engine.holding import holding
from gitops_dr.errors import RefusedError
from gitops_dr.repository.lock import held
from gitops_dr.repository.repository import open_repository


def test_a_dry_run_holds_nothing_and_is_not_held_up(tmp_path: Path) -> None:
    repo = open_repository(new_repo(tmp_path / "repo"))
    with (
        holding("export", repo=repo),
        pytest.raises(RefusedError, match="gitops-dr export"),
        holding("accept", repo=repo),
    ):
        pytest.fail("both hold it")
    with holding("export", repo=repo), holding("export", repo=repo, wanted=False):
        pass
    with holding("export", repo=repo, wanted=False), held(repo, this_run("accept")):
        pass
