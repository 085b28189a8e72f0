"""Tells whether a standby's claim may get newer data, and whether the volume it had may go. Pure.

A standby's claims are filled by us and wait. Once something has used one, its volume may hold what
nothing else does; Kubernetes keeps no history of that, so everything that it does tell is asked.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from gitops_dr.manifests.versioned import as_moment
from gitops_dr.model import Body
from gitops_dr.volumes.held_data import has_volume
from gitops_dr.volumes.in_place import REPLACED, Note
from gitops_dr.volumes.records import SnapshotRecord, Survives
from gitops_dr.volumes.retention import Handle, handle_of

FORMAT = 1
AT_REST = "gitops-dr.dev/replaced-at-rest"
"""Annotation on the old volume of a standby's claim: a :class:`Rested` as JSON."""

_UNUSED = "Unused"
_DELETE = "Delete"


def noted_within(claims: int) -> timedelta:
    """How soon Kubernetes notes of new claims, so many at once, that nothing uses them.

    Later means that something did, or that nobody looked. Its controller writes twenty a second
    (``--kube-api-qps``): https://github.com/kubernetes/enhancements/issues/5541
    """
    return timedelta(seconds=30 + claims / 10)


@dataclass(frozen=True, slots=True)
class Rested:
    """What a volume was that a sync has replaced at a standby."""

    snapshot: str
    """Name of the VolumeSnapshot that it was filled from."""
    reclaim_policy: str
    """What the volume's was before it was kept."""


def write_rested(note: Note) -> str:
    """Write the annotation's value, of a replacement that has ended."""
    document = {
        "format": FORMAT,
        "snapshot": note.at_rest,
        "reclaimPolicy": note.reclaim_policy,
    }
    return json.dumps(document, separators=(",", ":"), sort_keys=True)


def read_rested(volume: Body) -> Rested | None:
    """Read it; None where there is none, or one that is not ours to understand."""
    text = (volume["metadata"].get("annotations") or {}).get(AT_REST)
    try:
        document: Any = json.loads(text) if text else None
        if not isinstance(document, dict) or document.get("format") != FORMAT:
            return None
        return Rested(str(document["snapshot"]), str(document["reclaimPolicy"]))
    except (KeyError, ValueError):
        return None


def why_it_stays(
    live: Body,
    filled_from: SnapshotRecord | None,
    wanted: SnapshotRecord,
    *,
    rests_since: datetime | None,
    late: bool,
    used_by: str,
    claims: int = 1,
) -> str:
    """Why a standby's claim does not get the data of ``wanted``; empty if it may.

    ``filled_from``: the record in Git's history whose snapshot it names as its source; None if
    there is none. ``rests_since``: since when nothing of ours has started anything there.
    ``late``: a claim of its class gets its volume once a pod asks for it. ``used_by``: what uses it
    now, in words. ``claims``: how many the standby has.
    """
    if filled_from is None:
        return "it was not filled from a snapshot that this history knows"
    then, now = filled_from.moment, wanted.moment
    if then is None or now is None or then > now:
        return f"its data is newer, of {filled_from.created}"
    if not has_volume(live):
        return ""
    if used_by:
        return used_by
    if late:
        return "it has a volume, which its class makes only for a pod"
    return perhaps_used(live, rests_since) or _said_to_be_used(live, claims)


def perhaps_used(live: Body, rests_since: datetime | None) -> str:
    """Why nobody knows whether what we have started used a claim since it was made.

    Empty if nothing did, as far as that is known: ``rests_since`` is since when nothing was started
    there, None if that is not known of any moment.
    """
    if rests_since is None:
        return "it may have been used: the standby was not known to rest until now"
    made = _made(live)
    if made is None or made < rests_since:
        since = rests_since.isoformat()
        return f"it may have been used: the standby is known to rest only since {since}"
    return ""


def _made(live: Body) -> datetime | None:
    return as_moment(str(live["metadata"].get("creationTimestamp") or ""))


def _said_to_be_used(live: Body, claims: int) -> str:
    """What Kubernetes itself says of it; before 1.37, nothing."""
    made = _made(live)
    for condition in (live.get("status") or {}).get("conditions") or ():
        if condition.get("type") != _UNUSED:
            continue
        if condition.get("status") != "True":
            return "a pod uses it"
        since = str(condition.get("lastTransitionTime") or "")
        moment = as_moment(since)
        if moment is None or made is None or moment - made > noted_within(claims):
            return f"a pod may have used it until {since}"
    return ""


def why_it_is_kept(
    volume: Body, filled_from: SnapshotRecord | None, gone: Collection[Handle]
) -> str:
    """Why a volume that was replaced must not be given back to its reclaim policy; empty if it may.

    ``filled_from``: the record in Git's history whose snapshot it was filled from. ``gone``: the
    snapshots that were pruned.
    """
    rested = read_rested(volume)
    if rested is None:
        return "what it holds may be nowhere else"
    if filled_from is None or handle_of(filled_from) in gone:
        return "the snapshot that it was filled from is not recorded any more"
    if filled_from.survives is Survives.VOLUME:
        return "the snapshot that it was filled from dies with its volume"
    if (volume.get("status") or {}).get("phase") != "Released":
        return "a claim has it"
    if (volume["spec"].get("csi") or {}).get("driver") != filled_from.driver:
        return "it is not of the snapshot's driver"
    if rested.reclaim_policy != _DELETE:
        return f"its reclaim policy was {rested.reclaim_policy} before"
    return ""


def replaced_for(volume: Body) -> str:
    """The claim that a volume was replaced for, as ``namespace/name``; empty if it was not."""
    return str((volume["metadata"].get("annotations") or {}).get(REPLACED) or "")
