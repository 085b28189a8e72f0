"""Finds credentials in plain text in the manifests of a commit. Reads Git only."""

from __future__ import annotations

from collections.abc import Iterator

from gitops_dr.engine.recorded import Tree
from gitops_dr.errors import ManifestError
from gitops_dr.manifests.parse import parse
from gitops_dr.model import Ref
from gitops_dr.repository.tree import read
from gitops_dr.secrets.exposed import Exposed, exposed_in


def exposed_credentials(tree: Tree) -> Iterator[Exposed]:
    """Yield the credentials that stand in the open in one cluster's objects, file by file.

    What is no manifest is passed over: whoever reads the tree says so. Raises ``RepositoryError``
    for a blob that is damaged.
    """
    files = sorted(tree.manifests.items())
    contents = read(tree.repo, [blob for _, blob in files])
    for (path, _), (_, data) in zip(files, contents, strict=True):
        try:
            body = parse(data, path)
        except ManifestError:
            continue
        metadata, group = body["metadata"], body["apiVersion"].rpartition("/")[0]
        ref = Ref(group, body["kind"], metadata.get("namespace", ""), metadata["name"])
        yield from exposed_in(ref, body)
