"""Keeps a cluster's records true when files are encrypted anew and say the same. Reads Git only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from gitops_dr.desired.secret_records import SECRETS, write_secret_records
from gitops_dr.engine.secret_files import Secrets
from gitops_dr.repository.history import files_digest, newest_export
from gitops_dr.repository.tree import blobs


def record_file(secrets: Secrets, files: Mapping[str, bytes]) -> dict[str, bytes]:
    """The file ``recovery/secrets.yaml`` once these files, by path from the top, are written.

    Each Secret is known by what it was known by before. Empty if it need not change.
    """
    tree, records = secrets.tree, secrets.records
    start = len(tree.prefix) + 1
    new = {tree.files[path[start:]]: tree.repo.blob_id(data) for path, data in files.items()}
    sealed = {
        ref: replace(record, blob=new.get(record.blob, record.blob))
        for ref, record in records.sealed.items()
    }
    data = write_secret_records(replace(records, sealed=sealed))
    if data is None or sealed == records.sealed:
        return {}
    return {f"{tree.prefix}/{SECRETS}": data}


def trailers(secrets: Secrets, changes: Mapping[str, bytes]) -> dict[str, str]:
    """What says whose commit it is, and that Git and the cluster agree on it as they did before.

    Not the latter where HEAD has more than what both last agreed on: then the next export has to
    find that out itself.
    """
    tree, name = secrets.tree, secrets.opened.settings.name
    found = {"Resealed": name}
    if tree.coverage is None:
        return found
    repo, commit, prefix = tree.repo, tree.commit, tree.prefix
    agreed = newest_export(repo, commit, cluster=name, prefix=prefix, files=tree.files)
    if agreed is None or (agreed != commit and blobs(repo, agreed, prefix) != tree.files):
        return found
    start = len(prefix) + 1
    below = {
        path[start:]: repo.blob_id(data)
        for path, data in changes.items()
        if path.startswith(f"{prefix}/")
    }
    return {**found, "Cluster-Files": files_digest({**tree.files, **below})}
