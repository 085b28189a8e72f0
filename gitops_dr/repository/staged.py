"""Reads what is about to be committed: the blobs of the index that HEAD does not have. Runs git.

Reads only. The index is the one that Git names for a hook: ``git commit -a`` and
``git commit PATH`` commit another than the usual one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from gitops_dr.repository.blobs import Blob, blobs_among
from gitops_dr.repository.repository import Repository, head
from gitops_dr.repository.tree import MAX_BLOB


def staged_blobs(
    repo: Repository, environment: Mapping[str, str], *, limit: int = MAX_BLOB
) -> Iterator[Blob]:
    """Yield each blob that is in the index and not at its path in HEAD, once for each path.

    ``environment`` is the process's, of which only ``GIT_INDEX_FILE`` counts. A conflict that is
    not resolved is left out: Git does not commit it. What has more than ``limit`` bytes comes
    without its data. Raises ``RepositoryError`` if there is no such index, or git fails.
    """
    index = environment.get("GIT_INDEX_FILE")
    against = head(repo) or repo.empty_tree
    options = ["--cached", "--raw", "-z", "--no-renames", "--no-abbrev", "--diff-filter=AMT"]
    found = repo.git.run(
        ["diff-index", *options, "--end-of-options", against, "--"],
        env={"GIT_INDEX_FILE": index} if index else None,
    )
    records = iter(found.decode(errors="surrogateescape").split("\0")[:-1])
    paths: dict[str, list[str]] = {}
    for facts in records:
        path = next(records)
        # Of a submodule it is no blob, and is passed over.
        paths.setdefault(facts.split(" ")[3], []).append(path)
    for blob in blobs_among(repo, {name: places[0] for name, places in paths.items()}, limit):
        for path in paths[blob.id]:
            yield Blob(blob.id, path, blob.data, blob.problem)
