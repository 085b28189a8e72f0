"""What putting a claim's data back in place does to claim, volume and workload. Pure.

Everything that must be known to go on, or back, after ``kill -9`` stands in the cluster itself: a
note on the old volume holds the claim that it belonged to, an annotation on each workload the
replicas that it had. https://kubernetes.io/docs/concepts/storage/persistent-volumes/
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from gitops_dr.model import Body, Ref
from gitops_dr.rules.clean import rules_for
from gitops_dr.volumes.restore import GROUP, SNAPSHOT
from gitops_dr.volumes.sets import STATEFUL_SET, ordinal_of

FORMAT = 1
NOTE = "gitops-dr.dev/in-place-restore"
"""Annotation on the old volume while the restore goes on: a :class:`Note` as JSON."""
REPLACED = "gitops-dr.dev/replaced-by-restore"
"""Annotation on the old volume afterwards: the claim that it was replaced for."""
REPLICAS = "gitops-dr.dev/replicas-before-restore"
"""Annotation on a suspended workload: how many replicas it had."""
WHEN_SCALED = "gitops-dr.dev/when-scaled-before-restore"
"""Annotation on a suspended StatefulSet: what it was to do with claims when it is scaled down."""

DEPLOYMENT = ("apps", "Deployment")

_CLAIM = ("", "PersistentVolumeClaim")
# With one of them the claim is one that a provisioner made a volume for; without, a rebuild would
# take its volume for a static one.
_PROVISIONERS = (
    "volume.kubernetes.io/storage-provisioner",
    "volume.beta.kubernetes.io/storage-provisioner",
)
_ORDINAL = re.compile(r"[0-9]+", re.ASCII)


class CannotReplaceError(Exception):
    """The claim's data cannot be put back in place; the text says why, the hint what helps."""

    def __init__(self, reason: str, hint: str = "") -> None:
        super().__init__(reason)
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Note:
    """What stands on the old volume of a claim that is being replaced."""

    claim: Body
    """The claim as it must be made again to have this volume."""
    snapshot: str
    """Name of the VolumeSnapshot that the new volume is filled from."""
    reclaim_policy: str
    """What the volume's was before."""
    together: Mapping[str, str]
    """Every claim of this run, as ``namespace/name``, and the name of its old volume."""
    at_rest: str = ""
    """Of a standby's claim that is not known to have been used since we filled it: the name of the
    VolumeSnapshot that it was filled from. Empty of any other. See ``at_rest.py``."""

    @property
    def ref(self) -> Ref:
        """The claim."""
        metadata = self.claim["metadata"]
        return Ref(*_CLAIM, metadata["namespace"], metadata["name"])


def write_note(note: Note) -> str:
    """Write the annotation's value."""
    document: dict[str, Any] = {
        "format": FORMAT,
        "snapshot": note.snapshot,
        "reclaimPolicy": note.reclaim_policy,
        "together": dict(note.together),
        "claim": note.claim,
    }
    if note.at_rest:
        document["atRest"] = note.at_rest
    return json.dumps(document, separators=(",", ":"), sort_keys=True)


