"""Which claims a StatefulSet's pods have, by their names. Pure.

https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/#stable-storage
"""

from __future__ import annotations

import re

from gitops_dr.model import Body, Ref

STATEFUL_SET = ("apps", "StatefulSet")

_ORDINAL = re.compile(r"0|[1-9][0-9]*", re.ASCII)


def ordinal_of(stateful_set: Body, claim: Ref, replicas: int) -> int | None:
    """The ordinal of the pod that has the claim; None if none of so many pods has it."""
    metadata, spec = stateful_set["metadata"], stateful_set.get("spec") or {}
    if metadata["namespace"] != claim.namespace:
        return None
    first = (spec.get("ordinals") or {}).get("start") or 0
    for template in spec.get("volumeClaimTemplates") or ():
        prefix = f"{template['metadata']['name']}-{metadata['name']}-"
        ordinal = claim.name.removeprefix(prefix)
        if claim.name.startswith(prefix) and _ORDINAL.fullmatch(ordinal):
            return int(ordinal) if int(ordinal) in range(first, first + replicas) else None
    return None
