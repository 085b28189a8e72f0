"""``gitops-dr sync``: flags to the workflow, its result to a report. Asks before it writes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gitops_dr.cli import options
from gitops_dr.cli.confirming import confirmed


def sync(
    *,
    repo: options.Repo = Path(),
    cluster: options.Cluster = None,
    context: options.Context = None,
    kubeconfig: options.Kubeconfig = None,
    trusted_signers: options.TrustedSigners = None,
    accept_rewritten_history: options.AcceptRewrittenHistory = False,
    at: options.At = None,
    target: options.Target = None,
    prune: Annotated[
        list[str] | None,
        typer.Option(
            "--prune",
            metavar="REF",
            help="Delete this object too if it left Git, although its kind takes more along, or "
            "somebody else wrote it. Repeat.",
        ),
    ] = None,
    no_prune: Annotated[
        bool, typer.Option("--no-prune", help="Delete nothing that left Git.")
    ] = False,
    allow_shrink: Annotated[
        bool,
        typer.Option(
            "--allow-shrink", help="Delete also if more than a tenth of all objects left Git."
        ),
    ] = False,
    replace: options.Replace = False,
    replace_claims: Annotated[
        bool,
        typer.Option(
            "--replace-claims",
            help="Of a warm standby: give claims that were filled from older data, and that "
            "nothing used, the commit's. Their old volumes are kept.",
        ),
    ] = False,
    drop_replaced: Annotated[
        bool,
        typer.Option(
            "--drop-replaced",
            help="With --replace-claims: once a claim is replaced, give back the volumes that "
            "earlier syncs have kept of it, so that there is one a claim. Only if Git still has "
            "the snapshots that they were filled from.",
        ),
    ] = False,
    take_ownership: options.TakeOwnership = False,
    release: options.Released = None,
    accept_empty_volumes: options.AcceptEmptyVolumes = False,
    without_secrets: options.WithoutSecrets = False,
    timeout: Annotated[
        float,
        typer.Option(
            "--timeout", metavar="SECONDS", help="How long an object may take to be ready, or gone."
        ),
    ] = 300.0,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    output: options.Output = options.OutputFormat.TABLE,
    quiet: options.Quiet = False,
) -> int:
    """Bring a cluster to a commit, again and again.

    Creates what is missing, gives what differs Git's values, and deletes what left Git since the
    commit that it was last brought to, if gitops-dr wrote it: never a Namespace, a definition, a
    volume, a claim or a snapshot unless --prune names it. What Git never had is left alone. Exits 0
    if nothing differs in the end, 3 if something is left to do; the same command goes on.
    """
    from gitops_dr.cli.progress import Progress
    from gitops_dr.errors import UsageError
    from gitops_dr.reports import plan_checks
    from gitops_dr.reports import sync as report
    from gitops_dr.results.rebuild import Planned
    from gitops_dr.workflows.sync import sync as run

    if drop_replaced and not replace_claims:
        raise UsageError("--drop-replaced: only with --replace-claims")
    progress = Progress(quiet=quiet)
    named = options.intent(
        None, None, prune, accept_empty_volumes=False, overwrite=False
    ).selection.refs
    with progress.showing():
        result = run(
            options.where(repo, cluster, context, kubeconfig, trusted_signers=trusted_signers),
            confirmed("sync", progress, yes=yes),
            target=target,
            at=at,
            also_prune=named,
            without_pruning=no_prune,
            allow_shrink=allow_shrink,
            replacing=replace,
            replace_claims=replace_claims,
            drop_replaced=drop_replaced,
            take_ownership=take_ownership,
            release=options.when_released(release),
            without_secrets=without_secrets,
            accept_empty_volumes=accept_empty_volumes,
            accept_rewritten_history=accept_rewritten_history,
            timeout=timeout,
            emit=progress,
        )
    if isinstance(result, Planned):
        print(plan_checks.FORMATS[output](result))
        return plan_checks.exit_code(result)
    print(report.FORMATS[output](result, progress.seconds))
    return report.exit_code(result)
