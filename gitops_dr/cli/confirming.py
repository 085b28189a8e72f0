"""Asks a person before a plan is carried out."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from gitops_dr.errors import RefusedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from gitops_dr.cli.progress import Progress
    from gitops_dr.results.rebuild import Planned


def ask(
    verb: str,
    where: str,
    *,
    hint: str = "say --yes, or run it on a terminal",
    nothing: str = "nothing was written",
) -> None:
    """Ask whether to go on. Raises ``RefusedError`` where nobody is there to confirm, or does not.

    ``where`` completes the verb in the message, as in ``into NAME``; ``nothing`` says what was not
    done yet.
    """
    if not sys.stdin.isatty():
        raise RefusedError(f"{verb} {where}: nobody is here to confirm it", hint=hint)
    print("Go on? Only 'yes' does: ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip() != "yes":
        raise RefusedError(f"{verb}: not confirmed", hint=nothing)


def confirmed(verb: str, progress: Progress, *, yes: bool) -> Callable[[Planned], None]:
    """Show a plan and ask whether to go on; ``yes``: only name the target and what is wrong there.

    What it gives raises ``RefusedError`` where nobody is there to confirm, or does not.
    """
    from gitops_dr.reports.plan import announcement, as_table, check_lines

    def confirm(planned: Planned) -> None:
        goal = planned.goal
        writes = planned.plan.steps or planned.outward.is_released
        replaces = planned.claims is not None and planned.claims.replaced
        with progress.paused():
            if yes or not (writes or replaces):
                print("\n".join([*announcement(goal), *check_lines(planned)]), file=sys.stderr)
                return
            print(as_table(planned), file=sys.stderr)
            ask(verb, f"into {goal.context or goal.server}")

    return confirm
