"""Says which differing objects a rule leaves alone, so that they are neither written nor a failure.

Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from gitops_dr.model import Difference, Omission, Presence, Ref
from gitops_dr.planning.facts import NO_FACTS, ObjectFacts
from gitops_dr.planning.selection import Intent
from gitops_dr.rules.completion import is_held_back, release
from gitops_dr.rules.platform import platform_reason


def left_alone(
    differences: Iterable[Difference], facts: Mapping[Ref, ObjectFacts], intent: Intent
) -> dict[Ref, Omission]:
    """The differing objects that are left alone, each with its rule.

    They are the platform's own in another cluster, what came back held, and what only works with a
    part of the platform that is not there.
    """
    differences = list(differences)
    found = {d.ref: omission for d in differences if (omission := _by_itself(d, intent))}
    absent = {d.ref for d in differences if d.presence is Presence.MISSING and d.ref in found}
    for difference in differences:
        ref = difference.ref
        if ref in found or difference.presence is not Presence.MISSING:
            continue
        needs = facts.get(ref, NO_FACTS).references.needs
        backend = next((need.ref for need in needs if need.ready and need.ref in absent), None)
        if backend is not None and not intent.selection.spells_out(ref):
            reason = f"It only works with {backend}, which is left to the cluster's platform."
            found[ref] = Omission(ref, "platform-backend", reason)
    return found


def _by_itself(difference: Difference, intent: Intent) -> Omission | None:
    """The rule by which a differing object is neither written nor a failure."""
    ref = difference.ref
    if difference.presence is Presence.UNMANAGED:
        return None
    if is_held_back(difference):
        field = release(ref)
        return Omission(ref, "held-back", f"came back held; change {field} to let it start")
    because = platform_reason(ref) if intent.elsewhere else None
    if because and not intent.selection.spells_out(ref):
        return Omission(
            ref, "platform", f"{because} Name it with --ref or --namespace to apply it."
        )
    return None
