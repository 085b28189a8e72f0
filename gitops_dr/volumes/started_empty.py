"""The note on a claim that a rebuild made it without its data. Pure.

It stays on the claim in the target, so that no later run takes an empty volume for a full one. A
rule keeps it out of Git and of every comparison; accepting empty volumes takes it off.
"""

from __future__ import annotations

from gitops_dr.model import Body, Ref

NOTE = "gitops-dr.dev/started-empty"
"""The annotation; its value is ``true``."""

_CLAIM = ("", "PersistentVolumeClaim")


def with_note(claim: Body) -> Body:
    """A claim with the note on it; the one that was given stays as it is."""
    metadata = claim["metadata"]
    annotations = {**(metadata.get("annotations") or {}), NOTE: "true"}
    return {**claim, "metadata": {**metadata, "annotations": annotations}}


def has_note(group_kind: tuple[str, str], body: Body) -> bool:
    """Whether this object is a claim with the note on it."""
    return group_kind == _CLAIM and NOTE in (body["metadata"].get("annotations") or {})


def note_taken_off(claim: Ref) -> Body:
    """The JSON merge patch (RFC 7386) that takes the note off a claim, if it is there."""
    metadata = {"name": claim.name, "namespace": claim.namespace, "annotations": {NOTE: None}}
    return {"metadata": metadata}
