"""Says whether a live object is what was wanted. No I/O."""

from __future__ import annotations

from copy import deepcopy

from gitops_dr.engine.owners import without_uids
from gitops_dr.errors import ManifestError
from gitops_dr.manifests.emit import canonical
from gitops_dr.model import Body, Ref, Resource
from gitops_dr.rules.clean import rules_for
from gitops_dr.rules.relations import RelationFacts, apply_autoscaler
from gitops_dr.volumes.restore import source_lost


def same(ref: Ref, live: Body, wanted: Body, resource: Resource) -> bool:
    """Whether a live object, cleaned, is what was wanted; the UIDs of owners do not count.

    One that was to be filled from somewhere and is not is another, though rules pass over that.
    """
    expected = without_uids(wanted)
    if source_lost(expected, live):
        return False
    sides = (cleaned(ref, side, expected, resource) for side in (live, expected))
    try:
        return len({canonical(side) for side in sides}) == 1
    except ManifestError:
        # What Git has can be written, so something else is there.
        return False


def cleaned(ref: Ref, live: Body, wanted: Body, resource: Resource) -> Body:
    """A copy of a live object without what rules take out, to be held against ``wanted``."""
    copy = deepcopy({**live, "apiVersion": resource.api_version, "kind": resource.kind})
    rules_for(resource.group, resource.kind).clean(copy)
    spec = wanted.get("spec")
    if isinstance(spec, dict) and "replicas" not in spec:
        # What an autoscaler decides is not in Git, but the API server fills it in.
        apply_autoscaler(ref, copy, RelationFacts(autoscaled={ref}))
    return copy
