"""Carries a plan out and then releases what acts outward, once everything else is there.

``rebuild``, ``sync`` and ``failover`` go this way. A release is the ordinary plan from the held
State to the full one, of the held objects alone; killed and run again it is continued. Writes to
the target.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from gitops_dr.cluster.connect import ApiError
from gitops_dr.desired.managers import Holder
from gitops_dr.desired.outward import NO_HOLD
from gitops_dr.engine.carrying import Carried, carry, left_over
from gitops_dr.engine.difference import held_against
from gitops_dr.engine.endpoints import what_changed
from gitops_dr.engine.handover import hand_over
from gitops_dr.engine.outward import by_failover, by_rebuild, releasable
from gitops_dr.engine.prepare import Prepared, prepare_from
from gitops_dr.engine.resting import note_rest
from gitops_dr.events import (
    Advanced,
    Emit,
    Event,
    PhaseEnded,
    PhaseStarted,
    silent,
)
from gitops_dr.model import GOOD_ENDS, Action, Outcome, Ref
from gitops_dr.planning.selection import Intent, Release, Selection
from gitops_dr.results.rebuild import Outwards, Rebuilt

PHASE = "release"


def carry_out_and_release(
    prepared: Prepared,
    intent: Intent,
    *,
    timeout: float = 300.0,
    also: Callable[[], object] = lambda: None,
    emit: Emit = silent,
) -> Rebuilt:
    """Carry out the steps of a plan, compare again, and release what the plan says is released.

    It is not, unless the intent is to release it always, while anything failed or differs, or a gap
    has shown up that the plan did not name. What is held in the end is in the result.
    What is another for the outside is looked at last; so long may addresses take.
    ``timeout``, ``also``: as for ``carrying.carry``.
    """
    # Before the first write, since it may be unreadable.
    recorded = prepared.examined.recorded.tree.endpoints()
    until = time.monotonic() + timeout
    note_rest(prepared, emit)
    carried = carry(prepared, intent, timeout=timeout, also=also, emit=emit)
    ended = _released(prepared, carried, intent, timeout=timeout, emit=emit)
    rebuilt = ended.rebuilt
    outcomes = (*rebuilt.outcomes, *rebuilt.released)
    outside = what_changed(prepared, recorded, ended.after, outcomes, until=until, emit=emit)
    return replace(rebuilt, outside=outside)


def _released(
    prepared: Prepared, carried: Carried, intent: Intent, *, timeout: float, emit: Emit
) -> Carried:
    """The same, once what is released at the end of it is."""
    rebuilt, outward = carried.rebuilt, prepared.planned.outward
    if not outward.held:
        return carried
    held = _as_held(prepared, carried, intent)
    still = replace(outward, held=tuple(one for one in outward.held if one.ref in held))
    if not still.held:
        return carried
    if outward.is_released and intent.release is not Release.ALWAYS:
        still = replace(still, stays=_not_yet(rebuilt))
    if still.stays:
        told = replace(rebuilt, outward=_with_command(still, prepared))
        return replace(carried, rebuilt=told)
    return release(prepared, carried, intent, held, timeout=timeout, emit=emit)


def release(
    prepared: Prepared,
    carried: Carried,
    intent: Intent,
    refs: frozenset[Ref],
    *,
    timeout: float = 300.0,
    emit: Emit = silent,
) -> Carried:
    """Make the held objects ``refs`` what they are without the hold, in dependency order.

    ``carried``: what came of the held plan, which the result takes up.
    """
    started = time.monotonic()
    emit(PhaseStarted(PHASE, len(refs)))
    quietly = _as_one_phase(emit)
    held = carried.after
    full = replace(prepared.target, hold=NO_HOLD)
    examined = held_against(
        prepared.connection,
        held.observation,
        held.recorded.tree,
        target=full,
        trusted=prepared.trusted,
        before=held,
        emit=quietly,
    )
    part = replace(examined, differences=tuple(d for d in examined.differences if d.ref in refs))
    meant = refs & examined.desired.entries.keys()
    wanted = replace(intent, selection=Selection(refs=meant), overwrite=True, replace=False)
    again = prepare_from(
        prepared.opened,
        prepared.connection,
        part,
        intent=wanted,
        target=full,
        tried=False,
        emit=quietly,
    )
    # Those that nobody waited for have owners among them, whose operators now work.
    again = replace(again, chosen=again.chosen | meant)
    after = carry(again, wanted, timeout=timeout, emit=quietly)
    holders = again.holders() if intent.hand_over else {}
    outcomes = tuple(
        _handed_over(again, outcome, holders.get(outcome.ref)) for outcome in after.rebuilt.outcomes
    )
    emit(PhaseEnded(PHASE, time.monotonic() - started, len(outcomes)))
    before = carried.rebuilt
    held_back, differences = left_over(prepared, intent, after.after)
    rebuilt = replace(
        before,
        differences=differences,
        equal=after.rebuilt.equal,
        gaps=tuple(dict.fromkeys([*before.gaps, *after.rebuilt.gaps])),
        held=held_back,
        released=outcomes,
    )
    return Carried(rebuilt, after.after)


def _handed_over(prepared: Prepared, outcome: Outcome, holder: Holder | None) -> Outcome:
    """Give what we have let go to who applied it at the source; the outcome says if that failed."""
    ref = outcome.ref
    is_ours = outcome.action is Action.CONFIGURE and outcome.result in GOOD_ENDS
    if holder is None or not is_ours:
        return outcome
    version = prepared.examined.desired.entries[ref].version
    resource = replace(prepared.resources[ref.group_kind], version=version)
    try:
        hand_over(prepared.connection, ref, resource, holder)
    except ApiError as error:
        reason = f"is ours still, and was {holder.manager}'s: {error.message}"
        return replace(outcome, reason="; ".join(filter(None, [outcome.reason, reason])))
    return outcome


def _as_held(prepared: Prepared, carried: Carried, intent: Intent) -> frozenset[Ref]:
    """Of what a person asked for that which is there and held, or is not there as it should be."""
    differing = {difference.ref for difference in carried.after.differences}
    meant = releasable(carried.after, intent, prepared.chosen)
    return meant - differing


def _not_yet(rebuilt: Rebuilt) -> str:
    """Why nothing is released; empty if everything else is there."""
    if rebuilt.failed:
        return f"{rebuilt.failed[0].ref} is {rebuilt.failed[0].result}"
    if rebuilt.open_differences:
        first = rebuilt.open_differences[0]
        return f"{first.ref} is {first.presence}"
    known = set(rebuilt.planned.gaps)
    unknown = next((gap for gap in rebuilt.gaps if gap not in known), None)
    return f"{unknown.ref}: {unknown.reason}" if unknown else ""


def _with_command(outward: Outwards, prepared: Prepared) -> Outwards:
    if outward.command:
        return outward
    goal = prepared.planned.goal
    command = by_failover(goal.name) if goal.name else by_rebuild(goal.commit)
    return replace(outward, command=command)


def _as_one_phase(emit: Emit) -> Emit:
    """Tell the steps of a release, but not the parts that it is made of."""

    def told(event: Event) -> None:
        match event:
            case PhaseStarted() | PhaseEnded():
                pass
            case Advanced("execute", done, subject):
                emit(Advanced(PHASE, done, subject))
            case Advanced():
                pass
            case _:
                emit(event)

    return told
