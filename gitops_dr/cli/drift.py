"""``gitops-dr drift``: flags to the workflow, its result to a report."""

from __future__ import annotations

from pathlib import Path

from gitops_dr.cli import options


def drift(
    *,
    repo: options.Repo = Path(),
    cluster: options.Cluster = None,
    context: options.Context = None,
    kubeconfig: options.Kubeconfig = None,
    at: options.At = None,
    output: options.Output = options.OutputFormat.TABLE,
    quiet: options.Quiet = False,
) -> int:
    """Say how the running cluster differs from Git.

    Exits 0 if nothing differs, 1 if something does, 3 if something could not be read. Needs no
    right to write, in the cluster or in the repository.
    """
    from gitops_dr.cli.progress import Progress
    from gitops_dr.reports import drift as report
    from gitops_dr.workflows.drift import drift as run

    progress = Progress(quiet=quiet)
    with progress.showing():
        result = run(options.where(repo, cluster, context, kubeconfig), at=at, emit=progress)
    print(report.FORMATS[output](result))
    return report.exit_code(result)
