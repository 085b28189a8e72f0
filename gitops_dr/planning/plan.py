"""Turns differences into a plan: what to create, what to leave, what cannot come back. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from types import MappingProxyType

from gitops_dr.model import (
    ANY,
    SECRET,
    Action,
    Difference,
    EmptyVolume,
    Gap,
    Need,
    Omission,
    Plan,
    Presence,
    Ref,
    State,
    Step,
)
from gitops_dr.planning.facts import NO_FACTS, ObjectFacts
from gitops_dr.planning.graph import UnmetNeed, order
from gitops_dr.planning.leave import left_alone
from gitops_dr.planning.references import provided
from gitops_dr.planning.selection import EVERYTHING, Intent
from gitops_dr.rules.clean import rules_for
from gitops_dr.rules.completion import cannot_be_held

_CLAIM = ("", "PersistentVolumeClaim")
_ANY_SECRET = Ref("", "Secret", "", ANY)
_STARTED_EMPTY = (
    "its volume started empty in an earlier run, and nothing is known to have filled it since; "
    "--accept-empty-volumes takes it for what it is"
)
_NAMED = 3
"""How many of several things are named; the rest is counted."""


def make_plan(
    desired: State,
    observed: State,
    differences: Iterable[Difference],
    facts: Mapping[Ref, ObjectFacts],
    intent: Intent = EVERYTHING,
    *,
    refused: Mapping[Ref, str] = MappingProxyType({}),
    started_empty: Collection[Ref] = (),
) -> Plan:
    """Plan how ``observed`` becomes ``desired``.

    Missing objects are created; modified ones are left as they are (a skipped step) unless the
    intent is to overwrite; unmanaged ones are none of our business; unknown ones become gaps. What
    a rule leaves alone (the platform's own in another cluster, what came back held) is an omission.
    ``facts`` has those of all missing objects (and of the modified ones that are overwritten), and
    may have more. ``refused`` says which objects the target would not take, and why: they are gaps.
    Gaps are also claims whose volume will start empty, or did so in an earlier run
    (``started_empty``; accepting it is a step), Secrets that others need but policy left out of
    Git, and objects that the API server will refuse because what they need is nowhere. Other
    missing references are notes.
    """
    steps: list[Step] = []
    gaps: list[Gap] = []
    differences = list(differences)
    omissions = left_alone(differences, facts, intent)
    for difference in differences:
        ref = difference.ref
        if ref in omissions:
            continue
        reason = refused.get(ref) or _unrepeatable(difference)
        if reason:
            gaps.append(Gap(ref, reason))
            continue
        match difference.presence:
            case Presence.MISSING if (
                ref.group_kind == _CLAIM
                and not intent.accept_empty_volumes
                and ref not in intent.may_be_empty
                and not facts.get(ref, NO_FACTS).references.has_data
            ):
                steps.append(_step(desired, ref, Action.CREATE, empty_volume=EmptyVolume.NOTED))
                gaps.append(Gap(ref, "its volume starts empty: no snapshot restores its data"))
            case Presence.MISSING:
                steps.append(_step(desired, ref, Action.CREATE))
            case Presence.MODIFIED if intent.overwrite or _only_lacks_owners(difference):
                steps.append(_step(desired, ref, Action.CONFIGURE))
            case Presence.MODIFIED:
                reason = "exists and differs; left untouched"
                steps.append(_step(desired, ref, Action.SKIP, reason))
            case Presence.UNKNOWN:
                gaps.append(Gap(ref, difference.reason or "its state could not be determined"))
            case Presence.UNMANAGED:
                pass
    if not intent.accept_empty_volumes:
        gaps += [Gap(ref, _STARTED_EMPTY) for ref in started_empty]
    else:
        accepted = set(started_empty) - {difference.ref for difference in differences}
        steps += [
            _step(desired, ref, Action.CONFIGURE, empty_volume=EmptyVolume.ACCEPTED)
            for ref in sorted(accepted)
        ]
        # A note is taken off whatever the claim refers to.
        facts = {ref: found for ref, found in facts.items() if ref not in accepted}
    ordering = order(steps, facts, _presence(observed))
    unmet_gaps, unmet_notes = _judge(ordering.unmet, desired.omissions)
    return Plan(
        steps=ordering.steps,
        omissions=tuple(sorted(omissions.values())),
        gaps=tuple(sorted({*gaps, *unmet_gaps})),
        notes=(*ordering.notes, *unmet_notes),
    )


def _only_lacks_owners(difference: Difference) -> bool:
    """Whether a rebuild that was killed before it linked owners left the object so."""
    return bool(difference.changes) and all(
        change.op == "remove" and change.path.startswith("metadata.ownerReferences")
        for change in difference.changes
    )


def _unrepeatable(difference: Difference) -> str | None:
    if difference.presence is not Presence.MISSING:
        return None
    return cannot_be_held(difference.ref.group_kind)


def digest(plan: Plan, commit: str, target_uid: str, configuration: str = "") -> str:
    """Hash (SHA-256, hex) what the plan would do, from which commit, and to which cluster.

    ``configuration`` names the version of ``gitops-dr.yaml`` (its blob id). Equal digests mean the
    same acts in the same order; notes and gaps do not count.
    """
    acts = [
        [
            str(step.ref),
            step.action,
            step.fingerprint,
            step.path,
            step.version,
            _needs(step),
            *filter(None, [step.empty_volume]),
        ]
        for step in plan.steps
    ]
    text = json.dumps([commit, target_uid, configuration, acts], separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _needs(step: Step) -> list[list[str | bool]]:
    return [[str(need.ref), need.ready, need.hard] for need in step.needs]


def _step(
    desired: State,
    ref: Ref,
    action: Action,
    reason: str = "",
    empty_volume: EmptyVolume | None = None,
) -> Step:
    entry = desired.entries[ref]
    return Step(
        ref,
        action,
        entry.fingerprint,
        entry.path,
        entry.version,
        reason=reason,
        empty_volume=empty_volume,
    )


def _presence(observed: State) -> Callable[[Ref], bool]:
    """Tell what the target has: observed, left out by a rule, or always there.

    What could not be read counts as present: its absence would be a guess.
    """
    omitted = {omission.ref for omission in observed.omissions}
    return lambda ref: (
        ref in observed.entries
        or ref in observed.unlisted
        or ref in omitted
        or provided(ref)
        or observed.gap_for(ref) is not None
    )


def _judge(
    unmet: Iterable[UnmetNeed], omissions: Iterable[Omission]
) -> tuple[list[Gap], list[str]]:
    """Sort unmet needs into gaps and notes.

    Of an object of a kind that is left out as a whole, and of one that is named as left out, nobody
    has to be told, unless it is a Secret. Rules that leave out some objects of a kind without
    naming them say nothing of this one, but of a Secret that it may have been one of them.
    """
    users: dict[Ref, list[UnmetNeed]] = {}
    for each in unmet:
        users.setdefault(each.need.ref, []).append(each)
    named = {omission.ref: omission for omission in omissions}
    gaps: list[Gap] = []
    notes: list[str] = []
    for ref, needing in sorted(users.items(), key=lambda item: item[0]):
        omission = named.get(ref)
        who = first_few([str(each.ref) for each in needing])
        if ref.group_kind == SECRET and omission is not None:
            gaps.append(Gap(ref, f"left out of Git ({omission.reason}); needed by {who}"))
        elif ref.group_kind == SECRET and _ANY_SECRET in named:
            reason = named[_ANY_SECRET].reason
            gaps.append(Gap(ref, f"neither in Git nor in the target ({reason}); needed by {who}"))
            continue
        if omission is not None or rules_for(*ref.group_kind).omit_kind:
            continue
        gaps += [Gap(each.ref, _nowhere(each.need)) for each in needing if each.need.hard]
        soft = [f"{each.ref} ({each.need.why})" for each in needing if not each.need.hard]
        if soft:
            notes.append(f"{ref} is neither in Git nor in the target; needed by {first_few(soft)}")
    return gaps, notes


def _nowhere(need: Need) -> str:
    return f"needs {need.ref} ({need.why}), which is neither in Git nor in the target"


def first_few(texts: Sequence[str]) -> str:
    """Name the first few, and say how many more there are."""
    more = len(texts) - _NAMED
    return ", ".join(texts[:_NAMED]) + (f" and {more} more" if more > 0 else "")