def note_of(volume: Body) -> Note | None:
    """Read a volume's note; None if there is none.

    Raises ``CannotReplaceError`` for a broken one.
    """
    text = (volume["metadata"].get("annotations") or {}).get(NOTE)
    if text is None:
        return None
    try:
        document = json.loads(text)
        if document["format"] != FORMAT:
            raise ValueError(f"format {document['format']!r}")  # noqa: TRY301
        metadata = document["claim"]["metadata"]
        Ref(*_CLAIM, _text(metadata["namespace"]), _text(metadata["name"]))
        return Note(
            claim=document["claim"],
            snapshot=_text(document["snapshot"]),
            reclaim_policy=_text(document["reclaimPolicy"]),
            together={_text(k): _text(v) for k, v in document["together"].items()},
            at_rest=str(document.get("atRest") or ""),
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise CannotReplaceError(
            f"the note of an in-place restore on PersistentVolume {volume['metadata']['name']} "
            f"cannot be read ({type(error).__name__}: {error})",
            hint=f"look at its annotation {NOTE}; it holds the claim that the volume belongs to",
        ) from error


def _text(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise TypeError(f"{value!r} is not text")
    return value


# -- claims and volumes -----------------------------------------------------------------------


def made_again(live: Body) -> Body:
    """The claim as it must be made to be what it is now, of any volume.

    Raises ``CannotReplaceError`` if it cannot be deleted and made again.
    """
    body = deepcopy({**live, "apiVersion": "v1", "kind": _CLAIM[1]})
    metadata = body["metadata"]
    if metadata.get("deletionTimestamp"):
        raise CannotReplaceError("it is being deleted")
    for owner in metadata.get("ownerReferences") or ():
        if owner.get("controller") and owner.get("kind") == "Pod":
            raise CannotReplaceError(
                f"it belongs to Pod {owner.get('name')} and goes with it",
                hint="restore it elsewhere with --to, and copy what is needed",
            )
    provisioners = {
        key: value
        for key, value in (metadata.get("annotations") or {}).items()
        if key in _PROVISIONERS
    }
    rules_for(*_CLAIM).clean(body)
    # The set that owns it links itself again; a stale owner would have it collected as garbage.
    metadata.pop("ownerReferences", None)
    if metadata.get("finalizers"):
        raise CannotReplaceError(
            f"the finalizers {', '.join(map(str, metadata['finalizers']))} hold it, and nobody "
            "knows when they let it go",
            hint="restore it elsewhere with --to",
        )
    body["spec"].pop("volumeName", None)
    if provisioners:
        metadata["annotations"] = {**(metadata.get("annotations") or {}), **provisioners}
    return body


def with_old_volume(note: Note, volume: str) -> Body:
    """The claim that has its old volume again, and of a standby still says what is in that."""
    spec = {**note.claim["spec"], "volumeName": volume}
    if note.at_rest:
        spec["dataSourceRef"] = {"apiGroup": GROUP, "kind": SNAPSHOT[1], "name": note.at_rest}
    return {**note.claim, "spec": spec}


class Standing(StrEnum):
    """Which claim is there under the name."""

    OLD = "old"
    """The one with the old volume."""
    LEAVING = "leaving"
    """The same, on its way out."""
    GONE = "gone"
    NEW = "new"
    """The one that is filled from the snapshot."""
    FOREIGN = "foreign"
    """One that somebody else made meanwhile."""


def standing(live: Body | None, note: Note, volume: str) -> Standing:
    """Tell which claim this is, of one whose old volume is ``volume``."""
    if live is None:
        return Standing.GONE
    spec = live.get("spec") or {}
    if spec.get("volumeName") == volume:
        leaving = bool(live["metadata"].get("deletionTimestamp"))
        return Standing.LEAVING if leaving else Standing.OLD
    source = spec.get("dataSourceRef") or {}
    if (source.get("kind"), source.get("name")) == (SNAPSHOT[1], note.snapshot):
        return Standing.NEW
    return Standing.FOREIGN


# -- workloads --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Workload:
    """A workload that must be stopped while its volumes are changed."""

    ref: Ref
    replicas: int
    """How many it has when it runs."""
    was_ready: bool = True
    """Before it was stopped; if not, nobody can ask that of it afterwards."""


def replicas_of(body: Body) -> int:
    """How many replicas a Deployment or StatefulSet has, or had before it was suspended."""
    noted = (body["metadata"].get("annotations") or {}).get(REPLICAS)
    now = _replicas(body)
    return int(noted) if not now and noted is not None and _ORDINAL.fullmatch(noted) else now


def is_suspended(body: Body) -> bool:
    """Whether a restore has stopped it."""
    return not _replicas(body) and REPLICAS in (body["metadata"].get("annotations") or {})


def _replicas(body: Body) -> int:
    found = (body.get("spec") or {}).get("replicas")
    return found if isinstance(found, int) else 1


def workload_uses(group_kind: tuple[str, str], body: Body, claim: Ref) -> bool:
    """Whether a pod of the Deployment or StatefulSet has the claim, once the pods are there."""
    metadata, spec = body["metadata"], body.get("spec") or {}
    if metadata["namespace"] != claim.namespace or not replicas_of(body):
        return False
    if _pod_spec_uses((spec.get("template") or {}).get("spec") or {}, claim):
        return True
    return group_kind == STATEFUL_SET and ordinal_of(body, claim, replicas_of(body)) is not None


def pod_uses(pod: Body, claim: Ref) -> bool:
    """Whether a pod has the claim: even a finished one keeps it from being deleted."""
    return pod["metadata"]["namespace"] == claim.namespace and _pod_spec_uses(
        pod.get("spec") or {}, claim
    )


def _pod_spec_uses(spec: Mapping[str, Any], claim: Ref) -> bool:
    return any(
        (volume.get("persistentVolumeClaim") or {}).get("claimName") == claim.name
        for volume in spec.get("volumes") or ()
    )


def check_workload(ref: Ref, body: Body, autoscalers: Iterable[Body]) -> None:
    """Raise ``CannotReplaceError`` where somebody would start the workload again."""
    for owner in body["metadata"].get("ownerReferences") or ():
        if owner.get("controller"):
            raise CannotReplaceError(
                f"{ref} uses it, and {owner.get('kind')} {owner.get('name')} controls that and "
                "would start it again",
                hint="stop its operator's work on it and scale it to 0 yourself; a claim that no "
                "pod uses is replaced without touching any workload",
            )
    for autoscaler in autoscalers:
        spec = autoscaler.get("spec") or {}
        target = spec.get("scaleTargetRef") or {}
        if (target.get("kind"), target.get("name")) == (ref.kind, ref.name) and not spec.get(
            "minReplicas", 1
        ):
            # Any other autoscaler rests while its target has no replicas.
            # https://kubernetes.io/docs/tasks/run-application/horizontal-pod-autoscale/#implicit-maintenance-mode-deactivation
            raise CannotReplaceError(
                f"{ref} uses it, and HorizontalPodAutoscaler {autoscaler['metadata']['name']} "
                "scales that from 0 up",
                hint="set its minReplicas to 1 for the time of the restore",
            )


def suspension(group_kind: tuple[str, str], body: Body) -> Body:
    """The JSON merge patch that stops a workload and remembers how it was."""
    annotations: dict[str, Any] = {REPLICAS: str(replicas_of(body))}
    spec: dict[str, Any] = {"replicas": 0}
    policy = ((body.get("spec") or {}).get("persistentVolumeClaimRetentionPolicy") or {}).get(
        "whenScaled"
    )
    if group_kind == STATEFUL_SET and policy == "Delete":
        # It would delete the claims of all its pods, with their volumes.
        annotations[WHEN_SCALED] = policy
        spec["persistentVolumeClaimRetentionPolicy"] = {"whenScaled": "Retain"}
    return _patch(body, annotations, spec)


def resumption(body: Body) -> Body:
    """The JSON merge patch that lets a suspended workload run as it did."""
    held = body["metadata"].get("annotations") or {}
    annotations: dict[str, Any] = {REPLICAS: None}
    spec: dict[str, Any] = {"replicas": replicas_of(body)}
    if WHEN_SCALED in held:
        annotations[WHEN_SCALED] = None
        spec["persistentVolumeClaimRetentionPolicy"] = {"whenScaled": held[WHEN_SCALED]}
    return _patch(body, annotations, spec)


def _patch(body: Body, annotations: dict[str, Any], spec: dict[str, Any]) -> Body:
    metadata = body["metadata"]
    return {
        "metadata": {
            "name": metadata["name"],
            "namespace": metadata["namespace"],
            # Whoever writes to it meanwhile makes the patch fail, and it is made anew.
            "resourceVersion": metadata["resourceVersion"],
            "annotations": annotations,
        },
        "spec": spec,
    }
