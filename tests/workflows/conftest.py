"""A cluster in memory, and a repository with one export of it."""

import os
from pathlib import Path

import pytest
from small_cluster import OTHERS, SHOP, SmallCluster, config_map, new_repo

from gitops_dr.engine.opening import Where
from gitops_dr.workflows.export import export


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> SmallCluster:
    for name in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{name}_NAME", "Someone")
        monkeypatch.setenv(f"GIT_{name}_EMAIL", "someone@example.org")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    made = SmallCluster(SHOP, config_map("a", v="1"), config_map("b", v="1"), *OTHERS)
    made.put_in_place(monkeypatch.setattr)
    return made


@pytest.fixture
def repo(tmp_path: Path, cluster: SmallCluster) -> Path:
    path = new_repo(tmp_path / "repository")
    assert export(Where(path)).created
    return path
