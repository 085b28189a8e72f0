"""Says which Secrets a plan does not bring: closed ones, and those of elsewhere. No I/O."""

from __future__ import annotations

from gitops_dr.desired.target_state import OF_EACH
from gitops_dr.engine.difference import Examined
from gitops_dr.model import Gap, Plan, Ref
from gitops_dr.planning.selection import Intent


def closed(examined: Examined, chosen: frozenset[Ref], intent: Intent) -> list[Gap]:
    """The Secrets that cannot be opened, unless the person does without them."""
    if intent.without_secrets:
        return []
    unopened = examined.recorded.unopened
    return [Gap(ref, unopened[ref]) for ref in sorted(chosen & unopened.keys())]


def not_brought(examined: Examined, plan: Plan, intent: Intent) -> list[Gap]:
    """The Secrets whose values come from elsewhere, and have not come to the target yet."""
    if intent.selection:
        return []
    told = {gap.ref for gap in plan.gaps}
    there = examined.observation.external
    seen = examined.observation.state
    gaps = [
        Gap(omission.ref, "is each cluster's own, and this one has none")
        for omission in examined.omissions
        if omission.rule == OF_EACH
        and omission.ref not in seen.entries
        and omission.ref not in seen.unlisted
        and omission.ref not in told
    ]
    rewriter = examined.recorded.rewriter
    for source, recorded in sorted(examined.recorded.tree.sealing.records.external.items()):
        ref = rewriter.ref(source)
        if ref is None or ref in examined.desired.entries:
            continue
        keys = sorted(set(recorded.keys) - set(there[ref].keys if ref in there else ()))
        if ref not in told and (keys or ref not in there):
            of = f" (keys: {', '.join(keys)})" if keys else ""
            gaps.append(Gap(ref, f"comes from elsewhere, and has not come{of}"))
    return gaps
