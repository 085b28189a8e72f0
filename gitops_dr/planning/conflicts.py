"""Names in a plan the fields that somebody else applies, who would put them back. Pure.

Of a manifest that people keep, such a field is left alone unless its ownership is to be taken: two
who apply the same field undo each other for ever. Of an exported one it is overwritten, since Git
holds what the cluster was, and a person is told that it will not stay.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from gitops_dr.drift.appliers import whose
from gitops_dr.model import Action, Difference, Plan, Ref
from gitops_dr.planning.plan import first_few

_NOTED = 10
"""How many objects a plan's notes name."""

TAKE = "--take-ownership overwrites it"


def with_conflicts(
    plan: Plan,
    differences: Iterable[Difference],
    is_authored: Callable[[Ref], bool],
    *,
    taking: bool,
) -> Plan:
    """The plan, in which every step that writes to somebody else's field says so.

    ``differences`` are those that the plan was made from, with their authors. ``taking``: the
    fields are overwritten all the same.
    """
    found = {
        difference.ref: told
        for difference in differences
        if (told := [t for c in difference.changes if (t := whose(c.path, c.managers))])
    }
    steps, notes = [], []
    for step in plan.steps:
        told = found.get(step.ref, [])
        if step.action is not Action.CONFIGURE or step.empty_volume or not told:
            steps.append(step)
        elif is_authored(step.ref) and not taking:
            reason = "; ".join(filter(None, [step.reason, f"{first_few(told)}: {TAKE}"]))
            steps.append(replace(step, reason=reason))
        else:
            steps.append(step)
            notes.append(f"{step.ref}: {first_few(told)}, who will put it back")
    if len(notes) > _NOTED:
        notes[_NOTED:] = [f"and fields of {len(notes) - _NOTED} more objects, likewise"]
    return replace(plan, steps=tuple(steps), notes=(*plan.notes, *notes))
