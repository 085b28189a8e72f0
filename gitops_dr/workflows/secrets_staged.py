"""``gitops-dr secrets check --staged``: is anything about to be committed that must not be in Git.

Reads the index of the repository and nothing else: no cluster, no key, no configuration. It is what
the pre-commit hook runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from gitops_dr.model import Gap, Ref
from gitops_dr.repository.paths import shown
from gitops_dr.repository.repository import open_repository
from gitops_dr.repository.staged import staged_blobs
from gitops_dr.secrets.guard import objection
from gitops_dr.secrets.standing import Exposure, History


def check_staged(repo: Path, environment: Mapping[str, str]) -> History:
    """Hold what is staged, and not in HEAD already, against the guard of commits.

    ``environment`` is the process's: Git tells a hook in it which index is committed. An
    ``Exposure`` of the result has no commit yet. Raises ``RepositoryError`` outside of a
    repository, and if git fails.
    """
    looked_at = 0
    exposures: list[Exposure] = []
    unread: list[Gap] = []
    for blob in staged_blobs(open_repository(repo), environment):
        path = shown(blob.path)
        if blob.data is None:
            unread.append(Gap(Ref("", "File", "", path), blob.problem))
            continue
        looked_at += 1
        if reason := objection(blob.path, blob.data):
            exposures.append(Exposure(path, reason, blob.id, commit="", in_tree=False))
    return History(looked_at, tuple(exposures), tuple(unread))
