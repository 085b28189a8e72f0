"""``gitops-dr rebuild``: flags to the workflow, its result to a report. Asks before it writes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gitops_dr.cli import options
from gitops_dr.cli.confirming import confirmed


def rebuild(
    *,
    repo: options.Repo = Path(),
    cluster: options.Cluster = None,
    context: options.Context = None,
    kubeconfig: options.Kubeconfig = None,
    trusted_signers: options.TrustedSigners = None,
    accept_rewritten_history: options.AcceptRewrittenHistory = False,
    at: options.At = None,
    target: options.Target = None,
    plan: Annotated[
        Path | None,
        typer.Option(
            "--plan",
            metavar="FILE",
            help="Carry out the plan that plan --out kept there, and no other.",
        ),
    ] = None,
    namespace: options.Namespaces = None,
    selector: options.Selector = None,
    ref: options.Refs = None,
    accept_empty_volumes: options.AcceptEmptyVolumes = False,
    without_secrets: options.WithoutSecrets = False,
    overwrite: options.Overwrite = False,
    replace: options.Replace = False,
    take_ownership: options.TakeOwnership = False,
    release: options.Released = None,
    hand_over: Annotated[
        bool,
        typer.Option(
            "--hand-over/--no-hand-over",
            help="Make objects in the name of who applied them at the source, so that what leaves "
            "Git later can go; or make all in our own.",
        ),
    ] = True,
    timeout: Annotated[
        float,
        typer.Option(
            "--timeout", metavar="SECONDS", help="How long an object may take to be ready."
        ),
    ] = 300.0,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    output: options.Output = options.OutputFormat.TABLE,
    quiet: options.Quiet = False,
) -> int:
    """Make the cluster that is reached what a commit says.

    Shows the target and the plan, asks, creates what is missing in the order of what needs what,
    waits until it is ready, and compares again. What is there and differs is left untouched,
    unless --overwrite is said. Exits 0 if nothing differs in the end, 3 if something did not come
    back. After an interruption the same command goes on.
    """
    from gitops_dr.cli.progress import Progress
    from gitops_dr.reports import rebuild as report
    from gitops_dr.workflows.rebuild import rebuild as run

    progress = Progress(quiet=quiet)
    intent = options.intent(
        namespace,
        selector,
        ref,
        accept_empty_volumes=accept_empty_volumes,
        without_secrets=without_secrets,
        overwrite=overwrite,
        replace=replace,
        take_ownership=take_ownership,
        release=release,
    )
    saved = None
    if plan is not None:
        saved = options.kept_plan(plan, cluster, at, intent)
        cluster, at, intent = saved.cluster, saved.commit, saved.intent
    with progress.showing():
        result = run(
            options.where(repo, cluster, context, kubeconfig, trusted_signers=trusted_signers),
            confirmed("rebuild", progress, yes=yes),
            at=at,
            target=target,
            intent=intent,
            expected=saved,
            accept_rewritten_history=accept_rewritten_history,
            hand_over=hand_over,
            timeout=timeout,
            emit=progress,
        )
    print(report.FORMATS[output](result, progress.seconds))
    return report.exit_code(result)
