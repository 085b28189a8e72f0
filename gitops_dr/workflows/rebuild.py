"""``gitops-dr rebuild``: makes a cluster what a commit says. Reads Git, writes to the target.

gather and compute are those of ``plan``; then confirm, execute, and compare again: a rebuild is
done when nothing differs and everything that it made is ready.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from gitops_dr.engine.activating import refuse_unsettled
from gitops_dr.engine.carrying import refuse_what_is_blocked
from gitops_dr.engine.holding import holding
from gitops_dr.engine.opening import Where
from gitops_dr.engine.prepare import prepare
from gitops_dr.engine.releasing import carry_out_and_release
from gitops_dr.engine.standby_claims import refuse_begun_replacement
from gitops_dr.events import Emit, silent
from gitops_dr.planning.saved import SavedPlan
from gitops_dr.planning.selection import EVERYTHING, Intent
from gitops_dr.results.rebuild import Planned, Rebuilt

Confirm = Callable[[Planned], None]
"""Called before the first write; raises ``RefusedError`` to stop."""


def rebuild(
    where: Where,
    confirm: Confirm,
    *,
    at: str | None = None,
    intent: Intent = EVERYTHING,
    target: str | None = None,
    expected: SavedPlan | None = None,
    accept_rewritten_history: bool = False,
    hand_over: bool = True,
    timeout: float = 300.0,
    emit: Emit = silent,
) -> Rebuilt:
    """Rebuild a cluster from the commit ``at`` (default: HEAD) into the cluster that is reached.

    Objects that are there and differ are left untouched unless the intent is to overwrite them.
    ``target``: what the commit says for this target of the repository, into its cluster.
    ``expected``: a plan that somebody looked at, of the same commit and intent; what would be done
    now must be just that. ``hand_over``: what is made belongs to who applied it at the source, as
    far as Git knows. A history that has lost recovery points is refused, unless
    ``accept_rewritten_history``. ``timeout``: seconds that an object may take to become ready.

    Raises ``RefusedError``, and what ``confirm`` raises,
    before anything is written; running it again continues an interrupted rebuild.
    """
    prepared = prepare(
        where,
        at=at,
        intent=intent,
        target=target,
        refuse_rewritten=not accept_rewritten_history,
        emit=emit,
    )
    planned, connection = prepared.planned, prepared.connection
    refuse_unsettled(prepared)
    refuse_begun_replacement(prepared)
    if expected is not None and planned.saved is not None:
        expected.refuse_another(planned.saved)
    refuse_what_is_blocked(planned)
    confirm(planned)

    intent = replace(intent, hand_over=hand_over)
    with holding("rebuild", connection=connection, emit=emit):
        return carry_out_and_release(prepared, intent, timeout=timeout, emit=emit)
