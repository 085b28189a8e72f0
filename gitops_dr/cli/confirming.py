"""Asks a person before a plan is carried out."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from gitops_dr.errors import RefusedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from gitops_dr.cli.progress import Progress
    from gitops_dr.results import Planned


def confirmed(verb: str, progress: Progress, *, yes: bool) -> Callable[[Planned], None]:
    """Show a plan and ask whether to go on; ``yes``: only name the target.

    What it gives raises ``RefusedError`` where nobody is there to confirm, or does not.
    """
    from gitops_dr.reports.plan import announcement, as_table

    def confirm(planned: Planned) -> None:
        goal = planned.goal
        with progress.paused():
            if yes or not planned.plan.steps:
                print("\n".join(announcement(goal)), file=sys.stderr)
                return
            print(as_table(planned), file=sys.stderr)
            if not sys.stdin.isatty():
                raise RefusedError(
                    f"{verb} into {goal.context or goal.server}: nobody is here to confirm it",
                    hint="say --yes, or run it on a terminal",
                )
            print("Go on? Only 'yes' does: ", end="", file=sys.stderr, flush=True)
            if sys.stdin.readline().strip() != "yes":
                raise RefusedError(f"{verb}: not confirmed", hint="nothing was written")

    return confirm
