"""Carries a plan out and sees what came of it: execute, then compare until operators are done.

``rebuild`` and ``sync`` go this way. Writes to the target.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass

from gitops_dr.checks.findings import blockers
from gitops_dr.cluster.apply import late_binding_classes
from gitops_dr.cluster.discover import silence
from gitops_dr.engine.difference import Examined, examine
from gitops_dr.engine.execute import execute
from gitops_dr.engine.prepare import Prepared
from gitops_dr.errors import RefusedError
from gitops_dr.events import Emit, Waiting, silent
from gitops_dr.model import SECRET, Difference, Gap, Ref, Result
from gitops_dr.planning.selection import Intent
from gitops_dr.results.rebuild import Planned, Rebuilt
from gitops_dr.rules.completion import is_held_back
from gitops_dr.rules.relations import not_generated

_ASK_AGAIN = 2.0
"""Seconds between two looks at what came of it; a look lists the whole cluster."""

_API_SERVICE = ("apiregistration.k8s.io", "APIService")


@dataclass(frozen=True, slots=True)
class Carried:
    """What came of a plan, and the comparison that tells."""

    rebuilt: Rebuilt
    after: Examined


def carry(
    prepared: Prepared,
    intent: Intent,
    *,
    timeout: float = 300.0,
    also: Callable[[], object] = lambda: None,
    emit: Emit = silent,
) -> Carried:
    """Carry out the steps of a plan and compare again; what acts outward stays held.

    ``timeout``: seconds that an object may take to become ready, and an operator to make what it
    had made in the source. ``also`` is called between the two.
    """
    planned = prepared.planned
    holders = prepared.holders() if intent.hand_over else {}
    outcomes = execute(
        prepared.connection,
        planned.plan,
        prepared.bodies,
        prepared.resources,
        late_binding=late_binding_classes(prepared.connection),
        aim=prepared.aim,
        holders=holders,
        unawaited=prepared.examined.recorded.rewriter.held.keys(),
        timeout=timeout,
        emit=emit,
    )
    also()
    passing = {
        silence(outcome.ref.name)
        for outcome in outcomes
        if outcome.ref.group_kind == _API_SERVICE and outcome.result is Result.DONE
    }
    after, dead = _examine_until_generated(prepared, intent, timeout, emit, passing)
    gaps = dict.fromkeys([*planned.gaps, *after.observation.state.gaps, *dead])
    held, differences = left_over(prepared, intent, after)
    rebuilt = Rebuilt(planned, outcomes, differences, after.equal, tuple(gaps), held)
    return Carried(rebuilt, after)


def left_over(
    prepared: Prepared, intent: Intent, after: Examined
) -> tuple[tuple[Difference, ...], tuple[Difference, ...]]:
    """What came back held so that it does not run twice; and what differs else, of what is meant.

    What a rule leaves alone is neither.
    """
    held = tuple(d for d in after.differences if is_held_back(d))
    omissions = prepared.planned.plan.omissions
    left_alone = {d.ref for d in held} | {omission.ref for omission in omissions}
    differences = tuple(
        difference
        for difference in after.differences
        if difference.ref not in left_alone
        and (not intent.selection or difference.ref in prepared.chosen)
    )
    return held, differences


def refuse_what_is_blocked(planned: Planned) -> None:
    """Raise ``RefusedError`` for claims without data, Secrets that stay closed, other blockers."""
    if not planned.blocked:
        for found in blockers(planned.checks):
            raise RefusedError(
                f"{found.about}: {found.reason}; nothing was written", hint=found.remedy
            )
        return
    sealed = [gap for gap in planned.blocked if gap.ref.group_kind == SECRET]
    if sealed:
        more = f" (and {len(sealed) - 1} more Secrets)" if sealed[1:] else ""
        raise RefusedError(
            f"{sealed[0].ref}: {sealed[0].reason}{more}; nothing was written",
            hint="name the file of an age identity that opens it in SOPS_AGE_KEY_FILE, or say "
            "--without-secrets",
        )
    first, *others = planned.blocked
    more = f" (and {len(others)} more claims)" if others else ""
    raise RefusedError(
        f"{first.ref}: {first.reason}{more}; nothing was written",
        hint="choose a recovery point that has it with --at, say restore: empty or skip in "
        "gitops-dr.yaml, or --accept-empty-volumes",
    )


def _examine_until_generated(
    prepared: Prepared,
    intent: Intent,
    timeout: float,
    emit: Emit,
    passing: Collection[Gap] = (),
) -> tuple[Examined, list[Gap]]:
    """Compare again, and give operators time to make what they had made in the source.

    An owner that has not got its objects again in ``timeout`` seconds is a gap: its operator may be
    dead, which nothing else would show. Where only a part was asked for, only its owners count.
    ``passing``: what discovery still says a moment longer of API services that have just become
    available.
    """
    tree, identity = prepared.examined.recorded.tree, prepared.planned.goal.target
    source = tree.coverage.generated if tree.coverage else {}
    renamed = prepared.examined.recorded.rewriter.ref
    recorded = {ref: kinds for owner, kinds in source.items() if (ref := renamed(owner))}
    # Nothing works on what is held.
    held = prepared.examined.recorded.rewriter.held
    deadline = time.monotonic() + timeout
    after = prepared.examined
    while True:
        after = examine(
            prepared.connection,
            identity,
            tree,
            target=prepared.target,
            trusted=prepared.trusted,
            before=after,
            emit=emit,
        )
        observation = after.observation
        lacking = [
            (owner, kind)
            for owner, kind in not_generated(recorded, observation.state, observation.generated)
            if owner not in held and (not intent.selection or owner in prepared.chosen)
        ]
        still_silent = any(gap in passing for gap in observation.state.gaps)
        if not (lacking or still_silent) or time.monotonic() > deadline:
            return after, [_dead(owner, kind) for owner, kind in lacking]
        if lacking:
            owner, (_, kind) = lacking[0]
            emit(Waiting(owner, f"its operator has not made a {kind} yet"))
        time.sleep(_ASK_AGAIN)


def _dead(owner: Ref, group_kind: tuple[str, str]) -> Gap:
    kind = ".".join(filter(None, reversed(group_kind)))
    return Gap(owner, f"its operator has not made a {kind} again")
