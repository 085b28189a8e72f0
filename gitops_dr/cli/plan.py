"""``gitops-dr plan``: flags to the workflow, its result to a report."""

from __future__ import annotations

from pathlib import Path

from gitops_dr.cli import options


def plan(
    *,
    repo: options.Repo = Path(),
    cluster: options.Cluster = None,
    context: options.Context = None,
    kubeconfig: options.Kubeconfig = None,
    at: options.At = None,
    namespace: options.Namespaces = None,
    selector: options.Selector = None,
    ref: options.Refs = None,
    accept_empty_volumes: options.AcceptEmptyVolumes = False,
    overwrite: options.Overwrite = False,
    output: options.Output = options.OutputFormat.TABLE,
    quiet: options.Quiet = False,
) -> int:
    """Show what a rebuild would do to the cluster that is reached, and write nothing.

    Exits 0 if nothing would change, 1 if something would, 3 if something cannot come back.
    """
    from gitops_dr.cli.progress import Progress
    from gitops_dr.reports import plan as report
    from gitops_dr.workflows.plan import plan as run

    progress = Progress(quiet=quiet)
    with progress.showing():
        result = run(
            options.where(repo, cluster, context, kubeconfig),
            at=at,
            intent=options.intent(
                namespace,
                selector,
                ref,
                accept_empty_volumes=accept_empty_volumes,
                overwrite=overwrite,
            ),
            emit=progress,
        )
    print(report.FORMATS[output](result))
    return report.exit_code(result)
