"""``gitops-dr plan``: flags to the workflow, its result to a report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gitops_dr.cli import options


def plan(
    *,
    repo: options.Repo = Path(),
    cluster: options.Cluster = None,
    context: options.Context = None,
    kubeconfig: options.Kubeconfig = None,
    trusted_signers: options.TrustedSigners = None,
    at: options.At = None,
    target: options.Target = None,
    namespace: options.Namespaces = None,
    selector: options.Selector = None,
    ref: options.Refs = None,
    accept_empty_volumes: options.AcceptEmptyVolumes = False,
    without_secrets: options.WithoutSecrets = False,
    overwrite: options.Overwrite = False,
    replace: options.Replace = False,
    take_ownership: options.TakeOwnership = False,
    release: options.Released = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="Keep the plan there, for rebuild --plan FILE."),
    ] = None,
    checks_only: Annotated[
        bool,
        typer.Option(
            "--checks-only", help="Say only what is in the way, or should be known before."
        ),
    ] = False,
    check_images: Annotated[
        bool,
        typer.Option(
            "--check-images", help="Ask the registries for the images of what is created."
        ),
    ] = False,
    output: options.Output = options.OutputFormat.TABLE,
    quiet: options.Quiet = False,
) -> int:
    """Show what a rebuild would do to the cluster that is reached, and write nothing to it.

    Begins with what was checked: blockers, which a rebuild refuses, and warnings. Exits 0 if
    nothing would change, 1 if something would, 3 if something cannot come back or blocks it; with
    --checks-only 0 if nothing blocks it, also with warnings, and else 3.
    """
    from gitops_dr.cli.progress import Progress
    from gitops_dr.reports import plan as report
    from gitops_dr.workflows.plan import plan as run

    progress = Progress(quiet=quiet)
    with progress.showing():
        result = run(
            options.where(repo, cluster, context, kubeconfig, trusted_signers=trusted_signers),
            at=at,
            target=target,
            ask_registries=check_images,
            intent=options.intent(
                namespace,
                selector,
                ref,
                accept_empty_volumes=accept_empty_volumes,
                without_secrets=without_secrets,
                overwrite=overwrite,
                replace=replace,
                take_ownership=take_ownership,
                release=release,
            ),
            emit=progress,
        )
    if out is not None:
        options.keep_plan(result, out)
    if checks_only:
        from gitops_dr.reports import plan_checks

        print(plan_checks.FORMATS[output](result))
        return plan_checks.exit_code(result)
    print(report.FORMATS[output](result))
    return report.exit_code(result)
