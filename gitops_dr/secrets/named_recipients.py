"""Names recipients in the text of ``gitops-dr.yaml``, which belongs to its people. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gitops_dr.errors import RefusedError
from gitops_dr.manifests.edit import edited
from gitops_dr.manifests.parse import parse_document


def with_names(text: bytes, recipients: Mapping[str, str], cluster: str, file: str) -> bytes:
    """Add these recipients, name to key, of one cluster to ``secrets.recipients``.

    One that has the name for this cluster already stays; comments and order stay too. ``file`` is
    for messages. Raises ``ManifestError`` for what is no such file, ``RefusedError`` where the name
    belongs to another key, and where only a person can edit the file.
    """
    document = parse_document(text, file)
    section = document.get("secrets")
    section = section if isinstance(section, dict) else {}
    listed = section.get("recipients")
    listed = listed if isinstance(listed, list) else []
    known = {one["name"]: one for one in listed if _is_about(one, cluster)}
    added: list[dict[str, Any]] = []
    for name, key in recipients.items():
        if name not in known:
            added.append({"name": name, "age": key, "cluster": cluster})
        elif str(known[name].get("age")).strip() != key:
            raise RefusedError(
                f"{file}: secrets.recipients has another key for {name!r} of cluster {cluster}",
                hint="choose another name; docs/secrets.md tells how a key is replaced",
            )
    if not added:
        return text
    wanted = {**document, "secrets": {**section, "recipients": [*listed, *added]}}
    made = edited(text, wanted, file, read=parse_document)
    if made.note:
        raise RefusedError(
            f"{file}: cannot be added to without losing its comments ({made.note})",
            hint="add the recipients to secrets.recipients by hand, and commit",
        )
    return made.data


def _is_about(written: object, cluster: str) -> bool:
    return (
        isinstance(written, dict)
        and isinstance(written.get("name"), str)
        and written.get("cluster") in (None, cluster)
    )
